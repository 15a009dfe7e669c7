"""Mails: the queue of invitations, the invitation, the notice after connecting, and the merchant's own request."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import OperationalError, connections, transaction
from django.utils import timezone, translation
from requests.adapters import HTTPAdapter

from mollie_onboarding import services, signals
from mollie_onboarding.models import (
    SENDING_CLAIM_LIFETIME,
    Batch,
    BatchItem,
    ClientLink,
    DeliveryStatus,
    Event,
    Organization,
    Reason,
    SendKind,
    Status,
    Wait,
)
from mollie_onboarding.services import draining, notices, queueing, sending
from tests.conftest import NOON, kinds, page_status, reread
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
# Without a real commit no task is nudged: a test that calls `send_onboarding_link` is the worker.
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

LIFETIME = timedelta(days=90)


@pytest.fixture
def mail_server(monkeypatch):
    """Puts something before or after the delivery of every mail."""

    def put(*, before: Any = None, after: Any = None) -> None:
        deliver = EmailBackend.send_messages

        def send_messages(self: EmailBackend, messages: Any) -> Any:
            if before:
                before()
            count = deliver(self, messages)
            if after:
                after()
            return count

        monkeypatch.setattr(EmailBackend, "send_messages", send_messages)

    return put


@pytest.fixture
def during_the_call(sandbox):
    """Does something while Mollie works on the answer."""
    with ExitStack() as patches:

        def put(action: Any) -> None:
            answer = HTTPAdapter.send

            def send(self: HTTPAdapter, *args: Any, **kwargs: Any) -> Any:
                response = answer(self, *args, **kwargs)
                action()
                return response

            # Not by monkeypatch: it may end after the sandbox, and would bring the sandbox's answers back.
            patches.enter_context(mock.patch.object(HTTPAdapter, "send", send))

        yield put


def refuse_mail() -> None:
    raise OSError("550 jan@bakkerij-jansen.example is unknown here")


def make_organization(**columns: Any) -> Organization:
    return Organization.objects.create(organization_id="org_1", name="Bakkerij Jansen", **columns)


# The queue.


@committing
def test_request_sends_one_mail_and_records_it(sandbox, make_client_link):
    row = make_client_link()

    assert services.request_sending(row)

    [message] = mail.outbox
    assert message.to == ["jan@bakkerij-jansen.example"]
    row.refresh_from_db()
    assert row.status == Status.READY
    assert row.send_requested_at is row.sending_until is row.send_not_before is None
    assert row.last_sent_at is not None
    assert row.send_count == 1
    assert row.delivery_status == ClientLink.DeliveryStatus.SENT
    assert kinds(row) == ["send_requested", "ready", "sent"]


def test_request_keeps_the_actor(queued, operator, make_client_link):
    row = make_client_link()

    services.request_sending(row, actor=operator)

    assert row.events.get().actor == operator


def test_request_is_queued_once(queued):
    row = queued()

    assert not services.request_sending(row)
    assert kinds(row) == ["send_requested"]


@pytest.mark.parametrize("since", [NOON - timedelta(hours=1), NOON])
def test_request_of_an_earlier_press_of_the_button_is_none(make_client_link, since):
    row = make_client_link(last_sent_at=NOON + timedelta(seconds=1))

    assert not services.request_sending(row, unless_sent_since=since)
    assert services.request_sending(row, unless_sent_since=NOON + timedelta(seconds=1))


@committing
def test_request_that_is_rolled_back_sends_nothing(sandbox, make_client_link):
    row = make_client_link()

    def request_and_fail() -> None:
        with transaction.atomic():
            services.request_sending(row)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        request_and_fail()

    row.refresh_from_db()
    assert row.send_requested_at is None
    assert mail.outbox == []
    assert sandbox.calls() == []


@committing
def test_request_inside_a_transaction_is_mailed_after_the_commit(sandbox, make_client_link):
    row = make_client_link()

    with transaction.atomic():
        services.request_sending(row)
        assert mail.outbox == []

    assert len(mail.outbox) == 1


@committing
def test_request_outlives_a_task_queue_that_is_down(sandbox, make_client_link, monkeypatch):
    from mollie_onboarding import tasks

    backend = type(tasks.send_onboarding_link.get_backend())
    with monkeypatch.context() as patch:
        patch.setattr(backend, "enqueue", mock.Mock(side_effect=ConnectionError("no broker")))
        first, second = make_client_link(), make_client_link()
        with transaction.atomic():
            assert services.request_sending(first)
            assert services.request_sending(second)

    assert mail.outbox == []
    assert services.send_queued() == (2, 0)


@committing
def test_task_carries_the_id_and_nothing_else(make_client_link, workers):
    from mollie_onboarding import tasks

    row = make_client_link()
    services.request_sending(row)
    notices.nudge_notice(row)

    results = tasks.send_onboarding_link.get_backend().results
    assert [result.task.name for result in results] == ["send_onboarding_link", "send_connected_notice"]
    assert [(result.args, result.kwargs) for result in results] == [([str(row.pk)], {})] * 2


# One mail per request.


def test_task_that_comes_twice_sends_one_mail(sandbox, queued):
    row = queued()

    assert services.send_onboarding_link(row.pk) is True
    assert services.send_onboarding_link(row.pk) is None

    assert len(mail.outbox) == 1


@committing
def test_two_workers_at_once_send_one_mail(sandbox, make_client_link):
    row = make_client_link(send_requested_at=timezone.now())
    start = threading.Barrier(2)
    results: list[bool | None] = []

    def work() -> None:
        start.wait()
        try:
            results.append(services.send_onboarding_link(row.pk))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sorted(results, key=str) == [None, True]
    assert len(mail.outbox) == 1
    assert len(sandbox.calls("client_links")) == 1


def test_worker_in_a_transaction_refuses_before_it_mails(sandbox, make_client_link):
    # Rolled back afterwards, the row would be mailed again. (The test's own transaction does not count.)
    row = make_client_link(send_requested_at=timezone.now())

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        services.send_onboarding_link(row.pk)

    assert mail.outbox == []


def test_row_that_is_not_queued_or_not_there_is_not_mailed(sandbox, make_client_link):
    row = make_client_link()

    assert services.send_onboarding_link(row.pk) is None
    row.delete()
    assert services.send_onboarding_link(row.id) is None


def test_message_id_is_the_same_after_a_killed_worker_and_another_for_a_new_request(
    sandbox, queued, mail_server, monkeypatch, clock
):
    row = queued()
    with monkeypatch.context() as patch:
        killed = mock.Mock(side_effect=KeyboardInterrupt)
        deliver = EmailBackend.send_messages
        patch.setattr(EmailBackend, "send_messages", lambda *args: (deliver(*args), killed()))
        with pytest.raises(KeyboardInterrupt):
            services.send_onboarding_link(row.pk)

    assert services.send_onboarding_link(row.pk) is None  # the claim still stands
    clock.shift(SENDING_CLAIM_LIFETIME)
    assert services.send_onboarding_link(row.pk) is True
    row.refresh_from_db()
    clock.shift(timedelta(hours=1))
    services.request_sending(row)
    assert services.send_onboarding_link(row.pk) is True

    first, again, new = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == again
    assert new != first
    assert re.fullmatch(rf"<{row.pk.hex}\.\d+@platform\.example>", new)


def test_worker_whose_claim_was_taken_over_does_not_mail(sandbox, queued, during_the_call, clock):
    row = queued()
    other = NOON + timedelta(hours=1)
    during_the_call(lambda: ClientLink.objects.filter(pk=row.pk).update(sending_until=other))

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert mail.outbox == []
    assert row.sending_until == other
    assert row.send_requested_at is not None


def test_worker_whose_claim_was_taken_over_puts_nothing_back(sandbox, queued, monkeypatch):
    row = queued()
    other = timezone.now() + timedelta(hours=1)

    def take() -> float:
        ClientLink.objects.filter(pk=row.pk).update(sending_until=other)
        return 5.0

    monkeypatch.setattr(sending.budget, "take", take)

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert (row.sending_until, row.send_not_before, row.send_waits_for) == (other, None, "")


def test_worker_whose_claim_was_taken_over_leaves_the_queue_alone(sandbox, queued, during_the_call):
    row = queued()
    sandbox.add_fault("client_links", "validation")
    other = timezone.now() + timedelta(hours=1)
    during_the_call(lambda: ClientLink.objects.filter(pk=row.pk).update(sending_until=other))

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.sending_until == other
    assert row.send_requested_at is not None


def test_address_that_is_corrected_during_the_delivery_gets_a_mail_of_its_own(
    sandbox, queued, mail_server, monkeypatch, clock
):
    row = queued()

    def correct() -> None:
        row.owner_email = "piet@bakkerij-jansen.example"
        row.save()

    with monkeypatch.context():
        mail_server(before=correct)
        services.send_onboarding_link(row.pk)
    monkeypatch.undo()
    clock.shift(SENDING_CLAIM_LIFETIME)
    services.send_onboarding_link(row.pk)

    assert [message.to for message in mail.outbox] == [
        ["jan@bakkerij-jansen.example"],
        ["piet@bakkerij-jansen.example"],
    ]
    row.refresh_from_db()
    assert row.merchant_url() in mail.outbox[1].body
    assert row.merchant_url() not in mail.outbox[0].body


def test_address_that_is_corrected_does_not_wait_for_the_wrong_one(sandbox, queued, mail_server, monkeypatch):
    row = queued()
    with monkeypatch.context():
        mail_server(before=refuse_mail)
        assert services.send_onboarding_link(row.pk) is False
    monkeypatch.undo()
    row.refresh_from_db()
    assert row.send_attempts == 1
    assert row.send_not_before is not None

    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()

    assert row.send_attempts == 0
    assert services.send_onboarding_link(row.pk)
    assert [message.to for message in mail.outbox] == [["piet@bakkerij-jansen.example"]]


@committing
def test_row_that_is_deleted_during_the_delivery_is_no_error(sandbox, workers, queued, mail_server):
    row = queued()
    mail_server(before=lambda: ClientLink.objects.get().delete())

    assert services.send_onboarding_link(row.pk)
    assert len(mail.outbox) == 1
    assert not Event.objects.exists()


@committing
def test_row_that_is_cancelled_while_its_link_is_announced_is_no_error(sandbox, workers, queued):
    row = queued()

    def cancel(client_link: ClientLink, **arguments: Any) -> None:
        services.cancel_client_link(client_link)

    signals.client_link_created.connect(cancel)
    try:
        assert services.send_onboarding_link(row.pk) is None
    finally:
        signals.client_link_created.disconnect(cancel)
    assert mail.outbox == []


@committing
def test_connection_that_the_server_closed_during_the_delivery_sends_no_second_mail(
    sandbox, workers, queued, mail_server, monkeypatch
):
    """MySQL's servers end connections that were idle for long; each transaction on such a one fails."""
    row = queued()
    is_dead = []
    begin = transaction.Atomic.__enter__

    def begin_unless_dead(self: transaction.Atomic) -> None:
        if is_dead:
            connections["default"].errors_occurred = True
            raise OperationalError(2006, "Server has gone away")
        begin(self)

    monkeypatch.setattr(transaction.Atomic, "__enter__", begin_unless_dead)
    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: not is_dead)
    close = type(connections["default"]).close
    monkeypatch.setattr(type(connections["default"]), "close", lambda self: (is_dead.clear(), close(self))[1])
    mail_server(after=lambda: is_dead.append(True))

    assert services.send_onboarding_link(row.pk)
    assert not is_dead
    row.refresh_from_db()
    assert (row.send_count, row.send_requested_at) == (1, None)


