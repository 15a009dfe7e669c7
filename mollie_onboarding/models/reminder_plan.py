"""When reminders are due, by `MOLLIE_ONBOARDING_REMINDER_DAYS`: of one row, and as a condition of the database's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from mollie_onboarding.conf import conf

if TYPE_CHECKING:
    from .client_links import ClientLink

MOST_DECLINES = 2  # who said no twice is not reminded
LEAST_PAUSE = timedelta(days=1)  # between two mails, whatever the plan and a cron that was down make of it


def is_due_for_reminder(now: datetime) -> Q:
    """The rows whose next reminder's day has come, and whom nobody mailed since yesterday."""
    plan = _plan()
    if not plan:
        return Q(pk__in=[])
    due = Q()
    for count, after in enumerate(plan):
        due |= Q(reminder_count=count, invited_at__lte=now - after)
    # The first day once more, on its own: an index on `invited_at` finds these, and nothing but these.
    return due & Q(invited_at__lte=now - plan[0], last_sent_at__lte=now - LEAST_PAUSE)


def due_reminder(client_link: ClientLink, now: datetime) -> int:
    """The number of the reminder that is due, from 1; 0 when none is.

    The latest one: of those that were missed, while cron was down, only the last is sent.
    """
    invited_at, at = client_link.invited_at, next_reminder_at(client_link)
    if invited_at is None or at is None or at > now:
        return 0
    return sum(invited_at + after <= now for after in _plan())


def next_reminder_at(client_link: ClientLink) -> datetime | None:
    """When the next reminder is due, if nothing speaks against it; None when the plan has no more."""
    plan, count = _plan(), client_link.reminder_count
    if client_link.invited_at is None or client_link.last_sent_at is None or count >= len(plan):
        return None
    return max(client_link.invited_at + plan[count], client_link.last_sent_at + LEAST_PAUSE)


def _plan() -> list[timedelta]:
    return [timedelta(days=days) for days in conf.MOLLIE_ONBOARDING_REMINDER_DAYS]
