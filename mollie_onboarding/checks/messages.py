"""What all checks have in common: messages with a stable id, and a setting as it is written."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

CheckResult = Sequence[CheckMessage]


def error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"mollie_onboarding.E{number:03}")


def warning(number: int, message: str, hint: str) -> Warning:
    return Warning(message, hint=hint, id=f"mollie_onboarding.W{number:03}")


def text_of(name: str) -> str:
    """A setting of ours that is a text; "" for one that is not set, or no text."""
    value = getattr(settings, f"MOLLIE_ONBOARDING_{name}", None)
    return value if isinstance(value, str) else ""
