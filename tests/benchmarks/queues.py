"""Queues to measure the sending with."""

from __future__ import annotations

from django.core import mail
from django.db import connection
from django.utils import timezone

from mollie_onboarding.models import ClientLink, Event
from tests.conftest import MERCHANT

ROWS_AT_ONCE = 1_000


def queue_rows(count: int) -> None:
    """That many rows in the queue, and no others."""
    forget_rows()
    now = timezone.now()
    for first in range(0, count, ROWS_AT_ONCE):
        ClientLink.objects.bulk_create(
            ClientLink(**{**MERCHANT, "owner_email": f"{number}@merchant.example"}, send_requested_at=now)
            for number in range(first, first + ROWS_AT_ONCE)
        )


def forget_rows() -> None:
    # Nothing else refers to them, and `delete` would read them all.
    for model in (Event, ClientLink):
        model.objects.all()._raw_delete(connection.alias)
    mail.outbox = []
