"""The look of the pages: the colour, the logo and the stylesheets of the platform."""

from __future__ import annotations

import math
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import SuspiciousFileOperation

from mollie_onboarding.colors import LIGHT_BACKGROUND, LIGHT_SURFACE, READABLE, contrast
from mollie_onboarding.conf import conf

from .messages import CheckResult, error, warning


@register(Tags.staticfiles)
def check_look(**kwargs: Any) -> CheckResult:
    """The platform's colour is a colour that can be read, and its logo and stylesheets are there."""
    return [*_check_accent_color(), *_check_static_files()]


def _check_accent_color() -> list[CheckMessage]:
    if not getattr(settings, "MOLLIE_ONBOARDING_ACCENT_COLOR", None):
        return []
    accent = conf.MOLLIE_ONBOARDING_ACCENT_COLOR
    if not accent:
        return [
            error(
                25,
                "MOLLIE_ONBOARDING_ACCENT_COLOR is not a colour.",
                'Write it as six hexadecimal digits: "#0b5fff". Until then the pages keep their own colour.',
            )
        ]
    ratio = min(contrast(accent, LIGHT_SURFACE), contrast(accent, LIGHT_BACKGROUND))
    if ratio < READABLE:
        return [
            warning(
                10,
                f"MOLLIE_ONBOARDING_ACCENT_COLOR is too light to be read on the pages: {math.floor(ratio * 10) / 10}:1.",
                "Links have this colour. Take a darker shade, with at least "
                f"{READABLE}:1 on {LIGHT_SURFACE} and on {LIGHT_BACKGROUND}.",
            )
        ]
    return []


def _check_static_files() -> list[CheckMessage]:
    """Only where Django serves or collects static files, for else nobody can tell."""
    if not apps.is_installed("django.contrib.staticfiles"):
        return []
    named = (
        (11, "STYLESHEETS", conf.MOLLIE_ONBOARDING_STYLESHEETS),
        (12, "PLATFORM_LOGO", (conf.MOLLIE_ONBOARDING_PLATFORM_LOGO,)),
    )
    return [
        warning(
            number,
            f"MOLLIE_ONBOARDING_{name} names a static file that is not there: {path}.",
            "Write the path as in {% static %}, below a static folder of an app or of STATICFILES_DIRS.",
        )
        for number, name, paths in named
        for path in paths
        if path and not path.startswith(("/", "https://", "http://")) and not _is_static_file(path)
    ]


def _is_static_file(path: str) -> bool:
    try:
        return finders.find(path) is not None
    except SuspiciousFileOperation:
        return False
