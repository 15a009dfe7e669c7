"""Mails: the queue of invitations, the invitation, the notice after connecting, and the merchant's own request."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import django
import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connections, transaction
from django.utils import timezone, translation
from requests.adapters import HTTPAdapter

from mollie_onboarding import services
from mollie_onboarding.models import SENDING_CLAIM_LIFETIME, ClientLink, Event, Organization, Status
from mollie_onboarding.services import sending
from tests.conftest import page_status

DATABASES = ["default", "mollie_sandbox"]
# Without a real commit no task is nudged: a test that calls `send_onboarding_link` is the worker.
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
TASKS_PACKAGE = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
LIFETIME = timedelta(days=90)


@pytest.fixture
def queued(make_client_link):
    """A row whose mail is requested and not sent."""

    def make(**columns: Any) -> ClientLink:
        row = make_client_link(**columns)
        assert services.request_sending(row)
        row.refresh_from_db()
        return row

    return make


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


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


def kinds(row: ClientLink) -> list[str]:
    return [event.kind for event in row.events.order_by("pk")]


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
def test_task_carries_the_id_and_nothing_else(make_client_link, settings):
    settings.TASKS = {"default": {"BACKEND": f"{TASKS_PACKAGE}.backends.dummy.DummyBackend"}}
    from mollie_onboarding import tasks

    row = make_client_link()
    services.request_sending(row)
    sending.nudge_notice(row)

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


# When Mollie or the mail server does not play along.


def test_rate_limit_keeps_the_row_queued_for_as_long_as_mollie_says(sandbox, queued, clock):
    sandbox.add_fault("client_links", "rate_limited", retry_after=7200)
    row = queued()

    assert services.send_onboarding_link(row.pk) is False

    row.refresh_from_db()
    assert row.send_not_before == NOON + timedelta(seconds=7200)
    assert row.send_attempts == 1
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

    for _ in range(sending.MAX_ATTEMPTS - 1):
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
    assert len(sandbox.calls("client_links")) == sending.MAX_ATTEMPTS
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
    assert row.send_not_before == NOON + sending.FIRST_PAUSE
    assert row.send_requested_at is not None
    assert row.send_count == 0
    monkeypatch.undo()
    clock.shift(sending.FIRST_PAUSE)
    with mock.patch.object(HTTPAdapter, "send", side_effect=AssertionError("the link is there already")):
        assert services.send_onboarding_link(row.pk) is True
    row.refresh_from_db()
    assert row.problem == ""
    assert row.send_count == 1


def test_mail_server_that_fails_for_good_is_given_up(sandbox, queued, mail_server, clock):
    row = queued()
    mail_server(before=refuse_mail)

    for _ in range(sending.MAX_ATTEMPTS):
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

    assert services.reason_not_to_send(row) == "The merchant is connected."
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

    assert services.reason_not_to_send(row) == "The client link is cancelled."
    assert not services.request_sending(row)


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
        row = ClientLink.objects.select_related("organization").get(pk=row.pk)
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
    with time_machine.travel(timezone.now() + sending.SELF_SERVICE_INTERVAL * 2):
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

    clock.shift(sending.SELF_SERVICE_INTERVAL - timedelta(seconds=1))
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
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
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
        sending.nudge_notice(row)
        assert mail.outbox == []

    assert len(mail.outbox) == 1


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
