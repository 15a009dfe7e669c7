"""What people do besides going straight on, and the page on which each of it ends: one button, and it leads on."""

from __future__ import annotations

import html
import json
import re
from contextlib import suppress
from typing import Any

import pytest

from .gallery import Person
from .server import Server
from .test_coming_back import catch_callback
from .visitor import Visitor, address_of

pytestmark = pytest.mark.browser

CALLBACK = "/onboarding/callback/"
CONTACT = "mailto:help@shopwise.example"  # of the example
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
INSTAGRAM = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 334.0.0.25.91"
FACEBOOK = PHONE.replace("Chrome/", "Version/4.0 Chrome/") + " [FB_IAB/FB4A;FBAV/465.0.0.56.68;]"
HINT = "Open in browser"


def invite(server: Server, organization: str) -> str:
    """The address of a merchant page: of somebody who signed up and then denied, without a browser to save time."""
    person = Person(server, "en")
    with person.session:
        leaving = person.sign_up(organization_name=organization, owner_email=address_of(organization))
        consent = html.unescape(re.search(r'<a class="button" href="([^"]*)"', leaving.text)[1])  # type: ignore[index]
        declined = person.session.post(consent, data={"decision": "deny"}, timeout=30)
    assert 'data-status="declined"' in declined.text
    return declined.url.partition("?")[0]


def open_invitation(visitor: Visitor, organization: str) -> str:
    """Gives the address of the merchant page that is now open."""
    address = invite(visitor.server, organization)
    visitor.page.goto(address)
    visitor.sees("declined")
    return address


def button_of(page: Any) -> Any:
    """The one button that leads on."""
    button = page.locator("main .button:not(.secondary)")
    assert button.count() == 1, button.all_inner_texts()
    return button


def press_button(visitor: Visitor, *, page: Any = None) -> None:
    button_of(page or visitor.page).click()


def connect(visitor: Visitor, *, page: Any = None) -> None:
    """From Mollie's consent screen on."""
    visitor.sees_consent(page=page)
    visitor.press("Allow", page=page)
    visitor.sees("connected", page=page)


def break_mollie(visitor: Visitor, operation: str, kind: str, **options: Any) -> None:
    """Let the next such call fail, on the sandbox's own page."""
    control = visitor.open_tab()
    control.goto(f"{visitor.server.mollie}/")
    control.locator("select[name=operation]").select_option(operation)
    control.locator("select[name=kind]").select_option(kind)
    control.get_by_label("Options as JSON").fill(json.dumps(options))
    with control.expect_navigation():
        visitor.press("Add", page=control)
    control.close()


def assert_nothing_personal(page: Any, organization: str) -> None:
    content = page.content()
    for secret in (organization, address_of(organization), "Jansen", "Keizersgracht", "30204462", "/link/"):
        assert secret not in content, secret


def stay_on_leaving_page(visitor: Visitor) -> None:
    """Let the page in between stay where it is, as in a browser that ignores the refresh."""

    def take_refresh_out(route: Any) -> None:
        answer = route.fetch(max_redirects=0)
        route.fulfill(response=answer, body=answer.text().replace('http-equiv="refresh"', ""))

    visitor.page.route(lambda url: "/onboarding/link/" in url, take_refresh_out)


def test_back_after_leaving_shows_a_page_whose_button_works(merchant):
    open_invitation(merchant, "Bakkerij Terug")
    press_button(merchant)
    merchant.sees_consent()

    merchant.page.go_back()  # not the page in between: it would send forward again
    merchant.sees("started")
    press_button(merchant)
    connect(merchant)

    merchant.page.go_back()
    merchant.sees_consent()
    merchant.page.go_back()
    merchant.sees("connected")


def test_reload_of_the_page_in_between_leaves_again(merchant):
    open_invitation(merchant, "Bakkerij Opnieuw")
    stay_on_leaving_page(merchant)
    press_button(merchant)
    merchant.page.get_by_role("heading", name="Taking you to Mollie").wait_for()
    first = button_of(merchant.page).get_attribute("href")
    merchant.page.reload()
    merchant.sees("started")
    assert button_of(merchant.page).get_attribute("href") != first, "the reload has a state of its own"
    press_button(merchant)
    connect(merchant)


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "plain"])
def test_double_click_goes_to_mollie_once(open_browser, scripts):
    merchant = open_browser(java_script_enabled=scripts)
    open_invitation(merchant, "Bakkerij Klikklik")
    button_of(merchant.page).dblclick(no_wait_after=True)
    connect(merchant)
    assert "?" not in merchant.page.url