# When Mollie or the mail server does not play along.


def test_rate_limit_keeps_the_row_queued_for_as_long_as_mollie_says(sandbox, queued, clock):
    sandbox.add_fault("client_links", "rate_limited", retry_after=7200)
    row = queued()

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert row.send_not_before == NOON + timedelta(seconds=7200)
    assert row.send_attempts == 0
    assert row.sending_until is None
    assert row.delivery_status == ClientLink.DeliveryStatus.QUEUED
    clock.shift(timedelta(seconds=7199))
    assert services.send_onboarding_link(row.pk) is None
    clock.shift(timedelta(seconds=1))
    assert services.send_onboarding_link(row.pk) is True


def test_pause_doubles_and_the_row_leaves_the_queue_after_six_attempts(sandbox, queued, clock):
    sandbox.add_fault("client_links", "unavailable_html", times=None)
    row = queued()
    pauses = []

    for _ in range(queueing.MAX_ATTEMPTS - 1):
        assert services.send_onboarding_link(row.pk) is False
        row.refresh_from_db()
        pause = row.send_not_before - timezone.now()
        pauses.append(pause / timedelta(minutes=1))
        clock.shift(pause)
    assert pauses == [5, 10, 20, 40, 80]
    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.send_requested_at is None
    assert row.delivery_status == ClientLink.DeliveryStatus.FAILED
    assert len(sandbox.calls("client_links")) == queueing.MAX_ATTEMPTS
    assert services.request_sending(row)
    row.refresh_from_db()
    assert row.send_attempts == 0


