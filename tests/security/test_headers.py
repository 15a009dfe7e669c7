"""The headers and cookies of every merchant page, in every state that a merchant can be in."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import SimpleCookie

from mollie_onboarding.links import sign_link, sign_reference
from mollie_onboarding.models import ClientLink
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, authorization_url, state_of

from .addresses import every_address

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}
SIGNUP, CALLBACK, RECOVER = "/onboarding/signup/", "/onboarding/callback/", "/onboarding/recover/"


def assert_headers(response: Any, what: str) -> None:
    found = {name: response.headers.get(name) for name in HEADERS}
    assert found == HEADERS, what
    assert_cookies(response.cookies, what)


def assert_cookies(cookies: SimpleCookie, what: str) -> None:
    """The CSRF cookie is Django's, under the site's settings; the other one is ours."""
    assert set(cookies) <= {cookie_name(), "csrftoken"}, what
    if ours := cookies.get(cookie_name()):
        assert ours.key == "__Host-mollie_onboarding"
        assert (ours["httponly"], ours["secure"], ours["samesite"], ours["path"], ours["domain"]) == (
            True,
            True,
            "Lax",
            "/",
            "",
        )


def test_every_page_in_every_state_has_its_headers(world):
    browser = Browser(enforce_csrf_checks=True)
    # Not the stylesheet: it is the same for everybody, and browsers are to keep it.
    pages = [
        address
        for address in every_address()
        if address.route.startswith("/onboarding/") and not address.route.endswith("theme.css")
    ]
    assert len(pages) > 5
    for address in pages:
        for number, path in enumerate(address.paths(world)):
            assert_headers(browser.get(path), path)
            if number < 2:
                assert_headers(browser.head(path), f"HEAD {path}")


def test_every_button_in_every_state_has_its_headers(world):
    browser = Browser(enforce_csrf_checks=True)
    browser.get(SIGNUP)
    token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value}
    for name, row in world.client_links.items():
        for action in ("start", "authorize", "replace", "check", "mail"):
            response = browser.post(row.merchant_path(), {"action": action, **token})
            assert response.status_code != 403
            assert_headers(response, f"{name}: {action}")


def test_sign_up_has_its_headers_whatever_becomes_of_the_form(sandbox, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "3/h"
    browser = Browser(enforce_csrf_checks=True)
    sandbox.add_fault("client_links", "unavailable_html")
    answers = [
        browser.post(SIGNUP, MERCHANT),  # without its token
        browser.submit(SIGNUP, owner_email="x"),
        browser.submit(SIGNUP, choose_country="1", country="DE"),
        browser.submit(SIGNUP, **MERCHANT),
        browser.submit(SIGNUP, **MERCHANT),
        browser.submit(SIGNUP, **MERCHANT),
        browser.get(f"{SIGNUP}?for=forged"),
        browser.get(f"{SIGNUP}?for={sign_reference('7')}"),
    ]
    assert [answer.status_code for answer in answers] == [403, 200, 200, 503, 200, 429, 400, 200]
    for number, answer in enumerate(answers):
        assert_headers(answer, str(number))


def test_return_from_mollie_has_its_headers_whatever_became_of_it(sandbox, make_client_link):
    for number, (decision, fault) in enumerate(
        [("allow", ""), ("deny", ""), ("allow", "tokens"), ("allow", "organization")]
    ):
        browser = Browser(enforce_csrf_checks=True)
        row = make_client_link(organization_name=f"Merchant {number}")
        callback = sandbox.visit(authorization_url(browser.press(row)), decision=decision)
        if fault:
            sandbox.add_fault(fault, "drop_before")
        assert_headers(Browser().come_back(callback), "another browser")
        response = browser.come_back(callback)
        assert_headers(response, callback)
        # Neither the code nor the state goes on to another page, with which it would be in logs and referrers.
        assert response.headers["Location"] == row.merchant_path()
        assert_headers(browser.get(row.merchant_path()), "the page after it")
        sandbox.clear_faults()
    for query in (
        {},
        {"error": "invalid_scope"},
        {"state": "x", "code": "y"},
        {"state": "x" * 3000, "code": "y"},
    ):
        assert_headers(Browser().get(CALLBACK, query), str(query))


def test_lessons_15_code_and_state_are_in_no_page(sandbox, make_client_link):
    """But for the form of another browser, by which the merchant has the link mailed: the state is its hidden field."""
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    callback = sandbox.visit(authorization_url(browser.press(row)))
    code, state = callback.split("code=")[1].split("&")[0], state_of(callback)
    pages = [Browser().come_back(callback)]
    pages += [browser.come_back(callback), browser.come_back(callback), browser.get(row.merchant_path())]
    assert [page.status_code for page in pages] == [400, 303, 303, 200]
    field = f'<input type="hidden" name="state" value="{state}">'
    texts = [page.content.decode() for page in pages]
    assert [text.count(field) for text in texts] == [1, 0, 0, 0]
    for page, text in zip(pages, texts, strict=True):
        seen = text.replace(field, "") + str(page.headers) + str(page.cookies)
        assert code not in seen
        assert state not in seen


def test_way_back_has_its_headers(sandbox):
    browser = Browser(enforce_csrf_checks=True)
    browser.get(SIGNUP)
    token = browser.cookies["csrftoken"].value
    for response in (
        browser.get(RECOVER),
        browser.post(RECOVER),
        browser.post(RECOVER, {"csrfmiddlewaretoken": token}),
    ):
        assert_headers(response, str(response.status_code))


@pytest.mark.parametrize(
    ("base_url", "name", "secure"),
    [
        ("https://platform.example", "__Host-mollie_onboarding", True),
        ("http://127.0.0.1:8000", "mollie_onboarding", ""),
    ],
)
def test_cookie_follows_the_base_url(sandbox, settings, make_client_link, base_url, name, secure):
    settings.MOLLIE_ONBOARDING_BASE_URL = base_url
    cookie = Browser(enforce_csrf_checks=True).press(make_client_link()).cookies[name]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        secure,
        True,
        "Lax",
        "/",
    )


def test_looking_sets_no_cookie_of_ours(sandbox, make_client_link):
    """It is set by the button, in the browser in which it was pressed."""
    browser = Browser()
    row = make_client_link()
    old = sign_link(row.pk, 0)
    for path in (SIGNUP, row.merchant_path(), f"/onboarding/link/{old}/", f"{CALLBACK}?state=x&code=y"):
        assert cookie_name() not in browser.get(path).cookies
    assert ClientLink.objects.count() == 1
