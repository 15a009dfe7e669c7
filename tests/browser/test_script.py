"""What the little script adds, and that nothing of it is lost without."""

from __future__ import annotations

import pytest

from .visitor import SIGN_UP, address_of

pytestmark = pytest.mark.browser


def test_form_follows_the_country_at_once(merchant):
    page = merchant.page
    page.goto(f"{SIGN_UP}?country=NL")
    page.get_by_label("Organization name").fill("Weingut Wechsel")
    page.locator("[name=registration_number]").fill("HRB 12345")
    assert page.locator("[name=registration_office]:not([type=hidden])").count() == 0

    page.get_by_label("Country").select_option("DE")
    page.locator("[name=registration_number]").press_sequentially("9")  # before the answer is there

    page.locator("[name=registration_office]:not([type=hidden])").wait_for()
    assert page.locator("[name=legal_entity] option[value=de-gmbh]").count() == 1
    assert page.locator("[name=organization_name]").input_value() == "Weingut Wechsel"
    assert page.locator("[name=registration_number]").input_value() == "HRB 123459"
    assert page.evaluate("document.activeElement.name") == "registration_number"
    assert page.locator("[data-country-button]").is_hidden()


def test_country_is_taken_over_by_its_button_without_a_script(open_browser):
    merchant = open_browser(java_script_enabled=False)
    page = merchant.page
    page.goto(f"{SIGN_UP}?country=NL")
    page.get_by_label("Organization name").fill("Weingut Wechsel")
    page.get_by_label("Country").select_option("DE")
    page.locator("[data-country-button]").click()
    page.locator("[name=legal_entity] option[value=de-gmbh]").wait_for(state="attached")
    assert page.locator("[name=organization_name]").input_value() == "Weingut Wechsel"
    merchant.sees("ready")


def test_form_outlives_a_reload_in_its_own_tab(merchant):
    page = merchant.page
    page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Geheugen")
    page.locator("[name=vat_number]").evaluate("field => { field.closest('details').open = true }")
    page.locator("[name=vat_number]").fill("NL815839091B01")

    page.reload()

    assert page.locator("[name=organization_name]").input_value() == "Bakkerij Geheugen"
    assert page.locator("[name=owner_email]").input_value() == address_of("Bakkerij Geheugen")
    assert page.locator("[name=country]").input_value() == "NL"
    assert page.locator("[name=vat_number]").is_visible()
    other = merchant.open_tab()
    other.goto(SIGN_UP)
    assert other.locator("[name=organization_name]").input_value() == ""

    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")
    assert page.evaluate("Object.keys(sessionStorage)") == []
    page.goto(SIGN_UP)
    assert page.locator("[name=organization_name]").input_value() == ""


def test_button_is_pressed_once(merchant):
    merchant.page.goto(SIGN_UP)
    merchant.fill_in_sign_up("Bakkerij Eenmaal")
    posts = []
    held = []

    def hold(route):
        if route.request.method != "POST":
            return route.fallback()
        posts.append(route.request.url)
        return held.append(route)

    merchant.page.route(f"**{SIGN_UP}*", hold)
    button = merchant.page.get_by_role("button", name="Continue to Mollie")
    is_held_back = button.evaluate(
        "button => { for (let n = 0; n < 3; n++) button.click(); return button.getAttribute('aria-disabled') }"
    )
    merchant.page.wait_for_timeout(300)
    assert (len(posts), is_held_back) == (1, "true")
    held[0].fallback()
    merchant.sees_consent()


def test_storage_that_is_blocked_is_no_fault(merchant):
    merchant.context.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('blocked') } })"
    )
    merchant.sign_up("Bakkerij Dicht")
    merchant.press("Allow")
    merchant.sees("connected")
    assert merchant.complaints == []


def test_page_notices_what_happened_in_another_tab(merchant):
    address = merchant.merchant_page("Bakkerij Tweelicht")
    waiting = merchant.open_tab()
    waiting.goto(address)
    merchant.sees("declined", page=waiting)
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")

    waiting.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    merchant.sees("connected", page=waiting)


def test_page_that_did_not_change_stays(merchant):
    merchant.merchant_page("Bakkerij Stilstand")
    merchant.page.evaluate("window.stays = true")
    with merchant.page.expect_response(lambda response: "/onboarding/link/" in response.url):
        merchant.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    merchant.page.wait_for_timeout(200)
    assert merchant.page.evaluate("window.stays")
