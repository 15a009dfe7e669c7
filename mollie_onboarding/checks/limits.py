"""How many sign-ups and mails are let through, and whose address counts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured

from mollie_onboarding.conf import conf, parse_limit

from .messages import CheckResult, error, warning


@register(Tags.security)
def check_limits(**kwargs: Any) -> CheckResult:
    """The limits can be read, somebody may be mailed, and the client address behind a proxy can be told."""
    messages: list[CheckMessage] = []
    if _parsed(conf.MOLLIE_ONBOARDING_SIGNUP_LIMIT) is None:
        messages.append(
            error(
                19,
                "MOLLIE_ONBOARDING_SIGNUP_LIMIT cannot be read.",
                'Write a number, a slash and one of s, m, h, d: "20/h".',
            )
        )
    number, _window = _parsed(conf.MOLLIE_ONBOARDING_MAIL_LIMIT) or (0, 0)
    if not number:
        messages.append(
            error(
                34,
                "MOLLIE_ONBOARDING_MAIL_LIMIT cannot be read, or allows no mail.",
                'Write a number above 0, a slash and one of s, m, h, d: "10/d".',
            )
        )
    try:
        count = conf.MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT
    except (TypeError, ValueError):
        count = -1
    if count < 0:
        messages.append(
            error(
                20,
                "MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT is not a number of proxies.",
                "Count the proxies of yours that append to X-Forwarded-For; 0 without one.",
            )
        )
    elif count == 0 and settings.SECURE_PROXY_SSL_HEADER:
        messages.append(
            warning(
                3,
                "SECURE_PROXY_SSL_HEADER says that there is a proxy, MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT says there is none.",
                "All merchants share one sign-up limit, that of the proxy's address. Set the number of your proxies.",
            )
        )
    return messages


def _parsed(limit: str) -> tuple[int, int] | None:
    try:
        return parse_limit(limit)
    except ImproperlyConfigured:
        return None
