"""How often all workers together call Mollie: what it says of its limits lies in one row that they share.

Workers reserve a call before they make it. Merchants in front of their browsers do not: their calls go out, at most they
get a 429 of their own. What is answered to either is heeded by all.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from mollie_onboarding.models import CallBudget
from mollie_onboarding.mollie_api import CREATE_CLIENT_LINK, RateLimit, Transport
from mollie_onboarding.observing import observe

from .detached import is_in_transaction, run_after_transaction

logger = logging.getLogger(__name__)

SHORTEST_WAIT = 0.1  # seconds, for a worker that another one was quicker than
# Pauses whose length Mollie did not name, in seconds: each twice as long as the one before.
FIRST_PAUSE = 2
LONGEST_PAUSE = 300
GROWS_WITHIN = timedelta(minutes=1)  # after a pause; a 429 that comes later begins with the first again
# A call is answered or given up within 20 s, and a window lasts for one second at least: so many windows without a
# word of a limit were not merely slow.
MOST_SILENT_WINDOWS = 30


def take() -> float:
    """Reserve one call for a worker. 0.0 when it may be made now, else the seconds to wait.

    One SELECT while no limit is known and nobody has to wait; then also one conditional UPDATE.
    """
    now = timezone.now()
    row = CallBudget.objects.first()
    if row is None:
        return 0.0
    if wait := row.seconds_to_wait(now):
        return wait
    if row.resets_at is None or (row.resets_at <= now and _begin_window(row, now)):
        return 0.0
    running = _unpaused(now).filter(resets_at__gt=now, remaining__gt=row.reserve)
    if running.update(remaining=F("remaining") - 1):
        return 0.0
    return max((row.resets_at - now).total_seconds(), SHORTEST_WAIT)


def pause() -> float:
    """The seconds that the sending of links has to wait for: Mollie asked for a pause, or the window has no call left.

    Reads only: 0.0 reserves nothing.
    """
    row = CallBudget.objects.first()
    return row.seconds_to_wait(timezone.now()) if row else 0.0


def general_pause() -> float:
    """The seconds for which Mollie wants no call at all from a worker, by whatever name. Reads only."""
    row = CallBudget.objects.first()
    return row.pause(timezone.now()) if row else 0.0


def heed(api: Transport) -> None:
    """Write down what the last answer said of limits. Writes nothing where it said nothing, and raises nothing.

    In somebody's transaction only once that is over: the row that all workers need is never locked for long.
    """
    limit = api.rate_limit
    if limit is None:
        return
    work = partial(_write_down, limit, timezone.now())
    if is_in_transaction():
        run_after_transaction(work)
    else:
        work()


def _write_down(limit: RateLimit, now: datetime) -> None:
    try:
        if limit.is_exceeded:
            _pause_everybody(limit.retry_after, now)
        # Limits differ between endpoints. A budget is kept for the one that is called in bulk.
        if limit.remaining is not None and limit.endpoint == CREATE_CLIENT_LINK:
            _keep_window(limit, limit.remaining, now)
    except DatabaseError as exc:
        # Tokens may have come with the same answer: politeness must not cost them.
        observe(
            logger,
            logging.WARNING,
            "limit_not_kept",
            "What Mollie said of its limits was not written down: %(error)s",
            error=type(exc).__name__,
        )


def _pause_everybody(retry_after: int | None, now: datetime) -> None:
    """Nobody's pause ever becomes shorter."""
    row = _load()
    if retry_after is not None:
        until = now + timedelta(seconds=max(retry_after, 1))
        rows = CallBudget.objects.filter(Q(paused_until=None) | Q(paused_until__lt=until))
        rows.update(paused_until=until)
    elif row.paused_until is None or row.paused_until <= now:  # else the call left before the pause began
        seconds = _next_pause(row, now)
        CallBudget.objects.filter(paused_until=row.paused_until).update(
            paused_until=now + timedelta(seconds=seconds), pause_seconds=seconds
        )


def _next_pause(row: CallBudget, now: datetime) -> int:
    if row.paused_until is None or now - row.paused_until > GROWS_WITHIN:
        return FIRST_PAUSE
    return min(max(row.pause_seconds * 2, FIRST_PAUSE), LONGEST_PAUSE)


def _keep_window(limit: RateLimit, remaining: int, now: datetime) -> None:
    """Within a window `remaining` only falls: calls on their way are counted here, but not yet at Mollie.

    So a late answer, from the window before, gives nothing back either. And the next window begins after every reset
    that was named, however they were rounded.
    """
    row = _load()
    resets_in = max(limit.resets_in or 0, 1)
    resets_at = now + timedelta(seconds=resets_in)
    columns = {
        # Where Mollie does not name them: at least as much as was seen.
        "quota": limit.quota or max(row.quota or 0, remaining + 1),
        "window": limit.window or max(row.window or 0, resets_in),
        "silent_windows": 0,
    }
    running = CallBudget.objects.filter(resets_at__gt=now)
    lower = partial(
        running.update,
        remaining=Least("remaining", remaining),
        resets_at=Greatest("resets_at", resets_at),
        **columns,
    )
    over = CallBudget.objects.exclude(resets_at__gt=now)
    # Once more where somebody has begun the window between the two statements.
    lower() or over.update(remaining=remaining, resets_at=resets_at, **columns) or lower()


def _begin_window(row: CallBudget, now: datetime) -> bool:
    """Begin a window with the quota of the one before, and take its first call. False: somebody else has begun it.

    So nobody rushes in when a window is over. After many windows in which Mollie named no limit there is none any more.
    """
    assert row.quota is not None and row.window is not None  # noqa: S101, PT018 (for mypy; set with `resets_at`)
    ours = _unpaused(now).filter(resets_at=row.resets_at)
    if row.silent_windows >= MOST_SILENT_WINDOWS:
        return bool(ours.update(remaining=None, resets_at=None, quota=None, window=None, silent_windows=0))
    return bool(
        ours.update(
            remaining=row.quota - 1,
            resets_at=now + timedelta(seconds=row.window),
            silent_windows=F("silent_windows") + 1,
        )
    )


def _unpaused(now: datetime) -> QuerySet[CallBudget]:
    return CallBudget.objects.filter(Q(paused_until=None) | Q(paused_until__lte=now))


def _load() -> CallBudget:
    """The row, made where there is none yet."""
    row = CallBudget.objects.first()
    if row is None:
        CallBudget.objects.bulk_create([CallBudget()], ignore_conflicts=True)
        row = CallBudget.objects.get()
    return row
