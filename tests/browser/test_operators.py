"""What operators do in the admin, and what their merchants get of it."""

from __future__ import annotations

import re

import pytest

from .visitor import Visitor, address_of

pytestmark = pytest.mark.browser

LIST = "/admin/mollie_onboarding/clientlink/"
ORGANIZATIONS = "/admin/mollie_onboarding/organization/"
SEEDED = {
    "Fietsenmakerij De Ketting": "ready",
    "Weingut Sonnenhang GmbH": "ready",
    "Fromagerie du Lac": "started",
    "Chocolaterie Praline": "declined",
    "Ceramiche Bellini Srl": "error",
    "Olivar del Sur S.L.": "connected",
    "Azulejos do Porto Lda": "connected",
    "Boekhandel Van Houten B.V.": "connected",
    "Kaffeehaus Morgenrot GmbH": "lost",
    "Pracownia Bursztynu": "cancelled",
}
LOOK = """crumbs => {
  const style = getComputedStyle(crumbs), link = getComputedStyle(crumbs.querySelector("a"))
  return [style.backgroundColor, style.paddingTop, style.color, style.textAlign, link.color, link.fontSize].join(" ")
}"""


def add_merchant(operator, organization: str) -> None:
    page = operator.page
    page.goto(f"{operator.server.url}{LIST}add/")
    page.get_by_label("Organization name").fill(organization)
    page.get_by_label("Country").select_option(label="Netherlands")
    page.get_by_label("Given name").fill("Jan")
    page.get_by_label("Family name").fill("Jansen")
    page.get_by_label("E-mail address").fill(address_of(organization))
    page.get_by_label("Language at Mollie").select_option(value="en_GB")
    operator.press("Save")
    page.locator(".messagelist .success").wait_for()


def row_of(operator, organization: str):
    return operator.page.locator("#result_list tbody tr").filter(has_text=organization)


def test_invitation_ends_connected(operator, open_browser, server):
    name = "Bloemist Roos"
    page = operator.page
    add_merchant(operator, name)
    page.goto(LIST)
    operator.take_picture("1-list")
    row_of(operator, name).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option(label="Send onboarding link")
    page.locator("button[name=index]").click()  # Go, or Run in newer versions of Django

    [affected] = page.locator("#affected li").all_inner_texts()
    assert name in affected
    assert address_of(name) in affected
    operator.check_page()
    operator.take_picture("2-confirmation")
    operator.press("Send onboarding link")
    assert page.locator(".messagelist .success").inner_text() == "1 onboarding link was sent."
    operator.take_picture("3-sent")

    merchant = open_browser()
    merchant.open_mail(address_of(name), f"connect {name} with Mollie")
    merchant.take_picture("4-mail")
    merchant.page.frame_locator("iframe").get_by_role("link", name="Begin").click()
    merchant.sees("ready", picture="5-merchant-page")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")
    merchant.open_mail(address_of(name), f"{name} is connected with Mollie")

    page.goto(LIST)
    assert row_of(operator, name).locator(".field-status").inner_text() == "Connected"
    row_of(operator, name).get_by_role("link", name=name, exact=True).first.click()
    operator.take_picture("6-row")


def test_row_page_sends_and_cancels(operator, open_browser):
    name = "Bloemist Tulp"
    page = operator.page
    add_merchant(operator, name)
    page.goto(LIST)
    row_of(operator, name).get_by_role("link", name=name).click()
    operator.follow("Send onboarding link")
    operator.press("Send onboarding link")
    page.locator(".messagelist .success").wait_for()
    address = page.get_by_label("merchant's link").input_value()
    merchant = open_browser()
    merchant.page.goto(address)
    merchant.sees("ready")

    operator.follow("Cancel client link")
    assert name in page.locator("#affected").inner_text()
    operator.take_picture("1-confirmation")
    operator.press("Cancel client links")
    page.locator(".messagelist .success").wait_for()
    operator.take_picture("2-row")
    merchant.press("Continue to Mollie")
    merchant.sees("cancelled")


def test_organization_is_disconnected_from_its_page(operator, open_browser):
    name = "Bloemist Iris"
    merchant = open_browser()
    merchant.sign_up(name)
    merchant.press("Allow")
    merchant.sees("connected")
    page = operator.page
    page.goto(ORGANIZATIONS)
    operator.take_picture("1-list")
    row_of(operator, name).get_by_role("link").first.click()
    operator.take_picture("2-organization")
    operator.follow("Disconnect")
    assert name in page.locator("#affected").inner_text()
    operator.check_page()
    operator.take_picture("3-confirmation")

    operator.press("Disconnect")

    assert page.locator(".messagelist .success").inner_text() == "1 organization was disconnected."
    assert "from the merchant's own page" in page.locator("#remedies").inner_text()
    assert "Revoked at Mollie" in page.locator(".field-history").inner_text()
    operator.take_picture("4-disconnected")
    merchant.page.reload()
    merchant.sees("lost")


