"""What one example does is undone before the next one, and what it wrote can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connections, transaction

from mollie_onboarding.services import tokens
from tests.security.test_canary import dump

DATABASES = ["default", "mollie_sandbox"]

MARKS = [
    pytest.mark.django_db(databases=DATABASES),
    # Some examples are large, and said to be so.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

__all__ = ["DATABASES", "MARKS", "dump", "undone"]


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside, to the databases, the cache and the mailbox, is taken back at the end.

    By savepoints, as a TestCase does it for a whole test: what is durable may be done inside.
    """
    with ExitStack() as stack:
        for alias in DATABASES:
            block = transaction.atomic(using=alias)
            block._from_testcase = True  # type: ignore[attr-defined]
            stack.enter_context(block)
        try:
            yield
        finally:
            for alias in DATABASES:
                # Of a connection that an error has made useless the block takes care.
                if connections[alias].in_atomic_block:
                    transaction.set_rollback(True, using=alias)
            cache.clear()
            mail.outbox.clear()
            tokens._unwritten.clear()
