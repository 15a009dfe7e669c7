"""axe-core finds nothing: in every state, in four languages, in the light and the dark, on a phone and a desktop.

Also on the pages that we add to the admin, in what is ours of them: the frame around it is Django's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .axe import find_violations, load_axe
from .conftest import _visitors
from .gallery import LANGUAGES, STATES
from .server import Server, run_server
from .visitor import DESKTOP, PHONE, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

LIST = "/admin/mollie_onboarding/clientlink/"
BATCHES = "/admin/mollie_onboarding/batch/"
# Two right rows, one that is wrong in two columns, one that is twice in the file, and one that may be a mistake.
SPREADSHEET = """\
organization_name,country,owner_given_name,owner_family_name,owner_email,vat_number
Kaas & {0},NL,Jan,Jansen,jan@kaas-{0}.example,
Brood & {0},NL,Piet,Pietersen,piet@brood-{0}.example,
Wijn & {0},Atlantis,Klaas,Klaassen,klaas@,
Kaas & {0},NL,Jan,Jansen,jan@kaas-{0}.example,
Vis & {0},NL,Kees,Keessen,kees@vis-{0}.example,NL123456789B02
"""


@pytest.mark.parametrize("state", STATES, ids=str)
def test_axe_finds_nothing(gallery, open_gallery, state):
    found: dict[str, list[str]] = {}
    visitor = open_gallery()
    for language in LANGUAGES:
        page = gallery.show(visitor, state, language)
        load_axe(page)
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                # The dark theme has other colours, and is the same page in all else: two minutes are saved by that.
                for violation in find_violations(page, only_colours=scheme == "dark"):
                    found.setdefault(violation, []).append(f"{language} {size['width']} {scheme}")
    assert not found, "\n".join(
        f"{violation}\n    in {', '.join(where)}" for violation, where in found.items()
    )


def test_axe_finds_what_is_wrong(open_gallery):
    """If this is not found, that nothing is found means nothing."""
    page = open_gallery().page
    page.set_content(
        """<!DOCTYPE html><html><title>x</title><style>@media (prefers-color-scheme: dark) { p { color: #eee } }</style>
        <main><h2>No first heading</h2><p>Pale in the dark</p><input>
        <button style="width: 9px; height: 9px; padding: 0">a</button><button style="width: 9px; height: 9px; padding: 0">b</button>
        </main></html>"""
    )
    load_axe(page)
    in_the_light = "\n".join(find_violations(page))
    for rule in ("html-has-lang", "page-has-heading-one", "label", "target-size"):
        assert f"{rule}:" in in_the_light
    assert "color-contrast:" not in in_the_light
    page.emulate_media(color_scheme="dark")
    assert "color-contrast:" in "\n".join(find_violations(page, only_colours=True))


# The admin.


@pytest.fixture(scope="module")
def office(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A platform with batches that run, where nobody minds what is imported."""
    prepare = ["-m", "tests.browser.batch_rows"]
    with run_server(tmp_path_factory.mktemp("office"), prepare=prepare) as server:
        yield server


@pytest.fixture
def clerk(office: Server, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """An operator there, for whom nothing moves: a colour on its way to another one has the contrast of neither."""
    with _visitors(office, chromium, request.node.name) as open_browser:
        clerk = open_browser(desktop=True)
        clerk.log_in("/admin/", "operator")
        clerk.page.locator("#user-tools").wait_for()
        yield clerk


def upload(clerk: Visitor, name: str = "Zoon") -> None:
    clerk.page.goto(f"{LIST}import/")
    file = {"name": "merchants.csv", "mimeType": "text/csv", "buffer": SPREADSHEET.format(name).encode()}
    clerk.page.get_by_label("Spreadsheet").set_input_files(file)  # type: ignore[arg-type]
    clerk.press("Check the file")
    for name in ("errors", "skipped", "warnings", "sample"):
        clerk.page.locator(f"#{name}").wait_for()


def open_new_batch(clerk: Visitor) -> None:
    upload(clerk, "Dochter")
    clerk.press("Import the 3 right rows")
    clerk.page.locator("#batch-state").get_by_text("Prepared").wait_for()


def open_running_batch(clerk: Visitor) -> None:
    clerk.page.goto(f"{BATCHES}{clerk.server.rows['script']}/change/")
    clerk.page.locator("#batch-waiting").wait_for()


def open_cancelled_batch(clerk: Visitor) -> None:
    clerk.page.goto(f"{BATCHES}{clerk.server.rows['plain']}/change/")
    clerk.press("Cancel the batch")
    clerk.page.locator("#batch-state").get_by_text("Cancelled").wait_for()


ADMIN_PAGES: dict[str, Callable[[Visitor], Any]] = {
    "import": lambda clerk: clerk.page.goto(f"{LIST}import/"),
    "import without a file": lambda clerk: (
        clerk.page.goto(f"{LIST}import/"),
        clerk.page.locator("form[enctype]").evaluate("form => form.submit()"),
        clerk.page.locator(".errorlist").wait_for(),
    ),
    "preview": upload,
    "new batch": open_new_batch,
    "running batch": open_running_batch,
    "cancelled batch": open_cancelled_batch,
    "funnel": lambda clerk: (
        clerk.page.goto(f"{LIST}funnel/"),
        clerk.page.locator("#weeks").wait_for(),
    ),
    "export": lambda clerk: clerk.page.goto(f"{LIST}export/"),
}


@pytest.mark.parametrize("name", ADMIN_PAGES)
def test_axe_finds_nothing_in_the_admin(clerk, name):
    found: dict[str, list[str]] = {}
    ADMIN_PAGES[name](clerk)
    page = clerk.page
    page.add_style_tag(content="* { transition: none !important }")
    load_axe(page)
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for violation in find_violations(page, only_colours=scheme == "dark", within="#content"):
                found.setdefault(violation, []).append(f"{size['width']} {scheme}")
        clerk.check_page()
    assert not found, "\n".join(
        f"{violation}\n    in {', '.join(where)}" for violation, where in found.items()
    )
