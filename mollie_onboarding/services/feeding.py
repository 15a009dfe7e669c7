"""Getting the merchants of a batch into the queue, and out of it again: 500 at a time, each time one short transaction.

Locks are taken in one order by all: the batch, its rows by their keys, their items. Whoever holds the batch is alone
with its items that are not queued yet; whoever holds a row is alone with its items that are.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from functools import partial

from django.db import transaction
from django.db.models import (
    Case,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
    prefetch_related_objects,
)
from django.utils import timezone

from mollie_onboarding.models import (
    Batch,
    BatchItem,
    ClientLink,
    DeliveryStatus,
    Event,
    Reason,
    SendKind,
    Status,
    locked,
)

from .creation import retry_rejected
from .queueing import (
    NOT_QUEUED,
    nudge_after_commit,
    nudge_each,
    nudge_each_after_commit,
    queue_columns,
    reason_not_to_send,
    tasks_run_inline,
)
from .retrying import try_again

CHUNK = 500  # rows
FEEDING_TIME = 60  # seconds of one task; then another one goes on
INLINE_LIMIT = 50  # mails within one request, where tasks run inline
INLINE_TIME = 20  # seconds for them
REQUEST_TIME = 5  # seconds of a request for queueing, and for taking out of the queue

Outcome = BatchItem.Outcome


def run_batch(batch_id: uuid.UUID) -> None:
    """Queue the merchants of a batch that was started, and get their mails going.

    Where tasks run inline: as many as a request has time for, and `INLINE_LIMIT` mails go out once this is committed.
    Else the first of them; a task queues the others, and one task each sends the mails.
    """
    if tasks_run_inline():
        _queue_for(batch_id, REQUEST_TIME)
        transaction.on_commit(partial(send_next, batch_id), robust=True)
    else:
        queue_chunk(batch_id)
        nudge_after_commit("queue_batch", batch_id)
    finish_batch(batch_id)


def send_next(batch_id: uuid.UUID) -> None:
    """Send the next mails of a batch within this request: `INLINE_LIMIT` at most, in `INLINE_TIME`."""
    deadline = time.monotonic() + INLINE_TIME
    queue_chunk(batch_id)
    due = _due_items(batch_id).order_by("client_link").values_list("client_link", flat=True)
    for pk in list(due[:INLINE_LIMIT]):
        if time.monotonic() > deadline:
            break
        # The task, and not the service: whatever goes wrong with one row is logged, and does not keep back the others.
        nudge_each("send_onboarding_link", [pk])
    finish_batch(batch_id)


def count_due_items(batch_id: uuid.UUID) -> int:
    """How many merchants of a batch are queued and may be mailed now; `INLINE_LIMIT` at most."""
    return _due_items(batch_id)[:INLINE_LIMIT].count()


def _due_items(batch_id: uuid.UUID) -> QuerySet[BatchItem]:
    due = ClientLink.objects.due_for_sending(timezone.now())
    return BatchItem.objects.filter(batch=batch_id, outcome=Outcome.QUEUED, client_link__in=due)


def feed_batch(batch_id: uuid.UUID) -> None:
    """What a task does for a batch: go on with it, for a minute. Another task does the rest."""
    is_left = _queue_for(batch_id, FEEDING_TIME) or take_out_of_queue(batch_id, FEEDING_TIME)
    if is_left:
        nudge_after_commit("queue_batch", batch_id)
    finish_batch(batch_id)


def queue_started_batches() -> int:
    """Take up every batch that a process left half done, and note which ones are over. Gives how many rows were queued.

    Wakes no task: the caller works through the queue.
    """
    unfinished = _unfinished()
    pending = BatchItem.objects.filter(batch=OuterRef("pk"), outcome=Outcome.PENDING)
    count = 0
    for batch_id, cancelled_at in list(unfinished.order_by("started_at").values_list("pk", "cancelled_at")):
        if cancelled_at:
            take_out_of_queue(batch_id)
        elif unfinished.filter(Exists(pending), pk=batch_id).exists():
            while (queued := try_again(partial(_queue_chunk, batch_id))) is not None:
                count += len(queued)
        finish_batch(batch_id)
    return count


def finish_batches() -> None:
    """Note when those batches were over that are by now: who sends a mail for a batch does not look at the others."""
    for batch_id in list(_unfinished().values_list("pk", flat=True)):
        finish_batch(batch_id)


def _unfinished() -> QuerySet[Batch]:
    """Batches that were started or cancelled, and of which nobody has noted yet that they are over."""
    return Batch.objects.filter(finished_at=None).exclude(started_at=None, cancelled_at=None)


def finish_batch(batch_id: uuid.UUID) -> bool:
    """Note when a batch was over, if it is. False: somebody waits, or it is noted already."""
    return try_again(partial(_finish, batch_id))


@transaction.atomic
def _finish(batch_id: uuid.UUID) -> bool:
    unfinished = _unfinished().filter(pk=batch_id)
    # Held while the items are asked: nobody runs it again in between.
    if not unfinished.update(finished_at=None):
        return False
    items = BatchItem.objects.filter(batch=batch_id)
    if items.waiting().exists():
        return False
    last = items.aggregate(last=Max("at"))["last"] or timezone.now()
    return bool(unfinished.update(finished_at=last))


# Into the queue.


def _queue_for(batch_id: uuid.UUID, seconds: float) -> bool:
    """Queue for so long. Whether there may be more."""
    deadline = time.monotonic() + seconds
    while queue_chunk(batch_id) is not None:
        if time.monotonic() > deadline:
            return True
    return False


def queue_chunk(batch_id: uuid.UUID) -> list[uuid.UUID] | None:
    """Judge and queue the next merchants of a batch, and wake a task for each mail. None: there are no more."""
    queued = try_again(partial(_queue_chunk, batch_id))
    if queued and not tasks_run_inline():
        nudge_each_after_commit("send_onboarding_link", queued)
    return queued


@transaction.atomic
def _queue_chunk(batch_id: uuid.UUID) -> list[uuid.UUID] | None:
    running = Batch.objects.filter(pk=batch_id, started_at__isnull=False, cancelled_at=None)
    # A write, so that of two that come at once the second waits, on SQLite too.
    if not running.update(started_at=F("started_at")):
        return None
    items = BatchItem.objects.filter(batch=batch_id, outcome=Outcome.PENDING)
    rows = _lock_next(items)
    if not rows:
        return None
    batch = Batch.objects.select_related("started_by").get(pk=batch_id)
    judged: dict[str, list[ClientLink]] = defaultdict(list)
    for row in rows:
        judged[_reason_to_skip(row, batch) or ""].append(row)
    wanted = judged.pop("", [])
    queued = _queue(wanted, batch)
    # Who is in the queue already, for a colleague, gets one mail, and it counts for this batch too.
    _write(items, wanted, outcome=Outcome.QUEUED)
    for reason, skipped in judged.items():
        _write(items, skipped, outcome=Outcome.SKIPPED, reason=reason)
    return queued


def _lock_next(items: QuerySet[BatchItem]) -> list[ClientLink]:
    """The next rows of these items, locked in the order of their keys."""
    keys = items.order_by("client_link").values_list("client_link", flat=True)[:CHUNK]
    rows = list(locked(ClientLink.objects.filter(pk__in=list(keys)).order_by("pk")))
    prefetch_related_objects(rows, "organization")
    return rows


def _reason_to_skip(row: ClientLink, batch: Batch) -> Reason | None:
    if reason := reason_not_to_send(row):
        return reason
    # By this batch, when it is run again; by a colleague's; by the same press, made twice.
    was_mailed = row.last_sent_at is not None and row.last_sent_at > batch.asked_at
    return Reason.MAILED if was_mailed else None


def _queue(rows: list[ClientLink], batch: Batch) -> list[uuid.UUID]:
    """Those of the rows that nobody has queued, now queued for the batch."""
    open_rows = ClientLink.objects.open_to(SendKind.INVITATION, timezone.now()).filter(
        pk__in=[row.pk for row in rows]
    )
    keys = sorted(open_rows.values_list("pk", flat=True))
    for row in rows:
        if row.status == Status.REJECTED and row.pk in keys:
            retry_rejected(row, actor=batch.started_by)
    open_rows.update(**queue_columns(SendKind.INVITATION, batch))
    Event.objects.record_for_each("send_requested", keys, actor=batch.started_by)
    return keys


def _write(items: QuerySet[BatchItem], rows: list[ClientLink], **columns: str) -> None:
    if rows:
        items.filter(client_link__in=rows).update(**columns, at=timezone.now())


# Out of the queue.


def take_out_of_queue(batch_id: uuid.UUID, seconds: float = REQUEST_TIME) -> bool:
    """Let the merchants of a cancelled batch leave the queue, for so long. Whether there may be more."""
    deadline = time.monotonic() + seconds
    after: uuid.UUID | None = None
    while (after := try_again(partial(_take_out, batch_id, after))) is not None:
        if time.monotonic() > deadline:
            return True
    finish_batch(batch_id)
    return False


@transaction.atomic
def _take_out(batch_id: uuid.UUID, after: uuid.UUID | None) -> uuid.UUID | None:
    """One step behind this key. Gives the key of the next one, or None."""
    cancelled = Batch.objects.filter(pk=batch_id, cancelled_at__isnull=False)
    if not cancelled.update(cancelled_at=F("cancelled_at")):
        return None
    items = BatchItem.objects.filter(batch=batch_id, outcome=Outcome.QUEUED)
    rows = _lock_next(items.filter(client_link__gt=after) if after else items)
    if not rows:
        return None
    now = timezone.now()
    free = [row for row in rows if row.sending_until is None or row.sending_until <= now]
    ours = {row.pk for row in free if row.batch_id == batch_id}
    others = dict(
        BatchItem.objects.filter(client_link__in=ours, outcome=Outcome.QUEUED, batch__cancelled_at=None)
        .values_list("client_link", "batch")
        .order_by("batch")
    )
    # Another batch wants them mailed too: they are its rows from now on.
    for other in set(others.values()):
        theirs = [pk for pk, batch in others.items() if batch == other]
        ClientLink.objects.filter(pk__in=theirs).update(batch=other)
    ClientLink.objects.filter(pk__in=ours - others.keys(), send_requested_at__isnull=False).update(
        **NOT_QUEUED, batch=None, delivery_status=_status_of_old()
    )
    _write(items, free, outcome=Outcome.CANCELLED)
    return rows[-1].pk


def _status_of_old() -> Case:
    """What became of the last mail, now that the next one is not sent."""
    return Case(
        When(~Q(delivery_status=DeliveryStatus.QUEUED), then=F("delivery_status")),
        When(send_count__gt=0, then=Value(DeliveryStatus.SENT)),
        default=Value(DeliveryStatus.NOT_SENT),
    )
