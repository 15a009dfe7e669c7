"""A real server, a real Chromium, and contexts that are merchants and operators.

The server is the example project in a process of its own, with Mollie's sandbox under another host name, so that Mollie is
another site to the browser, as it is in life. Nothing here touches the ORM: while Playwright's event loop runs, Django
would refuse that. This is also why the browser lives for one module at a time and not for the whole session.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from .server import Server
from .visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
FOREIGN = ("MOLLIE_", "DJANGO_", "EXAMPLE_", "DATABASE_URL", "EMAIL_URL", "CACHE_URL", "PORT", "COV")
START_TIMEOUT = 30  # seconds


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
    """The example project as `make demo` runs it, migrated and seeded, on a free port."""
    directory = tmp_path_factory.mktemp("example")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", f"http://localhost:{port}/sandbox", directory / "output.txt")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "EXAMPLE_DIRECTORY": str(directory),
        "MOLLIE_ONBOARDING_SIGNUP_LIMIT": "1000/h",
        "NO_PROXY": "127.0.0.1,localhost",
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    manage = [sys.executable, "example_project/manage.py"]
    done = subprocess.run(
        [*manage, "seed_demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # The seed also migrates. Only where the sandbox is on the site's own host does it live its stories.
    environment["MOLLIE_ONBOARDING_API_URL"] = server.mollie
    environment["MOLLIE_ONBOARDING_AUTHORIZE_URL"] = f"{server.mollie}/oauth2/authorize"
    with server.output.open("w") as output:
        process = subprocess.Popen(
            [*manage, "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_it_answers(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _wait_until_it_answers(server: Server, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{server.url}/onboarding/signup/", timeout=5):  # noqa: S310 (our own address)
                return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"The example project does not answer:\n{server.output.read_text()}")


@pytest.fixture(scope="module")
def chromium(_tools: None) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture
def open_browser(
    server: Server, chromium: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    """A person with a browser of their own: a phone, or a desktop where told so; other options are Playwright's."""
    said_before = len(server.said())
    visitors: list[Visitor] = []

    def open_browser(**options: Any) -> Visitor:
        visitor = Visitor(chromium, server, name=request.node.name.removeprefix("test_"), **options)
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
    """Of an operator who is logged in."""
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
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append(("the example project's last words", server.said()[-6000:]))
    return report