def test_two_tabs_in_turn(merchant):
    """The first tab finishes; the second is still at Mollie, and ends well too."""
    address = open_invitation(merchant, "Bakkerij Twee")
    second = merchant.open_tab()
    second.goto(address)
    for page in (merchant.page, second):
        press_button(merchant, page=page)
        merchant.sees_consent(page=page)
    connect(merchant)
    merchant.press("Deny", page=second)
    merchant.sees("connected", page=second)
    assert second.url == merchant.page.url


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "plain"])
def test_finished_on_the_phone(open_browser, scripts):
    desktop = open_browser(desktop=True, java_script_enabled=scripts)
    address = open_invitation(desktop, "Bakkerij Mobiel")
    stay_on_leaving_page(desktop)
    page = desktop.page
    press_button(desktop)
    desktop.sees("started")
    page.goto(address)
    desktop.sees("started")
    phone = open_browser()
    phone.page.goto(address)
    phone.sees("started")
    press_button(phone)
    connect(phone)

    if scripts:
        page.evaluate(
            "document.dispatchEvent(new Event('visibilitychange'))"
        )  # as when the tab is looked at again
    else:
        page.reload()
    desktop.sees("connected")
    # And who presses the old page's button all the same is told the same.
    assert button_of(page).count() == 1


@pytest.mark.parametrize(
    ("user_agent", "is_hinted"),
    [(INSTAGRAM, True), (FACEBOOK, True), (PHONE, False)],
    ids=["instagram", "facebook", "browser"],
)
def test_return_in_an_app_that_knows_nothing_of_it(merchant, open_browser, user_agent, is_hinted):
    name = "Bakkerij Vergeten"
    merchant.sign_up(name)
    callback = catch_callback(merchant)
    other = open_browser(user_agent=user_agent)
    other.page.goto(callback)

    other.sees("error")
    assert (HINT in other.page.locator("main").inner_text()) is is_hinted
    assert_nothing_personal(other.page, name)
    press_button(other)
    other.sees("ready")
    assert_nothing_personal(other.page, name)
    # The mail leads on, wherever it is opened.
    other.open_mail(address_of(name), name)
    other.page.locator(".mail").get_by_role("link").first.click()
    other.sees("started")
    # There the app's browser is as good as any: it begins and ends in it.
    assert HINT not in other.page.locator("main").inner_text()
    press_button(other)
    connect(other)


def test_cookies_that_are_never_kept(open_browser):
    """A browser that keeps none of ours: the form says so, and the button comes back to the form."""
    from playwright.sync_api import Error

    name = "Bakkerij Kruimel"
    blocking = open_browser(user_agent=INSTAGRAM)

    def drop_cookies(route: Any) -> None:
        # Set here, because otherwise Playwright adds those that it knows.
        with suppress(Error):  # of a page that the browser has left meanwhile
            answer = route.fetch(headers={**route.request.headers, "cookie": "none=of-ours"}, max_redirects=0)
            kept = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
            route.fulfill(response=answer, headers=kept)
            blocking.context.clear_cookies()

    blocking.context.route("**/*", drop_cookies)
    address = open_invitation(blocking, name)
    press_button(blocking)
    blocking.sees("error")
    assert_nothing_personal_but_address(blocking, name, address)
    assert HINT in blocking.page.locator("main").inner_text()
    press_button(blocking)
    blocking.sees("declined")
    assert blocking.context.cookies(blocking.server.url) == []
    # Allowed now.
    blocking.context.unroute_all()
    blocking.page.reload()
    press_button(blocking)
    connect(blocking)


def assert_nothing_personal_but_address(visitor: Visitor, organization: str, address: str) -> None:
    """The page without a cookie names its own address, which the visitor has, and nothing else."""
    content = visitor.page.content().replace(address.removeprefix(visitor.server.url), "")
    for secret in (organization, address_of(organization), "Jansen", "Keizersgracht", "/link/"):
        assert secret not in content, secret


