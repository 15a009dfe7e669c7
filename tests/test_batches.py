"""Batches: made once, queued in chunks, resumed, cancelled, run again, and nobody is mailed twice."""

from __future__ import annotations

import tracemalloc
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services, tasks
from mollie_onboarding.models import (
    Batch,
    BatchItem,
    ClientLink,
    DeliveryStatus,
    Event,
    Organization,
    Reason,
    SendKind,
    Status,
)
from mollie_onboarding.services import feeding, sending
from tests.conftest import MERCHANT
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
# Without a real commit no mail goes out and no task is nudged: what is sent here, a test sends.
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

DAY = timedelta(days=1)
Outcome = BatchItem.Outcome


@pytest.fixture
def small_chunks(monkeypatch) -> None:
    monkeypatch.setattr(feeding, "CHUNK", 2)


def enqueued(name: str) -> list[str]:
    """What tasks of this name were woken for."""
    results = tasks.send_onboarding_link.get_backend().results
    return [result.args[0] for result in results if result.task.name == name]


def make_rows(count: int, **columns: Any) -> list[ClientLink]:
    return ClientLink.objects.bulk_create(
        ClientLink(**{**MERCHANT, "owner_email": f"m{number}@m.example", **columns})
        for number in range(count)
    )


def make_batch(rows: Any = None, **values: Any) -> Batch:
    rows = ClientLink.objects.all() if rows is None else rows
    if isinstance(rows, list):
        rows = ClientLink.objects.filter(pk__in=[row.pk for row in rows])
    return services.create_batch(rows, **{"pk": uuid.uuid4(), **values})


def outcomes(batch: Batch) -> dict[str, int]:
    progress = services.count_outcomes([batch])[batch.pk]
    return {name: count for name, count in progress._asdict().items() if count}


def waiting_rows() -> int:
    return ClientLink.objects.filter(send_requested_at__isnull=False).count()


def send_all() -> None:
    """A worker that has time for everybody."""
    for pk in list(ClientLink.objects.due_for_sending(timezone.now()).values_list("pk", flat=True)):
        services.send_onboarding_link(pk)


# Making one.


def test_batch_is_the_selection_and_is_not_started(make_client_link, operator):
    rows = [make_client_link(city="Utrecht"), make_client_link(city="Utrecht"), make_client_link()]
    pk = uuid.uuid4()

    batch = services.create_batch(
        ClientLink.objects.filter(city="Utrecht"), pk=pk, description="Utrecht", actor=operator
    )

    batch.refresh_from_db()
    assert (batch.pk, batch.count, batch.created_by, batch.description) == (pk, 2, operator, "Utrecht")
    assert (batch.source, batch.started_at) == (Batch.Source.SELECTION, None)
    assert {item.client_link_id for item in batch.items.all()} == {row.pk for row in rows[:2]}
    assert outcomes(batch) == {"pending": 2}
    assert waiting_rows() == 0


@pytest.mark.parametrize(
    "rows",
    [
        lambda: ClientLink.objects.order_by("-created_at"),
        lambda: ClientLink.objects.select_related("organization").exclude(city="Delft"),
        # Each merchant twice, as a filter through another table gives them.
        lambda: ClientLink.objects.filter(events__kind__in=["a", "b"]),
        lambda: ClientLink.objects.filter(organization_name__icontains="100% 'Jansen'"),
    ],
    ids=["ordered", "joined", "twice", "quoted"],
)
def test_every_kind_of_selection_is_kept(make_client_link, rows):
    row = make_client_link(organization_name="100% 'Jansen'")
    for kind in "ab":
        Event.objects.record(kind, client_link_id=row.pk)

    assert [item.client_link_id for item in make_batch(rows()).items.all()] == [row.pk]


@pytest.mark.parametrize("rows", [ClientLink.objects.none, lambda: ClientLink.objects.filter(pk__in=[])])
def test_selection_of_nobody_is_a_batch_that_is_over_at_once(rows):
    batch = make_batch(rows())

    assert services.start_batch(batch)

    batch.refresh_from_db()
    assert batch.count == 0
    assert batch.finished_at


def test_same_form_twice_makes_one_batch(make_client_link, operator):
    make_client_link()
    pk = uuid.uuid4()
    first = make_batch(pk=pk, actor=operator)
    make_client_link()

    second = make_batch(pk=pk, actor=operator)

    assert second == first
    assert (second.count, second.items.count()) == (1, 1)


