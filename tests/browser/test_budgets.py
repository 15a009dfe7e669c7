"""What a page may weigh and ask for, so that it opens on an old phone with a bad connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .gallery import LANGUAGES, STATES, Answer
from .server import ROOT
from .visitor import DESKTOP, PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

MAX_PAGE = 15_000  # bytes of HTML; the sign-up page has the countries and legal forms of Europe on top
MAX_STYLESHEET = 12_000  # bytes
MIN_TARGET = 24  # CSS pixels, WCAG 2.2, 2.5.8
# One state of each page, and of each status that it can show: the rest differs by its texts.
KINDS = list({(state.template, state.status): state for state in STATES}.values())
MERCHANT_PAGES = [state for state in STATES if state.template != "signup"]

IS_PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"
SHIFTS = """() => new Promise(resolve => {
  const shifts = [];
  const observer = new PerformanceObserver(list => shifts.push(...list.getEntries()));
  observer.observe({type: "layout-shift", buffered: true});
  // What was seen comes with the next frames.
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(
    [...shifts, ...observer.takeRecords()].flatMap(shift => shift.sources.map(
      ({node}) => `${shift.value}: ${(node && (node.outerHTML || node.textContent) || "").slice(0, 150)}`))), 50)));
})"""
# Targets that are too small. A link inside of a sentence may be as high as its line; what a label holds is as large as it.
SMALL_TARGETS = """smallest => {
  document.querySelectorAll("details").forEach(details => details.open = true);
  const isInSentence = element => element.matches("a") && getComputedStyle(element).display === "inline"
    && element.parentElement.textContent.trim() !== element.textContent.trim();
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
    .filter(element => element.type !== "hidden" && element.tabIndex >= 0 && element.checkVisibility())
    .filter(element => !isInSentence(element))
    .map(element => [element.closest("label") || element, element.outerHTML.slice(0, 150)])
    .map(([element, html]) => [element.getBoundingClientRect(), html])
    .filter(([box]) => box.width < smallest || box.height < smallest)
    .map(([box, html]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${html}`);
}"""


def size_of(answer: Answer) -> int:
    return len(answer.text.encode())


def test_page_is_light(gallery):
    sizes = {
        (state.name, language): size_of(gallery.answer(state, language))
        for state in MERCHANT_PAGES
        for language in LANGUAGES
    }
    assert not {page: size for page, size in sizes.items() if size >= MAX_PAGE}
    # And the largest of them in every language that it offers.
    [largest, _] = max(sizes, key=sizes.__getitem__)
    [state] = [state for state in STATES if state.name == largest]
    offered = re.findall(r'hreflang="([\w-]+)"', gallery.answer(state).text)
    assert set(LANGUAGES) <= set(offered)
    assert not {
        language: size
        for language in offered
        if (size := size_of(gallery.answer(state, language))) >= MAX_PAGE
    }


def test_stylesheet_is_light():
    path = ROOT / "mollie_onboarding" / "static" / "mollie_onboarding" / "merchant.css"
    assert path.stat().st_size < MAX_STYLESHEET


class Dam:
    """Lets pages and stylesheets through, and holds all else back until it is opened."""

    def __init__(self, page: Page) -> None:
        self.held: list[Route] = []
        self.is_open = False
        page.route(lambda url: True, self.decide)

    def decide(self, route: Route) -> None:
        if self.is_open or route.request.resource_type in ("document", "stylesheet"):
            route.fallback()
        else:
            self.held.append(route)

    def open(self) -> None:
        self.is_open = True
        for route in self.held:
            route.continue_()


@pytest.mark.parametrize("state", KINDS, ids=str)
def test_first_paint_waits_for_nothing_but_stylesheets(gallery, open_gallery, state):
    """Scripts, pictures and the icon may never come; all that is asked for is asked of ourselves."""
    visitor = open_gallery()
    asked = []
    visitor.page.on("request", lambda request: asked.append(request))
    dam = Dam(visitor.page)
    page = gallery.show(visitor, state, wait_until="commit")
    page.wait_for_function(IS_PAINTED)
    assert page.locator("h1").is_visible()
    assert {urlsplit(request.url).netloc for request in asked} == {urlsplit(gallery.server.url).netloc}
    assert {request.resource_type for request in asked} <= {
        "document",
        "stylesheet",
        "script",
        "image",
        "other",
    }
    # One of ours, one with the platform's colour, one of the platform.
    assert [request.resource_type for request in asked].count("stylesheet") <= 3
    dam.open()


@pytest.mark.parametrize("state", KINDS, ids=str)
def test_nothing_shifts(gallery, open_gallery, state):
    """Also where the logo and the script come long after the text."""
    visitor = open_gallery()
    dam = Dam(visitor.page)
    page = gallery.show(visitor, state, wait_until="commit")
    page.wait_for_function(IS_PAINTED)
    page.wait_for_function("document.querySelector('header img')")
    dam.open()
    page.wait_for_load_state()
    assert page.evaluate("document.querySelector('header img').naturalWidth") > 0
    shifts = page.evaluate(SHIFTS)
    assert not shifts, "\n".join(shifts)


@pytest.mark.parametrize("state", STATES, ids=str)
def test_targets_are_large_enough(gallery, open_gallery, state):
    visitor = open_gallery()
    page = gallery.show(visitor, state)
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        small = page.evaluate(SMALL_TARGETS, MIN_TARGET)
        assert not small, "\n".join(small)


@pytest.mark.parametrize("state", KINDS, ids=str)
def test_page_works_without_images(gallery, open_gallery, state):
    visitor = open_gallery()
    visitor.page.route(
        lambda url: True,
        lambda route: route.abort() if route.request.resource_type == "image" else route.fallback(),
    )
    page = gallery.show(visitor, state)
    visitor.sees(state.status)
    platform = page.locator("header a").first
    assert platform.inner_text().strip() or platform.locator("img").get_attribute("alt")


def test_merchant_connects_without_scripts_and_images(open_browser):
    merchant = open_browser(java_script_enabled=False)
    page = merchant.page
    page.route(
        lambda url: True,
        lambda route: (
            route.abort() if route.request.resource_type in ("image", "script") else route.fallback()
        ),
    )
    merchant.sign_up("Bakkerij Eenvoud")
    page.locator("button[value=deny]").click()
    merchant.sees("declined")
    page.locator("main button[value=start]").click()
    merchant.sees_consent()
    page.locator("button[value=allow]").click()
    merchant.sees("connected")


def test_country_changes_the_form_without_scripts(open_browser):
    merchant = open_browser(java_script_enabled=False)
    merchant.page.goto("/onboarding/signup/")
    merchant.page.locator("[name=organization_name]").fill("Bakkerij Eenvoud")
    merchant.page.locator("[name=country]").select_option("DE")
    merchant.page.locator("button[name=choose_country]").click()
    merchant.sees("ready")
    merchant.page.locator("[name=legal_entity]").select_option("de-gmbh")
    assert merchant.page.locator("[name=organization_name]").input_value() == "Bakkerij Eenvoud"
