"""Working through the queue of mails, without a task queue: by cron, or by hand.

The rows are the truth, each claimed by whoever works on it. So two runs at once, or a run beside the workers of a task
queue, get in nobody's way; and what a killed process had in hand is taken up once its claims are over.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import close_old_connections, connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from mollie_onboarding.models import ClientLink
from mollie_onboarding.observing import observe

from . import budget
from .feeding import finish_batches, queue_started_batches
from .notices import overdue_notices, send_connected_notice
from .pool import work_in_threads
from .sending import send_onboarding_link

logger = logging.getLogger(__name__)

CONCURRENCY = 4  # calls to Mollie at once, where nobody says otherwise
LONGEST_PAUSE = 900.0  # seconds that one run waits for Mollie, where nobody says otherwise
SLICE = 0.5  # seconds between two looks at whether Mollie asks for a pause, and whether to stop
PAGE_SIZE = 100  # rows in memory
READ_FOR = 5.0  # seconds after which a row that was read is read again

Send = Callable[[uuid.UUID, ClientLink | None], bool | None]


class Job(NamedTuple):
    """A row that is due, and what is to be done with it."""

    row: ClientLink
    read_at: float
    send: Send

    def __call__(self) -> bool | None:
        # A row that is as good as new need not be read again; whether it changed since tells the claim.
        is_fresh = time.monotonic() - self.read_at < READ_FOR
        return self.send(self.row.pk, self.row if is_fresh else None)


@dataclass
class Drained:
    """What a run has done so far. What was not to be sent, or is in another worker's hands, counts as skipped."""

    sent: int = 0
    failed: int = 0
    skipped: int = 0
    left: int = 0  # due, where the run ended before it came to them
    was_paused: bool = False  # whether that was because Mollie asked for too long a pause

    @property
    def done(self) -> int:
        return self.sent + self.failed + self.skipped


Report = Callable[[Drained], object]


def send_queued(limit: int | None = None) -> tuple[int, int]:
    """Send every mail that is due, oldest first. Gives how many were sent and how many should have been and were not.

    One after the other, in this thread; `drain_queue` does it in many.
    """
    drained = drain_queue(limit, concurrency=1)
    return drained.sent, drained.failed


def drain_queue(
    limit: int | None = None,
    *,
    concurrency: int = CONCURRENCY,
    longest_pause: float = LONGEST_PAUSE,
    stop: threading.Event | None = None,
    report: Report = lambda drained: None,
) -> Drained:
    """Send the mails that were requested before now and are due, oldest first, then the overdue notices; each once.

    At most `limit` mails, with at most `concurrency` calls to Mollie at once. Other rows are at the database or the
    mail server meanwhile, so there are half as many threads more. With 1 there is only this one, and likewise where
    threads would not do: see `_has_room_for_threads`. Once `stop` is set, or when Mollie asked for pauses of over
    `longest_pause` seconds in all, what was begun is finished and the others stay queued. This thread calls `report`
    now and then.
    """
    queue_started_batches()  # whose process died before it had queued them all
    run = _Run(limit, concurrency, longest_pause, stop or threading.Event(), report)
    run.drain(timezone.now())
    finish_batches()
    report(run.drained)
    return run.drained


def count_due(now: datetime) -> int:
    """How many mails a run sends that begins now."""
    return ClientLink.objects.due_for_sending(now).count() + overdue_notices(now).count()


def count_postponed(now: datetime) -> int:
    """How many mails failed and wait for another try."""
    links = ClientLink.objects.filter(
        send_requested_at__isnull=False, send_not_before__gt=now, send_waits_for=""
    )
    notices = ClientLink.objects.filter(notice_requested_at__isnull=False, notice_not_before__gt=now)
    return links.count() + notices.count()


def count_held(now: datetime) -> int:
    """How many mails wait until Mollie allows a call, or their recipient may get another mail."""
    waiting = ClientLink.objects.filter(send_requested_at__isnull=False, send_waits_for__gt="")
    return waiting.filter(send_not_before__gt=now).count()


