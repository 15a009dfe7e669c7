"""The platform's colour: readable on light and dark, and nothing but a colour in the stylesheet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mollie_onboarding
from mollie_onboarding.colors import (
    DARK_SURFACE,
    LIGHT_BACKGROUND,
    LIGHT_SURFACE,
    contrast,
    for_dark,
    normalize,
    on_color,
)
from mollie_onboarding.services import mailing
from mollie_onboarding.views.theme import theme_url

STYLESHEET = Path(mollie_onboarding.__file__).parent / "static/mollie_onboarding/merchant.css"

colors = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("#0b5fff", "#0b5fff"),
        ("#0B5FFF", "#0b5fff"),
        ("#fa0", "#ffaa00"),
        ("#FFF", "#ffffff"),
        *[
            (text, "")
            for text in (
                *("", "#", "0b5fff", "#0b5ff", "#0b5fff0", "#ggg", "red", "rgb(1,2,3)", " #fff", "#fff\n"),
                *("#fff;}", "#fff</style>", "#\uff11\uff11\uff11", None, 5, b"#fff", ["#fff"]),
            )
        ],
    ],
)
def test_normalize(text, color):
    assert normalize(text) == color


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    # As in the tools of the W3C and of browsers.
    [
        ("#000000", "#ffffff", 21),
        ("#ffffff", "#ffffff", 1),
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ffffff", 8.59),
        ("#ff0000", "#000000", 5.25),
        ("#0a0a0a", "#000000", 1.06),
    ],
)
def test_contrast(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize(
    ("color", "text"),
    [("#0b5fff", "#ffffff"), ("#000000", "#ffffff"), ("#ffcc00", "#000000"), ("#ffffff", "#000000")],
)
def test_on_color(color, text):
    assert on_color(color) == text


@given(colors)
def test_every_color_can_be_read(color):
    dark = for_dark(color)

    assert contrast(on_color(color), color) >= 4.5
    assert contrast(dark, DARK_SURFACE) >= 4.5
    assert contrast(on_color(dark), dark) >= 4.5
    assert normalize(dark) == dark


def test_color_that_is_light_enough_stays_on_dark():
    assert for_dark("#b3a6ff") == "#b3a6ff"


def test_color_that_is_too_dark_is_mixed_with_as_little_white_as_it_takes():
    assert contrast(for_dark("#0b5fff"), DARK_SURFACE) == pytest.approx(4.5, abs=0.1)
    assert re.fullmatch("#[0-9a-f]{6}", for_dark("#000000"))


def test_colors_are_those_of_the_pages():
    source = STYLESHEET.read_text()
    light, dark = re.findall(r":root \{(.*?)\}", source.partition("/* The page */")[0], re.DOTALL)

    def color(scheme, name):
        [value] = re.findall(rf"--mollie-onboarding-{name}: (.*?);", scheme)
        return normalize(value)

    assert color(light, "accent") == mailing.ACCENT_COLOR
    assert color(light, "surface") == LIGHT_SURFACE
    assert color(light, "background") == LIGHT_BACKGROUND
    assert color(dark, "surface") == DARK_SURFACE
    # What can be read on the surface can be read on what is around it, which is darker still.
    assert contrast("#ffffff", color(dark, "background")) > contrast("#ffffff", DARK_SURFACE)


# The stylesheet.


def test_stylesheet_sets_the_variables_for_light_and_dark(client, settings):
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = "#4A35C9"

    response = client.get(theme_url())

    light, dark = response.content.decode().split("@media (prefers-color-scheme: dark)")
    assert "--mollie-onboarding-accent: #4a35c9;" in light
    assert "--mollie-onboarding-on-accent: #ffffff;" in light
    assert f"--mollie-onboarding-accent: {for_dark('#4a35c9')};" in dark
    assert "--mollie-onboarding-on-accent: #000000;" in dark
    assert dark.count("{") == dark.count("}") == 2
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=86400"


def test_stylesheet_needs_no_database(client, settings, atomic_requests):
    """This test may not use any."""
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = "#4A35C9"
    assert client.get(theme_url()).status_code == 200


@pytest.mark.parametrize("method", ["get", "head"])
def test_stylesheet_touches_no_session_and_no_cookie(client, settings, method):
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = "#4a35c9"
    client.cookies["sessionid"] = "somebody"

    response = getattr(client, method)("/onboarding/theme.css")  # no database either: the test may use none

    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")


def test_stylesheet_is_public_under_the_login_required_middleware(client, settings):
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = "#4a35c9"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert client.get("/onboarding/theme.css").status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_stylesheet_takes_no_other_method(client, settings, method):
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = "#4a35c9"

    assert getattr(client, method)("/onboarding/theme.css").status_code == 405


def test_address_of_the_stylesheet_changes_with_the_color(settings):
    addresses = set()
    for color in ("#4a35c9", "#4a35ca", "#4A35C9"):
        settings.MOLLIE_ONBOARDING_ACCENT_COLOR = color
        addresses.add(theme_url())

    assert len(addresses) == 2
    assert all(re.fullmatch(r"/onboarding/theme\.css\?v=[0-9a-f]{8}", address) for address in addresses)


@pytest.mark.parametrize("color", [None, "", "red", "#fff;} body {display: none", "#fff</style>"])
def test_there_is_no_stylesheet_without_a_color(client, settings, color):
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = color

    assert theme_url() == ""
    assert client.get("/onboarding/theme.css").status_code == 404


def test_pages_link_to_the_stylesheet_only_where_there_is_a_color(client, settings):
    assert "theme.css" not in client.get("/onboarding/signup/").content.decode()

    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = "#4a35c9"

    page = client.get("/onboarding/signup/").content.decode()
    ours = page.index("merchant.css")
    assert ours < page.index(f'<link rel="stylesheet" href="{theme_url()}">')
