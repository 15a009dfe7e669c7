"""What is on or off, of ours and of Django's."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Tags, register

from .messages import CheckResult, error, text_of, warning


@register(Tags.security)
def check_switches(**kwargs: Any) -> CheckResult:
    """What is on or off is a bool: a text such as "False", as the environment gives it, would be on."""
    names = (
        "PKCE",
        "REQUIRE_LOGIN",
        "SIGNUP_ENABLED",
        "SIGNUP_LOGIN_REQUIRED",
        "ALLOW_SHARED_ORGANIZATIONS",
    )
    return [
        error(
            24,
            f"MOLLIE_ONBOARDING_{name} is neither True nor False.",
            'Set it to True or False, without quotes. In the environment everything is text: "False" counts as on.',
        )
        for name in names
        if getattr(settings, f"MOLLIE_ONBOARDING_{name}", False) not in (True, False)
    ]


@register(Tags.security)
def check_cookies(**kwargs: Any) -> CheckResult:
    """Cookies that travel with merchants and operators are secure where the site is https."""
    if not text_of("BASE_URL").startswith("https://") or settings.DEBUG:
        return []
    return [
        warning(
            number,
            f"{name} is off although the site is served over https.",
            f"Set {name} = True: the cookie would also travel over http.",
        )
        for number, name in ((4, "SESSION_COOKIE_SECURE"), (5, "CSRF_COOKIE_SECURE"))
        if not getattr(settings, name)
    ]
