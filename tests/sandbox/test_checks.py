from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

from mollie_onboarding.sandbox.checks import check_sandbox
from mollie_onboarding.sandbox.conf import conf
from mollie_onboarding.sandbox.models import Call
from mollie_onboarding.sandbox.router import SandboxRouter


def ids() -> list[str | None]:
    return [message.id for message in check_sandbox(None)]


def test_no_complaint() -> None:
    assert ids() == []


def test_debug_off(settings: Any) -> None:
    del settings.MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG
    assert ids() == ["mollie_sandbox.E001"]
    assert "mollie_sandbox.E001" in {message.id for message in run_checks(tags=["mollie_sandbox"])}
    settings.DEBUG = True
    assert ids() == []


def test_router_missing(settings: Any) -> None:
    settings.DATABASE_ROUTERS = []
    assert ids() == ["mollie_sandbox.W001"]


def test_redirect_uri_missing(settings: Any) -> None:
    settings.MOLLIE_SANDBOX_REDIRECT_URI = ""
    assert ids() == ["mollie_sandbox.W002"]


@pytest.mark.parametrize("limit", ["20", "20/s", "0/3", "20/0", "-1/3", "20/3 ", "1000000/3", 5])
def test_rate_limit_that_cannot_be_read(settings: Any, limit: Any) -> None:
    settings.MOLLIE_SANDBOX_RATE_LIMIT = limit
    assert ids() == ["mollie_sandbox.E002"]


def test_defaults(settings: Any) -> None:
    for name in ("CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN", "REDIRECT_URI", "PLATFORM_NAME"):
        delattr(settings, f"MOLLIE_SANDBOX_{name}")

    values = (conf.client_id, conf.client_secret, conf.access_token, conf.redirect_uri, conf.platform_name)
    assert values == ("app_sandbox", "sandbox-client-secret", "access_sandbox_partner", "", "The platform")


def test_router_with_own_database() -> None:
    from django.contrib.auth.models import User

    router = SandboxRouter()
    assert router.db_for_read(Call) == router.db_for_write(Call) == "mollie_sandbox"
    assert router.db_for_read(User) is None
    assert router.allow_migrate("mollie_sandbox", "mollie_sandbox") is True
    assert router.allow_migrate("default", "mollie_sandbox") is False
    assert router.allow_migrate("mollie_sandbox", "auth") is False
    assert router.allow_migrate("default", "auth") is None


def test_router_without_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mollie_onboarding.sandbox.router._has_own_database", lambda: False)

    router = SandboxRouter()
    assert router.db_for_write(Call) is None
    assert router.allow_migrate("default", "mollie_sandbox") is None
