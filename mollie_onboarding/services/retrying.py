"""Transactions that are tried again where the database chose them as the victim of a deadlock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, transaction
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.observing import observe

logger = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 3


@sensitive_variables()
def try_again(work: Callable[[], T]) -> T:
    """What `work` gives, after three tries at most; one only where it is a part of the caller's transaction.

    Raises `OperationalError` when the database does not take it.
    """
    attempts = 1 if transaction.get_connection().in_atomic_block else ATTEMPTS
    for _ in range(attempts - 1):
        try:
            return work()
        except OperationalError as exc:
            # A connection that the server has closed would fail every time; one that works stays.
            transaction.get_connection().close_if_unusable_or_obsolete()
            observe(
                logger, logging.INFO, "write_repeated", "Tried again: %(error)s", error=type(exc).__name__
            )
    return work()