def test_link_that_another_process_makes_keeps_the_row_queued(sandbox, queued, monkeypatch):
    monkeypatch.setattr("mollie_onboarding.services.creation.WAIT_FOR_OTHERS", 0)
    row = queued(issuing_until=timezone.now() + timedelta(seconds=30))
    monkeypatch.setattr("mollie_onboarding.services.creation.POLL_INTERVAL", 0)

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.send_requested_at is not None
    assert row.sending_until is None


def test_refused_data_leave_the_queue_with_the_reason(sandbox, queued):
    sandbox.add_fault("client_links", "validation", field="owner.email", detail="The e-mail address is odd")
    row = queued()

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.status == Status.REJECTED
    assert row.send_requested_at is None
    assert row.delivery_status == ClientLink.DeliveryStatus.FAILED
    assert (row.error_status, row.error_field, row.error_detail) == (
        422,
        "owner.email",
        "The e-mail address is odd",
    )
    assert kinds(row) == ["send_requested", "rejected"]
    assert mail.outbox == []


def test_refused_row_is_not_asked_again_without_an_operator(sandbox, queued):
    row = queued(status=Status.REJECTED)

    assert services.send_onboarding_link(row.pk) is False

    assert sandbox.calls() == []
    row.refresh_from_db()
    assert row.send_requested_at is None
    assert row.delivery_status == ClientLink.DeliveryStatus.FAILED


def test_wrong_partner_token_leaves_the_queue_with_a_problem(sandbox, queued, settings):
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_wrong"
    row = queued()

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.status == Status.DRAFT
    assert row.problem == ClientLink.Problem.MOLLIE_REFUSED
    assert row.error_status == 401
    assert row.send_requested_at is None
    assert row.delivery_status == ClientLink.DeliveryStatus.FAILED


def test_mail_server_that_fails_keeps_the_row_queued_with_a_problem(
    sandbox, queued, mail_server, monkeypatch, clock
):
    row = queued()
    mail_server(before=refuse_mail)

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.problem == ClientLink.Problem.MAIL_FAILED
    assert row.send_not_before == NOON + queueing.FIRST_PAUSE
    assert row.send_requested_at is not None
    assert row.send_count == 0
    monkeypatch.undo()
    clock.shift(queueing.FIRST_PAUSE)
    with mock.patch.object(HTTPAdapter, "send", side_effect=AssertionError("the link is there already")):
        assert services.send_onboarding_link(row.pk) is True
    row.refresh_from_db()
    assert row.problem == ""
    assert row.send_count == 1


def test_mail_server_that_fails_for_good_is_given_up(sandbox, queued, mail_server, clock):
    row = queued()
    mail_server(before=refuse_mail)

    for _ in range(queueing.MAX_ATTEMPTS):
        assert services.send_onboarding_link(row.pk) is False
        clock.shift(timedelta(hours=3))

    assert services.send_onboarding_link(row.pk) is None
    row.refresh_from_db()
    assert row.send_requested_at is None
    assert row.problem == ClientLink.Problem.MAIL_FAILED
    assert row.delivery_status == ClientLink.DeliveryStatus.FAILED


def test_mail_backend_that_sends_nothing_is_a_failure(sandbox, queued, monkeypatch):
    monkeypatch.setattr(EmailBackend, "send_messages", lambda self, messages: 0)
    row = queued()

    assert services.send_onboarding_link(row.pk) is False