def test_lost_cookie_of_the_visit(merchant):
    """The same browser, but it has forgotten: as after clearing cookies while at Mollie."""
    name = "Bakkerij Gewist"
    merchant.sign_up(name)
    merchant.context.clear_cookies()
    merchant.press("Allow")
    merchant.sees("error")
    assert HINT not in merchant.page.locator("main").inner_text()
    assert_nothing_personal(merchant.page, name)
    press_button(merchant)
    merchant.sees("ready")
    merchant.open_mail(address_of(name), name)
    merchant.page.locator(".mail").get_by_role("link").first.click()
    merchant.sees("started")
    press_button(merchant)
    connect(merchant)


@pytest.mark.parametrize("query", ["state=never-issued&code=x", "code=x", "", "state=a&state=b&code=x"])
def test_address_that_nobody_issued(merchant, query):
    answer = merchant.page.goto(f"{CALLBACK}?{query}")
    assert answer.status == 400
    merchant.sees("error")
    # A state may tell whose it is; without one only the platform knows on.
    if "never-issued" in query:
        press_button(merchant)
        merchant.sees("ready")
    else:
        assert button_of(merchant.page).get_attribute("href") == CONTACT


def test_visit_that_took_too_long(gallery, open_gallery):
    merchant = open_gallery()
    gallery.show(merchant, "expired-state")
    merchant.sees("expired")
    press_button(merchant)
    # Not pressed: other tests look at this merchant too.
    merchant.sees("started")
    assert button_of(merchant.page).inner_text() == "Continue to Mollie"


def test_link_that_is_too_old(gallery, open_gallery):
    merchant = open_gallery()
    page = gallery.show(merchant, "expired/late")
    merchant.sees("expired")
    for secret in ("Korenaar", "korenaar", "Jansen", "Keizersgracht"):
        assert secret not in page.content()
    press_button(merchant)
    merchant.sees("ready")
    page.get_by_role("heading", name="Look into your mailbox").wait_for()


def test_mollie_out_of_reach_and_back_again(merchant):
    open_invitation(merchant, "Bakkerij Onweer")
    # A new link must be made, and Mollie gives no answer that is one. A 429 would pause every mail of this server.
    break_mollie(merchant, "client_links", "not_json")
    merchant.page.get_by_text("Something does not work?").click()
    merchant.press("The link no longer works")
    merchant.page.get_by_text("Nothing is lost").wait_for()
    merchant.sees("declined")
    press_button(merchant)
    connect(merchant)


def test_exchange_out_of_reach_and_back_again(merchant):
    """Mollie agreed, but its tokens do not come: a code is never tried twice, so a new visit it is."""
    merchant.sign_up("Bakkerij Storm")
    break_mollie(merchant, "exchange", "server_error")
    merchant.press("Allow")
    merchant.sees("started")
    assert merchant.page.get_by_text("nothing was connected").is_visible()
    press_button(merchant)
    connect(merchant)


def test_invitation_withdrawn_during_the_visit(merchant, operator):
    name = "Bakkerij Ingetrokken"
    merchant.sign_up(name)
    page = operator.page
    page.goto(f"/admin/mollie_onboarding/clientlink/?q={name.replace(' ', '+')}")
    page.locator("#result_list tbody th a, #result_list tbody .field-organization_name a").first.click()
    operator.follow("Cancel client link")
    operator.press("Cancel client links")
    page.locator(".messagelist .success").wait_for()

    merchant.press("Allow")
    merchant.sees("cancelled")
    assert_nothing_personal(merchant.page, name)
    assert button_of(merchant.page).get_attribute("href") == CONTACT


def test_organization_that_is_connected_elsewhere(merchant):
    merchant.sign_up("Bakkerij Bezet")
    merchant.log_in_to("Boekhandel Van Houten")
    merchant.press("Allow")
    merchant.sees("error")
    assert "Boekhandel" not in merchant.page.content(), "whose it is concerns nobody else"
    press_button(merchant)
    merchant.sees_consent()
    merchant.page.get_by_label("A new organization with these details").check()
    merchant.press("Allow")
    merchant.sees("connected")
