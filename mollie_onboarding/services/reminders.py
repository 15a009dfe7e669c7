"""Reminders: who gets one, and putting those that are due into the queue of mails.

The plan, `MOLLIE_ONBOARDING_REMINDER_DAYS`, counts from the last invitation; an invitation, whoever asks for it, begins
it anew. Sent like every other mail, by `send_onboarding_link`, which asks once more whether it is still to be sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mollie_onboarding.models import (
    MOST_DECLINES,
    ClientLink,
    DeliveryStatus,
    Event,
    Reason,
    SendKind,
    Status,
    due_reminder,
    locked,
)

from .queueing import nudge_after_commit, queue_columns, reason_not_to_send
from .retrying import try_again

CHUNK_SIZE = 200  # rows in one transaction


def reason_not_to_remind(client_link: ClientLink) -> Reason | None:
    """Why this merchant gets no reminder, now or later; None when they do, once one is due.

    The rule of `ClientLinkQuerySet.due_for_reminder` about one row, in the order in which people want to know.
    """
    if reason := reason_not_to_send(client_link):
        return reason
    speaks_against = (
        (client_link.is_connected, Reason.CONNECTED),
        (client_link.status == Status.REJECTED, Reason.REFUSED),
        # An operator looks at these; the next invitation begins the plan anew.
        (client_link.delivery_status == DeliveryStatus.FAILED, Reason.MAIL_FAILED),
        (client_link.decline_count >= MOST_DECLINES, Reason.DECLINED),
        (client_link.reminders_excluded, Reason.EXCLUDED),
        (client_link.invited_at is None, Reason.NOT_INVITED),
    )
    return next((reason for is_so, reason in speaks_against if is_so), None)


def reason_not_to_mail(client_link: ClientLink) -> Reason | None:
    """Why the mail that this row is queued for is no longer to be sent; None when it is."""
    is_reminder = client_link.send_kind == SendKind.REMINDER
    return reason_not_to_remind(client_link) if is_reminder else reason_not_to_send(client_link)


def number_of_reminder(client_link: ClientLink, now: datetime) -> int:
    """Which reminder the mail is that this row is queued for, from 1; 0 when it is an invitation."""
    if client_link.send_kind != SendKind.REMINDER:
        return 0
    # At least the next one: clocks differ, and the plan may have changed since it was requested.
    return max(due_reminder(client_link, now), client_link.reminder_count + 1)


def request_reminders(limit: int | None = None, now: datetime | None = None, *, nudge: bool = True) -> int:
    """Queue the reminders that are due at `now`, those of the oldest invitations first. Gives how many.

    Each row once, also where two processes are at it; a task is nudged for each, unless `nudge` is off.
    """
    now = now or timezone.now()
    return sum(try_again(partial(_request, keys, now, nudge)) for keys in _due(limit, now))


def _request(keys: list[uuid.UUID], now: datetime, nudge: bool) -> int:
    columns = queue_columns(SendKind.REMINDER)
    due = ClientLink.objects.due_for_reminder(now)
    with transaction.atomic():
        # Locked in the order in which others lock many rows, the database's: MariaDB sorts ids otherwise than Python.
        held = list(locked(due.filter(pk__in=keys)).order_by("pk").values_list("pk", flat=True))
        # One by one, for only so it is known which of them were still due, where a database locks no rows.
        queued = [pk for pk in held if due.filter(pk=pk).update(**columns)]
        Event.objects.bulk_create(
            Event(kind="reminder_requested", client_link_id=pk, at=now, announced_at=now) for pk in queued
        )
        if nudge:
            for pk in queued:
                nudge_after_commit("send_onboarding_link", pk)
    return len(queued)


def _due(limit: int | None, now: datetime) -> Iterator[list[uuid.UUID]]:
    """The ids of the rows, some at a time, in the order of the index by which they are found."""
    rows = ClientLink.objects.due_for_reminder(now).order_by("invited_at", "pk")
    left, page = limit, rows
    while left is None or left > 0:
        found = list(page.values_list("invited_at", "pk")[: min(CHUNK_SIZE, left or CHUNK_SIZE)])
        if not found:
            return
        yield [pk for _invited_at, pk in found]
        left = None if left is None else left - len(found)
        invited_at, pk = found[-1]
        page = rows.filter(Q(invited_at__gt=invited_at) | Q(pk__gt=pk), invited_at__gte=invited_at)
