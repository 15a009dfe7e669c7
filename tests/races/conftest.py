from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.state import cookie_name
from tests.conftest import Browser, reread
from tests.processes import alone, start, stop
from tests.races.platform import Platform


@pytest.fixture(scope="session")
def _platform(django_db_setup: None) -> Iterator[Platform]:
    mollie = start("tests.sandbox_process")
    assert mollie.stdout
    platform = Platform(f"http://127.0.0.1:{int(mollie.stdout.readline())}/sandbox")
    yield platform
    platform.close()
    stop(mollie)


@pytest.fixture
def platform(transactional_db: None, settings: Any, _platform: Platform) -> Iterator[Platform]:
    """The platform's processes, and Mollie in another. This process knows it by the same address."""
    settings.DEBUG = True  # its links are plain http
    settings.MOLLIE_ONBOARDING_API_URL = _platform.mollie_url
    settings.MOLLIE_ONBOARDING_LINK_HOSTS = [urlsplit(_platform.mollie_url).netloc]
    with alone():
        yield _platform
        _platform.rest()


@pytest.fixture
def leave(platform: Platform, sandbox: Any) -> Any:
    """Lets a merchant go to Mollie in a browser of their own and agree; gives what `come_back` takes."""

    def leave(row: ClientLink, **choices: Any) -> dict[str, str]:
        started = services.start_authorization(ClientLink.objects.get(pk=row.pk), browser_secret="")
        url = sandbox.visit(started.authorization_url, **choices)
        return {"url": url, "secret": started.browser_secret}

    return leave


@pytest.fixture
def connect(leave: Any) -> Any:
    """Connects a merchant; gives the organization."""

    def connect(row: ClientLink) -> Organization:
        back = leave(row)
        browser = Browser()
        browser.cookies[cookie_name()] = back["secret"]
        browser.come_back(back["url"])
        organization = reread(row).organization
        assert organization is not None
        return organization

    return connect
