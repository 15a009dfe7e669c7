"""How far a merchant is at Mollie, as the merchant page tells it after the connection."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def go_to_dashboard(merchant) -> str:
    """From the merchant page to Mollie's dashboard. Gives the address to come back to."""
    address = merchant.page.url
    merchant.follow("Go on in Mollie's dashboard")
    merchant.page.locator('main[data-page="dashboard"]').wait_for()
    assert merchant.page.url.startswith(merchant.server.mollie)
    return address


def test_check_again_shows_what_mollie_says_now(merchant):
    merchant.sign_up("Bakkerij Gereed")
    merchant.press("Allow")
    merchant.sees("connected", picture="1-needs-data")
    assert merchant.page.get_by_text("Mollie needs more data from you before you can receive").is_visible()

    address = go_to_dashboard(merchant)
    merchant.page.get_by_label("can receive payments").check()
    merchant.press("Save")
    merchant.page.goto(address)
    merchant.sees("connected")
    # Opening the page asks Mollie nothing.
    assert merchant.page.get_by_text("before it pays out to your bank account").count() == 0

    merchant.press("Check again")
    merchant.page.get_by_text("Mollie was asked a moment ago.").wait_for()
    merchant.sees("connected", picture="2-payments")
    assert merchant.page.get_by_text("before it pays out to your bank account").is_visible()
    asked = merchant.page.get_by_role("listitem").filter(has_text="Needed for: payouts")
    link = asked.get_by_role("link", name="Give Mollie the data that it still needs")
    assert link.get_attribute("href").startswith(merchant.server.mollie)
    assert merchant.page.get_by_role("button", name="Check again").count() == 0

    # A reload sends nothing again.
    posts = []
    merchant.page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
    merchant.page.reload()
    merchant.sees("connected")
    assert not posts


def test_check_again_finds_that_everything_is_done(merchant):
    merchant.sign_up("Bakkerij Klaar")
    merchant.press("Allow")
    merchant.sees("connected")
    address = go_to_dashboard(merchant)
    merchant.page.get_by_label("Onboarding").select_option(value="completed")
    merchant.page.get_by_label("can receive payments").check()
    merchant.page.get_by_label("can receive settlements").check()
    merchant.press("Save")

    merchant.page.goto(address)
    merchant.press("Check again")
    merchant.page.get_by_text("Everything is done").wait_for()
    merchant.sees("connected", picture="1-done")


def test_check_again_finds_a_withdrawn_consent(merchant):
    merchant.sign_up("Bakkerij Bedenktijd")
    merchant.press("Allow")
    merchant.sees("connected")
    address = go_to_dashboard(merchant)
    merchant.press("Revoke access of Shopwise")

    merchant.page.goto(address)
    merchant.press("Check again")
    merchant.sees("lost", picture="1-lost")
    merchant.press("Connect again")
    merchant.sees_consent()
