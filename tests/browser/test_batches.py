"""What an operator sees of a batch: a bar that moves by itself, with and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import _visitors, log_in_operator
from .server import Server, run_server
from .visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

BATCHES = "/admin/mollie_onboarding/batch/"
SMALL_PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def shop(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A platform with batches that run."""
    prepare = ["-m", "tests.browser.batch_rows"]
    with run_server(tmp_path_factory.mktemp("batches"), prepare=prepare) as server:
        yield server


@pytest.fixture(scope="module")
def cookies(shop: Server, chromium: Browser) -> Any:
    return log_in_operator(chromium, shop)


@pytest.fixture
def open_batch(
    shop: Server, chromium: Browser, cookies: Any, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    """An operator who looks at one of the batches."""
    with _visitors(shop, chromium, request.node.name) as open_browser:

        def open_batch(name: str, **options: Any) -> Visitor:
            operator = open_browser(desktop=True, storage_state=cookies, **options)
            operator.page.goto(f"{BATCHES}{shop.rows[name]}/change/")
            return operator

        yield open_batch


def see(operator: Visitor, words: str) -> None:
    operator.page.locator("#batch-share").get_by_text(words, exact=True).wait_for()


def test_bar_moves_without_a_reload(open_batch):
    operator, colleague = open_batch("script"), open_batch("script")
    page = operator.page
    see(operator, "0 of 6")
    page.evaluate("window.isTheSame = true")
    merchant = page.locator("#items a").nth(1)
    merchant.focus()
    address = merchant.get_attribute("href")

    colleague.press("Send 3 more mails now")

    see(operator, "3 of 6")
    assert page.evaluate("window.isTheSame")
    assert page.locator("#batch-bar").get_attribute("value") == "3"
    assert page.locator("[data-outcome=sent]").inner_text() == "3"
    assert page.locator("[data-outcome=queued]").inner_text() == "3"
    assert "3 mails could not be sent yet" in page.locator("#batch-waiting").inner_text()
    page.locator("#items tbody").get_by_text("Sent").nth(2).wait_for()
    # The table is another one, and the keyboard is where it was.
    assert page.evaluate("document.activeElement.getAttribute('href')") == address
    operator.take_picture("1-running")
    page.set_viewport_size(SMALL_PHONE)
    operator.check_page()
    # The end is a new page: with what became of each, and with other buttons.
    colleague.press("Cancel the batch")
    page.locator("#batch-state").get_by_text("Cancelled").wait_for()
    assert page.evaluate("window.isTheSame === undefined")
    assert page.locator("#items tbody").get_by_text("Cancelled").count() == 3
    page.set_viewport_size(operator.viewport)
    page.goto(BATCHES)
    operator.take_picture("2-list")
    widths = page.locator(".results").evaluate("element => [element.scrollWidth, element.clientWidth]")
    assert widths[0] <= widths[1], widths


def test_batch_works_without_javascript(open_batch):
    operator, colleague = open_batch("plain", java_script_enabled=False), open_batch("plain")
    see(operator, "0 of 6")

    colleague.press("Send 3 more mails now")

    see(operator, "3 of 6")  # by the page's own reload
    operator.press("Cancel the batch")
    operator.page.locator("#batch-state").get_by_text("Cancelled").wait_for()
    see(operator, "3 of 6")
    assert operator.page.get_by_role("button", name="Run again for whoever got no mail").count() == 1


def test_what_is_late_is_said_and_taken_back_without_a_reload(open_batch):
    operator, colleague = open_batch("late"), open_batch("late")
    page = operator.page
    line = page.locator("#late")
    assert line.inner_text().startswith("3 mails have waited for over 10 minutes.")
    # As on a page that was opened before they were late.
    line.evaluate("line => { line.textContent = ''; line.hidden = true; window.isTheSame = true; }")

    line.get_by_text("3 mails have waited").wait_for()
    assert line.is_visible()
    colleague.press("Send 3 more mails now")

    see(operator, "3 of 6")
    line.wait_for(state="hidden")
    assert page.evaluate("window.isTheSame")