def test_another_problem_survives_a_mail(sandbox, queued):
    row = queued(problem=ClientLink.Problem.ORGANIZATION_TAKEN)

    services.send_onboarding_link(row.pk)

    row.refresh_from_db()
    assert row.problem == ClientLink.Problem.ORGANIZATION_TAKEN


# Whom nobody should write to.


def test_cancelled_before_the_worker_came(sandbox, queued):
    row = queued()
    # As if the worker had claimed the row in the same moment.
    ClientLink.objects.filter(pk=row.pk).update(status=Status.CANCELLED)

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert row.send_requested_at is None
    assert row.delivery_status == ""
    assert mail.outbox == []
    assert sandbox.calls() == []


def test_cancelled_while_it_waited_for_mollie_waits_for_nothing_any_more(make_client_link, clock):
    row = make_client_link(
        send_requested_at=NOON, send_waits_for=Wait.MOLLIE, send_not_before=NOON + timedelta(hours=1)
    )
    assert draining.count_held(NOON) == 1

    assert services.cancel_client_link(row)

    row.refresh_from_db()
    assert (row.send_waits_for, row.send_not_before) == ("", None)
    assert draining.count_held(NOON) == 0


def test_cancelled_while_mollie_worked_gets_no_mail(sandbox, queued, during_the_call):
    row = queued()
    during_the_call(lambda: services.cancel_client_link(row))

    assert not services.send_onboarding_link(row.pk)

    row.refresh_from_db()
    assert row.is_cancelled
    assert row.send_requested_at is None
    assert row.url == ""
    assert mail.outbox == []


def test_connected_merchant_gets_no_mail(sandbox, make_client_link):
    row = make_client_link(status=Status.CONNECTED, organization=make_organization())

    assert services.reason_not_to_send(row) == Reason.CONNECTED
    assert not services.request_sending(row)
    assert kinds(row) == []


def test_connected_while_queued_gets_no_mail(sandbox, queued):
    row = queued()
    ClientLink.objects.filter(pk=row.pk).update(status=Status.CONNECTED, organization=make_organization())

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert row.send_requested_at is None
    assert mail.outbox == []


@pytest.mark.parametrize("connection_status", ["lost", "disconnected"])
def test_merchant_with_a_lost_connection_gets_the_mail(sandbox, queued, connection_status):
    organization = make_organization(connection_status=connection_status)
    row = queued(status=Status.CONNECTED, organization=organization)

    assert services.send_onboarding_link(row.pk) is True

    assert len(mail.outbox) == 1
    assert sandbox.calls() == []  # the way back is plain authorize, not a client link


def test_cancelled_merchant_gets_no_mail(make_client_link):
    row = make_client_link(status=Status.CANCELLED)

    assert services.reason_not_to_send(row) == Reason.CANCELLED
    assert not services.request_sending(row)


def test_address_that_bounced_while_queued_gets_no_mail(sandbox, queued):
    row = queued()
    ClientLink.objects.filter(pk=row.pk).update(delivery_status=DeliveryStatus.BOUNCED)

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert row.send_requested_at is None
    assert row.delivery_status == DeliveryStatus.BOUNCED
    assert sandbox.calls() == []


# What became of a batch's merchants.


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        ("", BatchItem.Outcome.SENT, ""),
        ("validation", BatchItem.Outcome.FAILED, Reason.REFUSED),
        ("cancelled", BatchItem.Outcome.SKIPPED, Reason.CANCELLED),
    ],
)
def test_outcome_is_noted_in_the_batch(sandbox, make_client_link, fault, outcome, reason):
    batch = Batch.objects.create(started_at=timezone.now())
    row = make_client_link(**queueing.queue_columns(SendKind.INVITATION, batch))
    item = BatchItem.objects.create(batch=batch, client_link=row, outcome=BatchItem.Outcome.QUEUED)
    if fault == "validation":
        sandbox.add_fault("client_links", fault)
    if fault == "cancelled":
        ClientLink.objects.filter(pk=row.pk).update(status=Status.CANCELLED)

    services.send_onboarding_link(row.pk)

    item.refresh_from_db()
    assert (item.outcome, item.reason) == (outcome, reason)
    assert item.at is not None


def test_reminder_is_counted_and_an_invitation_begins_anew(sandbox, make_client_link):
    invited_at = timezone.now() - timedelta(days=4)
    columns = {"invited_at": invited_at, "last_sent_at": invited_at}
    row = make_client_link(**queueing.queue_columns(SendKind.REMINDER), **columns)
    services.send_onboarding_link(row.pk)
    row.refresh_from_db()
    assert (row.reminder_count, row.invited_at) == (1, invited_at)

    ClientLink.objects.filter(pk=row.pk).update(**queueing.queue_columns(SendKind.INVITATION))
    services.send_onboarding_link(row.pk)
    row.refresh_from_db()
    assert (row.reminder_count, row.invited_at) == (0, row.last_sent_at)


# Our own link.


def test_every_path_sets_the_link_expiry_alike(sandbox, make_client_link, settings, clock):
    """Lessons 1.6: of three ways to send again, elsewhere only one renewed the expiry."""
    settings.MOLLIE_ONBOARDING_LINK_LIFETIME = timedelta(days=40, seconds=7)
    row = make_client_link()
    paths = {
        "first mail": services.request_sending,
        "sent again": services.request_sending,
        "self-service": services.request_sending_by_merchant,
        "after a connection was lost": services.request_sending,
        "self-service of an expired link": services.request_sending_by_merchant,
    }
    for path, request in paths.items():
        if path == "after a connection was lost":
            organization = make_organization(connection_status="lost")
            ClientLink.objects.filter(pk=row.pk).update(status=Status.CONNECTED, organization=organization)
        row = reread(row)
        request(row)
        clock.shift(timedelta(minutes=3))

        assert services.send_onboarding_link(row.pk) is True, path

        row.refresh_from_db()
        assert row.link_expires_at == timezone.now() + timedelta(days=40, seconds=7), path
        clock.shift(timedelta(days=50))


