"""Everything can be done without a mouse."""

from __future__ import annotations

import pytest

from .gallery import STATES
from .visitor import SIGN_UP, address_of

pytestmark = pytest.mark.browser

# Every stop of the tab key, as the page stands: of the radio buttons of a group there is one.
FIND_STOPS = """() => {
  document.querySelectorAll("details").forEach(details => details.open = true);
  const groups = new Set();
  const look = element => {
    const style = getComputedStyle(element);
    return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow].join(" ");
  };
  document.activeElement.blur();
  window.stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter(element => element.tabIndex >= 0 && !element.disabled && element.type !== "hidden" && element.checkVisibility())
    .filter(element => element.type !== "radio" || groups.size < groups.add(element.name).size)
    .map(element => ({element, unfocused: look(element)}));
  window.look = look;
  // From the top, wherever the page has put the focus.
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
  return window.stops.map(({element}) => element.outerHTML.slice(0, 150));
}"""
# Where the focus is now: the number of the stop, whether it shows, and where it stands on the page.
SEE_FOCUS = """() => {
  const element = document.activeElement;
  const number = window.stops.findIndex(stop => stop.element === element);
  if (number < 0) return null;
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  return {
    number,
    shows: window.look(element) !== window.stops[number].unfocused
      && (style.outlineStyle !== "none" && style.outlineWidth !== "0px" || style.boxShadow !== "none"),
    isInView: box.bottom > 0 && box.top < innerHeight,
    top: box.top + scrollY, bottom: box.bottom + scrollY, left: box.left,
  };
}"""
IS_FOCUSED = "element => element === document.activeElement"


def tab_to(page, selector: str) -> None:
    wanted = page.locator(selector)
    for _ in range(80):
        page.keyboard.press("Tab")
        if wanted.evaluate(IS_FOCUSED):
            return
    raise AssertionError(f"the tab key never comes to {selector}")


@pytest.mark.parametrize("state", STATES, ids=str)
def test_tab_comes_everywhere_in_the_order_that_is_seen(gallery, open_gallery, state):
    page = gallery.show(open_gallery(), state)
    assert page.locator("[tabindex]:not([tabindex='0'], [tabindex='-1'])").count() == 0
    stops = page.evaluate(FIND_STOPS)
    reached, before = [], None
    for _ in range(5 * len(stops) + 5):
        page.keyboard.press("Tab")
        focus = page.evaluate(SEE_FOCUS)
        if focus is None:  # out of the page
            break
        number = focus["number"]
        if reached and reached[-1] == number:  # a date has several parts
            continue
        assert focus["shows"], f"the focus is not to be seen on {stops[number]}"
        assert focus["isInView"], f"{stops[number]} has the focus out of sight"
        if before is not None:
            is_below = focus["top"] >= before["bottom"] - 1
            is_behind = focus["bottom"] > before["top"] and focus["left"] > before["left"]
            assert is_below or is_behind, f"{stops[number]} is reached after what is below it"
        reached.append(number)
        before = focus
    missed = [stop for number, stop in enumerate(stops) if number not in reached]
    assert not missed
    assert reached == sorted(reached)


def test_merchant_connects_by_keyboard_alone(merchant):
    name = "Bakkerij Toetsenbord"
    page = merchant.page
    page.goto(SIGN_UP)
    with page.expect_response(lambda response: response.request.method == "POST"):
        # A script asks for the part of the form that this country changes; without one its button would.
        tab_to(page, "[name=country]")
        page.keyboard.type("Netherlands")
        page.keyboard.press("Tab")
    for field, value in {
        "organization_name": name,
        "registration_number": "30204462",
        "street_and_number": "Keizersgracht 126",
        "postal_code": "1015 CW",
        "city": "Amsterdam",
        "owner_given_name": "Jan",
        "owner_family_name": "Jansen",
        "owner_email": address_of(name),
    }.items():
        # From the top each time: what the script put there may have moved the focus.
        page.evaluate("document.activeElement.blur()")
        tab_to(page, f"[name={field}]")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    merchant.sees_consent()
    tab_to(page, "button[value=deny]")
    page.keyboard.press("Enter")

    merchant.sees("declined")
    tab_to(page, "main button[value=start]")
    page.keyboard.press("Space")
    merchant.sees_consent()
    tab_to(page, "button[value=allow]")
    page.keyboard.press("Space")
    merchant.sees("connected")
    tab_to(page, "main button[value=check]")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    merchant.sees("connected")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_folded_parts_open_by_keyboard(gallery, open_gallery, key):
    page = gallery.show(open_gallery(), "declined")
    details = page.locator("main details").first
    tab_to(page, "main details >> nth=0 >> summary")
    assert not details.evaluate("details => details.open")
    page.keyboard.press(key)
    assert details.evaluate("details => details.open")
    tab_to(page, "main details >> nth=0 >> button >> nth=0")


@pytest.mark.parametrize(
    "state", ["sign-up-errors/all", "sign-up-errors/optional", "sign-up-errors/refused-field"]
)
def test_what_is_wrong_has_the_focus_and_leads_to_its_fields(gallery, open_gallery, state):
    page = gallery.show(open_gallery(), state)
    page.wait_for_function("document.activeElement.id === 'errors'")
    links = page.locator("#errors a")
    marked = page.locator("main form [aria-invalid=true]")
    assert links.count() == marked.count() > 0
    for number in range(links.count()):
        link = links.nth(number)
        link.focus()
        page.keyboard.press("Enter")
        field = page.locator(link.get_attribute("href"))
        assert field.evaluate(IS_FOCUSED)
        assert field.get_attribute("aria-invalid") == "true"
        # What is wrong with it is said with it.
        described = (field.get_attribute("aria-describedby") or "").split()
        assert any(page.locator(f"[id='{part}']").inner_text().strip() for part in described)


def test_refusal_as_a_whole_has_the_focus(gallery, open_gallery):
    page = gallery.show(open_gallery(), "sign-up-errors/crowded")
    page.wait_for_function("document.activeElement.matches('main .notice')")