@committing
def test_same_form_twice_at_once_makes_one_batch(make_client_link, operator):
    make_rows(20)
    pk = uuid.uuid4()

    batches = in_threads(4, lambda: make_batch(pk=pk, actor=operator))

    assert [batch.count for batch in batches] == [20] * 4
    assert BatchItem.objects.count() == 20


def test_batch_of_somebody_else_is_refused(make_client_link, operator):
    make_client_link()
    batch = make_batch(actor=operator)
    colleague = get_user_model().objects.create_user("colleague")

    for actor in (colleague, None):
        with pytest.raises(PermissionDenied):
            make_batch(pk=batch.pk, actor=actor)

    assert outcomes(batch) == {"pending": 1}


def test_confirmation_of_tomorrow_counts_as_of_now(make_client_link):
    """Else whoever is mailed today would be mailed again."""
    batch = make_batch(asked_at=timezone.now() + DAY)

    assert batch.asked_at <= timezone.now()


def test_item_and_batch_have_names(make_client_link):
    row = make_client_link()
    batch = make_batch()

    assert str(batch.items.get()) == f"{row.pk} pending"
    assert str(batch) == f"{batch.created_at:%Y-%m-%d %H:%M}"


# Starting.


@committing
def test_started_batch_sends_and_is_over(sandbox, operator):
    rows = make_rows(3)
    batch = make_batch(actor=operator)

    assert services.start_batch(batch, operator)
    assert not services.start_batch(batch, operator)

    assert sorted(message.to[0] for message in mail.outbox) == [row.owner_email for row in rows]
    batch.refresh_from_db()
    assert outcomes(batch) == {"sent": 3}
    assert batch.started_by == operator
    assert batch.finished_at == max(item.at for item in batch.items.all())
    events = Event.objects.filter(kind="send_requested")
    assert [event.actor for event in events] == [operator] * 3
    assert all(event.announced_at for event in events)


@committing
def test_every_merchant_gets_an_outcome_with_the_reason(sandbox, make_client_link):
    sandbox.add_fault("client_links", "validation", field="owner.email", detail="No such mailbox")
    organization = Organization.objects.create(organization_id="org_1")
    reasons = {
        make_client_link().pk: (Outcome.FAILED, Reason.REFUSED),
        make_client_link(status=Status.CANCELLED).pk: (Outcome.SKIPPED, Reason.CANCELLED),
        make_client_link(status=Status.CONNECTED, organization=organization).pk: (
            Outcome.SKIPPED,
            Reason.CONNECTED,
        ),
        make_client_link(delivery_status=DeliveryStatus.BOUNCED).pk: (Outcome.SKIPPED, Reason.BOUNCED),
        make_client_link(anonymized_at=timezone.now()).pk: (Outcome.SKIPPED, Reason.ERASED),
    }
    batch = make_batch()

    services.start_batch(batch)

    assert {item.client_link_id: (item.outcome, item.reason) for item in batch.items.all()} == reasons
    assert all(item.at for item in batch.items.all())
    assert mail.outbox == []


@committing
def test_refused_row_is_asked_again(sandbox, operator, make_client_link):
    row = make_client_link(status=Status.REJECTED, error_status=422, error_detail="No")
    batch = make_batch()

    services.start_batch(batch, operator)

    assert outcomes(batch) == {"sent": 1}
    assert row.events.get(kind="retried").actor == operator


@committing
def test_inline_at_most_fifty_go_out_at_once(sandbox, monkeypatch):
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 3)
    make_rows(7)
    batch = make_batch()

    services.start_batch(batch)

    assert len(mail.outbox) == 3
    assert outcomes(batch) == {"sent": 3, "queued": 4}
    services.send_next(batch.pk)
    services.send_next(batch.pk)
    assert outcomes(batch) == {"sent": 7}
    batch.refresh_from_db()
    assert batch.finished_at


@committing
def test_inline_stops_when_time_is_up_and_the_rest_stays_queued(sandbox, monkeypatch):
    monkeypatch.setattr(feeding, "INLINE_TIME", -1)
    make_rows(2)
    batch = make_batch()

    services.start_batch(batch)

    assert mail.outbox == []
    assert outcomes(batch) == {"queued": 2}
    assert services.send_queued() == (2, 0)
    assert outcomes(batch) == {"sent": 2}


