"""Batches: one press of the button for many merchants. Made, started, cancelled, run again; `feeding` does the work."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from mollie_onboarding.models import Batch, BatchItem, ClientLink

from .feeding import finish_batch, run_batch, take_out_of_queue
from .queueing import nudge_after_commit, tasks_run_inline
from .retrying import try_again

Outcome = BatchItem.Outcome
JUDGED_ANEW = (Outcome.SKIPPED, Outcome.FAILED, Outcome.CANCELLED)


class Progress(NamedTuple):
    """How many merchants of a batch have which outcome."""

    pending: int = 0
    queued: int = 0
    sent: int = 0
    skipped: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def waiting(self) -> int:
        return self.pending + self.queued

    @property
    def done(self) -> int:
        """Whom the batch came to: not those who were taken out of it."""
        return self.sent + self.skipped + self.failed

    @property
    def total(self) -> int:
        return self.waiting + self.done + self.cancelled


def create_batch(
    rows: QuerySet[ClientLink],
    *,
    pk: uuid.UUID,
    description: str = "",
    actor: Any = None,
    source: str = Batch.Source.SELECTION,
    asked_at: datetime | None = None,
) -> Batch:
    """Keep a selection as a batch that is not started yet: one statement in the database, however many rows they are.

    The one that is there already, where its creator sends the same `pk` again; `PermissionDenied` where somebody else
    does. Merchants who are mailed after `asked_at` (now, where it is not given) will not be mailed by this batch.
    """
    now = timezone.now()
    values = {
        "source": source,
        "description": description[:255],
        "created_by": actor,
        "asked_at": min(asked_at or now, now),
    }
    batch = try_again(partial(_create, rows, pk, values))
    if batch.created_by_id != (actor.pk if actor else None):
        raise PermissionDenied
    return batch


@transaction.atomic
def _create(rows: QuerySet[ClientLink], pk: uuid.UUID, values: dict[str, Any]) -> Batch:
    batch, is_new = Batch.objects.get_or_create(pk=pk, defaults=values)
    if is_new:
        batch.count = _insert_items(batch, rows)
        batch.save(update_fields=["count"])
    return batch


def _insert_items(batch: Batch, rows: QuerySet[ClientLink]) -> int:
    """INSERT ... SELECT, in the order of the keys: in which all others lock these rows. Gives how many they are."""
    chosen = ClientLink.objects.filter(pk__in=rows.order_by().values("pk")).values("id")
    try:
        select, parameters = chosen.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return 0
    values = {"batch": batch.pk, "outcome": Outcome.PENDING.value, "reason": ""}
    fields: dict[str, Any] = {name: BatchItem._meta.get_field(name) for name in (*values, "client_link")}
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields.values())
    constants = [fields[name].get_db_prep_save(value, connection) for name, value in values.items()]
    table = connection.ops.quote_name(BatchItem._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) "  # noqa: S608 (names of ours, quoted)
            f"SELECT %s, %s, %s, chosen.id FROM ({select}) chosen ORDER BY chosen.id",
            [*constants, *parameters],
        )
        return int(cursor.rowcount)


def start_batch(batch: Batch, actor: Any = None) -> bool:
    """Queue its merchants, and get the mails going. False: it was started before, or cancelled.

    Where tasks run inline, the first mails go out within this call, or after the commit of the caller's transaction.
    """
    prepared = Batch.objects.filter(pk=batch.pk, started_at=None, cancelled_at=None)
    started = prepared.update(started_at=timezone.now(), started_by=actor)
    if started:
        run_batch(batch.pk)
    return bool(started)


def cancel_batch(batch: Batch, actor: Any = None) -> bool:
    """Nobody of it is queued any more, and who waits leaves the queue. False: it was over, or cancelled before.

    A mail that is in a worker's hands goes out. A merchant whom another batch or a person wants mailed stays queued.
    What there is no time for, a task does; what a process leaves undone that dies here, the next
    `queue_started_batches`.
    """
    finish_batch(batch.pk)
    cancelled = try_again(partial(_mark_cancelled, batch.pk, actor))
    if take_out_of_queue(batch.pk) and not tasks_run_inline():
        nudge_after_commit("queue_batch", batch.pk)
    return cancelled


@transaction.atomic
def _mark_cancelled(batch_id: uuid.UUID, actor: Any) -> bool:
    now = timezone.now()
    open_batch = Batch.objects.filter(pk=batch_id, cancelled_at=None, finished_at=None)
    if not open_batch.update(cancelled_at=now, cancelled_by=actor):
        return False
    pending = BatchItem.objects.filter(batch=batch_id, outcome=Outcome.PENDING)
    pending.update(outcome=Outcome.CANCELLED, at=now)
    return True


def rerun_batch(batch: Batch, actor: Any = None) -> bool:
    """Judge anew whoever got no mail, and go on where it was cancelled. False: it was never started, nor cancelled."""
    may_run = try_again(partial(_judge_anew, batch.pk, actor))
    if may_run:
        run_batch(batch.pk)
    return may_run


@transaction.atomic
def _judge_anew(batch_id: uuid.UUID, actor: Any) -> bool:
    # One that is prepared is started, by `start_batch`.
    used = Batch.objects.filter(pk=batch_id).exclude(started_at=None, cancelled_at=None)
    if not used.update(
        started_at=Coalesce("started_at", timezone.now()),
        started_by=actor,
        cancelled_at=None,
        cancelled_by=None,
        finished_at=None,
    ):
        return False
    unsent = BatchItem.objects.filter(batch=batch_id, outcome__in=JUDGED_ANEW)
    unsent.update(outcome=Outcome.PENDING, reason="", at=None)
    return True


def count_outcomes(batches: Iterable[Batch]) -> dict[uuid.UUID, Progress]:
    """How far these batches are, by id: one statement for all of them."""
    counts: dict[uuid.UUID, dict[str, int]] = {batch.pk: {} for batch in batches}
    groups = BatchItem.objects.filter(batch__in=counts).order_by().values_list("batch", "outcome")
    for batch_id, outcome, count in groups.annotate(count=Count("*")):
        counts[batch_id][outcome] = count
    return {batch_id: Progress(**outcomes) for batch_id, outcomes in counts.items()}
