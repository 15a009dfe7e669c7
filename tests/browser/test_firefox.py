"""The ways that most merchants go, in Debian's Firefox ESR."""

from __future__ import annotations

import pytest

from .visitor import SIGN_UP, address_of

pytestmark = pytest.mark.browser


@pytest.fixture
def merchant(open_firefox):
    return open_firefox()


def test_sign_up_ends_connected(merchant):
    page = merchant.page
    page.goto(merchant.server.url + SIGN_UP)
    merchant.sees("ready")
    merchant.fill_in_sign_up("Bakkerij Vuurvos")
    page.locator("main form .button").last.click()
    merchant.sees_consent()
    page.locator("button[value=allow]").click()
    merchant.sees("connected", picture="1-connected")
    assert "?" not in page.url
    page.reload()
    merchant.sees("connected")

    # Back is no trap here either.
    page.go_back()
    merchant.sees_consent()
    page.go_back()
    merchant.sees("ready")


def test_denial_can_be_taken_back(merchant):
    merchant.sign_up("Bakkerij Vuurnee")
    merchant.page.locator("button[value=deny]").click()
    merchant.sees("declined", picture="1-declined")
    merchant.page.locator("main button[value=start]").click()
    merchant.sees_consent()
    merchant.page.locator("button[value=allow]").click()
    merchant.sees("connected")


def test_mailed_link_ends_connected(merchant, open_firefox):
    """Somebody comes back in another browser, has the link mailed, and connects by it."""
    name = "Bakkerij Vuurpost"
    merchant.sign_up(name)
    state = merchant.page.evaluate("new URLSearchParams(location.search).get('state')")
    stranger = open_firefox()
    stranger.page.goto(f"{stranger.server.url}/onboarding/callback/?state={state}&code=from-elsewhere")
    stranger.sees("error", picture="1-unknown-browser")
    assert name not in stranger.page.content()
    stranger.page.locator("main form .button").click()
    stranger.sees("ready", picture="2-mailed")

    stranger.open_mail(address_of(name), name)
    stranger.page.frame_locator("iframe").locator("a[href*='/onboarding/link/']").first.click()
    stranger.sees("started")
    stranger.page.locator("main button[value=start]").click()
    stranger.sees_consent()
    stranger.page.locator("button[value=allow]").click()
    stranger.sees("connected")


def test_what_is_wrong_has_the_focus(merchant):
    page = merchant.page
    page.goto(merchant.server.url + SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Vuurfout")
    # By the keys: Playwright's `fill` adds to what an e-mail field of Firefox has.
    page.locator("[name=owner_email]").press("Control+a")
    page.keyboard.type("jan")
    page.keyboard.press("Enter")
    merchant.sees("error", picture="1-form")
    page.wait_for_function("document.activeElement.id === 'errors'")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.name === 'owner_email'")
    page.keyboard.press("Control+a")
    page.keyboard.type(address_of("Bakkerij Vuurfout"))
    page.keyboard.press("Enter")
    merchant.sees_consent()