@pytest.mark.usefixtures("small_chunks")
@committing
def test_request_that_has_no_time_to_queue_all_leaves_the_rest_to_the_next_run(sandbox, monkeypatch):
    monkeypatch.setattr(feeding, "REQUEST_TIME", -1)
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 1)
    make_rows(6)
    batch = make_batch()

    services.start_batch(batch)

    # The first chunk, and the next one before the mail.
    assert outcomes(batch) == {"sent": 1, "queued": 3, "pending": 2}
    assert services.queue_started_batches() == 2
    assert outcomes(batch) == {"sent": 1, "queued": 5}


@committing
def test_one_row_that_breaks_does_not_keep_back_the_others(sandbox, monkeypatch):
    first = min(make_rows(3), key=lambda row: str(row.pk))
    send = services.send_onboarding_link

    def send_onboarding_link(pk: uuid.UUID) -> bool | None:
        if pk == first.pk:
            raise ZeroDivisionError
        return send(pk)

    monkeypatch.setattr(services, "send_onboarding_link", send_onboarding_link)
    batch = make_batch()

    services.start_batch(batch)

    assert outcomes(batch) == {"sent": 2, "queued": 1}


def test_in_a_transaction_nothing_is_sent_before_the_commit(sandbox, django_capture_on_commit_callbacks):
    make_rows(2)
    batch = make_batch()

    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        services.start_batch(batch)
        assert outcomes(batch) == {"queued": 2}
        assert mail.outbox == []

    assert outcomes(batch) == {"sent": 2}


# With workers.


@committing
@pytest.mark.usefixtures("workers", "small_chunks")
def test_tasks_are_woken_for_each_mail_and_one_for_the_rest(sandbox):
    rows = make_rows(5)
    batch = make_batch()

    services.start_batch(batch)

    assert outcomes(batch) == {"queued": 2, "pending": 3}
    assert len(enqueued("send_onboarding_link")) == 2
    assert enqueued("queue_batch") == [str(batch.pk)]
    tasks.queue_batch.call(str(batch.pk))
    assert outcomes(batch) == {"queued": 5}
    assert sorted(enqueued("send_onboarding_link")) == sorted(str(row.pk) for row in rows)
    assert len(enqueued("queue_batch")) == 1
    assert mail.outbox == []


@committing
@pytest.mark.usefixtures("workers", "small_chunks")
def test_task_that_worked_long_enough_wakes_another_one(monkeypatch):
    monkeypatch.setattr(feeding, "FEEDING_TIME", -1)
    make_rows(5)
    batch = make_batch()
    services.start_batch(batch)

    for left in (1, 0):
        tasks.queue_batch.call(str(batch.pk))
        assert outcomes(batch).get("pending", 0) == left

    assert len(enqueued("queue_batch")) == 3
    tasks.queue_batch.call(str(batch.pk))
    assert len(enqueued("queue_batch")) == 3


@committing
@pytest.mark.usefixtures("workers", "small_chunks")
def test_queue_backend_that_is_down_costs_nothing_but_time(sandbox, monkeypatch, caplog):
    asked = []

    def enqueue(*args: Any) -> None:
        asked.append(args)
        raise ConnectionError("no broker")

    monkeypatch.setattr(type(tasks.send_onboarding_link.get_backend()), "enqueue", enqueue)
    make_rows(3)
    batch = make_batch()

    services.start_batch(batch)

    assert len(asked) == 2  # not once for each mail: a broker that is gone is waited for each time
    assert services.queue_started_batches() == 1
    assert services.send_queued() == (3, 0)
    assert outcomes(batch) == {"sent": 3}


@pytest.mark.usefixtures("workers")
def test_dummy_backend_does_not_run_inline():
    assert not services.tasks_run_inline()


def test_immediate_backend_runs_inline():
    assert services.tasks_run_inline()


# A process that dies.


@committing
@pytest.mark.usefixtures("small_chunks")
def test_batch_goes_on_where_a_process_died(sandbox, operator, monkeypatch):
    make_rows(5)
    batch = make_batch()
    write = feeding._write
    written = []

    def dies(*args: Any, **columns: Any) -> None:
        write(*args, **columns)
        written.append(args)
        if len(written) == 2:
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(feeding, "_write", dies)
        with pytest.raises(SystemExit):
            services.start_batch(batch, operator)

    # The first chunk is committed, the second left no trace.
    assert outcomes(batch) == {"queued": 2, "pending": 3}
    assert waiting_rows() == Event.objects.filter(kind="send_requested").count() == 2
    assert services.queue_started_batches() == 3
    assert services.queue_started_batches() == 0
    send_all()
    assert len(mail.outbox) == 5
    assert Event.objects.filter(kind="send_requested", actor=operator).count() == 5


