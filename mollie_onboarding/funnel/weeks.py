"""ISO weeks in the site's time zone, also over the nights in which its clocks change."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone


def mondays(count: int, now: datetime) -> list[date]:
    """The Mondays of the week of `now` and of those before it, `count` in all, oldest first."""
    today = timezone.localdate(now, timezone.get_default_timezone())
    this_monday = today - timedelta(days=today.weekday())
    return [this_monday - timedelta(weeks=weeks) for weeks in reversed(range(count))]


def begin_of(day: date) -> datetime:
    """Midnight, as the site's clocks show it."""
    return timezone.make_aware(datetime.combine(day, time.min), timezone.get_default_timezone())
