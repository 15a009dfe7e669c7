"""Settings under which the app and the sandbox fit each other, whatever the site's own are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import reverse

from mollie_onboarding.conf import MOLLIE_API_URL, MOLLIE_AUTHORIZE_URL, MOLLIE_LINK_HOSTS

from .transport import sandbox_mollie

PLENTY = "1000000/d"  # all merchants of a test share one address, and all browsers one network


@contextmanager
def play_mollie() -> Iterator[ModuleType]:
    """Answer every call to Mollie from the sandbox, under Mollie's own addresses, and give the sandbox's controls.

    What comes is `mollie_onboarding.sandbox.service`: faults (`add_fault`), habits (`set_switch`), the merchant's doings in
    Mollie's dashboard (`move_onboarding`, `revoke_authorizations`), and what was asked (`calls`). Credentials, encryption
    keys and base URL are the site's, or made up where it has none; its limits of mails and sign-ups are lifted. Raises
    `ImproperlyConfigured` where the sandbox is not installed.
    """
    if not apps.is_installed("mollie_onboarding.sandbox"):
        raise ImproperlyConfigured(
            "Put 'mollie_onboarding.sandbox' into INSTALLED_APPS of the settings for tests."
        )
    from mollie_onboarding.sandbox import service  # its models need the app

    with override_settings(**_fitting_settings()), sandbox_mollie():
        yield service


def _fitting_settings() -> dict[str, Any]:
    ours = {
        "CLIENT_ID": "app_test",
        "CLIENT_SECRET": "secret_of_the_tests",
        "ACCESS_TOKEN": "access_of_the_tests",
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
        "BASE_URL": "https://testserver",
    }
    ours = {
        f"MOLLIE_ONBOARDING_{name}": getattr(settings, f"MOLLIE_ONBOARDING_{name}", None) or value
        for name, value in ours.items()
    }
    callback = str(ours["MOLLIE_ONBOARDING_BASE_URL"]).rstrip("/") + reverse("mollie_onboarding:callback")
    return ours | {
        "MOLLIE_ONBOARDING_API_URL": MOLLIE_API_URL,
        "MOLLIE_ONBOARDING_AUTHORIZE_URL": MOLLIE_AUTHORIZE_URL,
        "MOLLIE_ONBOARDING_LINK_HOSTS": list(MOLLIE_LINK_HOSTS),
        "MOLLIE_ONBOARDING_MAIL_LIMIT": PLENTY,
        "MOLLIE_ONBOARDING_SIGNUP_LIMIT": PLENTY,
        "MOLLIE_SANDBOX_CLIENT_ID": ours["MOLLIE_ONBOARDING_CLIENT_ID"],
        "MOLLIE_SANDBOX_CLIENT_SECRET": ours["MOLLIE_ONBOARDING_CLIENT_SECRET"],
        "MOLLIE_SANDBOX_ACCESS_TOKEN": ours["MOLLIE_ONBOARDING_ACCESS_TOKEN"],
        "MOLLIE_SANDBOX_REDIRECT_URI": getattr(settings, "MOLLIE_ONBOARDING_REDIRECT_URI", "") or callback,
        "MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG": True,  # test runs switch DEBUG off
        "MOLLIE_SANDBOX_RATE_LIMIT": None,
    }