@committing
def test_batch_goes_on_where_a_process_died_after_it_was_started(sandbox):
    make_rows(2)
    batch = make_batch()
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now())

    assert services.queue_started_batches() == 2


def test_batch_that_is_prepared_or_over_is_not_taken_up(sandbox, operator):
    make_rows(2)
    prepared, over = make_batch(), make_batch()
    services.start_batch(over, operator)
    send_all()

    assert services.queue_started_batches() == 0

    over.refresh_from_db()
    assert over.finished_at
    assert outcomes(prepared) == {"pending": 2}


@committing
@pytest.mark.usefixtures("small_chunks")
def test_two_at_once_take_up_one_batch(sandbox):
    make_rows(20)
    batch = make_batch()
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now())

    counts = in_threads(3, services.queue_started_batches)

    assert sum(counts) == 20
    assert outcomes(batch) == {"queued": 20}
    assert Event.objects.filter(kind="send_requested").count() == 20


@committing
def test_deadlock_is_tried_again(sandbox, monkeypatch):
    make_rows(2)
    batch = make_batch()
    prefetch, failures = feeding.prefetch_related_objects, [OperationalError("deadlock detected")]

    def prefetch_related_objects(*args: Any) -> None:
        if failures:
            raise failures.pop()
        prefetch(*args)

    monkeypatch.setattr(feeding, "prefetch_related_objects", prefetch_related_objects)

    services.start_batch(batch)

    assert outcomes(batch) == {"sent": 2}
    assert failures == []


# Several that want the same merchant.


@committing
def test_two_operators_with_overlapping_selections_send_one_mail_each(sandbox, monkeypatch):
    monkeypatch.setattr(feeding, "CHUNK", 3)
    rows = make_rows(12)
    batches = [make_batch(rows[:9]), make_batch(rows[3:])]
    left = list(batches)

    started = in_threads(2, lambda: services.start_batch(left.pop()))

    assert started == [True, True]
    services.send_queued()
    assert sorted(message.to[0] for message in mail.outbox) == sorted(row.owner_email for row in rows)
    for batch in batches:
        assert services.count_outcomes([batch])[batch.pk].waiting == 0
        batch.refresh_from_db()
    assert sum(outcomes(batch)["sent"] for batch in batches) >= 12


def test_row_that_is_queued_already_counts_for_the_batch_too(sandbox, make_client_link, operator):
    row = make_client_link()
    services.request_sending(row)
    first, second = make_batch(), make_batch()

    services.start_batch(first, operator)
    services.start_batch(second, operator)

    assert outcomes(first) == outcomes(second) == {"queued": 1}
    assert row.events.filter(kind="send_requested").count() == 1
    assert services.send_onboarding_link(row.pk)
    assert outcomes(first) == outcomes(second) == {"sent": 1}


def test_invitation_of_a_batch_takes_the_place_of_a_reminder_that_waits(sandbox, make_client_link, operator):
    row = make_client_link(invited_at=timezone.now())
    services.request_sending(row, kind=SendKind.REMINDER)
    batch = make_batch()

    services.start_batch(batch, operator)

    assert outcomes(batch) == {"queued": 1}
    row.refresh_from_db()
    assert (row.send_kind, row.batch_id) == (SendKind.INVITATION, batch.pk)
    assert services.send_onboarding_link(row.pk)
    assert outcomes(batch) == {"sent": 1}


@committing
def test_merchant_who_was_mailed_since_the_question_is_not_mailed_again(sandbox, make_client_link):
    make_client_link()
    asked_at = timezone.now()
    services.start_batch(make_batch(asked_at=asked_at))
    batch = make_batch(asked_at=asked_at)

    services.start_batch(batch)

    assert len(mail.outbox) == 1
    assert batch.items.get().reason == Reason.MAILED
    services.start_batch(make_batch())  # whoever asks anew means it
    assert len(mail.outbox) == 2


@committing
def test_merchant_who_was_mailed_before_an_import_was_confirmed_is_not_mailed_again(
    sandbox, make_client_link
):
    row = make_client_link()
    batch = make_batch(source=Batch.Source.IMPORT)
    services.request_sending(row)

    services.start_batch(batch)

    assert len(mail.outbox) == 1
    assert outcomes(batch) == {"skipped": 1}