def test_lost_organization_gets_a_link_again(operator):
    name = "Kaffeehaus Morgenrot GmbH"
    page = operator.page
    page.goto(ORGANIZATIONS)
    page.locator(".mollie-health").get_by_role("link", name="Connection lost").click()
    row_of(operator, name).get_by_role("link").first.click()
    page.locator("#remedies").get_by_role("link", name="Send a link to connect again").click()
    assert "The mail asks to connect again." in page.locator("#affected").inner_text()

    operator.press("Send a link to connect again")

    assert page.locator(".messagelist .success").inner_text() == "1 onboarding link was sent."


@pytest.mark.parametrize("path", [LIST, ORGANIZATIONS])
def test_list_fits_on_a_screen(operator, path):
    operator.page.goto(path)

    widths = operator.page.locator(".results").evaluate(
        "element => [element.scrollWidth, element.clientWidth]"
    )
    assert widths[0] <= widths[1], widths


def test_funnel_shows_what_is_chosen(operator):
    page = operator.page
    page.goto(f"{LIST}funnel/")
    page.get_by_label("Period").select_option(label="Last 4 weeks")
    operator.press("Show")

    page.wait_for_url("**weeks=4**")
    assert page.locator("#weeks tbody tr").count() == 4
    operator.take_picture("1-funnel")


@pytest.mark.parametrize("width", [1280, 900, 390])
def test_breadcrumbs_of_our_pages_look_like_those_of_the_list(operator, width):
    page = operator.page
    page.set_viewport_size({"width": width, "height": 900})
    looks = set()
    for path in (LIST, f"{LIST}funnel/", f"{LIST}import/"):
        page.goto(path)
        looks.add(page.locator(".breadcrumbs").evaluate(LOOK))
        # Django's own have 40 pixels beside them at every width, or fewer at smaller ones.
        beside = page.locator(".breadcrumbs").evaluate("crumbs => getComputedStyle(crumbs).paddingLeft")
        assert beside in ("40px", "30px", "15px")
    assert len(looks) == 1


@pytest.mark.parametrize("width", [1280, 1440])
@pytest.mark.parametrize("locale", ["en-GB", "de-DE", "pl-PL"])
def test_words_of_the_funnel_do_not_overlap(open_browser, operator_cookies, locale, width):
    operator = open_browser(desktop=True, storage_state=operator_cookies, locale=locale)
    page = operator.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{LIST}funnel/")

    # Over each bar stand the stage, from the left, and its number, to the right.
    texts = page.locator("svg[aria-labelledby=mollie-funnel-steps-title] text")
    ends = texts.evaluate_all("texts => texts.map(text => text.getBoundingClientRect())")
    assert len(ends) == 12
    for stage, number in zip(ends[::2], ends[1::2], strict=True):
        assert stage["right"] + 8 <= number["left"]
    widths = (
        page.locator("#stages")
        .locator("xpath=..")
        .evaluate("element => [element.scrollWidth, element.clientWidth]")
    )
    assert widths[0] <= widths[1], widths


def test_explanations_of_the_columns_are_read_on_a_phone(operator):
    operator.page.set_viewport_size({"width": 360, "height": 740})
    operator.page.goto(f"{LIST}import/")

    operator.check_page()
    notes = operator.page.locator("table tr").filter(has_text="The two-letter code").locator("td")
    assert notes.last.evaluate("cell => cell.offsetHeight / parseFloat(getComputedStyle(cell).fontSize)") < 5


def test_refused_data_are_named_to_the_operator(operator):
    operator.page.goto(LIST)
    row_of(operator, "Ceramiche Bellini Srl").get_by_role("link").first.click()
    operator.page.get_by_text("Mollie says: The VAT number is not registered").wait_for()
    operator.take_picture("1-row")


@pytest.fixture(scope="module")
def seeded_links(server, chromium, operator_cookies) -> dict[str, str]:
    """The address of each seeded merchant's page, copied from the admin by an operator."""
    operator = Visitor(chromium, server, name="seeded", desktop=True, storage_state=operator_cookies)
    links = {}
    for organization in set(SEEDED) - {"Pracownia Bursztynu"}:
        operator.page.goto(LIST)
        row_of(operator, organization).get_by_role("link").first.click()
        links[organization] = operator.page.get_by_label("merchant's link").input_value()
    # Of a cancelled one there is no link to copy, but the merchant has the old mail.
    operator.open_mail("hello@pracownia-bursztynu.example", "Pracownia Bursztynu")
    old_link = operator.page.locator(".mail").get_by_role("link").first
    links["Pracownia Bursztynu"] = old_link.get_attribute("href") or ""
    operator.context.close()
    return links


@pytest.mark.parametrize(
    ("organization", "status"), SEEDED.items(), ids=lambda value: re.sub(r"\W+", "-", value)
)
def test_seeded_merchant(merchant, seeded_links, organization, status):
    merchant.page.goto(seeded_links[organization])
    merchant.sees(status, picture="page")
    assert merchant.page.get_by_text(organization).count() or status == "cancelled"
