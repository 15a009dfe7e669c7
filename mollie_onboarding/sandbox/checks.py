"""System checks of the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import router

from .conf import conf
from .router import ALIAS


def check_sandbox(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every mistake a site can make with the sandbox."""
    return [*_check_debug(), *_check_rate_limit(), *_check_router(), *_check_redirect_uri()]


def _check_debug() -> list[CheckMessage]:
    if conf.is_allowed:
        return []
    return [
        Error(
            "mollie_onboarding.sandbox is installed while DEBUG is off.",
            hint="Remove it from INSTALLED_APPS: it hands out access tokens to everybody who asks.",
            id="mollie_sandbox.E001",
        )
    ]


def _check_rate_limit() -> list[CheckMessage]:
    try:
        conf.rate_limit  # noqa: B018 (read for what it raises)
    except ImproperlyConfigured:
        return [
            Error(
                "MOLLIE_SANDBOX_RATE_LIMIT cannot be read.",
                hint='Write a number of calls, a slash and a number of seconds: "20/3". Leave it out for no limit.',
                id="mollie_sandbox.E002",
            )
        ]
    return []


def _check_router() -> list[CheckMessage]:
    from .models import Call

    if ALIAS not in settings.DATABASES or router.db_for_write(Call) == ALIAS:
        return []
    return [
        Warning(
            f"DATABASES has '{ALIAS}', but the sandbox's tables are not routed to it.",
            hint="Add 'mollie_onboarding.sandbox.router.SandboxRouter' to DATABASE_ROUTERS.",
            id="mollie_sandbox.W001",
        )
    ]


def _check_redirect_uri() -> list[CheckMessage]:
    if conf.redirect_uri:
        return []
    return [
        Warning(
            "MOLLIE_SANDBOX_REDIRECT_URI is not set.",
            hint="Set it to the full address of the platform's callback, or no merchant can be sent back.",
            id="mollie_sandbox.W002",
        )
    ]