def test_client_link_that_is_cancelled_in_the_queue_is_skipped(sandbox, make_client_link):
    row = make_client_link()
    batch = make_batch()
    services.start_batch(batch)

    services.cancel_client_link(row)

    item = batch.items.get()
    assert (item.outcome, item.reason) == (Outcome.SKIPPED, Reason.CANCELLED)


def test_row_that_is_deleted_leaves_its_batches(sandbox, make_client_link):
    row = make_client_link()
    batch = make_batch()
    services.start_batch(batch)

    row.delete()

    services.queue_started_batches()
    batch.refresh_from_db()
    assert (batch.count, outcomes(batch)) == (1, {})
    assert batch.finished_at


# Cancelling.


@pytest.mark.usefixtures("small_chunks")
def test_cancelled_batch_leaves_the_queue_and_says_what_is_true(sandbox, operator):
    rows = make_rows(3)
    ClientLink.objects.filter(pk=rows[0].pk).update(
        send_count=2, last_sent_at=timezone.now() - DAY, delivery_status=DeliveryStatus.DELIVERED
    )
    late = make_batch([make_rows(1)[0]])
    batch = make_batch(rows)
    services.start_batch(batch)

    assert services.cancel_batch(batch, operator)
    assert not services.cancel_batch(batch, operator)
    assert services.cancel_batch(late, operator)
    assert not services.start_batch(late, operator)

    assert waiting_rows() == 0
    assert outcomes(batch) == {"cancelled": 3}
    assert outcomes(late) == {"cancelled": 1}
    batch.refresh_from_db()
    assert (batch.cancelled_by, bool(batch.finished_at)) == (operator, True)
    assert services.queue_started_batches() == 0
    assert ClientLink.objects.get(pk=rows[0].pk).delivery_status == DeliveryStatus.SENT
    others = ClientLink.objects.exclude(pk=rows[0].pk)
    assert set(others.values_list("delivery_status", flat=True)) == {DeliveryStatus.NOT_SENT}


def test_mail_that_bounced_meanwhile_stays_bounced(sandbox, make_client_link):
    row = make_client_link(send_count=1, last_sent_at=timezone.now() - DAY)
    batch = make_batch()
    services.start_batch(batch)
    ClientLink.objects.update(delivery_status=DeliveryStatus.BOUNCED)

    services.cancel_batch(batch)

    row.refresh_from_db()
    assert (row.send_requested_at, row.delivery_status) == (None, DeliveryStatus.BOUNCED)


def test_mail_in_a_workers_hands_goes_out_and_is_counted(sandbox, operator):
    rows = make_rows(3)
    batch = make_batch()
    services.start_batch(batch)
    in_hand, dead = rows[0], rows[1]
    now = timezone.now()
    assert ClientLink.objects.claim_sending(in_hand.pk, now)
    assert ClientLink.objects.claim_sending(dead.pk, now - DAY)

    services.cancel_batch(batch, operator)

    assert outcomes(batch) == {"queued": 1, "cancelled": 2}
    batch.refresh_from_db()
    assert batch.finished_at is None
    # The claim is over: what the worker did, the next one does.
    ClientLink.objects.filter(pk=in_hand.pk).update(sending_until=None)
    assert services.send_onboarding_link(in_hand.pk)
    assert outcomes(batch) == {"sent": 1, "cancelled": 2}
    services.queue_started_batches()
    batch.refresh_from_db()
    assert batch.finished_at


def test_mail_that_failed_in_a_workers_hands_is_not_tried_again(sandbox, make_client_link):
    row = make_client_link()
    batch = make_batch()
    services.start_batch(batch)
    ClientLink.objects.claim_sending(row.pk, timezone.now())
    services.cancel_batch(batch)
    ClientLink.objects.update(sending_until=None, send_not_before=timezone.now() + DAY)

    services.queue_started_batches()

    row.refresh_from_db()
    assert row.send_requested_at is None
    assert outcomes(batch) == {"cancelled": 1}


def test_merchant_whom_another_batch_wants_mailed_stays_in_the_queue(sandbox):
    rows = make_rows(2)
    first, second = make_batch(rows), make_batch(rows[:1])
    services.start_batch(first)
    services.start_batch(second)

    services.cancel_batch(first)

    assert outcomes(first) == {"cancelled": 2}
    assert outcomes(second) == {"queued": 1}
    assert list(ClientLink.objects.filter(send_requested_at__isnull=False)) == [rows[0]]
    services.cancel_batch(second)
    assert waiting_rows() == 0


