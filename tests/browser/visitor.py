"""What a person does in a browser, in the words of the tests."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

ARTIFACTS = Path(__file__).resolve().parent.parent / "artifacts"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
SHOWN = (("phone", "light"), ("desktop", "dark"))
TIMEOUT = 60_000  # milliseconds; what is there does not wait for it, and a machine may be busy

SIGN_UP = "/onboarding/signup/"


class Visitor:
    """A browser context and its page."""

    def __init__(
        self, browser: Browser, server: Server, *, name: str, desktop: bool = False, **options: Any
    ) -> None:
        self.server = server
        self.name = re.sub(r"\W+", "-", name)  # of a file
        self.viewport = DESKTOP if desktop else PHONE
        options = {"locale": "en-GB", "has_touch": not desktop, **options}
        if browser.browser_type.name == "chromium":  # Firefox has no such mode
            options.setdefault("is_mobile", not desktop)
        # Where it is https, the certificate is the tests' own.
        options.setdefault("ignore_https_errors", server.url.startswith("https:"))
        self.context = browser.new_context(base_url=server.url, viewport=self.viewport, **options)
        self.context.set_default_timeout(TIMEOUT)
        self.complaints: list[str] = []
        self.page = self.open_tab()

    def open_tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    # Reading pages.

    def sees(self, status: str, *, page: Page | None = None, picture: str = "") -> None:
        """Wait for a page of ours in this state, and check what every page of ours owes its visitors."""
        page = page or self.page
        page.locator(f'main[data-status="{status}"]').wait_for()
        self.check_page(page)
        if picture:
            self.take_picture(picture, page)

    def opens_until(self, status: str, address: str, *, page: Page) -> None:
        """Open a page again until it is in this state; as long as a page would be waited for."""
        give_up_at = time.monotonic() + TIMEOUT / 1000
        page.goto(address)
        while not page.locator(f'main[data-status="{status}"]').count():
            assert time.monotonic() < give_up_at, (
                f"{address} is not {status}: {page.locator('main').inner_text()}"
            )
            page.wait_for_timeout(50)
            page.goto(address)

    def sees_consent(self, *, page: Page | None = None, picture: str = "") -> None:
        page = page or self.page
        page.wait_for_url(f"{self.server.mollie}/**")
        page.locator('main[data-page="consent"]').wait_for()
        self.check_page(page)
        if picture:
            self.take_picture(picture, page)

    def check_page(self, page: Page | None = None) -> None:
        page = page or self.page
        assert page.locator("h1").count() == 1
        assert page.locator("h1").inner_text().strip()
        assert re.fullmatch(r"[a-z]{2}(-[a-z]+)?", page.locator("html").get_attribute("lang") or "")
        assert re.match(r"\w", page.title()), f"{page.url} has no title of its own: {page.title()!r}"
        width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert width[0] <= width[1], f"{page.url} scrolls sideways: {width}"

    def take_picture(self, name: str, page: Page | None = None) -> None:
        """On a phone in the light and a desktop in the dark; with BROWSER_PICTURES=all also the other way round."""
        page = page or self.page
        ARTIFACTS.mkdir(exist_ok=True)
        for size, viewport in (("phone", PHONE), ("desktop", DESKTOP)):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                if (size, scheme) not in SHOWN and os.environ.get("BROWSER_PICTURES") != "all":
                    continue
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                path = ARTIFACTS / f"{self.name}-{name}-{size}-{scheme}.png"
                page.screenshot(path=path, full_page=True, animations="disabled")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(self.viewport)  # type: ignore[arg-type]

    # Acting.

    def press(self, name: str, *, page: Page | None = None) -> None:
        (page or self.page).get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str, *, page: Page | None = None) -> None:
        (page or self.page).get_by_role("link", name=name, exact=True).click()

    def fill_in_sign_up(self, organization: str) -> None:
        """As a person does, by the labels."""
        self.page.get_by_label("Country").select_option(label="Netherlands")
        # Called after the country that the form began with, until it follows.
        self.page.locator("[name=registration_number]").fill("30204462")
        for label, value in {
            "Organization name": organization,
            "Street and number": "Keizersgracht 126",
            "Postal code": "1015 CW",
            "City": "Amsterdam",
            "Given name": "Jan",
            "Family name": "Jansen",
            "E-mail address": address_of(organization),
        }.items():
            self.page.get_by_label(label).fill(value)

    def sign_up(self, organization: str) -> None:
        """Until Mollie's consent screen."""
        self.page.goto(self.server.url + SIGN_UP)
        self.fill_in_sign_up(organization)
        self.press("Continue to Mollie")
        self.sees_consent()

    def merchant_page(self, organization: str) -> str:
        """Sign up, connect nothing yet, and give the address of the merchant page."""
        self.sign_up(organization)
        self.press("Deny")
        self.sees("declined")
        return self.page.url

    def log_in_to(self, organization: str) -> None:
        """Choose an organization on Mollie's consent screen, which folds many of them away."""
        folded = self.page.locator("details:not([open]) > summary", has_text="Log in to one of")
        if folded.count():
            folded.click()
        self.page.get_by_label(f"Log in to {organization}").check()

    def log_in(self, path: str, name: str) -> None:
        self.page.goto(self.server.url + path)
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(name)
        self.press("Log in")

    def open_mail(self, recipient: str, subject: str) -> None:
        """The newest such mail, on the sandbox's page of mails."""
        self.page.goto(f"{self.server.url}/sandbox/mails/")
        row = self.page.get_by_role("listitem").filter(has_text=recipient).filter(has_text=subject)
        row.first.get_by_role("link").click()
        self.page.get_by_role("heading", name=subject, level=1).wait_for()


def address_of(organization: str) -> str:
    """An owner's e-mail address, another one for each organization."""
    return f"jan@{organization.lower().replace(' ', '-')}.example"
