"""What the README shows: a token of ours with requests, and with Mollie's own library."""

from __future__ import annotations

import mollie
import pytest
import requests

from mollie_onboarding import services
from mollie_onboarding.exceptions import NotConnectedError
from mollie_onboarding.models import Organization
from tests.conftest import authorization_url
from tests.test_tokens import expire, refreshes

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


@pytest.fixture
def organization(sandbox, browser, make_client_link):
    row = make_client_link()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    return Organization.objects.get()


@pytest.fixture
def server(organization, live_server, settings):
    """Mollie, over a real connection."""
    settings.MOLLIE_ONBOARDING_API_URL = f"{live_server}/sandbox"
    return settings.MOLLIE_ONBOARDING_API_URL


def test_token_with_requests(organization, server):
    expire(organization)
    token = services.get_access_token(organization)
    answer = requests.get(
        f"{server}/v2/onboarding/me", headers={"Authorization": f"Bearer {token}"}, timeout=(3, 10)
    )
    assert answer.json()["status"] == "needs-data"


def test_token_with_mollies_library_is_asked_for_with_each_call(organization, server, sandbox):
    library = mollie.ClientSDK(
        security=lambda: mollie.Security(o_auth=services.get_access_token(organization.organization_id)),
        server_url=server,
    )
    assert library.onboarding.get().status == "needs-data"
    expire(organization)
    assert library.organizations.get_current().id == organization.organization_id
    assert len(refreshes(sandbox)) == 1
    sandbox.revoke_authorizations(organization.organization_id)
    expire(organization)
    with pytest.raises(NotConnectedError):
        library.onboarding.get()