def test_merchant_of_a_colleagues_batch_stays_in_the_queue(sandbox, make_client_link):
    make_client_link()
    first, second = make_batch(), make_batch()
    services.start_batch(first)
    services.start_batch(second)

    services.cancel_batch(second)

    assert outcomes(second) == {"cancelled": 1}
    assert outcomes(first) == {"queued": 1}
    assert waiting_rows() == 1


@pytest.mark.parametrize("pressed", ["before", "after"])
def test_merchant_whom_a_person_wants_mailed_stays_in_the_queue(sandbox, make_client_link, operator, pressed):
    row = make_client_link()
    batch = make_batch()
    if pressed == "before":
        services.request_sending(row, actor=operator)
    services.start_batch(batch)
    if pressed == "after":
        assert not services.request_sending(row, actor=operator)

    services.cancel_batch(batch)

    assert outcomes(batch) == {"cancelled": 1}
    assert services.send_onboarding_link(row.pk)


@committing
@pytest.mark.usefixtures("workers", "small_chunks")
def test_cancelling_during_the_queueing_leaves_nobody_behind(sandbox):
    make_rows(30)
    batch = make_batch()
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now())
    work = [lambda: services.feed_batch(batch.pk), lambda: services.cancel_batch(batch)]

    results = in_threads(2, lambda: work.pop()())

    assert not [result for result in results if isinstance(result, Exception)]
    assert outcomes(batch) == {"cancelled": 30}
    assert waiting_rows() == 0


@committing
@pytest.mark.usefixtures("small_chunks")
def test_cancelling_during_the_sending_loses_nothing_and_lies_nowhere(sandbox, settings, monkeypatch):
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 0)
    make_rows(12)
    batch = make_batch()
    services.start_batch(batch)
    work = [send_all, lambda: services.cancel_batch(batch)]

    results = in_threads(2, lambda: work.pop()())

    assert not [result for result in results if isinstance(result, Exception)]
    services.queue_started_batches()
    mailed = {message.to[0] for message in mail.outbox}
    assert len(mailed) == len(mail.outbox)
    for item in batch.items.select_related("client_link"):
        row = item.client_link
        was_mailed = row.owner_email in mailed
        assert item.outcome == (Outcome.SENT if was_mailed else Outcome.CANCELLED)
        assert row.delivery_status == (DeliveryStatus.SENT if was_mailed else DeliveryStatus.NOT_SENT)
        assert row.send_requested_at is None


@pytest.mark.usefixtures("small_chunks")
def test_cancelling_that_takes_too_long_goes_on_in_the_next_run(sandbox, monkeypatch):
    make_rows(5)
    batch = make_batch()
    services.start_batch(batch)
    monkeypatch.setattr(feeding, "REQUEST_TIME", -1)
    monkeypatch.setattr(feeding.take_out_of_queue, "__defaults__", (-1,))

    services.cancel_batch(batch)

    assert outcomes(batch) == {"queued": 3, "cancelled": 2}
    for left in (1, 0):
        services.queue_started_batches()
        assert outcomes(batch).get("queued", 0) == left


@committing
@pytest.mark.usefixtures("workers", "small_chunks")
def test_cancelling_that_takes_too_long_goes_on_in_a_task(monkeypatch):
    make_rows(6)
    batch = make_batch()
    services.start_batch(batch)
    tasks.queue_batch.call(str(batch.pk))
    monkeypatch.setattr(feeding.take_out_of_queue, "__defaults__", (-1,))
    woken = len(enqueued("queue_batch"))

    services.cancel_batch(batch)

    assert outcomes(batch) == {"queued": 4, "cancelled": 2}
    assert enqueued("queue_batch")[woken:] == [str(batch.pk)]
    tasks.queue_batch.call(str(batch.pk))
    assert outcomes(batch) == {"cancelled": 6}


@committing
@pytest.mark.usefixtures("workers")
def test_mail_in_hand_that_fails_after_its_batch_was_cancelled_is_not_tried_again(
    sandbox, make_client_link, monkeypatch
):
    row = make_client_link()
    batch = make_batch()
    services.start_batch(batch)
    woken = len(enqueued("queue_batch"))

    def cancel_and_fail(message: Any) -> bool:
        services.cancel_batch(batch)
        return False

    monkeypatch.setattr(sending, "deliver", cancel_and_fail)
    assert services.send_onboarding_link(row.pk) is False

    assert enqueued("queue_batch")[woken:] == [str(batch.pk)]
    tasks.queue_batch.call(str(batch.pk))
    assert outcomes(batch) == {"cancelled": 1}
    row.refresh_from_db()
    assert row.send_requested_at is None


