"""The arithmetic of the platform's colour: what can be read on it, and what it becomes on a dark page.

Colours are texts, `#rrggbb`.
"""

from __future__ import annotations

import re
from functools import cache

LIGHT_SURFACE = "#ffffff"  # merchant.css, --mollie-onboarding-surface
LIGHT_BACKGROUND = (
    "#f3f5f8"  # --mollie-onboarding-background: what is around the surface, with links of its own
)
DARK_SURFACE = "#1b212a"  # --mollie-onboarding-surface, where the merchant's device is dark
READABLE = 4.5  # www.w3.org/TR/WCAG22/#contrast-minimum
STEPS = 64  # from a colour to white

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def normalize(text: object) -> str:
    """A colour that was written `#rgb` or `#rrggbb`, as `#rrggbb` in lower case; '' for anything else."""
    if not isinstance(text, str) or not _COLOR.fullmatch(text):
        return ""
    digits = text[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))


def contrast(one: str, other: str) -> float:
    """How well one colour can be read on another, from 1 to 21. www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@cache
def on_color(color: str) -> str:
    """White or black, whichever is read better on a colour. It is at least 4.58:1, whatever the colour."""
    return max(("#ffffff", "#000000"), key=lambda text: contrast(text, color))


@cache
def for_dark(color: str) -> str:
    """The colour as it is on a dark page: mixed with as little white as makes it readable there."""
    mixtures = (_lighten(color, step) for step in range(STEPS + 1))
    return next(mixture for mixture in mixtures if contrast(mixture, DARK_SURFACE) >= READABLE)


def _channels(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _luminance(color: str) -> float:
    """Relative luminance. www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in _channels(color))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _lighten(color: str, step: int) -> str:
    return "#" + "".join(f"{channel + (255 - channel) * step // STEPS:02x}" for channel in _channels(color))