def test_mail_names_the_day_on_which_the_link_ends(sandbox, queued, clock, settings):
    settings.TIME_ZONE = "UTC"
    row = queued(owner_locale="en_GB")

    services.send_onboarding_link(row.pk)

    [message] = mail.outbox
    html, _ = message.alternatives[0]
    for text in (message.body, html):
        assert "The link works until May 30, 2027." in text


def test_link_lives_before_the_mail_leaves(sandbox, queued, mail_server, clock):
    row = queued()

    def look() -> None:
        row.refresh_from_db()
        assert row.link_expires_at == NOON + LIFETIME

    mail_server(before=look)

    assert services.send_onboarding_link(row.pk) is True


@committing
def test_corrected_address_kills_the_links_mailed_before(sandbox, browser, make_client_link):
    row = make_client_link()
    services.request_sending(row)
    old = re.search(r"https://platform\.example(/onboarding/link/\S+)", mail.outbox[0].body)[1]
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()

    page = browser.get(old)

    assert page.status_code == 410
    assert page_status(page) == "expired"
    assert b"piet@" not in page.content
    # The page mails the new link, to the stored address.
    with time_machine.travel(timezone.now() + queueing.SELF_SERVICE_INTERVAL * 2):
        assert page_status(browser.submit(old, action="mail")) == "ready"
    assert [message.to for message in mail.outbox[1:]] == [["piet@bakkerij-jansen.example"]]
    new = re.search(r"https://platform\.example(/onboarding/link/\S+)", mail.outbox[1].body)[1]
    assert browser.get(new).status_code == 200


# The merchant asks.


def test_self_service_is_one_mail_in_ten_minutes(sandbox, make_client_link, clock):
    row = make_client_link()
    for _ in range(3):
        services.request_sending_by_merchant(row)
        services.send_onboarding_link(row.pk)
    assert len(mail.outbox) == 1

    clock.shift(queueing.SELF_SERVICE_INTERVAL - timedelta(seconds=1))
    services.request_sending_by_merchant(row)
    services.send_onboarding_link(row.pk)
    assert len(mail.outbox) == 1

    clock.shift(timedelta(seconds=1))
    services.request_sending_by_merchant(row)
    services.send_onboarding_link(row.pk)
    assert len(mail.outbox) == 2


def test_self_service_counts_a_mail_that_waited_long_in_the_queue(sandbox, queued, clock):
    row = queued()
    clock.shift(timedelta(hours=1))
    services.send_onboarding_link(row.pk)

    services.request_sending_by_merchant(row)  # the instance is stale: it knows of no mail

    assert services.send_onboarding_link(row.pk) is None


def test_self_service_that_fails_each_time_asks_mollie_once_in_ten_minutes(
    sandbox, make_client_link, settings, clock
):
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_wrong"
    row = make_client_link()

    for _ in range(5):
        services.request_sending_by_merchant(row)
        services.send_onboarding_link(row.pk)

    assert len(sandbox.calls("client_links")) == 1


@committing
def test_page_of_an_expired_link_mails_to_the_stored_address_only(sandbox, browser, make_client_link):
    row = make_client_link(link_expires_at=timezone.now() - timedelta(days=1))
    page = browser.get(row.merchant_path())
    assert page_status(page) == "expired"
    assert b"jan@" not in page.content

    answers = [
        browser.submit(row.merchant_path(), action="mail", owner_email="thief@evil.example") for _ in range(3)
    ]

    assert [page_status(answer) for answer in answers] == ["ready"] * 3
    assert [message.to for message in mail.outbox] == [["jan@bakkerij-jansen.example"]]
    assert page_status(browser.get(row.merchant_path())) == "ready"


def test_self_service_for_a_connected_merchant_is_silent(make_client_link):
    row = make_client_link(status=Status.CONNECTED, organization=make_organization())

    services.request_sending_by_merchant(row)

    assert kinds(row) == []


# What the mail says.


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("nl_NL", "nl"),
        ("nl_BE", "nl"),
        ("en_US", "en"),
        ("en_GB", "en"),
        ("fr_FR", "en"),
        ("", "en"),
    ],
)
def test_language_is_the_owners_where_the_site_has_it(sandbox, queued, settings, locale, language):
    settings.LANGUAGES = [("en", "English"), ("nl", "Nederlands")]
    row = queued(owner_locale=locale)

    with translation.override("nl"):  # the operator's
        assert services.language_of(row) == language
        services.send_onboarding_link(row.pk)
        assert translation.get_language() == "nl"

    html, mimetype = mail.outbox[0].alternatives[0]
    assert mimetype == "text/html"
    assert f'<html lang="{language}">' in html


def test_mail_has_text_and_html_with_the_address_in_both(sandbox, queued):
    row = queued(owner_locale="en_GB")

    services.send_onboarding_link(row.pk)

    [message] = mail.outbox
    html, _ = message.alternatives[0]
    row.refresh_from_db()
    assert message.subject == "Shopwise: connect Bakkerij Jansen with Mollie"
    assert f"\n{row.merchant_url()}\n" in message.body
    assert html.count(row.merchant_url()) == 3  # the button, and the address to copy
    assert row.url not in message.body + html  # our own link, never Mollie's
    assert "client-link" not in message.body + html


