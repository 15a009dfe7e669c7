"""The callback: every way to be refused, every way to be interrupted, and who may connect what."""

from __future__ import annotations

import logging
import re
import threading
import time
from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.core import mail
from django.db import OperationalError, connection, connections
from django.test import Client
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization, Status
from mollie_onboarding.mollie_api import MollieAPI, OnboardingStatus, OrganizationInfo, Tokens
from mollie_onboarding.sandbox.models import SandboxOrganization
from mollie_onboarding.sandbox.models import Token as SandboxToken
from mollie_onboarding.services import completing, connecting
from mollie_onboarding.signals import merchant_connected, merchant_declined, onboarding_status_changed
from tests.conftest import Browser, authorization_url, page_status, reread, state_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

CALLBACK = "/onboarding/callback/"
Outcome = AuthorizationRequest.Outcome


@pytest.fixture
def start(sandbox, make_client_link):
    """A merchant who consented at Mollie: the row, the browser, and the callback that is about to arrive."""

    def start(
        browser=None,
        *,
        row=None,
        organization_id=None,
        decision="allow",
        error="server_error",
        action="start",
    ):
        browser = browser or Browser(enforce_csrf_checks=True)
        row = row or make_client_link()
        response = browser.press(row, action=action)
        url = authorization_url(response)
        callback = sandbox.visit(url, decision=decision, organization_id=organization_id, error=error)
        return row, browser, callback

    return start


def token_calls(sandbox) -> int:
    return len(sandbox.calls("tokens"))


