"""The README's pictures, by `make screenshots`: from the gallery, so that they show what is tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .gallery import NAMED, PREPARE, Gallery
from .gallery_rows import NAME
from .server import ROOT, Server, run_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SETTINGS = "tests.browser.fixed_day"
DOCS = ROOT / "docs"
MAX_SIZE = 120_000  # bytes
# What differs from one database and one machine to the next.
SETTLE = """() => {
  const numbers = {};
  const settle = text => text
    .replace(/org_\\d+/g, id => numbers[id] ??= `org_${19237465 + 1000 * Object.keys(numbers).length}`)
    .replace(/onboarding\\/link\\/[\\w.-]+\\//g, "onboarding/link/…")
    .replace(/http:\\/\\/127\\.0\\.0\\.1:\\d+/g, "https://shopwise.example");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = settle(walker.currentNode.data);
}"""
MERCHANT_PAGES = {
    "merchant-page": "ready",
    "connected": "connected/requirements",
    "sign-up": "sign-up/country",
}


@pytest.fixture(scope="module")
def server(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("example"), DJANGO_SETTINGS_MODULE=SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def gallery(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    directory = tmp_path_factory.mktemp("gallery")
    with run_server(directory, prepare=PREPARE, DJANGO_SETTINGS_MODULE=SETTINGS) as server:
        yield Gallery(server)


def picture(page: Page, name: str, *, full_page: bool = False) -> None:
    page.evaluate(SETTLE)
    path = DOCS / f"{name}.png"
    page.screenshot(path=path, full_page=full_page, animations="disabled", caret="hide")
    assert path.stat().st_size < MAX_SIZE


@pytest.mark.parametrize("name", MERCHANT_PAGES)
def test_merchant_page(gallery, open_gallery, name):
    page = gallery.show(open_gallery(), NAMED[MERCHANT_PAGES[name]])
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, name)


def test_merchant_page_in_the_dark(gallery, open_gallery):
    page = gallery.show(open_gallery(color_scheme="dark"), "connected/completed", "de")
    picture(page, "connected-dark")


def test_mail(gallery, open_gallery):
    visitor = open_gallery()
    visitor.open_mail(gallery.server.rows["invited"], NAME)
    mail = visitor.page.locator("iframe").get_attribute("srcdoc")
    visitor.page.set_viewport_size({"width": 640, "height": 480})
    visitor.page.set_content(mail)
    picture(visitor.page, "mail", full_page=True)


def test_admin(operator):
    page = operator.page
    page.goto(f"{operator.server.url}/admin/mollie_onboarding/clientlink/")
    page.set_viewport_size({"width": 1280, "height": 640})
    picture(page, "admin")