class _Run:
    """One run, and what its threads share."""

    def __init__(
        self, limit: int | None, concurrency: int, longest_pause: float, stop: threading.Event, report: Report
    ) -> None:
        self.drained = Drained()
        self._unbegun = limit
        self._concurrency = concurrency
        self._slot = threading.Semaphore(concurrency)
        self._seconds_to_wait = longest_pause
        self._stop = stop
        self._report = report
        self._counting = threading.Lock()
        self._pausing = threading.Lock()
        self._looked_at = -SLICE

    def drain(self, started_at: datetime) -> None:
        def due() -> QuerySet[ClientLink]:
            # What is requested while a run goes on is for the next one, so that this one ends.
            return ClientLink.objects.due_for_sending(timezone.now()).filter(
                send_requested_at__lte=started_at
            )

        was_any_put_back = self._work_off(_oldest_first(due, "send_requested_at", self._send_link))
        while was_any_put_back:
            # Mollie allowed no call, and may by now. What failed is for a later run.
            put_back = _oldest_first(
                lambda: due().filter(send_attempts=0), "send_requested_at", self._send_link
            )
            was_any_put_back = self._work_off(put_back)
        self._work_off(
            _oldest_first(lambda: overdue_notices(started_at), "notice_requested_at", _send_notice)
        )
        if not self._goes_on():
            self.drained.left = count_due(timezone.now())

    def _work_off(self, jobs: Iterator[Job]) -> bool:
        """Do the jobs. Whether some mails were sent and some rows were skipped: then there may be more to send."""
        sent, skipped = self.drained.sent, self.drained.skipped
        if self._concurrency == 1 or not _has_room_for_threads():
            for job in self._limited(jobs):
                self._work(job)
                self._report(self.drained)
        else:
            work_in_threads(
                self._limited(jobs),
                self._work,
                threads=self._concurrency + max(2, self._concurrency // 2),
                at_end=connections.close_all,
                meanwhile=lambda: self._report(self.drained),
            )
        return self.drained.sent > sent and self.drained.skipped > skipped

    def _limited(self, jobs: Iterator[Job]) -> Iterator[Job]:
        while self._unbegun != 0 and self._goes_on() and (job := next(jobs, None)):
            if self._unbegun is not None:
                self._unbegun -= 1
            yield job

    def _goes_on(self) -> bool:
        return not (self._stop.is_set() or self.drained.was_paused)

    def _send_link(self, pk: uuid.UUID, as_read: ClientLink | None) -> bool | None:
        return send_onboarding_link(pk, slot=self._slot, as_read=as_read)

    def _work(self, job: Job) -> None:
        try:
            self._wait_for_mollie()
            if not self._goes_on():
                return
            result = job()
        except Exception:
            # What nobody foresaw, a broken template or a database that restarts, must not keep back the rows behind it.
            _report_error(job)
            result = False
        with self._counting:
            self.drained.sent += result is True
            self.drained.failed += result is False
            self.drained.skipped += result is None
        if result is None:  # perhaps because Mollie allows no call now
            self._looked_at = -SLICE

    def _wait_for_mollie(self) -> None:
        """Sit out the pause that Mollie asked for, in slices: somebody may want to stop. One thread looks for all."""
        with self._pausing:
            while self._goes_on() and time.monotonic() - self._looked_at >= SLICE:
                pause = budget.pause()
                if pause <= 0:
                    self._looked_at = time.monotonic()
                elif pause > self._seconds_to_wait:
                    self.drained.was_paused = True
                else:
                    nap = min(pause, SLICE)
                    self._seconds_to_wait -= nap
                    self._stop.wait(nap)


def _has_room_for_threads() -> bool:
    """Whether other threads can work on the rows: not inside a transaction, into which they would not see.

    Nor on SQLite as it comes: its writers give up instead of waiting for each other, after the mail has left at worst.
    """
    connection = transaction.get_connection()
    mode = connection.settings_dict.get("OPTIONS", {}).get("transaction_mode") or "DEFERRED"
    has_patient_writers = connection.vendor != "sqlite" or mode.upper() != "DEFERRED"
    return has_patient_writers and not connection.in_atomic_block


def _send_notice(pk: uuid.UUID, as_read: ClientLink | None) -> bool | None:
    return send_connected_notice(pk)


def _oldest_first(rows: Callable[[], QuerySet[ClientLink]], moment: str, send: Send) -> Iterator[Job]:
    """A job for each of the rows, which are read page by page. Each comes once, also where it stays due."""
    page = rows()
    while read := list(page.order_by(moment, "pk")[:PAGE_SIZE]):
        read_at = time.monotonic()
        yield from (Job(row, read_at, send) for row in read)
        last = read[-1]
        at = getattr(last, moment)
        # The first condition is what an index serves, the second what many rows of one moment need.
        page = rows().filter(Q(**{f"{moment}__gt": at}) | Q(pk__gt=last.pk), **{f"{moment}__gte": at})


def _report_error(job: Job) -> None:
    """Tell of the error that is being handled, and get ready for the next row."""
    observe(
        logger,
        logging.ERROR,
        "not_worked_on",
        "Client link %(client_link)s could not be worked on.",
        exc_info=True,
        client_link=job.row.pk,
    )
    if not transaction.get_connection().in_atomic_block:
        close_old_connections()  # one that broke is of no use for the next row