def everything() -> list[object]:
    """What a refused callback must leave as it was."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (ClientLink, AuthorizationRequest, Organization, Event)
    ]


def assert_refused(response, before, sandbox, caplog, reason: str) -> None:
    assert response.status_code == 400
    assert page_status(response) in ("error", "expired", "cancelled")
    text = response.content.decode()
    for personal in ("Jansen", "jan@", "/link/"):
        assert personal not in text
    assert [list(map(str, rows)) for rows in everything()] == [list(map(str, rows)) for rows in before]
    assert token_calls(sandbox) == 0
    refusals = [record for record in caplog.records if record.message.startswith("Callback refused")]
    assert [(record.event_name, record.reason) for record in refusals] == [("callback_refused", reason)]
    assert refusals[0].message.startswith(f"Callback refused: {reason}.")
    caplog.clear()


# Refusals.


def test_lessons_1_callback_in_another_browser_is_refused(start, sandbox, caplog):
    _, _, callback = start()
    before = everything()
    response = Browser().come_back(callback)
    assert_refused(response, before, sandbox, caplog, "other browser")


def test_lessons_1_callback_with_the_cookie_of_another_merchant_is_refused(start, sandbox, caplog):
    _, _, callback = start()
    _, other, _ = start()
    before = everything()
    assert_refused(other.come_back(callback), before, sandbox, caplog, "other browser")


@pytest.mark.parametrize("state", ["x" * 32, "None", "\x00", "é" * 9])
def test_lessons_3_state_that_was_never_made_is_refused(start, sandbox, caplog, state):
    _, browser, _ = start()
    before = everything()
    response = browser.get(CALLBACK, {"state": state, "code": "auth_x"})
    assert_refused(response, before, sandbox, caplog, "unknown state")


@pytest.mark.parametrize("state", ["eyJvcmdhbml6YXRpb24iOiAxfQ==", "platform"])
def test_lessons_11_state_that_names_somebody_is_refused(start, sandbox, caplog, state):
    _, browser, _ = start()
    before = everything()
    response = browser.get(CALLBACK, {"state": state, "code": "auth_x"})
    assert_refused(response, before, sandbox, caplog, "unknown state")


def test_lessons_10_any_changed_character_of_the_state_is_refused(start, sandbox, caplog):
    _, browser, callback = start()
    state = state_of(callback)
    before = everything()
    for position in (0, 20, 42):
        changed = state[:position] + ("A" if state[position] != "A" else "B") + state[position + 1 :]
        response = browser.get(CALLBACK, {"state": changed, "code": "auth_x"})
        assert_refused(response, before, sandbox, caplog, "unknown state")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "no state"),
        ("code=auth_x", "no state"),
        ("state=&code=auth_x", "no state"),
        ("state=x", "neither code nor error"),
        ("state=x&code=", "neither code nor error"),
        ("state=x&state=y&code=auth_x", "repeated parameter"),
        ("state=x&code=a&code=b", "repeated parameter"),
        ("error=a&error=b&state=x", "repeated parameter"),
        ("state=" + "x" * 2001 + "&code=a", "oversized parameter"),
        ("state=x&code=" + "x" * 2001, "oversized parameter"),
        ("&".join(f"a{number}=1" for number in range(1100)), "too many parameters"),
        ("error=access_denied", "error without state"),
        ("error=invalid_scope&error_description=x", "error without state"),
    ],
)
def test_malformed_callback_is_refused(start, sandbox, caplog, query, reason):
    _, browser, _ = start()
    before = everything()
    assert_refused(browser.get(f"{CALLBACK}?{query}"), before, sandbox, caplog, reason)


def test_lessons_30_a_megabyte_is_refused_at_once(start, sandbox, caplog):
    _, browser, _ = start()
    before = everything()
    for name in ("state", "code"):
        query = urlencode({"state": "x", "code": "y", name: "x" * 1_000_000})
        response = browser.get(f"{CALLBACK}?{query}")
        assert_refused(response, before, sandbox, caplog, "oversized parameter")
    response = browser.get(f"{CALLBACK}?{'x' * 2_000_001}")
    assert_refused(response, before, sandbox, caplog, "oversized query")


def test_error_without_state_is_logged_as_the_platforms(browser, caplog):
    response = browser.get(CALLBACK, {"error": "invalid_scope\n<b>", "error_description": "x"})
    assert response.status_code == 400
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "invalid_scope<b>" in record.getMessage()
    assert "not your doing" in response.content.decode()


def test_denial_without_state_is_no_error_of_the_platform(browser, caplog):
    browser.get(CALLBACK, {"error": "access_denied"})
    assert not [record for record in caplog.records if record.levelno == logging.ERROR]


def test_expired_state_is_refused_and_offers_a_new_start(start, sandbox, caplog):
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        row, browser, callback = start()
        traveller.shift(timedelta(hours=24))
        response = browser.come_back(callback)
        assert response.status_code == 400
        assert page_status(response) == "expired"
        # The same browser: it may be told where to start again.
        assert row.merchant_path() in response.content.decode()
    assert token_calls(sandbox) == 0
    assert AuthorizationRequest.objects.get().answered_at is None
    assert "Callback refused: expired state." in caplog.text


def test_lessons_13_replay_with_a_new_code_exchanges_nothing(start, sandbox):
    _row, browser, callback = start()
    browser.come_back(callback)
    assert token_calls(sandbox) == 1
    before = everything()
    response = browser.get(CALLBACK, {"state": state_of(callback), "code": "auth_another"})
    assert response.status_code == 303
    assert token_calls(sandbox) == 1
    assert everything() == before


def test_head_and_prefetch_consume_nothing(start, sandbox):
    _, browser, callback = start()
    path = callback.removeprefix("https://platform.example")
    before = everything()
    assert browser.head(path).status_code == 204
    assert browser.get(path, headers={"Sec-Purpose": "prefetch"}).status_code == 204
    assert browser.get(path, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 204
    assert browser.get(path, headers={"Purpose": "prefetch"}).status_code == 204
    assert everything() == before
    assert browser.come_back(callback).status_code == 303


def test_callback_takes_no_post(browser):
    assert browser.post(CALLBACK).status_code == 405


def test_cancelled_before_the_callback_exchanges_nothing(start, sandbox):
    row, browser, callback = start()
    services.cancel_client_link(row)
    response = browser.come_back(callback)
    assert (response.status_code, page_status(response)) == (400, "cancelled")
    assert token_calls(sandbox) == 0


def test_row_cancelled_without_its_requests_exchanges_nothing(start, sandbox):
    _row, browser, callback = start()
    ClientLink.objects.update(status=Status.CANCELLED)
    assert page_status(browser.come_back(callback)) == "cancelled"
    assert token_calls(sandbox) == 0


def test_cancelled_during_the_exchange_connects_nothing(start, sandbox, monkeypatch):
    _row, browser, callback = start()
    exchange = MollieAPI.exchange_code

    def cancel_meanwhile(self, code, **kwargs):
        tokens = exchange(self, code, **kwargs)
        services.cancel_client_link(ClientLink.objects.get())
        return tokens

    monkeypatch.setattr(MollieAPI, "exchange_code", cancel_meanwhile)
    assert page_status(browser.come_back(callback)) == "cancelled"
    assert not Organization.objects.exists()
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.tokens) == (Outcome.CANCELLED, None)


def test_cancelled_before_the_connection_connects_nothing(start, sandbox, monkeypatch):
    _row, browser, callback = start()
    get = MollieAPI.get_current_organization

    def cancel_meanwhile(self, access_token):
        # Only the row: as if the cancelling process were between its two updates.
        ClientLink.objects.update(status=Status.CANCELLED)
        return get(self, access_token)

    monkeypatch.setattr(MollieAPI, "get_current_organization", cancel_meanwhile)
    assert page_status(browser.come_back(callback)) == "cancelled"
    assert not Organization.objects.exists()
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.tokens) == (Outcome.CANCELLED, None)


# Errors that Mollie returns.


def test_denial_is_an_outcome(start, sandbox):
    heard = []
    merchant_declined.connect(receiver := lambda **kwargs: heard.append(kwargs))
    row, browser, callback = start(decision="deny")
    response = browser.come_back(callback)
    assert response.headers["Location"] == row.merchant_path()
    assert "state" not in response.headers["Location"]
    assert page_status(browser.get(row.merchant_path())) == "declined"
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.error) == (Outcome.DECLINED, "access_denied")
    [call] = heard
    assert (call["sender"], call["client_link"].pk, call["event"].kind) == (ClientLink, row.pk, "declined")
    merchant_declined.disconnect(receiver)


@pytest.mark.parametrize(
    "error", ["invalid_scope", "unauthorized_client", "foo", "<script>alert(1)</script>"]
)
def test_lessons_15_other_error_says_whose_problem_it_is(start, sandbox, error):
    row, browser, callback = start(decision="deny")
    response = browser.get(
        CALLBACK,
        {"state": state_of(callback), "error": error, "error_description": "<img src=x>\x00 because"},
    )
    assert (response.status_code, page_status(response)) == (400, "error")
    text = response.content.decode()
    assert "has been told" in text
    assert "<script>" not in text
    assert "&lt;img src=x&gt; because" in text
    row.refresh_from_db()
    assert (row.status, row.problem) == (Status.STARTED, ClientLink.Problem.AUTHORIZATION_FAILED)
    assert AuthorizationRequest.objects.get().outcome == Outcome.ERROR
    page = browser.get(row.merchant_path())
    assert page_status(page) == "started"
    assert "could not complete your last visit" in page.content.decode()


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_error_of_mollies_is_no_problem_of_the_platform(start, error):
    row, browser, callback = start(decision="fail", error=error)
    response = browser.come_back(callback)
    assert response.status_code == 400
    assert "Mollie has a problem of its own" in response.content.decode()
    row.refresh_from_db()
    assert row.problem == ""


def test_long_error_is_recorded_shortened(start):
    _row, browser, callback = start(decision="deny")
    query = urlencode(
        {"state": state_of(callback), "error": "e" * 1_000_000, "error_description": "d" * 900_000}
    )
    response = browser.get(f"{CALLBACK}?{query}")
    assert response.status_code == 400
    assert len(response.content) < 5000
    request = AuthorizationRequest.objects.get()
    assert (len(request.error), len(request.error_description)) == (100, 500)


def test_late_denial_never_moves_a_connected_row(start, sandbox):
    row, browser, callback = start()
    _other, other_browser, late = start(row=row, browser=Browser(), decision="deny")
    browser.come_back(callback)
    response = other_browser.come_back(late)
    assert page_status(other_browser.get(response.headers["Location"])) == "connected"
    row.refresh_from_db()
    assert row.status == Status.CONNECTED


def test_late_error_never_marks_a_connected_row(start):
    row, browser, callback = start()
    _, _, late = start(row=row, browser=browser, decision="fail", error="invalid_scope")
    browser.come_back(callback)
    browser.come_back(late)
    row.refresh_from_db()
    assert (row.status, row.problem) == (Status.CONNECTED, "")


# Connecting.


def test_connection_stores_encrypted_tokens_and_tells_everybody(start, sandbox):
    heard = []
    merchant_connected.connect(receiver := lambda **kwargs: heard.append(kwargs))
    _row, browser, callback = start()
    response = browser.come_back(callback)
    merchant_connected.disconnect(receiver)

    assert response.status_code == 303
    assert "code" not in response.headers["Location"]
    organization = Organization.objects.get()
    assert organization.scope == "organizations.read onboarding.read onboarding.write"
    assert organization.connection_status == "connected"
    assert organization.client_id == "app_test"
    assert organization.token_version == 1
    assert organization.access_token_expires_at > timezone.now() + timedelta(minutes=59)
    assert organization.synced_at
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token, refresh_token FROM mollie_onboarding_organization")
        for stored in cursor.fetchone():
            assert stored.startswith("fernet1$")
    [call] = heard
    assert call["organization"].onboarding_status == "needs-data"
    assert call["identity_check"] == "matches"
    assert "token" not in str({key: value for key, value in call.items() if key != "signal"})
    event = Event.objects.get(kind="connected")
    assert event.announced_at
    assert event.data == {"organization_id": organization.organization_id, "identity_check": "matches"}
    [notice] = mail.outbox
    assert notice.to == ["jan@bakkerij-jansen.example"]
    assert organization.organization_id in notice.body


def test_second_arrival_in_the_same_browser_is_a_success(start, sandbox):
    row, browser, callback = start()
    first, second = browser.come_back(callback), browser.come_back(callback)
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"] == row.merchant_path()
    assert token_calls(sandbox) == 1
    assert len(mail.outbox) == 1


def test_second_arrival_while_the_first_is_at_work_waits(start, sandbox):
    row, browser, callback = start()
    now = timezone.now()
    AuthorizationRequest.objects.update(answered_at=now, claimed_until=now + timedelta(seconds=60))
    response = browser.come_back(callback)
    assert response.status_code == 303
    assert token_calls(sandbox) == 0
    page = browser.get(response.headers["Location"])
    assert page_status(page) == "finishing"
    assert 'http-equiv="refresh" content="3"' in page.content.decode()
    # The button does nothing either: the page is for waiting.
    assert (
        browser.post(
            row.merchant_path(), {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value}
        ).status_code
        == 303
    )


def test_claim_without_outcome_is_interrupted_after_a_minute(start, sandbox):
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        row, browser, callback = start()
        now = timezone.now()
        AuthorizationRequest.objects.update(answered_at=now, claimed_until=now + timedelta(seconds=60))
        traveller.shift(timedelta(seconds=60))
        assert page_status(browser.get(row.merchant_path())) == "started"
        callback = sandbox.visit(authorization_url(browser.press(row)))
        browser.come_back(callback)
    row.refresh_from_db()
    assert row.status == Status.CONNECTED


@pytest.mark.parametrize(
    "kind", ["drop_before", "lose_answer", "server_error", "unavailable_html", "not_json"]
)
def test_failed_exchange_is_never_tried_again_and_the_merchant_starts_anew(start, sandbox, kind):
    row, browser, callback = start()
    sandbox.add_fault("exchange", kind)
    response = browser.come_back(callback)
    assert response.status_code == 303
    browser.come_back(callback)
    assert token_calls(sandbox) == 1
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.error, request.tokens) == (Outcome.EXCHANGE_FAILED, "no_answer", None)
    page = browser.get(row.merchant_path())
    assert page_status(page) == "started"
    assert "did not get through" in page.content.decode()
    assert not Organization.objects.exists()

    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    row.refresh_from_db()
    assert (row.status, row.problem) == (Status.CONNECTED, "")


def test_void_code_is_the_merchants_to_repeat(start, sandbox):
    row, browser, callback = start()
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        browser.come_back(callback)
    assert AuthorizationRequest.objects.get().error == "invalid_grant"
    row.refresh_from_db()
    assert row.problem == ""


def test_refused_credentials_are_the_platforms_to_mend(start, sandbox, settings, caplog):
    row, browser, callback = start()
    settings.MOLLIE_ONBOARDING_CLIENT_SECRET = "wrong"
    browser.come_back(callback)
    row.refresh_from_db()
    assert row.problem == ClientLink.Problem.AUTHORIZATION_FAILED
    assert AuthorizationRequest.objects.get().error == "invalid_client"
    assert f"client link {row.pk} could not be completed" in caplog.text


@pytest.mark.parametrize("kind", ["drop_before", "server_error", "unavailable_html"])
def test_connection_is_resumed_when_mollie_was_silent_after_the_exchange(start, sandbox, kind):
    row, browser, callback = start()
    sandbox.add_fault("organization", kind)
    browser.come_back(callback)
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.granted_scope != "") == ("", True)
    assert request.tokens is not None
    page = browser.get(row.merchant_path())
    assert page_status(page) == "finishing"
    assert "Finish connecting" in page.content.decode()

    response = browser.press(row)

    assert response.status_code == 303
    assert page_status(browser.get(row.merchant_path())) == "connected"
    assert token_calls(sandbox) == 1
    assert AuthorizationRequest.objects.get().tokens is None


def test_interrupted_return_is_found_behind_a_later_denial(start, sandbox):
    row, browser, callback = start()
    _, _, denial = start(row=row, browser=browser, decision="deny")
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    browser.come_back(denial)
    assert page_status(browser.get(row.merchant_path())) == "finishing"
    browser.press(row)
    row.refresh_from_db()
    assert row.status == Status.CONNECTED


def test_interrupted_reconnection_is_resumed_by_the_button(start, connected, sandbox):
    organization_id = connected.organization.organization_id
    row, browser, callback = reconnect(start, connected, organization_id=organization_id)
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    assert page_status(browser.get(row.merchant_path())) == "finishing"
    exchanges = len(sandbox.calls("exchange"))
    browser.press(row)
    assert page_status(browser.get(row.merchant_path())) == "connected"
    assert len(sandbox.calls("exchange")) == exchanges


def test_connection_is_resumed_by_a_second_arrival(start, sandbox):
    row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    browser.come_back(callback)
    row.refresh_from_db()
    assert row.status == Status.CONNECTED
    assert token_calls(sandbox) == 1


def test_connection_is_resumed_after_hours_with_a_fresh_token(start, sandbox):
    row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert services.resume_interrupted() == 1
    row.refresh_from_db()
    assert row.status == Status.CONNECTED
    assert len(sandbox.calls("tokens")) == 2


def test_lost_answer_of_the_fresh_token_is_repeated_under_its_key(start, sandbox):
    sandbox.set_switch("rotate_refresh_tokens", True)
    _row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        sandbox.add_fault("refresh", "lose_answer")
        assert services.resume_interrupted() == 0
        assert services.resume_interrupted() == 1
    first, second = [call.idempotency_key for call in sandbox.calls("tokens")[1:]]
    assert first == second


def test_interrupted_connection_under_a_lost_key_is_kept_and_keeps_back_no_other(
    start, sandbox, settings, caplog
):
    lost, browser, callback = start()
    sandbox.add_fault("organization", "drop_before", times=2)
    browser.come_back(callback)
    tokens = AuthorizationRequest.objects.get().tokens.to_stored()
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = ["KgIQcAHoDBLoDBaPwCBqSbjHgC1JfJ4bVYCzmX1kV3E="]
    row, browser, callback = start()
    browser.come_back(callback)
    assert services.resume_interrupted() == 1
    row.refresh_from_db()
    assert row.status == Status.CONNECTED
    assert f"client link {lost.pk} cannot be resumed" in caplog.text
    kept = AuthorizationRequest.objects.get(client_link=lost)
    assert (kept.outcome, kept.tokens.to_stored()) == ("", tokens)


def test_interrupted_connection_whose_grant_is_gone_ends(start, sandbox):
    _row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    for organization in _sandbox_organizations():
        sandbox.revoke_authorizations(organization)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert services.resume_interrupted() == 0
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.error, request.tokens) == (
        Outcome.EXCHANGE_FAILED,
        "invalid_grant",
        None,
    )


def _sandbox_organizations() -> list[str]:
    return list(SandboxOrganization.objects.values_list("id", flat=True))


def test_token_that_is_refused_at_once_ends_the_attempt(start, sandbox):
    _row, browser, callback = start()
    body = {"status": 403, "title": "Forbidden", "detail": "Scope missing.", "_links": {}}
    sandbox.add_fault("organization", "status", status=403, body=body)
    browser.come_back(callback)
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.error, request.tokens) == (Outcome.EXCHANGE_FAILED, "403", None)


def test_resumption_in_other_hands_is_left_alone(start, sandbox):
    _row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    request = AuthorizationRequest.objects.get()
    AuthorizationRequest.objects.update(claimed_until=timezone.now() + timedelta(seconds=60))
    completion = services.resume_authorization(request)
    assert completion.outcome == ""
    assert not Organization.objects.exists()


def test_connection_that_another_process_just_made_is_not_made_twice(start, sandbox, monkeypatch):
    _row, browser, callback = start()
    get = MollieAPI.get_current_organization

    def overtaken(self, access_token):
        monkeypatch.setattr(MollieAPI, "get_current_organization", get)
        AuthorizationRequest.objects.update(claimed_until=timezone.now())
        services.resume_authorization(AuthorizationRequest.objects.get())
        return get(self, access_token)

    monkeypatch.setattr(MollieAPI, "get_current_organization", overtaken)
    response = browser.come_back(callback)
    assert page_status(browser.get(response.headers["Location"])) == "connected"
    assert Event.objects.filter(kind="connected").count() == 1


def test_failing_onboarding_status_does_not_fail_the_connection(start, sandbox):
    row, browser, callback = start()
    sandbox.add_fault("onboarding", "unavailable_html")
    browser.come_back(callback)
    row.refresh_from_db()
    assert row.status == Status.CONNECTED
    assert row.organization.synced_at is None
    assert "dashboard shows what is next" in browser.get(row.merchant_path()).content.decode()


def test_failing_receiver_does_not_fail_the_connection(start):
    def broken(**kwargs):
        raise RuntimeError("the platform's own")

    merchant_connected.connect(broken)
    row, browser, callback = start()
    assert browser.come_back(callback).status_code == 303
    merchant_connected.disconnect(broken)
    row.refresh_from_db()
    assert row.status == Status.CONNECTED


def test_lessons_14_two_tabs_connect_two_merchants(start, sandbox):
    first, browser, first_callback = start()
    second, _, second_callback = start(browser=browser)
    browser.come_back(first_callback)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (Status.CONNECTED, Status.STARTED)
    browser.come_back(second_callback)
    second.refresh_from_db()
    assert second.status == Status.CONNECTED


def test_lessons_7_same_address_on_two_merchants_connects_one(start, make_client_link):
    _row, browser, callback = start()
    other = make_client_link()
    browser.come_back(callback)
    other.refresh_from_db()
    assert (other.status, other.organization) == (Status.DRAFT, None)


# Who may connect what.


@pytest.fixture
def connected(start):
    row, browser, callback = start()
    browser.come_back(callback)
    row.refresh_from_db()
    return row


def test_organization_of_another_merchant_is_refused(start, connected, sandbox, caplog):
    row, browser, callback = start(organization_id=connected.organization.organization_id)
    tokens = connected.organization.access_token.reveal()
    response = browser.come_back(callback)

    page = browser.get(response.headers["Location"])
    assert page_status(page) == "error"
    assert "belongs to another customer" in page.content.decode()
    row.refresh_from_db()
    assert (row.organization, row.problem) == (None, ClientLink.Problem.ORGANIZATION_TAKEN)
    assert Event.objects.filter(client_link=row, kind="organization_taken").exists()
    assert Organization.objects.get().access_token.reveal() == tokens
    assert AuthorizationRequest.objects.get(client_link=row).tokens is None
    assert not [call for call in sandbox.calls("tokens") if call.method == "DELETE"]
    assert "organization_taken" in caplog.text

    # With an organization of their own the same merchant gets through.
    browser.come_back(
        sandbox.visit(authorization_url(browser.press(row)), organization_id=sandbox.sign_up("Own").id)
    )
    row.refresh_from_db()
    assert (row.status, row.problem) == (Status.CONNECTED, "")


@pytest.mark.parametrize("by", ["reference", "user"])
def test_organization_of_the_same_merchant_is_shared(start, make_client_link, operator, by):
    columns = {"reference": "shop 7"} if by == "reference" else {"user": operator}
    _first, browser, callback = start(row=make_client_link(**columns))
    browser.come_back(callback)
    organization = Organization.objects.get()
    second, browser, callback = start(
        row=make_client_link(**columns), organization_id=organization.organization_id
    )
    browser.come_back(callback)
    second.refresh_from_db()
    assert second.organization == organization
    assert Organization.objects.get().token_version == 2


def reconnect(start, row, **kwargs):
    Organization.objects.update(connection_status="lost")
    row.refresh_from_db()
    return start(row=reread(row), **kwargs)


def test_lost_connection_is_mended_through_plain_authorize(start, connected, sandbox):
    organization = connected.organization
    row, browser, callback = reconnect(start, connected, organization_id=organization.organization_id)
    assert "/oauth2/authorize" not in callback
    assert AuthorizationRequest.objects.latest("pk").flow == "authorize"
    assert page_status(browser.get(row.merchant_path())) == "lost"
    browser.come_back(callback)
    organization.refresh_from_db()
    assert organization.connection_status == "connected"
    assert len(sandbox.calls("client_links")) == 1


def test_lessons_9_renamed_organization_is_the_same_row(start, connected, sandbox):
    SandboxOrganization.objects.update(name="Jansen Holding")
    organization_id = connected.organization.organization_id
    _, browser, callback = reconnect(start, connected, organization_id=organization_id)
    browser.come_back(callback)
    organization = Organization.objects.get()
    assert (organization.organization_id, organization.name) == (organization_id, "Jansen Holding")


def test_another_organization_on_a_connected_row_is_refused(start, connected, sandbox):
    organization = connected.organization
    Organization.objects.update(connection_status="lost")
    other = sandbox.sign_up("Somebody else").id
    row, browser, callback = reconnect(start, connected, organization_id=other)
    browser.come_back(callback)
    row.refresh_from_db()
    assert (row.status, row.organization) == (Status.CONNECTED, organization)
    assert row.problem == ClientLink.Problem.OTHER_ORGANIZATION
    assert not Organization.objects.filter(organization_id=other).exists()
    assert "another Mollie organization" in browser.get(row.merchant_path()).content.decode()


def make_request(row, **columns):
    now = timezone.now()
    return AuthorizationRequest.objects.create(
        **{
            "client_link": row,
            "flow": "authorize",
            "state_digest": f"{AuthorizationRequest.objects.count()}",
            "scope": "organizations.read",
            "granted_scope": "organizations.read",
            "approval_prompt": "auto",
            "client_id": "app_test",
            "expires_at": now,
            "exchanged_at": now,
            "tokens": Secret("{}"),
            **columns,
        }
    )


@pytest.mark.parametrize(
    ("columns", "organization", "replaced"),
    [
        ({"granted_scope": "a b c"}, {"scope": "a b"}, True),
        ({"granted_scope": "a"}, {"scope": "a b"}, False),
        ({"granted_scope": "a", "approval_prompt": "force"}, {"scope": "a b"}, True),
        ({"granted_scope": "a"}, {"scope": "a b", "connection_status": "lost"}, True),
        (
            {"granted_scope": "a b"},
            {"scope": "a b", "authorized_at": timezone.now() + timedelta(days=1)},
            False,
        ),
        ({"granted_scope": "a b"}, {"scope": "a b", "authorized_at": None}, True),
    ],
)
def test_newer_tokens_replace_the_stored_ones_if_they_are_better(
    make_client_link, columns, organization, replaced
):
    past = timezone.now() - timedelta(days=1)
    row = make_client_link()
    stored = Organization.objects.create(
        **{"organization_id": "org_1", "access_token": Secret("old"), "authorized_at": past, **organization}
    )
    tokens = Tokens("new", "", timezone.now(), "")
    connecting.connect(make_request(row, **columns), tokens, OrganizationInfo("org_1", "Jansen"))
    stored.refresh_from_db()
    assert stored.access_token.reveal() == ("new" if replaced else "old")
    row.refresh_from_db()
    assert row.organization == stored


def test_race_for_a_new_organization_has_one_winner_and_no_error(make_client_link, monkeypatch):
    row, other = make_client_link(), make_client_link()
    tokens = Tokens("new", "refresh", timezone.now(), "")
    find = connecting._find_refusal

    def overtaken(client_link, organization, info):
        monkeypatch.setattr(connecting, "_find_refusal", find)
        refusal = find(client_link, organization, info)
        theirs = Organization.objects.create(organization_id="org_1")
        ClientLink.objects.filter(pk=other.pk).update(status=Status.CONNECTED, organization=theirs)
        return refusal

    monkeypatch.setattr(connecting, "_find_refusal", overtaken)
    outcome, event = connecting.connect(make_request(row), tokens, OrganizationInfo("org_1"))
    assert (outcome, event) == (Outcome.ORGANIZATION_TAKEN, None)
    row.refresh_from_db()
    assert row.organization is None


def test_race_of_the_same_merchant_ends_connected(make_client_link, monkeypatch):
    row = make_client_link()
    find = connecting._find_refusal

    def overtaken(client_link, organization, info):
        monkeypatch.setattr(connecting, "_find_refusal", find)
        Organization.objects.create(organization_id="org_1")
        return find(client_link, organization, info)

    monkeypatch.setattr(connecting, "_find_refusal", overtaken)
    tokens = Tokens("new", "refresh", timezone.now(), "")
    outcome, event = connecting.connect(make_request(row), tokens, OrganizationInfo("org_1"))
    assert outcome == Outcome.CONNECTED
    assert event.organization == Organization.objects.get()


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"registration_number": "302 044 62"}, {"registration_number": "30204462"}, "matches"),
        (
            {"registration_number": "1"},
            {"registration_number": "2", "vat_number": "NL815839091B01"},
            "differs",
        ),
        (
            {"registration_number": ""},
            {"registration_number": "2", "vat_number": "nl815839091b01"},
            "matches",
        ),
        (
            {"registration_number": "", "vat_number": ""},
            {"name": "BAKKERIJ Jansen", "country": "NL"},
            "matches",
        ),
        (
            {"registration_number": "", "vat_number": ""},
            {"name": "Bakkerij Jansen", "country": "BE"},
            "differs",
        ),
        ({"registration_number": "", "vat_number": ""}, {"name": "Bakkerij Jansen"}, "unknown"),
        ({}, {}, "unknown"),
    ],
)
def test_identity_is_compared_by_the_first_thing_both_know(make_client_link, ours, theirs, expected):
    row = make_client_link(**ours)
    assert connecting.compare_identity(row, OrganizationInfo("org_1", **theirs)) == expected


def test_identity_that_differs_is_told_and_not_refused(start, sandbox):
    heard = []
    merchant_connected.connect(receiver := lambda **kwargs: heard.append(kwargs["identity_check"]))
    stranger = sandbox.sign_up("Stranger", registration_number="99999999").id
    row, browser, callback = start(organization_id=stranger)
    browser.come_back(callback)
    merchant_connected.disconnect(receiver)
    row.refresh_from_db()
    assert (row.status, row.identity_check) == (Status.CONNECTED, "differs")
    assert Event.objects.filter(kind="identity_differs").exists()
    assert heard == ["differs"]


def test_changed_onboarding_status_is_announced_with_old_and_new(connected):
    heard = []
    onboarding_status_changed.connect(
        receiver := lambda **kwargs: heard.append((kwargs["old"], kwargs["new"]))
    )
    organization = connected.organization
    for _ in range(2):
        services.apply_onboarding_status(organization, OnboardingStatus("completed", True, True, None, ""))
    onboarding_status_changed.disconnect(receiver)
    [(old, new)] = heard
    assert old["onboarding_status"] == "needs-data"
    assert new == {
        "onboarding_status": "completed",
        "can_receive_payments": True,
        "can_receive_settlements": True,
    }


# The way back for somebody in another browser.


def test_recover_mails_the_link_to_the_stored_address(start, sandbox):
    _, _, callback = start()
    elsewhere = Browser(enforce_csrf_checks=True)
    page = elsewhere.come_back(callback)
    assert page_status(page) == "error"
    token = elsewhere.cookies["csrftoken"].value
    response = elsewhere.post(
        "/onboarding/recover/", {"state": state_of(callback), "csrfmiddlewaretoken": token}
    )
    assert response.status_code == 200
    [message] = mail.outbox
    assert message.to == ["jan@bakkerij-jansen.example"]

    unknown = elsewhere.post("/onboarding/recover/", {"state": "unknown", "csrfmiddlewaretoken": token})
    assert unknown.content == response.content
    assert len(mail.outbox) == 1


def test_recover_is_limited_and_protected(start, settings):
    _, browser, callback = start()
    assert browser.post("/onboarding/recover/", {"state": state_of(callback)}).status_code == 403
    token = browser.cookies["csrftoken"].value
    for _ in range(12):
        browser.post("/onboarding/recover/", {"state": "unknown", "csrfmiddlewaretoken": token})
    browser.post("/onboarding/recover/", {"state": state_of(callback), "csrfmiddlewaretoken": token})
    assert not mail.outbox
    assert browser.get("/onboarding/recover/").status_code == 405


def test_refused_page_is_the_same_for_a_known_and_an_unknown_state(start):
    _, _, callback = start()
    known = Browser().come_back(callback).content.decode()
    unknown = Browser().get(CALLBACK, {"state": "u" * 43, "code": "auth_x"}).content.decode()

    def bare(text: str) -> str:
        return re.sub(r'value="[^"]*"', "", text)

    assert bare(known) == bare(unknown)


# Whoever pressed the button from a mail that went to a wrong address.


@pytest.mark.parametrize("error", [False, True])
def test_return_after_a_corrected_address_is_refused(start, sandbox, error):
    row, stranger, callback = start()
    row.refresh_from_db()
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()
    if error:
        response = stranger.get(CALLBACK, {"state": state_of(callback), "error": "access_denied"})
    else:
        response = stranger.come_back(callback)
    assert response.status_code == 400
    row.refresh_from_db()
    assert row.merchant_path() not in response.content.decode()
    assert (row.status, row.organization) == (Status.DRAFT, None)
    assert token_calls(sandbox) == 0


def test_interrupted_return_is_not_resumed_after_a_corrected_address(start, sandbox):
    row, stranger, callback = start()
    sandbox.add_fault("organization", "drop_before")
    stranger.come_back(callback)
    row.refresh_from_db()
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()
    assert services.resume_interrupted() == 0
    assert not Organization.objects.exists()


# A return that cannot be finished.


def test_return_under_a_lost_key_leaves_the_merchant_a_way_on(start, sandbox, settings):
    row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = ["KgIQcAHoDBLoDBaPwCBqSbjHgC1JfJ4bVYCzmX1kV3E="]
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    row.refresh_from_db()
    assert row.status == Status.CONNECTED


def test_resumption_shortly_before_the_hour_takes_a_fresh_token(start, sandbox):
    _row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    with time_machine.travel(timezone.now() + timedelta(minutes=56)):
        assert services.resume_interrupted() == 1
    assert len(sandbox.calls("refresh")) == 1


def test_resumption_with_wrong_credentials_keeps_the_tokens(start, sandbox, settings, caplog):
    _row, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    secret = settings.MOLLIE_ONBOARDING_CLIENT_SECRET
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        settings.MOLLIE_ONBOARDING_CLIENT_SECRET = "wrong"
        assert services.resume_interrupted() == 0
        assert AuthorizationRequest.objects.get().tokens is not None
        settings.MOLLIE_ONBOARDING_CLIENT_SECRET = secret
        assert services.resume_interrupted() == 1


def test_return_that_waited_does_not_revive_an_ended_connection(make_client_link):
    now = timezone.now()
    organization = Organization.objects.create(
        organization_id="org_1", authorized_at=now, connection_status="disconnected"
    )
    row = make_client_link(status=Status.CONNECTED, organization=organization)
    request = make_request(row, exchanged_at=now - timedelta(minutes=1))
    outcome, event = connecting.connect(request, Tokens("t", "", now, ""), OrganizationInfo("org_1"))
    assert (outcome, event) == (Outcome.EXCHANGE_FAILED, None)
    organization.refresh_from_db()
    assert (organization.connection_status, organization.access_token) == ("disconnected", None)


@pytest.mark.parametrize("failing", ["exchange", "error"])
def test_row_cancelled_while_its_return_fails_is_left_alone(start, sandbox, monkeypatch, failing):
    row, browser, callback = start()
    claim = completing.AuthorizationRequest.objects.claim

    def cancel_meanwhile(*args):
        claimed = claim(*args)
        services.cancel_client_link(row)
        return claimed

    monkeypatch.setattr(completing.AuthorizationRequest.objects, "claim", cancel_meanwhile)
    if failing == "exchange":
        sandbox.add_fault("exchange", "status", status=401, body={"error": "invalid_client"})
        response = browser.come_back(callback)
    else:
        response = browser.get(CALLBACK, {"state": state_of(callback), "error": "invalid_scope"})
    assert page_status(response) == "cancelled"
    row.refresh_from_db()
    assert (row.status, row.problem) == (Status.CANCELLED, "")
    assert not Event.objects.filter(kind__in=["exchange_failed", "authorization_error"]).exists()


def test_denial_after_an_edit_is_still_heard(start):
    row, browser, callback = start(decision="deny")
    row.refresh_from_db()
    row.city = "Utrecht"
    row.save()
    browser.come_back(callback)
    event = Event.objects.get(kind="declined")
    assert event.announced_at is not None
    row.refresh_from_db()
    assert row.status == Status.DRAFT


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_cancelling_during_a_return_raises_for_nobody(start, sandbox):
    for decision in ("allow", "deny") * 4:
        row, browser, callback = start(decision=decision)
        results: list[object] = []
        barrier = threading.Barrier(2)

        def act(action, results=results, barrier=barrier) -> None:
            try:
                barrier.wait()
                results.append(action())
            except Exception as exc:
                results.append(exc)
            finally:
                connections.close_all()

        actions = (
            lambda row=row: services.cancel_client_link(row),
            lambda browser=browser, callback=callback: browser.come_back(callback).status_code,
        )
        threads = [threading.Thread(target=act, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not [result for result in results if isinstance(result, Exception)]
        row.refresh_from_db()
        assert row.status in (Status.CANCELLED, Status.CONNECTED)


# Headers and strict sites.


def test_callback_pages_have_their_headers(start):
    _, browser, callback = start()
    for response in (browser.get(CALLBACK), browser.come_back(callback)):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert response.headers["X-Frame-Options"] == "DENY"


def test_refused_callback_settles_first_where_cookies_are_strict(start, settings):
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    settings.CSRF_USE_SESSIONS = True
    _, _, callback = start(browser=Browser())
    browser = Browser()
    path = callback.removeprefix("https://platform.example")
    response = browser.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert not response.cookies
    assert f'content="0; url={path.replace("&", "&amp;")}"' in response.content.decode()
    assert browser.get(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 400


def test_callback_ends_with_a_page_where_a_login_is_required(start, settings):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    row, browser, callback = start()
    response = browser.come_back(callback)
    assert response.status_code == 200
    assert f'content="0; url={row.merchant_path()}"' in response.content.decode()


def test_callback_never_writes_a_session(start):
    _, browser, callback = start()
    assert "sessionid" not in browser.come_back(callback).cookies
    assert "sessionid" not in Client().get(CALLBACK).cookies


def test_lessons_29_plain_authorize_sends_the_same_redirect_uri_twice(start, sandbox, settings):
    uri = "https://platform.example/onboarding/callback/"
    settings.MOLLIE_ONBOARDING_REDIRECT_URI = uri
    row, browser, callback = start(action="authorize", organization_id=None)
    request = AuthorizationRequest.objects.get()
    assert (request.flow, request.redirect_uri) == ("authorize", uri)
    browser.come_back(callback)
    row.refresh_from_db()
    assert row.status == Status.CONNECTED
    assert row.organization.redirect_uri == uri
    assert not sandbox.calls("client_links")


def test_client_link_never_carries_a_redirect_uri(sandbox, make_client_link, browser, settings):
    uri = "https://platform.example/onboarding/callback/"
    settings.MOLLIE_ONBOARDING_REDIRECT_URI = uri
    url = authorization_url(browser.press(make_client_link()))
    assert "redirect_uri" not in url
    assert quote("organizations.read onboarding.read onboarding.write") in url


# Speed, races and statements.


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_ten_copies_of_one_callback_make_one_exchange(start, sandbox):
    row, browser, callback = start()
    path = callback.removeprefix("https://platform.example")
    cookies = browser.cookies
    statuses: list[int] = []
    barrier = threading.Barrier(10)

    def arrive() -> None:
        try:
            copy = Browser()
            copy.cookies = cookies
            barrier.wait()
            statuses.append(copy.get(path).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=arrive) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [303] * 10
    assert token_calls(sandbox) == 1
    assert Organization.objects.count() == 1
    assert Event.objects.filter(kind="connected").count() == 1
    assert len(mail.outbox) == 1
    deadline = time.monotonic() + 60
    while page_status(browser.get(row.merchant_path())) != "connected":
        assert time.monotonic() < deadline


# Resuming.


@pytest.fixture
def interrupted(start, sandbox):
    """A return whose tokens are committed, and of which Mollie does not say whose they are."""
    _, browser, callback = start()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    return AuthorizationRequest.objects.get(tokens__isnull=False)


def test_resumed_by_an_answer_that_mollie_repeats_knows_that_its_token_is_old(interrupted, sandbox):
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=2), tick=False):
        sandbox.add_fault("refresh", "lose_answer")
        assert services.resume_interrupted() == 0
    with time_machine.travel(now + timedelta(hours=2, minutes=50), tick=False):
        assert services.resume_interrupted() == 1
    with time_machine.travel(now + timedelta(hours=3, minutes=5), tick=False):
        token = services.get_access_token(Organization.objects.get())
        assert SandboxToken.objects.valid().filter(value=token).exists()


def test_resuming_under_another_app_keeps_the_tokens(interrupted, sandbox, settings):
    settings.MOLLIE_ONBOARDING_CLIENT_ID = "app_new"
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert services.resume_interrupted() == 0
    interrupted.refresh_from_db()
    assert interrupted.tokens is not None
    assert not sandbox.calls("refresh")


def test_return_that_the_database_does_not_take_is_finished_by_the_next_click(start, monkeypatch):
    row, browser, callback = start()
    find = connecting._find_refusal

    def deadlock(*args):
        raise OperationalError("Deadlock found when trying to get lock")

    monkeypatch.setattr(connecting, "_find_refusal", deadlock)
    assert browser.come_back(callback).status_code == 303
    assert page_status(browser.get(row.merchant_path())) == "finishing"
    monkeypatch.setattr(connecting, "_find_refusal", find)
    browser.press(row)
    assert page_status(browser.get(row.merchant_path())) == "connected"
