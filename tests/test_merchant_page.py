"""The merchant page: what it shows, what its button does, and what scanners, strangers and second tabs cannot do."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from mollie_onboarding import services
from mollie_onboarding.links import sign_link
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization, Status
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, authorization_url, page_status, state_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


@pytest.fixture
def organization():
    return Organization.objects.create(
        organization_id="org_1",
        name="Jansen Holding",
        onboarding_status="in-review",
        can_receive_payments=True,
    )


@pytest.mark.parametrize(
    ("columns", "expected", "words"),
    [
        ({"status": Status.DRAFT}, "ready", "Connect Bakkerij Jansen with Mollie"),
        ({"status": Status.READY}, "ready", "asks you to connect this organization"),
        ({"status": Status.STARTED}, "started", "I already have a Mollie account"),
        ({"status": Status.DECLINED}, "declined", "You said no at Mollie"),
        ({"status": Status.REJECTED}, "error", "must correct them first"),
        ({"status": Status.STARTED, "problem": "organization_taken"}, "error", "belongs to another customer"),
        ({"status": Status.STARTED, "problem": "mail_failed"}, "started", "Continue"),
        ({"status": Status.CONNECTED}, "connected", "Mollie is checking your data"),
    ],
)
def test_page_says_what_is_true(browser, make_client_link, organization, columns, expected, words):
    row = make_client_link(organization=organization, **columns)
    response = browser.get(row.merchant_path())
    assert response.status_code == 200
    assert page_status(response) == expected
    text = response.content.decode()
    assert words in text
    assert "Bakkerij Jansen" in text
    assert "Shopwise" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("needs-data", "Mollie needs more data from you"),
        ("in-review", "Mollie is checking your data"),
        ("completed", "Mollie has checked your data"),
        ("under-<siege>", "Mollie calls your status “under-&lt;siege&gt;”."),
    ],
)
def test_connected_is_not_shown_as_done(browser, make_client_link, organization, status, words):
    Organization.objects.update(onboarding_status=status, dashboard_url="https://my.mollie.com/dashboard/x")
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    text = browser.get(row.merchant_path()).content.decode()
    assert words in text
    assert "Everything is done" not in text
    assert 'href="https://my.mollie.com/dashboard/x" rel="noreferrer"' in text
    assert "You can receive payments." in text


def test_done_is_shown_as_done(browser, make_client_link, organization):
    Organization.objects.update(
        onboarding_status="completed", can_receive_settlements=True, dashboard_url="https://my.mollie.com/x"
    )
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    text = browser.get(row.merchant_path()).content.decode()
    assert "Everything is done" in text
    assert "my.mollie.com" not in text


def test_consent_alone_is_not_shown_as_done(browser, make_client_link, organization):
    Organization.objects.update(onboarding_status="", can_receive_payments=False)
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    text = browser.get(row.merchant_path()).content.decode()
    assert "dashboard shows what is next" in text
    assert "Not read from Mollie yet." in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("lost", "What you agreed to at Mollie no longer holds"),
        ("disconnected", "Shopwise has ended the connection"),
    ],
)
def test_lost_connection_offers_to_connect_again(browser, make_client_link, organization, status, words):
    Organization.objects.update(connection_status=status)
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    response = browser.get(row.merchant_path())
    assert page_status(response) == "lost"
    text = response.content.decode()
    assert words in text
    assert "Connect again" in text
    assert 'value="check"' not in text


def test_button_leads_to_mollie_with_the_four_parameters(sandbox, browser, make_client_link):
    row = make_client_link()
    response = browser.press(row)
    assert response.status_code == 200
    url = authorization_url(response)
    row.refresh_from_db()
    assert url.startswith(row.url + "?client_id=app_test&state=")
    assert "&scope=organizations.read%20onboarding.read%20onboarding.write&approval_prompt=auto" in url
    assert len(state_of(url)) == 43
    cookie = response.cookies["__Host-mollie_onboarding"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (
        True,
        "Lax",
        "/",
        True,
    )
    assert int(cookie["max-age"]) >= 24 * 3600
    request = AuthorizationRequest.objects.get()
    assert state_of(url) not in (request.state_digest, cookie.value)
    assert cookie.value != request.browser_digest
    assert row.status == Status.STARTED
    # No redirect: Chromium would block it under form-action 'self'.
    assert "Location" not in response.headers


def test_lessons_6_link_opened_in_another_browser_starts_a_new_state(sandbox, make_client_link):
    row = make_client_link()
    first = authorization_url(Browser().press(row))
    second = authorization_url(Browser().press(row))
    assert state_of(first) != state_of(second)
    assert len(sandbox.calls("client_links")) == 1


def test_scanners_do_no_harm(sandbox, browser, make_client_link):
    """HEAD, GET 50 times, then two POSTs without cookies: at most one client link, and the merchant gets through."""
    row = make_client_link()
    services.request_sending(row)
    path = row.merchant_path()
    scanner = Browser(enforce_csrf_checks=True)
    assert scanner.head(path).status_code == 200
    for _ in range(50):
        assert Browser().get(path).status_code == 200
    row.refresh_from_db()
    assert row.status == Status.DRAFT
    assert not sandbox.calls()
    for _ in range(2):
        response = Browser(enforce_csrf_checks=True).post(path)
        assert response.status_code == 403
        assert page_status(response) == "error"
        assert "allow cookies" in response.content.decode()
    assert not AuthorizationRequest.objects.exists()

    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    assert page_status(browser.get(path)) == "connected"
    assert len(sandbox.calls("client_links")) == 1


def test_get_and_head_change_and_call_nothing(sandbox, browser, make_client_link):
    row = make_client_link()
    before = ClientLink.objects.values().get()
    browser.get(row.merchant_path())
    browser.head(row.merchant_path())
    assert ClientLink.objects.values().get() == before
    assert not Event.objects.exists()
    assert not sandbox.calls()


def test_double_click_issues_two_states_and_one_client_link(sandbox, browser, make_client_link):
    row = make_client_link()
    first = authorization_url(browser.press(row))
    second = authorization_url(browser.press(row))
    assert AuthorizationRequest.objects.count() == 2
    # The same browser keeps its secret: whichever tab comes back first is known.
    assert AuthorizationRequest.objects.values("browser_digest").distinct().count() == 1
    assert len(sandbox.calls("client_links")) == 1
    browser.come_back(sandbox.visit(first))
    response = browser.come_back(sandbox.visit(second))
    assert response.status_code == 303
    assert page_status(browser.get(row.merchant_path())) == "connected"


def test_planted_cookie_is_not_kept(sandbox, make_client_link):
    browser = Browser(enforce_csrf_checks=True)
    browser.cookies[cookie_name()] = "planted"
    response = browser.press(make_client_link())
    assert response.cookies[cookie_name()].value != "planted"


def test_connected_row_is_not_started_again(sandbox, browser, make_client_link, organization):
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    token = _csrf_token(browser)
    response = browser.post(row.merchant_path(), {"csrfmiddlewaretoken": token})
    assert (response.status_code, response.headers["Location"]) == (303, row.merchant_path())
    assert not AuthorizationRequest.objects.exists()


def _csrf_token(browser: Browser) -> str:
    browser.get("/onboarding/signup/")
    return browser.cookies["csrftoken"].value


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("server_error", {}),
        ("unavailable_html", {}),
        ("rate_limited", {"retry_after": 30}),
        ("drop_before", {}),
        ("lose_answer", {}),
        ("not_json", {}),
        ("too_large", {}),
        ("wrong_host", {"host": "evil.example"}),
    ],
)
def test_fault_at_mollie_keeps_the_button(sandbox, browser, make_client_link, kind, options):
    row = make_client_link()
    sandbox.add_fault("client_links", kind, **options)
    response = browser.press(row)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    text = response.content.decode()
    assert "try again in a moment" in text
    assert 'value="start"' in text
    assert "evil.example" not in text
    row.refresh_from_db()
    assert row.status == Status.DRAFT

    if kind == "wrong_host":  # Mollie's own answer, which it has for this key once more
        assert browser.press(row).status_code == 503
    assert authorization_url(browser.press(row))
    assert ClientLink.objects.get().status == Status.STARTED


def test_refusal_at_mollie_is_shown_as_the_platforms(sandbox, browser, make_client_link):
    sandbox.add_fault("client_links", "validation", field="vatNumber", detail="Unknown to VIES.")
    row = make_client_link()
    response = browser.press(row)
    assert response.status_code == 502
    assert page_status(response) == "error"
    assert page_status(browser.get(row.merchant_path())) == "error"
    # No button that could only fail, and a POST all the same calls nobody.
    assert 'value="start"' not in response.content.decode()
    response = browser.post(row.merchant_path(), {"csrfmiddlewaretoken": _csrf_token(browser)})
    assert response.status_code == 303
    assert len(sandbox.calls("client_links")) == 1


def test_link_in_the_making_asks_for_a_moment(sandbox, browser, make_client_link, monkeypatch):
    monkeypatch.setattr(services.creation, "WAIT_FOR_OTHERS", 0)
    row = make_client_link()
    ClientLink.objects.claim_issuing(row.pk, timezone.now())
    monkeypatch.setattr(services.creation.time, "sleep", lambda seconds: None)
    response = browser.press(row)
    assert response.status_code == 503
    assert "One moment" in response.content.decode()


def test_existing_account_takes_the_plain_authorize_address(sandbox, browser, make_client_link):
    row = make_client_link(status=Status.STARTED)
    url = authorization_url(browser.press(row, action="authorize"))
    assert url.startswith("https://my.mollie.com/oauth2/authorize?response_type=code&client_id=app_test")
    assert "redirect_uri" not in url
    assert not sandbox.calls("client_links")
    browser.come_back(sandbox.visit(url))
    row.refresh_from_db()
    assert row.status == Status.CONNECTED


def test_dead_link_is_replaced_once_a_day(sandbox, browser, make_client_link):
    row = make_client_link()
    browser.press(row)
    first = ClientLink.objects.get().mollie_id
    browser.press(row, action="replace")
    second = ClientLink.objects.get().mollie_id
    assert first != second
    browser.press(row, action="replace")
    assert ClientLink.objects.get().mollie_id == second
    assert ClientLink.objects.get().status == Status.STARTED


# Our own link.


@pytest.mark.parametrize("token", ["x", "a.b.c", "a" * 500, "%00", "AAAAAAAAAAAAAAAAAAAAAA.1.sig"])
def test_forged_link_is_not_found_and_says_what_to_do(browser, token):
    response = browser.get(f"/onboarding/link/{token}/")
    assert (response.status_code, page_status(response)) == (404, "error")
    assert "newest mail" in response.content.decode()


def test_link_of_a_deleted_row_is_not_found(browser, make_client_link):
    row = make_client_link()
    path = row.merchant_path()
    row.delete()
    assert browser.get(path).status_code == 404


def test_link_of_an_older_generation_is_over(browser, make_client_link):
    row = make_client_link()
    old = row.merchant_path()
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()
    for response in (browser.get(old), browser.post(old, {"csrfmiddlewaretoken": _csrf_token(browser)})):
        assert (response.status_code, page_status(response)) == (410, "expired")
        text = response.content.decode()
        assert "Jansen" not in text
        assert "piet@" not in text
    assert not AuthorizationRequest.objects.exists()


def test_link_expires_and_mails_a_new_one_to_the_stored_address(
    sandbox, browser, make_client_link, django_capture_on_commit_callbacks
):
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        row = make_client_link()
        with django_capture_on_commit_callbacks(execute=True):
            services.request_sending(row)
        path = row.merchant_path()
        traveller.shift(timedelta(days=90))
        page = browser.get(path)
        assert (page.status_code, page_status(page)) == (410, "expired")
        assert "Jansen" not in page.content.decode()
        token = browser.cookies["csrftoken"].value
        for _ in range(3):
            with django_capture_on_commit_callbacks(execute=True):
                response = browser.post(path, {"csrfmiddlewaretoken": token, "action": "mail"})
            assert "on its way" in response.content.decode()
        assert len(mail.outbox) == 2
        assert mail.outbox[1].to == [row.owner_email]
        assert page_status(browser.get(path)) == "ready"


def test_callbacks_redirect_does_not_extend_the_link(sandbox, browser, make_client_link):
    row = make_client_link()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    row.refresh_from_db()
    assert row.link_expires_at is None


def test_cancelled_link_shows_nothing_and_sends_nothing(browser, make_client_link):
    row = make_client_link()
    services.cancel_client_link(row)
    row.refresh_from_db()
    for generation in (1, 2):
        path = f"/onboarding/link/{sign_link(row.pk, generation)}/"
        for response in (
            browser.get(path),
            browser.post(path, {"csrfmiddlewaretoken": _csrf_token(browser), "action": "mail"}),
        ):
            assert (response.status_code, page_status(response)) == (410, "cancelled")
            assert "Jansen" not in response.content.decode()
    assert not mail.outbox


# Who is connecting.


def test_required_login_is_asked_of_anybody_else(sandbox, browser, make_client_link, operator, settings):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    row = make_client_link(user=operator)
    page = browser.get(row.merchant_path())
    text = page.content.decode()
    assert "Log in to continue" in text
    assert 'value="start"' not in text
    assert "/admin/login/?next=/onboarding/link/" in text
    token = _csrf_token(browser)
    response = browser.post(row.merchant_path(), {"csrfmiddlewaretoken": token})
    assert response.status_code == 403
    assert not AuthorizationRequest.objects.exists()

    browser.force_login(operator)
    assert authorization_url(browser.press(row))


def test_required_login_does_not_concern_rows_without_a_user(sandbox, browser, make_client_link, settings):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    assert authorization_url(browser.press(make_client_link()))


# How far the merchant is at Mollie.


@pytest.fixture
def connected(sandbox, browser, make_client_link):
    """A row that was connected in this browser, at noon."""
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        row = make_client_link()
        browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
        traveller.shift(timedelta(minutes=2))
        row.refresh_from_db()
        yield row


@pytest.fixture
def clock(connected):
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


def move(sandbox, row: ClientLink, status: str, payments: bool = True, settlements: bool = True) -> None:
    sandbox.move_onboarding(row.organization.organization_id, status, payments, settlements)


def asked(sandbox) -> int:
    return len(sandbox.calls("onboarding"))


def test_page_lists_what_mollie_asks(browser, make_client_link, organization):
    url = "https://my.mollie.com/dashboard/documents?a=1&b=2"
    with time_machine.travel("2026-11-22 12:00Z", tick=False):
        Organization.objects.update(
            synced_at=timezone.now() - timedelta(days=2),
            onboarding_status="needs-data",
            capabilities=[
                {
                    "name": "payments",
                    "requirements": [
                        {"id": "needs-data", "status": "currently-due", "due_at": "2026-12-24T12:00:00+00:00", "url": url},
                        {"id": "<script>", "status": "past-due", "due_at": "", "url": "javascript:alert(1)"},
                    ],
                },
                {
                    "name": "settlements",
                    "requirements": [{"id": "first-check", "status": "requested", "due_at": "2026-11-01T12:00:00Z"}],
                },
            ],
        )  # fmt: skip
        row = make_client_link(organization=organization, status=Status.CONNECTED)
        text = " ".join(browser.get(row.merchant_path()).content.decode().split())
    assert (
        '<a href="https://my.mollie.com/dashboard/documents?a=1&amp;b=2" rel="noreferrer">'
        "Give Mollie the data that it still needs</a>"
    ) in text
    assert 'To be done by: <time datetime="2026-12-24T' in text
    assert "Dec. 24, 2026</time>" in text
    assert 'Overdue since: <time datetime="2026-11-01T' in text
    assert '<strong>&lt;script&gt;</strong> <span class="due overdue">Overdue</span>' in text
    assert "Needed for: payments" in text
    assert "Needed for: payouts" in text
    assert "javascript:" not in text
    assert 'Last read from Mollie: <time datetime="2026-11-20T' in text
    assert "more than a day ago" in text


def test_check_reads_the_status_once(sandbox, browser, connected):
    move(sandbox, connected, "completed")
    path = connected.merchant_path()
    before = asked(sandbox)
    page = browser.get(path).content.decode()
    assert "Everything is done" not in page
    assert 'value="check"' in page

    response = browser.press(connected, action="check")

    assert (response.status_code, response.headers["Location"]) == (303, path)
    assert asked(sandbox) == before + 1
    for _ in range(2):
        page = browser.get(path).content.decode()
        assert "Everything is done" in page
        assert 'Last read from Mollie: <time datetime="2026-11-22T' in page
    assert asked(sandbox) == before + 1


def test_check_asks_mollie_once_a_minute(sandbox, browser, connected, clock):
    token = browser.cookies["csrftoken"].value
    path = connected.merchant_path()
    before = asked(sandbox)
    browser.post(path, {"csrfmiddlewaretoken": token, "action": "check"})
    move(sandbox, connected, "completed")
    clock.shift(timedelta(seconds=59))

    response = browser.post(path, {"csrfmiddlewaretoken": token, "action": "check"})

    assert (response.status_code, asked(sandbox)) == (303, before + 1)
    page = browser.get(path).content.decode()
    assert "Mollie was asked a moment ago." in page
    assert 'value="check"' not in page
    clock.shift(timedelta(seconds=1))
    browser.press(connected, action="check")
    assert asked(sandbox) == before + 2
    assert "Everything is done" in browser.get(path).content.decode()


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ({"kind": "server_error"}, 503, "try again in a moment"),
        ({"kind": "drop_before"}, 503, "try again in a moment"),
        ({"kind": "not_json"}, 503, "try again in a moment"),
        ({"kind": "status", "status": 403, "body": {}}, 502, "What is below may be old"),
    ],
)
def test_check_that_mollie_does_not_answer(sandbox, browser, connected, fault, status, words):
    sandbox.add_fault("onboarding", times=None, **fault)
    response = browser.press(connected, action="check")
    assert (response.status_code, page_status(response)) == (status, "connected")
    assert response.headers.get("Retry-After") == ("60" if status == 503 else None)
    text = response.content.decode()
    assert words in text
    assert "Mollie was asked a moment ago." in text
    assert Organization.objects.get().is_connected


def test_check_under_a_wrong_key_is_the_platforms_fault_and_no_500(browser, connected, settings, caplog):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = ["l1bhfb2dxa3P3D5kT2Zx6gDmtwRj6AUbN7jYuVGsBkI="]
    response = browser.press(connected, action="check")
    assert response.status_code == 502
    assert "MOLLIE_ONBOARDING_ENCRYPTION_KEYS" in caplog.text


def test_check_of_a_merchant_who_revoked_shows_the_loss(sandbox, browser, connected):
    sandbox.revoke_authorizations(connected.organization.organization_id)
    response = browser.press(connected, action="check")
    assert response.status_code == 303
    page = browser.get(connected.merchant_path())
    assert page_status(page) == "lost"
    assert "What you agreed to at Mollie no longer holds" in page.content.decode()


def test_check_of_a_row_that_has_nothing_to_check(
    sandbox, browser, connected, make_client_link, organization
):
    Organization.objects.filter(pk=organization.pk).update(connection_status="disconnected")
    ended = make_client_link(status=Status.CONNECTED, organization=organization)
    before = len(sandbox.calls())
    for row in (make_client_link(), make_client_link(status=Status.STARTED), ended):
        response = browser.press(row, action="check")
        assert (response.status_code, response.headers["Location"]) == (303, row.merchant_path())
    assert len(sandbox.calls()) == before


def test_check_needs_the_csrf_token(sandbox, browser, connected):
    before = len(sandbox.calls())
    for fields in ({}, {"csrfmiddlewaretoken": "x" * 32}):
        response = browser.post(connected.merchant_path(), {"action": "check", **fields})
        assert response.status_code == 403
    assert len(sandbox.calls()) == before


def test_check_is_for_the_user_alone_where_login_is_required(sandbox, browser, connected, operator, settings):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    ClientLink.objects.update(user=operator)
    path = connected.merchant_path()
    token = browser.cookies["csrftoken"].value
    before = asked(sandbox)
    assert 'value="check"' not in browser.get(path).content.decode()
    response = browser.post(path, {"csrfmiddlewaretoken": token, "action": "check"})
    assert (response.status_code, asked(sandbox)) == (403, before)

    browser.force_login(operator)
    assert browser.press(connected, action="check").status_code == 303
    assert asked(sandbox) == before + 1


def test_get_and_head_of_a_connected_page_change_and_call_nothing(sandbox, browser, connected):
    rows = (ClientLink, Organization, AuthorizationRequest, Event)
    before = [list(model.objects.order_by("pk").values()) for model in rows]
    calls = len(sandbox.calls())
    for query in ("", "?action=check"):
        browser.get(connected.merchant_path() + query)
        browser.head(connected.merchant_path() + query)
    assert [list(model.objects.order_by("pk").values()) for model in rows] == before
    assert len(sandbox.calls()) == calls


def test_more_permissions_are_agreed_to_at_mollie(sandbox, browser, connected, settings):
    before = len(sandbox.calls("client_links"))
    assert 'value="start"' not in browser.get(connected.merchant_path()).content.decode()
    settings.MOLLIE_ONBOARDING_SCOPES = ["organizations.read", "onboarding.read", "payments.read"]
    response = browser.get(connected.merchant_path())
    text = response.content.decode()
    assert page_status(response) == "connected"
    assert "Shopwise asks for more permissions at Mollie than you agreed to." in text
    assert "Agree at Mollie" in text

    url = authorization_url(browser.press(connected))

    assert url.startswith("https://my.mollie.com/oauth2/authorize?")
    assert "payments.read" in url
    browser.come_back(sandbox.visit(url, organization_id=connected.organization.organization_id))
    response = browser.get(connected.merchant_path())
    assert page_status(response) == "connected"
    assert "more permissions" not in response.content.decode()
    assert len(sandbox.calls("client_links")) == before


# The mail with the link, to somebody who was connected already.


@pytest.mark.parametrize(
    ("columns", "subject", "words"),
    [
        ({}, "Shopwise: connect <Jansen> & Co with Mollie", "It takes about ten minutes"),
        (
            {"connection_status": "lost"},
            "Shopwise: connect <Jansen> & Co with Mollie again",
            "The connection of <Jansen> & Co with Mollie was lost",
        ),
        (
            {"connection_status": "disconnected"},
            "Shopwise: connect <Jansen> & Co with Mollie again",
            "Shopwise has ended the connection of <Jansen> & Co",
        ),
        (
            {"scope": "onboarding.read"},
            "Shopwise: please agree to more permissions at Mollie for <Jansen> & Co",
            "Shopwise asks for more permissions at Mollie than you agreed to",
        ),
    ],
)
def test_mail_says_why_it_comes(make_client_link, organization, columns, subject, words):
    status = Status.CONNECTED if columns else Status.READY
    Organization.objects.update(**{"scope": "organizations.read onboarding.read onboarding.write", **columns})
    row = make_client_link(
        organization_name="<Jansen> & Co",
        owner_locale="",
        status=status,
        organization=organization,
        link_expires_at=timezone.now(),
    )
    message = services.sending.build_mail(
        row, "onboarding_link", message_id="1", context={"url": "https://x.example/"}
    )
    page, _ = message.alternatives[0]
    assert message.subject == subject
    assert words in message.body
    assert f"<title>{escape(subject)}</title>" in page
    assert escape(words) in page
    assert "<Jansen>" not in page
    assert ("ten minutes" in message.body) is (not columns)


# Headers, strict sites, statements.


def test_pages_have_their_headers(sandbox, browser, make_client_link):
    row = make_client_link()
    cancelled = make_client_link(status=Status.CANCELLED)
    responses = [
        browser.get(row.merchant_path()),
        browser.press(row),
        browser.get(cancelled.merchant_path()),
        browser.get("/onboarding/link/x/"),
        Browser(enforce_csrf_checks=True).post(row.merchant_path()),
    ]
    for response in responses:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert response.headers["X-Frame-Options"] == "DENY"


def test_pages_have_no_inline_script_and_no_inline_style(sandbox, browser, make_client_link):
    for response in (browser.get("/onboarding/signup/"), browser.press(make_client_link())):
        text = response.content.decode()
        assert text.count("<script") == 1
        assert '<script src="/static/mollie_onboarding/merchant.js" defer></script>' in text
        assert "style=" not in text
        assert "<style" not in text


@pytest.mark.parametrize("setting", ["SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE"])
def test_arrival_from_webmail_settles_first_where_cookies_are_strict(
    browser, make_client_link, settings, setting
):
    setattr(settings, setting, "Strict")
    row = make_client_link()
    response = browser.get(row.merchant_path(), headers={"Sec-Fetch-Site": "cross-site"})
    text = response.content.decode()
    assert f'content="0; url={row.merchant_path()}"' in text
    assert not response.cookies
    assert "Jansen" not in text
    response = browser.get(row.merchant_path(), headers={"Sec-Fetch-Site": "same-origin"})
    assert page_status(response) == "ready"


def test_arrival_from_webmail_needs_no_settling_with_lax_cookies(browser, make_client_link):
    response = browser.get(make_client_link().merchant_path(), headers={"Sec-Fetch-Site": "cross-site"})
    assert page_status(response) == "ready"


def test_pages_need_no_login_of_the_site(sandbox, make_client_link, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    assert browser.get("/onboarding/signup/").status_code == 200
    callback = sandbox.visit(authorization_url(browser.press(row)))
    assert browser.come_back(callback).headers["Location"] == row.merchant_path()
    assert Client().get("/onboarding/callback/").status_code == 400
    assert Browser().post("/onboarding/recover/").status_code == 200


def test_pages_are_protected_where_the_site_has_no_csrf_middleware(sandbox, make_client_link, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    row = make_client_link()
    assert Browser(enforce_csrf_checks=True).post(row.merchant_path()).status_code == 403
    assert authorization_url(Browser(enforce_csrf_checks=True).press(row))


def test_pages_work_without_sessions_and_users(sandbox, make_client_link, settings, operator):
    settings.MIDDLEWARE = [
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    assert browser.come_back(sandbox.visit(authorization_url(browser.press(row)))).status_code == 200
    assert "Log in" in browser.get(make_client_link(user=operator).merchant_path()).content.decode()


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_the_whole_way_works_with_atomic_requests(sandbox, browser, atomic_requests):
    response = browser.submit("/onboarding/signup/", **MERCHANT)
    browser.come_back(sandbox.visit(authorization_url(response)))
    row = ClientLink.objects.get()
    assert page_status(browser.get(row.merchant_path())) == "connected"
    assert len(mail.outbox) == 1


def test_expired_link_of_a_connected_merchant_promises_no_mail(sandbox, browser, connected):
    ClientLink.objects.update(link_expires_at=timezone.now() - timedelta(days=1))
    page = browser.get(connected.merchant_path())
    assert (page.status_code, page_status(page)) == (410, "expired")
    assert "is connected with Mollie" in page.content.decode()
    assert "<button" not in page.content.decode()
    # One that is older than the row's newest tells nothing.
    path = connected.merchant_path()
    ClientLink.objects.update(link_generation=connected.link_generation + 1)
    page = browser.get(path)
    assert "connected" not in page.content.decode()
    assert "<button" in page.content.decode()