def test_batch_that_is_over_is_not_cancelled(sandbox, make_client_link):
    row = make_client_link()
    batch = make_batch()
    services.start_batch(batch)
    services.send_onboarding_link(row.pk)  # nobody has noted yet that it is over

    assert not services.cancel_batch(batch)

    batch.refresh_from_db()
    assert (batch.cancelled_at, bool(batch.finished_at)) == (None, True)


# Running it again.


@committing
def test_running_it_again_mails_whoever_got_none_and_nobody_twice(sandbox, make_client_link, operator):
    sandbox.add_fault("client_links", "validation", field="owner.email", detail="No such mailbox")
    make_client_link()
    make_rows(2)
    bounced = make_client_link(delivery_status=DeliveryStatus.BOUNCED)
    batch = make_batch()
    services.start_batch(batch)
    assert outcomes(batch) == {"sent": 2, "failed": 1, "skipped": 1}
    bounced.owner_email = "right@m.example"
    bounced.save()

    assert services.rerun_batch(batch, operator)
    assert services.rerun_batch(batch, operator)

    assert len(mail.outbox) == len({message.to[0] for message in mail.outbox}) == 4
    assert outcomes(batch) == {"sent": 4}
    batch.refresh_from_db()
    assert (batch.started_by, bool(batch.finished_at)) == (operator, True)


@committing
@pytest.mark.parametrize("was_started", [True, False])
def test_running_it_again_goes_on_after_it_was_cancelled(sandbox, operator, monkeypatch, was_started):
    make_rows(3)
    batch = make_batch()
    if was_started:
        monkeypatch.setattr(feeding, "INLINE_LIMIT", 1)
        services.start_batch(batch)
        monkeypatch.undo()
    services.cancel_batch(batch, operator)

    assert services.rerun_batch(batch, operator)

    assert len(mail.outbox) == 3
    assert outcomes(batch) == {"sent": 3}
    batch.refresh_from_db()
    assert (batch.cancelled_at, batch.cancelled_by) == (None, None)
    assert batch.started_at


def test_prepared_batch_is_started_and_not_run_again(make_client_link):
    make_client_link()
    batch = make_batch()

    assert not services.rerun_batch(batch)

    assert outcomes(batch) == {"pending": 1}


@committing
def test_merchant_who_was_mailed_otherwise_is_not_mailed_by_running_it_again(sandbox, make_client_link):
    row = make_client_link(status=Status.CANCELLED)
    batch = make_batch()
    services.start_batch(batch)
    ClientLink.objects.update(status=Status.DRAFT)
    row.refresh_from_db()
    services.request_sending(row)

    services.rerun_batch(batch)

    assert len(mail.outbox) == 1
    assert batch.items.get().reason == Reason.MAILED


# Scale.


def test_statements_of_a_chunk_do_not_depend_on_its_rows(monkeypatch):
    counts = []
    for chunk in (10, 100):
        monkeypatch.setattr(feeding, "CHUNK", chunk)
        batch = make_batch(make_rows(100))
        Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now())
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(feeding.queue_chunk(batch.pk) or ()) == chunk
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 12


def test_25000_rows_are_kept_by_one_statement_and_never_held_in_memory():
    for _ in range(5):
        make_rows(5000)
    tracemalloc.start()

    with CaptureQueriesContext(connection) as queries:
        batch = make_batch()
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now())
    peaks = []
    for _ in range(6):
        tracemalloc.reset_peak()
        feeding.queue_chunk(batch.pk)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()

    assert batch.count == 25_000
    assert len(queries) < 10
    assert max(peaks) < 30_000_000  # bytes: 500 rows
    assert peaks[-1] < peaks[1] * 1.1


def test_progress_of_many_batches_is_one_statement():
    make_rows(3)
    batches = [make_batch() for _ in range(4)]
    with CaptureQueriesContext(connection) as queries:
        progress = services.count_outcomes(batches)

    assert len(queries) == 1
    assert {(one.total, one.waiting, one.done) for one in progress.values()} == {(3, 3, 0)}