def test_sender_is_the_sites_or_the_apps_own(sandbox, queued, settings):
    services.send_onboarding_link(queued().pk)
    settings.MOLLIE_ONBOARDING_FROM_EMAIL = "Payments <payments@shopwise.example>"
    services.send_onboarding_link(queued().pk)

    assert [message.from_email for message in mail.outbox] == [
        "Shopwise <onboarding@shopwise.example>",
        "Payments <payments@shopwise.example>",
    ]


def test_templates_of_the_platform_win(sandbox, queued, settings, tmp_path):
    folder = tmp_path / "mollie_onboarding" / "mail"
    folder.mkdir(parents=True)
    subject = (
        "{% load i18n %}{% get_current_language as language %}{{ language }}\nfrom {{ platform_name }}\n"
    )
    (folder / "onboarding_link_subject.txt").write_text(subject)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    services.send_onboarding_link(queued().pk)

    assert mail.outbox[0].subject == "nl from Shopwise"


def test_name_with_line_breaks_adds_no_header_and_no_markup(sandbox, queued):
    row = queued(
        organization_name="Evil\r\nBcc: everybody@shopwise.example <b>bold</b>", owner_locale="en_GB"
    )

    services.send_onboarding_link(row.pk)

    [message] = mail.outbox
    assert message.subject == (
        "Shopwise: connect Evil Bcc: everybody@shopwise.example <b>bold</b> with Mollie"
    )
    assert message.message()["Bcc"] is None
    html, _ = message.alternatives[0]
    assert "<b>bold</b>" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html


def test_base_url_with_a_port_makes_a_valid_message_id(sandbox, queued, settings):
    settings.MOLLIE_ONBOARDING_BASE_URL = "http://127.0.0.1:8000"

    services.send_onboarding_link(queued().pk)

    assert mail.outbox[0].extra_headers["Message-ID"].endswith("@127.0.0.1>")


@pytest.mark.parametrize("fault", ["none", "422", "500", "mail"])
def test_no_person_in_the_logs(sandbox, queued, mail_server, caplog, fault):
    caplog.set_level(logging.DEBUG)
    if fault == "422":
        sandbox.add_fault("client_links", "validation", detail="canary@person.example is not accepted")
    if fault == "500":
        sandbox.add_fault("client_links", "server_error", detail="Canaryson broke it")
    if fault == "mail":
        mail_server(before=lambda: (_ for _ in ()).throw(OSError("550 canary@person.example")))
    row = queued(owner_email="canary@person.example", owner_family_name="Canaryson")

    services.send_onboarding_link(row.pk)

    assert caplog.records
    assert "canary" not in caplog.text.lower()
    if fault == "mail":
        assert f"{row.pk.hex}." in caplog.text
        assert "OSError" in caplog.text


# The notice after connecting.


@pytest.fixture
def notified(make_client_link):
    return make_client_link(
        status=Status.CONNECTED, organization=make_organization(), notice_requested_at=timezone.now()
    )


def test_notice_names_the_organization_and_is_sent_once(notified):
    assert services.send_connected_notice(notified.pk) is True
    assert services.send_connected_notice(notified.pk) is None

    [message] = mail.outbox
    assert message.to == ["jan@bakkerij-jansen.example"]
    html, _ = message.alternatives[0]
    for text in (message.body, html):
        assert "Bakkerij Jansen (org_1)" in text
        assert notified.merchant_url() in text


def test_notice_that_fails_comes_later_with_the_same_message_id(notified, mail_server, monkeypatch):
    with monkeypatch.context():
        mail_server(after=refuse_mail)
        assert services.send_connected_notice(notified.pk) is False
    monkeypatch.undo()
    with time_machine.travel(timezone.now() + timedelta(minutes=4)):
        assert services.send_queued() == (0, 0)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert services.send_queued() == (1, 0)

    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == second
    notified.refresh_from_db()
    assert notified.notice_requested_at is None


def test_notice_of_a_second_connection_is_another_mail(notified):
    services.send_connected_notice(notified.pk)
    ClientLink.objects.filter(pk=notified.pk).update(notice_requested_at=timezone.now())
    services.send_connected_notice(notified.pk)

    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first != second


@committing
def test_connecting_nudges_the_notice(make_client_link):
    row = make_client_link(
        status=Status.CONNECTED, organization=make_organization(), notice_requested_at=timezone.now()
    )

    with transaction.atomic():
        notices.nudge_notice(row)
        assert mail.outbox == []

    assert len(mail.outbox) == 1


@committing
def test_two_workers_at_once_send_one_notice(notified):
    results = in_threads(2, lambda: services.send_connected_notice(notified.pk))

    assert sorted(results, key=str) == [None, True]
    assert len(mail.outbox) == 1


def test_slow_mail_server_gets_no_second_notice(notified, mail_server, clock):
    ClientLink.objects.filter(pk=notified.pk).update(notice_requested_at=NOON - timedelta(hours=1))
    others: list[Any] = []
    mail_server(
        before=lambda: others.extend([services.send_connected_notice(notified.pk), services.send_queued()])
    )

    assert services.send_connected_notice(notified.pk) is True

    assert others == [None, (0, 0)]
    assert len(mail.outbox) == 1


