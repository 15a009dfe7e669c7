"""The merchant page: what it shows, what its button does, and what scanners, strangers and second tabs cannot do."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

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
        ("completed", "Everything is done"),
        ("", "dashboard shows what is next"),
        ("under-siege", "dashboard shows what is next"),
    ],
)
def test_connected_is_not_shown_as_done(browser, make_client_link, organization, status, words):
    Organization.objects.update(onboarding_status=status, dashboard_url="https://my.mollie.com/dashboard/x")
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    text = browser.get(row.merchant_path()).content.decode()
    assert words in text
    assert ("Everything is done" in text) is (status == "completed")
    assert ("https://my.mollie.com/dashboard/x" in text) is (status != "completed")
    assert "You can receive payments." in text
    assert "cannot pay out" in text


@pytest.mark.parametrize("status", ["lost", "disconnected"])
def test_lost_connection_offers_to_connect_again(browser, make_client_link, organization, status):
    Organization.objects.update(connection_status=status)
    row = make_client_link(organization=organization, status=Status.CONNECTED)
    response = browser.get(row.merchant_path())
    assert page_status(response) == "lost"
    assert "Connect again" in response.content.decode()


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


def test_pages_have_no_script_and_no_inline_style(sandbox, browser, make_client_link):
    for response in (browser.get("/onboarding/signup/"), browser.press(make_client_link())):
        text = response.content.decode()
        assert "<script" not in text
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
def test_the_whole_way_works_with_atomic_requests(sandbox, browser, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    response = browser.submit("/onboarding/signup/", **MERCHANT)
    browser.come_back(sandbox.visit(authorization_url(response)))
    row = ClientLink.objects.get()
    assert page_status(browser.get(row.merchant_path())) == "connected"
    assert len(mail.outbox) == 1
