"""What we ask of Mollie in the name of a merchant."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register

from mollie_onboarding.conf import conf
from mollie_onboarding.enumerations import SCOPES

from .messages import CheckResult, error, warning


@register(Tags.security)
def check_authorization_settings(**kwargs: Any) -> CheckResult:
    """Scopes, approval prompt and redirect URI make an authorization request that Mollie understands."""
    messages: list[CheckMessage] = []
    scopes = conf.MOLLIE_ONBOARDING_SCOPES
    if unknown := sorted(set(scopes) - SCOPES):
        messages.append(
            warning(
                1,
                f"MOLLIE_ONBOARDING_SCOPES names scopes that this version does not know: {' '.join(unknown)}.",
                "Look for a slip of the pen. If Mollie has added the scope since, silence this warning.",
            )
        )
    if "organizations.read" not in scopes:
        messages.append(
            error(
                13,
                "MOLLIE_ONBOARDING_SCOPES lacks organizations.read.",
                "Without it nobody can tell which organization came back: add it.",
            )
        )
    if "onboarding.read" not in scopes:
        messages.append(
            warning(
                2,
                "MOLLIE_ONBOARDING_SCOPES lacks onboarding.read.",
                "Without it the onboarding status stays unknown, here and in your partner dashboard.",
            )
        )
    if conf.MOLLIE_ONBOARDING_APPROVAL_PROMPT not in ("auto", "force"):
        messages.append(
            error(
                14,
                "MOLLIE_ONBOARDING_APPROVAL_PROMPT is neither auto nor force.",
                'Set it to "auto", or leave it out.',
            )
        )
    redirect_uri = conf.MOLLIE_ONBOARDING_REDIRECT_URI
    if redirect_uri and not (
        redirect_uri.startswith("https://") or (settings.DEBUG and "://" in redirect_uri)
    ):
        messages.append(
            error(
                15,
                "MOLLIE_ONBOARDING_REDIRECT_URI is not an https address.",
                "Set it to exactly the redirect URI that is registered with the OAuth app, or leave it out.",
            )
        )
    return messages