def test_notice_of_a_killed_worker_is_taken_over_with_the_same_message_id(notified, monkeypatch, clock):
    ClientLink.objects.filter(pk=notified.pk).update(notice_requested_at=NOON)
    with monkeypatch.context() as patch:
        killed = mock.Mock(side_effect=KeyboardInterrupt)
        deliver = EmailBackend.send_messages
        patch.setattr(EmailBackend, "send_messages", lambda *args: (deliver(*args), killed()))
        with pytest.raises(KeyboardInterrupt):
            services.send_connected_notice(notified.pk)

    clock.shift(SENDING_CLAIM_LIFETIME - timedelta(seconds=1))
    assert services.send_queued() == (0, 0)
    clock.shift(timedelta(seconds=1))
    assert services.send_queued() == (1, 0)

    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == second


def test_notice_is_given_up_after_six_attempts_and_the_history_says_so(notified, mail_server, clock, caplog):
    ClientLink.objects.filter(pk=notified.pk).update(notice_requested_at=NOON)
    mail_server(before=refuse_mail)
    pauses = []

    for _ in range(queueing.MAX_ATTEMPTS - 1):
        assert services.send_connected_notice(notified.pk) is False
        notified.refresh_from_db()
        pause = notified.notice_not_before - timezone.now()
        pauses.append(pause / timedelta(minutes=1))
        clock.shift(pause - timedelta(seconds=1))
        assert services.send_connected_notice(notified.pk) is None
        clock.shift(timedelta(seconds=1))
    assert pauses == [5, 10, 20, 40, 80]
    assert kinds(notified) == []
    assert services.send_connected_notice(notified.pk) is False

    notified.refresh_from_db()
    assert kinds(notified) == ["notice_failed"]
    assert notified.notice_requested_at is notified.notice_not_before is notified.notice_until is None
    assert notified.notice_attempts == 0
    assert f"The notice of client link {notified.pk} was not sent, and is given up." in caplog.text
    assert services.send_connected_notice(notified.pk) is None


@pytest.mark.parametrize("delivery", [DeliveryStatus.BOUNCED, DeliveryStatus.COMPLAINED])
def test_no_notice_goes_where_a_mail_bounced_and_the_history_says_so(notified, delivery, caplog):
    hour_ago = timezone.now() - timedelta(hours=1)
    ClientLink.objects.filter(pk=notified.pk).update(
        delivery_status=delivery, notice_requested_at=hour_ago, notice_attempts=1
    )

    assert services.send_connected_notice(notified.pk) is None

    assert mail.outbox == []
    notified.refresh_from_db()
    assert notified.notice_requested_at is notified.notice_until is None
    assert notified.notice_attempts == 0
    event = notified.events.get()
    assert (event.kind, event.organization) == ("notice_failed", notified.organization)
    assert event.data == {"delivery_status": delivery}
    assert caplog.records == []  # nothing is wrong with the platform
    assert services.send_queued() == (0, 0)


@pytest.mark.parametrize("delivery", [DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.SENT])
def test_notice_goes_wherever_a_mail_may_arrive(notified, delivery):
    ClientLink.objects.filter(pk=notified.pk).update(delivery_status=delivery)

    assert services.send_connected_notice(notified.pk) is True


@pytest.mark.parametrize("attempts", [0, queueing.MAX_ATTEMPTS - 1])
def test_notice_that_was_taken_over_is_left_to_the_other(notified, mail_server, attempts):
    ClientLink.objects.filter(pk=notified.pk).update(notice_attempts=attempts)
    other = timezone.now() + timedelta(hours=1)

    def take_over_and_fail() -> None:
        ClientLink.objects.filter(pk=notified.pk).update(notice_until=other)
        refuse_mail()

    mail_server(before=take_over_and_fail)

    assert services.send_connected_notice(notified.pk) is False

    notified.refresh_from_db()
    assert notified.notice_until == other
    assert notified.notice_requested_at is not None
    assert notified.notice_attempts == attempts
    assert kinds(notified) == []


def test_second_connection_begins_the_notice_anew():
    assert notices.notice_columns() == {
        "notice_requested_at": mock.ANY,
        "notice_not_before": None,
        "notice_attempts": 0,
        "notice_until": None,
    }


# Later, by a task.


@committing
def test_what_is_postponed_is_nudged_when_it_is_due(
    sandbox, make_client_link, notified, mail_server, workers, clock
):
    from mollie_onboarding import tasks

    row = make_client_link(send_requested_at=NOON)
    mail_server(before=refuse_mail)

    services.send_onboarding_link(row.pk)
    services.send_connected_notice(notified.pk)

    results = tasks.send_onboarding_link.get_backend().results
    assert [(result.task.name, result.args, result.task.run_after) for result in results] == [
        ("send_onboarding_link", [str(row.pk)], NOON + queueing.FIRST_PAUSE),
        ("send_connected_notice", [str(notified.pk)], NOON + queueing.FIRST_PAUSE),
    ]


@committing
def test_backend_that_cannot_wait_is_not_nudged_too_early(sandbox, make_client_link, mail_server):
    row = make_client_link(send_requested_at=timezone.now())
    calls: list[None] = []
    mail_server(before=lambda: (calls.append(None), refuse_mail()))

    assert services.send_onboarding_link(row.pk) is False

    assert len(calls) == 1


@committing
def test_row_that_was_taken_over_is_not_nudged(sandbox, make_client_link, mail_server, workers):
    from mollie_onboarding import tasks

    row = make_client_link(send_requested_at=timezone.now())
    other = timezone.now() + timedelta(hours=1)

    def take_over_and_fail() -> None:
        ClientLink.objects.filter(pk=row.pk).update(sending_until=other)
        refuse_mail()

    mail_server(before=take_over_and_fail)

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert (row.sending_until, row.send_attempts, row.problem) == (other, 0, "")
    assert tasks.send_onboarding_link.get_backend().results == []


# How much a mail costs.


