"""A real server, a real Chromium, and contexts that are merchants and operators.

The server is the example project in a process of its own, with Mollie's sandbox under another host name, so that Mollie is
another site to the browser, as it is in life. Nothing here touches the ORM: while Playwright's event loop runs, Django
would refuse that. This is also why the browser lives for one module at a time and not for the whole session.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .gallery import PREPARE, SIGN_UP_LIMIT, WITHOUT_WAITING, Gallery
from .server import Server, run_server
from .visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Debian's; the shell is Chromium without a window of its own, and pages open in it in a third of the time.
CHROMIUMS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
CHROMIUM = next(filter(Path.exists, CHROMIUMS), CHROMIUMS[-1])
FIREFOX = Path("/usr/bin/firefox-esr")
ARGUMENTS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"


def _do_without(reason: str) -> None:
    """Skip on a machine without a browser; on CI a missing browser is a failure."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def _tools() -> None:
    """Asked for before the server is started, so that nobody waits for it in vain."""
    if importlib.util.find_spec("playwright") is None:
        _do_without("playwright is not installed")
    if not CHROMIUM.exists():
        _do_without(f"{CHROMIUM} is not installed")


@pytest.fixture(scope="session")
def server(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The example project for the tests that walk through it."""
    with run_server(tmp_path_factory.mktemp("example"), MOLLIE_ONBOARDING_SIGNUP_LIMIT="1000/h") as server:
        yield server


@pytest.fixture(scope="session")
def gallery(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """Another one, with a merchant in every state, and with the settings that only some of the states need."""
    settings = {
        "MOLLIE_ONBOARDING_REQUIRE_LOGIN": "1",
        "MOLLIE_ONBOARDING_SIGNUP_LIMIT": f"{SIGN_UP_LIMIT}/h",
        # So that each person can come from an address of their own.
        "MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT": "1",
    }
    with run_server(tmp_path_factory.mktemp("gallery"), prepare=PREPARE, **settings) as server:
        yield Gallery(server)


@pytest.fixture(scope="module")
def chromium(_tools: None) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def firefox(_tools: None) -> Iterator[Browser]:
    """Debian's, driven by the protocol that it speaks itself: Playwright's own Firefox is not needed."""
    if not FIREFOX.exists():
        _do_without(f"{FIREFOX} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.firefox.launch(channel="moz-firefox", executable_path=FIREFOX, headless=True)
        yield browser
        browser.close()


@pytest.fixture
def open_browser(
    server: Server, chromium: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    """A person with a browser of their own: a phone, or a desktop where told so; other options are Playwright's."""
    with _visitors(server, chromium, request.node.name) as open_browser:
        yield open_browser


@pytest.fixture
def open_firefox(
    server: Server, firefox: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    with _visitors(server, firefox, request.node.name) as open_firefox:
        yield open_firefox


@pytest.fixture
def open_gallery(
    gallery: Gallery, chromium: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    """Somebody who looks at the pages of the gallery, where time stands still."""
    with _visitors(gallery.server, chromium, request.node.name) as open_browser:

        def open_gallery(**options: Any) -> Visitor:
            visitor = open_browser(**options)
            visitor.context.add_init_script(WITHOUT_WAITING)
            return visitor

        yield open_gallery


@contextmanager
def _visitors(server: Server, browser: Browser, test: str) -> Iterator[Callable[..., Visitor]]:
    """Opens browsers, closes them, and fails where one of them or the server complained."""
    said_before = len(server.said())
    visitors: list[Visitor] = []

    def open_browser(**options: Any) -> Visitor:
        visitor = Visitor(browser, server, name=test.removeprefix("test_"), **options)
        visitors.append(visitor)
        return visitor

    yield open_browser
    for visitor in visitors:
        visitor.context.close()
    said = server.said()[said_before:]
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    assert not complaints
    assert "Traceback" not in said, said


@pytest.fixture
def merchant(open_browser: Callable[..., Visitor]) -> Visitor:
    return open_browser()


@pytest.fixture(scope="module")
def operator_cookies(server: Server, chromium: Browser) -> Any:
    return log_in_operator(chromium, server)


def log_in_operator(chromium: Browser, server: Server) -> Any:
    """The cookies of an operator who is logged in."""
    visitor = Visitor(chromium, server, name="operator", desktop=True)
    visitor.log_in("/admin/", "operator")
    visitor.page.locator("#user-tools").wait_for()
    cookies = visitor.context.storage_state()
    visitor.context.close()
    return cookies


@pytest.fixture
def operator(open_browser: Callable[..., Visitor], operator_cookies: Any) -> Visitor:
    return open_browser(desktop=True, storage_state=operator_cookies)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the server said when a test fails."""
    report = yield
    given = getattr(item, "funcargs", {})
    server = given["gallery"].server if "gallery" in given else given.get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append(("the example project's last words", server.said()[-6000:]))
    return report
