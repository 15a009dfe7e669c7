"""From the sign-up page to Mollie and back."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from .visitor import SIGN_UP, address_of

pytestmark = pytest.mark.browser

POLICY = "default-src 'self'; form-action 'self'; frame-ancestors 'none'"


def test_sign_up_ends_connected(merchant, server):
    page = merchant.page
    page.goto(SIGN_UP)
    merchant.sees("ready", picture="1-form")
    merchant.fill_in_sign_up("Bakkerij Jansen")
    merchant.press("Continue to Mollie")

    # The page in between moves on by itself.
    merchant.sees_consent(picture="2-consent")
    merchant.press("Allow")

    merchant.sees("connected", picture="3-connected")
    address = page.url
    assert address.startswith(f"{server.url}/onboarding/link/")
    assert "?" not in address
    page.reload()
    merchant.sees("connected")

    # Back is no trap: neither the callback nor the page in between sends anybody forward again.
    page.go_back()
    merchant.sees_consent()
    page.go_back()
    merchant.sees("ready")
    assert page.url == server.url + SIGN_UP
    page.go_forward()
    page.go_forward()
    merchant.sees("connected")
    assert page.url == address


def test_sign_up_shows_at_the_field_what_is_wrong(merchant):
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Fout")
    merchant.page.get_by_label("E-mail address").fill("jan")
    merchant.press("Continue to Mollie")

    merchant.sees("error", picture="1-form")
    summary = merchant.page.get_by_role("group", name="Please check what is marked below.")
    assert summary.evaluate("part => part === document.activeElement")
    summary.get_by_role("link", name="E-mail address").click()
    email = merchant.page.get_by_label("E-mail address")
    assert email.evaluate("field => field === document.activeElement")
    assert email.get_attribute("aria-invalid") == "true"
    email.fill(address_of("Bakkerij Fout"))
    merchant.press("Continue to Mollie")
    merchant.sees_consent()


def test_sign_up_takes_the_focus_to_what_is_wrong_without_javascript(open_browser):
    merchant = open_browser(java_script_enabled=False)
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Dicht")
    merchant.page.get_by_text("VAT number and date of incorporation").click()
    merchant.page.get_by_label("VAT number").fill("none")
    merchant.press("Continue to Mollie")

    merchant.sees("error", picture="1-form")
    assert merchant.page.locator("#errors:focus").count() == 1
    merchant.page.locator("#errors").get_by_role("link", name="VAT number").click()
    # The field is in a part that was folded away.
    merchant.page.locator("#id_vat_number:target").wait_for(state="visible")
    assert merchant.page.get_by_label("VAT number").input_value() == "none"


@pytest.mark.parametrize("javascript", [True, False])
def test_countries_have_their_own_legal_forms(open_browser, javascript):
    merchant = open_browser(java_script_enabled=javascript)
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Keuze")
    if not javascript:
        merchant.page.locator("[data-country-button]").click()

    legal_form = merchant.page.get_by_label("Legal form")
    legal_form.get_by_text("Besloten Vennootschap (BV)").wait_for(state="attached")
    merchant.sees("ready", picture=f"1-form-{javascript}")
    legal_form.select_option(value="nl-bv")
    assert merchant.page.get_by_label("Organization name").input_value() == "Bakkerij Keuze"
    assert merchant.page.get_by_label("Registration number (KvK-nummer)").input_value() == "30204462"
    assert merchant.page.get_by_label("Registration office").count() == 0
    merchant.press("Continue to Mollie")
    merchant.sees_consent()


def test_form_begins_with_the_country_of_the_browser(open_browser):
    merchant = open_browser(locale="de-AT")
    merchant.page.goto(SIGN_UP)
    assert merchant.page.locator("#id_country").input_value() == "AT"
    assert merchant.page.get_by_text("Firmenbuchnummer").first.is_visible()


def test_denial_can_be_taken_back(merchant):
    merchant.sign_up("Bakkerij Nee")
    merchant.press("Deny")

    merchant.sees("declined", picture="1-declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_another_error_of_mollie_has_a_way_on(merchant):
    merchant.sign_up("Bakkerij Storing")
    merchant.page.get_by_text("Let it fail in another way").click()
    with merchant.page.expect_response(lambda response: "/onboarding/callback/" in response.url) as answer:
        merchant.press("Fail with this error")

    assert answer.value.status == 400
    merchant.sees("error", picture="1-error")
    merchant.follow("Start again")
    merchant.sees("started", picture="2-started")
    merchant.page.get_by_text("Something does not work?").click()
    merchant.take_picture("3-help")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_existing_account_connects_without_the_client_link(merchant):
    merchant.merchant_page("Bakkerij Bestaat")
    merchant.page.get_by_text("Something does not work?").click()
    merchant.press("I already have a Mollie account")

    merchant.sees_consent()
    assert "/oauth2/authorize?" in merchant.page.url
    merchant.page.get_by_label("Sign up a new organization").check()
    merchant.page.get_by_label("Name of a new organization").fill("Bakkerij Bestaat B.V.")
    merchant.press("Allow")
    merchant.sees("connected")
    assert merchant.page.get_by_text("Bakkerij Bestaat B.V.").is_visible()


def test_organization_of_another_merchant_is_refused(merchant):
    merchant.sign_up("Bakkerij Gast")
    merchant.log_in_to("Boekhandel Van Houten")
    merchant.press("Allow")

    merchant.sees("error", picture="1-error")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_page_in_between_works_by_its_button_too(merchant):
    """In a browser that ignores the refresh, as some in-app browsers and extensions make it do."""

    def take_refresh_out(route):
        response = route.fetch(max_redirects=0)
        body, found = re.subn(r'<meta http-equiv="refresh"[^>]*>', "", response.text())
        assert found <= 1
        route.fulfill(response=response, body=body)

    merchant.page.route(lambda url: url.endswith(SIGN_UP), take_refresh_out)
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Stil")
    merchant.press("Continue to Mollie")
    merchant.sees("started", picture="1-leaving")
    merchant.follow("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_form_action_policy_lets_the_merchant_through(merchant):
    """Chromium blocks the redirect of a form to another host under `form-action 'self'`; ours is none."""

    def add_policy(route):
        response = route.fetch(max_redirects=0)
        route.fulfill(response=response, headers={**response.headers, "content-security-policy": POLICY})

    merchant.context.route(lambda url: "/onboarding/" in url, add_policy)
    merchant.sign_up("Bakkerij Streng")
    merchant.press("Deny")
    merchant.sees("declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")
    assert merchant.complaints == []


def test_form_action_policy_would_stop_a_redirect(merchant, server):
    """The check of the check: what the test above would have seen."""

    def play_site(route):
        if route.request.method == "POST":
            route.fulfill(status=303, headers={"location": f"{server.mollie}/"})
        else:
            route.fulfill(
                content_type="text/html",
                headers={"content-security-policy": POLICY},
                body='<form method="post"><button>Go</button></form>',
            )

    merchant.context.route(f"{server.url}/elsewhere/", play_site)
    merchant.page.goto("/elsewhere/")
    with merchant.page.expect_console_message(lambda message: "form-action" in message.text):
        merchant.press("Go")
    assert merchant.page.url == f"{server.url}/elsewhere/"
    merchant.complaints.clear()


def test_double_click_makes_one_merchant(merchant, operator):
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Dubbel")
    merchant.page.get_by_role("button", name="Continue to Mollie").dblclick()
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")

    operator.page.goto("/admin/mollie_onboarding/clientlink/?q=Bakkerij+Dubbel")
    assert operator.page.locator("#result_list tbody tr").count() == 1


def test_sign_up_without_a_csrf_cookie(merchant):
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Koek")
    merchant.context.clear_cookies()
    with merchant.page.expect_response(lambda response: response.request.method == "POST") as answer:
        merchant.press("Continue to Mollie")

    assert answer.value.status == 403
    merchant.sees("error", picture="1-cookies")
    merchant.follow("Open the page again")
    merchant.sees("ready")
    merchant.fill_in_sign_up("Bakkerij Koek")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()


def test_sign_up_without_javascript(open_browser):
    merchant = open_browser(java_script_enabled=False)
    merchant.sign_up("Bakkerij Kaal")
    merchant.press("Allow")
    merchant.sees("connected", picture="1-connected")


def test_sign_up_by_keyboard(open_browser):
    merchant = open_browser(desktop=True)
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Toets")
    merchant.page.locator("summary", has_text="Use another language at Mollie").focus()
    merchant.page.keyboard.press("Tab")

    focused = merchant.page.locator(":focus")
    assert focused.inner_text() == "Continue to Mollie"
    merchant.take_picture("1-focus")
    merchant.page.keyboard.press("Enter")
    merchant.sees_consent()


def test_enter_in_a_field_sends_the_form(merchant):
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Enter")
    merchant.page.get_by_label("E-mail address").press("Enter")
    merchant.sees_consent()


def test_dashboard_of_a_shop_leads_to_sign_up_and_shows_the_connection(open_browser):
    merchant = open_browser()
    merchant.log_in("/", "merchant")
    assert merchant.page.locator("section[data-status]").get_attribute("data-status") == "none"
    merchant.take_picture("1-dashboard")
    merchant.follow("Connect with Mollie")
    merchant.sees("ready")
    merchant.fill_in_sign_up("Atelier Noor")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")

    merchant.page.goto("/")
    assert merchant.page.locator("section[data-status]").get_attribute("data-status") == "connected"
    merchant.check_page()
    merchant.take_picture("2-dashboard")
    merchant.follow("What is next?")
    merchant.sees("connected")


def test_dutch_browser_gets_dutch_pages(open_browser):
    with translation.override("nl"):
        button = translation.gettext("Continue to Mollie")
        start_again = translation.gettext("Start again")
    assert button != "Continue to Mollie", "the Dutch catalogue is not compiled: make messages"
    english = open_browser()
    address = english.merchant_page("Bakkerij Taal")
    dutch = open_browser(locale="nl-NL")

    dutch.page.goto(SIGN_UP)
    dutch.sees("ready", picture="1-form")
    assert dutch.page.get_by_role("button", name=button).is_visible()
    dutch.page.goto(address)
    dutch.sees("declined", picture="2-declined")
    assert dutch.page.locator("html").get_attribute("lang") == "nl"
    dutch.press(start_again)
    dutch.sees_consent()
    dutch.press("Allow")
    dutch.sees("connected", picture="3-connected")
