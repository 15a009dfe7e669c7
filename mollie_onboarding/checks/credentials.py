"""The credentials of Mollie, and the keys that keep what Mollie gives."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, register

from mollie_onboarding.conf import conf
from mollie_onboarding.fields import is_encryption_key

from .messages import CheckResult, error, text_of

KEY_HINT = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


@register(Tags.security)
def check_credentials(**kwargs: Any) -> CheckResult:
    """The three credentials are there, and none stands in another's place."""
    client_id, client_secret, access_token = map(text_of, ("CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN"))
    messages: list[CheckMessage] = []
    if not client_id:
        messages.append(
            error(
                1,
                "MOLLIE_ONBOARDING_CLIENT_ID is not set.",
                "Set it to the client id of your OAuth app, app_…, from Mollie's dashboard under Developers > Your apps.",
            )
        )
    elif not client_id.startswith("app_"):
        messages.append(
            error(
                2,
                "MOLLIE_ONBOARDING_CLIENT_ID does not begin with app_.",
                "It takes the OAuth app's client id; tokens (access_…) and API keys (live_…, test_…) go elsewhere.",
            )
        )
    if not client_secret:
        messages.append(
            error(
                3,
                "MOLLIE_ONBOARDING_CLIENT_SECRET is not set.",
                "Set it to the client secret that Mollie shows with the OAuth app.",
            )
        )
    elif client_secret.startswith(("app_", "access_")):
        messages.append(
            error(
                4,
                "MOLLIE_ONBOARDING_CLIENT_SECRET holds a client id or a token.",
                "Set it to the client secret that Mollie shows with the OAuth app.",
            )
        )
    if not access_token:
        messages.append(
            error(
                5,
                "MOLLIE_ONBOARDING_ACCESS_TOKEN is not set.",
                "Make an advanced access token with clients.write and clients.read in Mollie's dashboard, and set it.",
            )
        )
    elif not access_token.startswith("access_"):
        messages.append(
            error(
                6,
                "MOLLIE_ONBOARDING_ACCESS_TOKEN does not begin with access_.",
                "It takes the partner's advanced access token, not an API key (live_…, test_…) or a client id (app_…).",
            )
        )
    return messages


@register(Tags.security)
def check_encryption_keys(**kwargs: Any) -> CheckResult:
    """There is a key for the tokens in the database, and each is a Fernet key."""
    keys = conf.MOLLIE_ONBOARDING_ENCRYPTION_KEYS
    if not keys:
        return [
            error(
                7,
                "MOLLIE_ONBOARDING_ENCRYPTION_KEYS is not set.",
                f"Make a key and put it in a list: {KEY_HINT}",
            )
        ]
    if not all(is_encryption_key(key) for key in keys):
        return [
            error(
                8,
                "MOLLIE_ONBOARDING_ENCRYPTION_KEYS holds something that is not a Fernet key.",
                f"A key is 32 bytes in URL-safe base64, newest first: {KEY_HINT}",
            )
        ]
    return []
