"""What a token may do, and what the partner is."""

from __future__ import annotations

from typing import Any

import pytest

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.scopes import SCOPES

from .conftest import SCOPE, Api, query_of
from .test_client_links import assert_mollie_error

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PATH = "/v2/permissions"
PARTNER = "/v2/organizations/me/partner"


def granted_scopes(response: Any) -> set[str]:
    assert response.status_code == 200
    return {row["id"] for row in response.json()["_embedded"]["permissions"] if row["granted"]}


def test_permissions_of_merchant(api: Api, granted: dict[str, Any]) -> None:
    response = api.get(PATH, granted["access_token"])

    assert response["Content-Type"] == "application/hal+json"
    answer = response.json()
    ids = [row["id"] for row in answer["_embedded"]["permissions"]]
    assert (answer["count"], ids) == (len(SCOPES), sorted(SCOPES))
    assert granted_scopes(response) == set(SCOPE.split())
    assert answer["_links"] == {
        "self": {"href": "http://testserver/v2/permissions", "type": "application/hal+json"},
        "documentation": {
            "href": "https://docs.mollie.com/reference/list-permissions",
            "type": "text/html",
        },
    }


def test_one_permission(api: Api, granted: dict[str, Any]) -> None:
    answer = api.get(f"{PATH}/onboarding.read", granted["access_token"]).json()

    assert answer == {
        "resource": "permission",
        "id": "onboarding.read",
        "description": "See how far your onboarding is",
        "granted": True,
        "_links": {
            "self": {
                "href": "http://testserver/v2/permissions/onboarding.read",
                "type": "application/hal+json",
            },
            "documentation": {
                "href": "https://docs.mollie.com/reference/get-permission",
                "type": "text/html",
            },
        },
    }
    assert api.get(f"{PATH}/payments.write", granted["access_token"]).json()["granted"] is False
    assert [call.operation for call in service.calls()][-2:] == ["permissions", "permissions"]


def test_permissions_need_no_scope(api: Api, link_id: str) -> None:
    code = query_of(service.approve(link_id, state="s", scope="payments.read"))["code"]

    response = api.get(PATH, api.exchange(code).json()["access_token"])

    assert granted_scopes(response) == {"payments.read"}


def test_permissions_of_partner(api: Api) -> None:
    assert granted_scopes(api.get(PATH)) == SCOPES


@pytest.mark.parametrize("right", ["read", "write"])
def test_partner_without_a_permission(api: Api, right: str) -> None:
    service.set_switch(f"partner_without_clients_{right}", True)

    assert granted_scopes(api.get(PATH)) == SCOPES - {f"clients.{right}"}
    assert api.get(f"{PATH}/clients.{right}").json()["granted"] is False


def test_merchant_keeps_what_the_partner_lacks(api: Api, link_id: str) -> None:
    service.set_switch("partner_without_clients_read", True)
    code = query_of(service.approve(link_id, state="s", scope="clients.read"))["code"]

    response = api.get(PATH, api.exchange(code).json()["access_token"])

    assert granted_scopes(response) == {"clients.read"}


def test_unknown_permission(api: Api) -> None:
    assert_mollie_error(api.get(f"{PATH}/moon.read"), 404)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/onboarding.read", PARTNER])
@pytest.mark.parametrize("token", ["", "unknown"])
def test_wrong_token(api: Api, path: str, token: str) -> None:
    assert_mollie_error(api.get(path, token), 401)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/onboarding.read", PARTNER])
def test_only_get(api: Api, path: str) -> None:
    assert_mollie_error(api.client.post(path), 405)


def test_partner_status(api: Api) -> None:
    response = api.get(PARTNER)

    assert response["Content-Type"] == "application/hal+json"
    answer = response.json()
    assert answer == {
        "resource": "partner",
        "partnerType": "oauth",
        "isCommissionPartner": False,
        "userAgentTokens": [],
        "partnerContractSignedAt": "2025-02-03T09:30:00+00:00",
        "partnerContractUpdateAvailable": False,
        "_links": {
            "self": {
                "href": "http://testserver/v2/organizations/me/partner",
                "type": "application/hal+json",
            },
            "documentation": {
                "href": "https://docs.mollie.com/reference/get-partner-status",
                "type": "text/html",
            },
        },
    }
    assert service.calls("partner")[0].status == 200


def test_merchant_is_no_partner(api: Api, granted: dict[str, Any]) -> None:
    answer = api.get(PARTNER, granted["access_token"]).json()

    assert (answer["partnerType"], answer["isCommissionPartner"]) == (None, False)


def test_partner_status_needs_a_scope(api: Api, link_id: str) -> None:
    code = query_of(service.approve(link_id, state="s", scope="onboarding.read"))["code"]

    assert_mollie_error(api.get(PARTNER, api.exchange(code).json()["access_token"]), 403)
