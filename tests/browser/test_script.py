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
    number = page.locator("[name=registration_number]")
    number.press("End")
    number.press_sequentially("9")  # before the answer is there, or after

    page.locator("[name=registration_office]:not([type=hidden])").wait_for()
    assert page.locator("[name=legal_entity] option[value=de-gmbh]").count() == 1
    assert page.locator("[name=organization_name]").input_value() == "Weingut Wechsel"
    assert page.locator("[name=registration_number]").input_value() == "HRB 123459"
    assert page.evaluate("document.activeElement.name") == "registration_number"


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


def test_button_of_the_country_is_there_when_the_script_is_not(merchant):
    page = merchant.page
    page.route("**/merchant.js", lambda route: route.abort())
    page.goto(f"{SIGN_UP}?country=NL")
    page.get_by_label("Country").select_option("DE")
    page.locator("[data-country-button]").click()
    page.locator("[name=legal_entity] option[value=de-gmbh]").wait_for(state="attached")


def test_choice_and_opened_part_outlive_a_change_of_the_country(merchant):
    page = merchant.page
    page.goto(f"{SIGN_UP}?country=NL")
    held = []
    page.route(
        f"**{SIGN_UP}*",
        lambda route: held.append(route) if route.request.method == "POST" else route.fallback(),
    )
    page.get_by_label("Country").select_option("DE")
    page.locator("[name=legal_entity]").select_option("other")  # before the answer is there
    page.locator("#by-country summary").first.click()
    page.locator("[name=vat_number]").fill("DE123456789")
    while not held:
        page.wait_for_timeout(20)
    held[0].fallback()
    page.locator("[name=legal_entity] option[value=de-gmbh]").wait_for(state="attached")
    assert page.locator("[name=legal_entity]").input_value() == "other"
    assert page.locator("[name=vat_number]").is_visible()
    assert page.locator("[name=vat_number]").input_value() == "DE123456789"


def test_form_of_one_merchant_is_not_remembered_for_another(merchant):
    """A second shop of the same user, or another user at the same computer."""
    page = merchant.page
    page.goto(SIGN_UP)
    page.locator("[name=city]").fill("Amsterdam")
    assert len(page.evaluate("Object.keys(sessionStorage)")) == 1
    merchant.log_in("/login/", "merchant")
    page.goto(SIGN_UP)
    assert page.locator("[name=city]").input_value() == ""
    assert page.evaluate("Object.keys(sessionStorage)") == []


def test_form_is_remembered_for_an_hour(merchant):
    page = merchant.page
    page.goto(SIGN_UP)
    page.locator("[name=city]").fill("Amsterdam")
    page.evaluate(
        "for (const [key, value] of Object.entries(sessionStorage))"
        " sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(value), at: Date.now() - 3_600_001 }))"
    )
    page.reload()
    assert page.locator("[name=city]").input_value() == ""


def test_address_that_names_a_country_is_followed(merchant):
    page = merchant.page
    page.goto(SIGN_UP)
    page.get_by_label("Country").select_option("NL")
    page.locator("[name=city]").fill("Gent")
    page.goto(f"{SIGN_UP}?country=BE")
    assert page.locator("[name=city]").input_value() == "Gent"
    assert page.locator("[name=country]").input_value() == "BE"


def test_back_from_mollie_to_the_form_makes_no_second_merchant(merchant, operator):
    merchant.sign_up("Bakkerij Terugweg")
    merchant.page.go_back()
    merchant.sees("ready")
    assert merchant.page.locator("[name=organization_name]").input_value() == "Bakkerij Terugweg"
    merchant.press("Continue to Mollie")
    merchant.sees_consent()

    operator.page.goto("/admin/mollie_onboarding/clientlink/?q=Bakkerij+Terugweg")
    assert operator.page.locator("#result_list tbody tr").count() == 1


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
    assert address_of("Bakkerij Geheugen") not in page.evaluate("JSON.stringify(sessionStorage)")
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

    waiting.evaluate("location.hash = 'content'")
    waiting.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    merchant.sees("connected", page=waiting)


def test_page_that_did_not_change_stays(merchant):
    merchant.merchant_page("Bakkerij Stilstand")
    # A browser that translates changes the text.
    merchant.page.evaluate("window.stays = true; document.querySelector('h1').textContent = 'translated'")
    with merchant.page.expect_response(lambda response: "/onboarding/link/" in response.url):
        merchant.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    merchant.page.wait_for_timeout(200)
    assert merchant.page.evaluate("window.stays")