@committing
def test_invitation_takes_ten_statements(sandbox, make_client_link, count):
    row = make_client_link(send_requested_at=timezone.now())

    _, statements = count(lambda: services.send_onboarding_link(row.pk))

    assert [statement.split()[0] for statement in statements] == [
        *("SELECT", "UPDATE"),  # the row, and the claim with all that is about to be sent
        "SELECT",  # whether Mollie has named a limit
        *("UPDATE", "INSERT"),  # the client link
        *("SELECT", "INSERT"),  # the mails to this recipient
        *("UPDATE", "UPDATE", "INSERT"),  # the mail, with the batches that wait for it
    ]


@committing
def test_platform_that_listens_is_told_of_the_row_as_it_is(sandbox, make_client_link):
    row = make_client_link(send_requested_at=timezone.now())
    heard: list[Any] = []

    def receive(signal: Any, client_link: ClientLink, event: Event, **kwargs: Any) -> None:
        heard.append((event.kind, client_link.status, client_link.mollie_id, bool(client_link.send_count)))

    signals.client_link_created.connect(receive)
    signals.client_link_sent.connect(receive)
    try:
        services.send_onboarding_link(row.pk)
    finally:
        signals.client_link_created.disconnect(receive)
        signals.client_link_sent.disconnect(receive)

    row.refresh_from_db()
    assert heard == [("ready", "ready", row.mollie_id, False), ("sent", "ready", row.mollie_id, True)]
    assert not Event.objects.filter(announced_at=None).exists()


# The queue as a whole.


def test_queue_is_drained_oldest_first_and_goes_on_after_a_failure(sandbox, queued, clock):
    rows = []
    for number in range(3):
        clock.shift(timedelta(seconds=1))
        rows.append(queued(owner_email=f"{number}@merchant.example"))
    sandbox.add_fault("client_links", "validation")

    assert services.send_queued() == (2, 1)

    assert [message.to[0] for message in mail.outbox] == ["1@merchant.example", "2@merchant.example"]


def test_queue_takes_up_what_a_dead_worker_left(sandbox, queued, clock):
    row = queued()
    assert ClientLink.objects.claim_sending(row.pk, timezone.now())

    assert services.send_queued() == (0, 0)
    clock.shift(SENDING_CLAIM_LIFETIME)
    assert services.send_queued() == (1, 0)


def test_queue_does_not_call_a_connected_merchant_a_failure(sandbox, queued):
    row = queued()
    ClientLink.objects.filter(pk=row.pk).update(status=Status.CONNECTED, organization=make_organization())

    assert services.send_queued() == (0, 0)


def test_limit_counts_mails_of_both_kinds(sandbox, queued, notified, clock):
    ClientLink.objects.filter(pk=notified.pk).update(notice_requested_at=NOON - timedelta(hours=1))
    queued()
    queued()

    assert services.send_queued(1) == (1, 0)
    assert services.send_queued(2) == (2, 0)
    assert services.send_queued(2) == (0, 0)
    assert len(mail.outbox) == 3


def test_event_of_the_mail_holds_no_person(sandbox, queued):
    services.send_onboarding_link(queued().pk)

    assert all("jan" not in str(event.data).lower() for event in Event.objects.all())


def test_row_that_cannot_be_worked_on_does_not_keep_back_the_others(
    sandbox, make_client_link, monkeypatch, caplog
):
    rows = [make_client_link(send_requested_at=timezone.now()) for _ in range(2)]
    build = sending.build_mail

    def broken_for_one(client_link: ClientLink, *args: Any, **kwargs: Any) -> Any:
        if client_link.pk == rows[0].pk:
            raise LookupError("a template of the platform's")
        return build(client_link, *args, **kwargs)

    monkeypatch.setattr(sending, "build_mail", broken_for_one)
    assert services.send_queued() == (1, 1)
    assert f"Client link {rows[0].pk} could not be worked on." in caplog.text


# Deadlocks


@pytest.fixture
def deadlock_once(monkeypatch) -> Any:
    """Let the database end a deadlock at the cost of the first statement that a query set's method makes."""

    def arrange(rows: Any, method: str) -> list[Exception]:
        original = getattr(type(rows), method)
        failures: list[Exception] = [OperationalError(1213, "Deadlock found when trying to get lock")]

        def fail_once(self: Any, *args: Any, **kwargs: Any) -> Any:
            if failures:
                raise failures.pop()
            return original(self, *args, **kwargs)

        monkeypatch.setattr(type(rows), method, fail_once)
        return failures

    return arrange


@committing
@pytest.mark.parametrize("method", ["claim_sending", "settle"])
def test_mail_goes_out_once_where_the_database_ends_a_deadlock(
    sandbox, make_client_link, deadlock_once, method
):
    row = make_client_link(send_requested_at=timezone.now())
    rows = ClientLink.objects.all() if method == "claim_sending" else BatchItem.objects.all()
    failures = deadlock_once(rows, method)

    assert services.send_onboarding_link(row.pk) is True

    assert failures == []
    assert len(mail.outbox) == 1
    row = reread(row)
    assert (row.send_count, row.send_requested_at) == (1, None)
    assert kinds(row).count("sent") == 1


@committing
def test_row_leaves_the_queue_where_the_database_ends_a_deadlock(sandbox, make_client_link, deadlock_once):
    row = make_client_link(send_requested_at=timezone.now(), status=Status.CANCELLED)
    failures = deadlock_once(BatchItem.objects.all(), "settle")

    assert services.send_onboarding_link(row.pk) is None

    assert failures == []
    assert reread(row).send_requested_at is None
