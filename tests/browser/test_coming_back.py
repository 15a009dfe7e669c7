"""Ways back from Mollie that are not the straight one."""

from __future__ import annotations

import json

import pytest

from .visitor import address_of

pytestmark = pytest.mark.browser


def catch_callback(merchant) -> str:
    """Press Allow, but do not come back: the address that Mollie would have sent the browser to."""
    caught: list[str] = []

    def catch(route):
        if route.request.method != "POST":
            return route.fallback()
        caught.append(route.fetch(max_redirects=0).headers["location"])
        return route.fulfill(content_type="text/html", body="<h1>Caught</h1>")

    merchant.page.route(lambda url: url.startswith(merchant.server.mollie), catch)
    merchant.press("Allow")
    merchant.page.get_by_role("heading", name="Caught").wait_for()
    merchant.page.unroute_all()
    [callback] = caught
    return callback


def test_two_tabs_of_one_link_both_end_connected(merchant):
    address = merchant.merchant_page("Bakkerij Tabblad")
    first, second = merchant.open_tab(), merchant.open_tab()
    for tab in (first, second):
        tab.goto(address)
    for tab in (first, second):
        merchant.press("Start again", page=tab)
        merchant.sees_consent(page=tab)

    for tab in (second, first):
        merchant.press("Allow", page=tab)
        merchant.sees("connected", page=tab)


def test_merchant_page_without_a_csrf_cookie(merchant):
    merchant.merchant_page("Bakkerij Trommel")
    merchant.context.clear_cookies()
    with merchant.page.expect_response(lambda response: response.request.method == "POST") as answer:
        merchant.press("Start again")

    assert answer.value.status == 403
    merchant.sees("error")
    merchant.follow("Open the page again")
    merchant.sees("declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_callback_in_another_browser_names_nobody_and_takes_nothing(merchant, open_browser):
    name = "Bakkerij Elders"
    merchant.sign_up(name)
    callback = catch_callback(merchant)
    stranger = open_browser()

    answer = stranger.page.goto(callback)

    assert answer.status == 400
    stranger.sees("error", picture="1-unknown-browser")
    for secret in (name, address_of(name), "Jansen"):
        assert secret not in stranger.page.content()
    stranger.press("Mail me my link")
    stranger.sees("ready", picture="2-mailed")
    assert address_of(name) not in stranger.page.content()

    merchant.page.goto(callback)
    merchant.sees("connected")
    merchant.open_mail(address_of(name), name)


def test_same_callback_again_changes_nothing(merchant):
    merchant.sign_up("Bakkerij Herhaling")
    callback = catch_callback(merchant)
    for _ in range(2):
        merchant.page.goto(callback)
        merchant.sees("connected")
        assert "code=" not in merchant.page.url


def test_merchant_page_finishes_by_itself(merchant, server):
    """While one tab waits for Mollie's tokens, another shows that, and sees the end without a reload."""
    address = merchant.merchant_page("Bakkerij Geduld")
    merchant.press("Start again")
    merchant.sees_consent()
    callback = catch_callback(merchant)
    control = merchant.open_tab()
    control.goto(f"{server.url}/sandbox/")
    control.locator("select[name=operation]").select_option("tokens")
    control.locator("select[name=kind]").select_option("slow")
    control.get_by_label("Options as JSON").fill(json.dumps({"seconds": 6}))
    merchant.press("Add", page=control)
    control.get_by_text("None: everything works.").wait_for(state="detached")

    waiting = merchant.open_tab()
    with waiting.expect_request(callback):
        waiting.evaluate("address => { location = address }", callback)
    watching = merchant.open_tab()
    merchant.opens_until(
        "finishing", address, page=watching
    )  # the platform may not have read the callback yet
    merchant.sees("finishing", page=watching, picture="1-finishing")
    merchant.sees("connected", page=watching)
    merchant.sees("connected", page=waiting)
