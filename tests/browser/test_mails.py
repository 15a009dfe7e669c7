"""Mails as they look on a phone and on a desktop, in the light and in the dark, and their preview in the admin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink
from mollie_onboarding.services import Purpose
from tests.conftest import MERCHANT

from .test_operators import LIST
from .visitor import ARTIFACTS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

LOGO = "https://cdn.shopwise.example/logo.png"
PRESSABLE = 44  # pixels, for a finger


@pytest.fixture
def open_mail(chromium: Browser, settings: Any) -> Iterator[Callable[..., Page]]:
    """Shows a mail as a mail program would: without scripts, and without images unless there is one to show."""
    contexts = []

    def open_mail(purpose: Purpose, width: int, scheme: str, *, logo: str = "", image: bytes = b"") -> Page:
        settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = logo
        settings.MOLLIE_ONBOARDING_PRIVACY_URL = "https://platform.example/privacy"
        # A row that is not saved: while Playwright's event loop runs, Django would refuse to look for one.
        message = services.build_example(ClientLink(**MERCHANT), purpose, "en")
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=False,
        )
        contexts.append(context)
        page = context.new_page()
        page.route(
            "**/*",
            lambda route: route.fulfill(body=image, content_type="image/svg+xml") if image else route.abort(),
        )
        page.set_content(str(message.alternatives[0][0]))
        return page

    yield open_mail
    for context in contexts:
        context.close()


def take_picture(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"mail-{name}.png", full_page=True)


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("width", [320, 640])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_mail_fits_and_can_be_pressed(open_mail, purpose, width, scheme):
    page = open_mail(purpose, width, scheme)

    button = page.locator("a.button")
    assert button.count() == 1
    assert button.bounding_box()["height"] >= PRESSABLE
    card = page.locator(".card").bounding_box()
    assert card["width"] <= 560
    for link in page.locator("a").all():  # also the address, however long
        box = link.bounding_box()
        assert box["x"] >= card["x"]
        assert box["x"] + box["width"] <= card["x"] + card["width"]
    background = "rgb(27, 33, 42)" if scheme == "dark" else "rgb(255, 255, 255)"
    assert css(page, ".card", "background-color", background)
    take_picture(page, f"{purpose}-{width}-{scheme}")


def css(page: Page, selector: str, name: str, value: str) -> bool:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_css(name, value)
    return True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_logo_that_is_blocked_is_the_name(open_mail, scheme):
    page = open_mail(Purpose.INVITATION, 320, scheme, logo=LOGO)

    logo = page.get_by_role("img", name="Shopwise")
    assert logo.count() == 1
    box = logo.bounding_box()
    assert 0 < box["height"] <= 48
    assert 40 < box["width"] <= 240
    take_picture(page, f"blocked-320-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_logo_keeps_its_shape_on_a_light_ground(open_mail, scheme):
    image = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="150" viewBox="0 0 600 150">'
        b'<text x="10" y="110" font-size="120" font-family="sans-serif" fill="#123">shopwise</text></svg>'
    )
    page = open_mail(Purpose.CONNECTED, 640, scheme, logo=LOGO, image=image)

    box = page.get_by_role("img", name="Shopwise").bounding_box()
    assert (box["width"], box["height"]) == (160, 40)
    assert css(page, ".logo", "background-color", "rgb(255, 255, 255)")
    take_picture(page, f"logo-640-{scheme}")


def test_operator_looks_at_a_mail_and_gets_a_test(operator, server):
    page = operator.page
    page.goto(LIST)
    page.get_by_role("link", name="Weingut Sonnenhang GmbH").first.click()
    operator.follow("Preview the mail")
    mail = page.frame_locator('iframe[title="The mail as HTML"]')
    mail.locator("a.button").wait_for()
    operator.check_page()
    operator.take_picture("1-preview")

    page.get_by_label("Mail").select_option(label="Notice after connecting")
    page.get_by_label("Language").select_option(label="English")
    page.get_by_label("Width").select_option(label="Phone")
    operator.press("Show")
    mail.get_by_role("heading", name="Weingut Sonnenhang GmbH is connected with Mollie", level=1).wait_for()
    assert page.locator("iframe").bounding_box()["width"] == 360
    operator.take_picture("2-on-a-phone")

    operator.press("Send me a test")
    page.get_by_text("A test of the mail was sent to operator@shopwise.example.").wait_for()
    mail.get_by_role("heading", level=1).wait_for()
    operator.open_mail(
        "operator@shopwise.example", "[Test] Shopwise: Weingut Sonnenhang GmbH is connected with Mollie"
    )
