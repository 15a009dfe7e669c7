"""What a second consent does to the first, on both ways to the consent screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import Authorization, SandboxOrganization

from .conftest import SCOPE, Api, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

MORE = f"{SCOPE} payments.read"
Consent = Callable[..., dict[str, Any]]


@pytest.fixture(params=["client-link", "authorize"])
def consent(request: pytest.FixtureRequest, api: Api, link_id: str) -> Consent:
    """Lets an organization allow what is asked, and gives the answer of the token endpoint."""

    def consent(
        organization: SandboxOrganization, scope: str = SCOPE, prompt: str = "auto"
    ) -> dict[str, Any]:
        query = {"client_id": "app_box", "state": "s", "scope": scope, "approval_prompt": prompt}
        url = f"https://my.mollie.com/dashboard/client-link/{link_id}?{urlencode(query)}"
        if request.param == "authorize":
            url = f"https://my.mollie.com/oauth2/authorize?{urlencode({**query, 'response_type': 'code'})}"
        callback_url = service.visit(url, organization_id=organization.pk)
        answer: dict[str, Any] = api.exchange(query_of(callback_url)["code"]).json()
        return answer

    return consent


def lives(api: Api, answer: dict[str, Any]) -> bool:
    statuses = {
        api.get("/v2/organizations/me", answer["access_token"]).status_code == 200,
        api.refresh(answer["refresh_token"]).status_code == 200,
    }
    assert len(statuses) == 1
    return statuses.pop()


def test_force_ends_all_earlier_authorizations(api: Api, consent: Consent) -> None:
    mill, bakery = service.sign_up("Old Mill"), service.sign_up("Bakery")
    earlier = [consent(mill), consent(mill)]
    neighbour = consent(bakery)

    latest = consent(mill, prompt="force")

    assert [lives(api, answer) for answer in earlier] == [False, False]
    assert (lives(api, latest), lives(api, neighbour)) == (True, True)


def test_auto_ends_nothing(api: Api, consent: Consent) -> None:
    mill = service.sign_up("Old Mill")
    earlier = consent(mill)

    consent(mill)

    assert lives(api, earlier)


def test_force_that_is_denied_ends_nothing(api: Api, link_id: str, granted: dict[str, Any]) -> None:
    query = urlencode({"client_id": "app_box", "state": "s", "scope": SCOPE, "approval_prompt": "force"})

    service.visit(f"https://my.mollie.com/dashboard/client-link/{link_id}?{query}", decision="deny")

    assert lives(api, granted)


def test_auto_grants_what_is_asked(consent: Consent) -> None:
    mill = service.sign_up("Old Mill")
    consent(mill)

    assert consent(mill, MORE)["scope"] == MORE


def test_auto_may_keep_the_old_scope(consent: Consent) -> None:
    service.set_switch("auto_keeps_old_scope", True)
    mill = service.sign_up("Old Mill")

    assert consent(mill)["scope"] == SCOPE
    assert consent(mill, MORE)["scope"] == SCOPE
    assert consent(service.sign_up("Bakery"), MORE)["scope"] == MORE
    assert consent(mill, MORE, "force")["scope"] == MORE
    assert consent(mill, SCOPE)["scope"] == MORE


def test_auto_keeps_nothing_of_what_was_revoked(consent: Consent) -> None:
    service.set_switch("auto_keeps_old_scope", True)
    mill = service.sign_up("Old Mill")
    consent(mill)
    Authorization.objects.revoke()

    assert consent(mill, MORE)["scope"] == MORE
