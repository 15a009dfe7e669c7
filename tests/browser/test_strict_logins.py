"""Strict cookies where only the merchant's own login lets them connect, and with a CSRF cookie instead of the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import Server, find_free_port, run_server
from .test_strict_sites import cookies_of, listening, travel
from .visitor import SIGN_UP

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = find_free_port()
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.browser.strict_settings",
        "MOLLIE_ONBOARDING_API_URL": f"http://localhost:{port}/sandbox",
        "MOLLIE_ONBOARDING_REQUIRE_LOGIN": "1",
        "MOLLIE_ONBOARDING_SIGNUP_LIMIT": "1000/h",
        "STRICT_CALLBACK": "/onboarding/callback/",
        "STRICT_CSRF_USE_SESSIONS": "0",
    }
    with run_server(tmp_path_factory.mktemp("logins"), port=port, **settings) as server:
        yield server


def test_merchant_comes_back_from_mollie_still_logged_in(merchant, server):
    listening(merchant)
    merchant.log_in("/", "merchant")
    merchant.page.locator("section[data-status]").first.wait_for()
    before = cookies_of(merchant)
    assert before["sessionid"]["sameSite"] == "Strict"
    merchant.page.goto(server.url + SIGN_UP)
    assert cookies_of(merchant)["csrftoken"]["sameSite"] == "Strict"
    merchant.fill_in_sign_up("Bakkerij Ingelogd")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Deny")
    merchant.sees("declined")
    address = merchant.page.url

    # As from a webmail: the first request comes without the login, and yet no login is asked for.
    assert "sessionid=" not in travel(merchant, address).get("cookie", "")
    merchant.sees("declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")
    assert merchant.page.url == address
    assert merchant.page.get_by_role("button", name="Check again").count() == 1, (
        "asks for the login that is there"
    )
    assert cookies_of(merchant)["sessionid"]["value"] == before["sessionid"]["value"]


def test_whoever_is_not_logged_in_is_led_to_the_login_and_back(merchant, open_browser):
    owner = listening(open_browser())
    owner.log_in("/", "merchant")
    owner.page.locator("section[data-status]").first.wait_for()
    address = owner.merchant_page("Bakkerij Uitgelogd")
    listening(merchant)

    travel(merchant, address)
    merchant.sees("declined")
    assert merchant.page.locator("main .button:not(.secondary)").count() == 1
    merchant.follow("Log in to continue")
    merchant.page.get_by_label("Username").fill("merchant")
    merchant.page.get_by_label("Password").fill("merchant")
    merchant.press("Log in")
    merchant.sees("declined")
    assert merchant.page.url == address
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_nobody_in_particular_needs_no_login(merchant):
    """A row without a user, and a CSRF cookie that is Strict."""
    listening(merchant)
    address = merchant.merchant_page("Bakkerij Niemand")
    travel(merchant, address)
    merchant.sees("declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")
