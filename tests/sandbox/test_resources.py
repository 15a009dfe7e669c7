from __future__ import annotations

from typing import Any

import pytest

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import SandboxOrganization

from .conftest import BODY, Api, query_of
from .test_client_links import assert_mollie_error

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PATHS = ["/v2/organizations/me", "/v2/onboarding/me"]


def test_organization_of_merchant(api: Api, granted: dict[str, Any], organization_id: str) -> None:
    response = api.get("/v2/organizations/me", granted["access_token"])

    assert response.status_code == 200
    assert response["Content-Type"] == "application/hal+json"
    answer = response.json()
    links = answer.pop("_links")
    assert answer == {
        "resource": "organization",
        "id": organization_id,
        "name": "Bakery Baker",
        "email": "ada@bakery.example",
        "locale": "nl_NL",
        "address": BODY["address"],
        "registrationNumber": "12345678",
        "vatNumber": "NL123456789B01",
        "vatRegulation": "dutch",
    }
    assert links["self"] == {
        "href": "http://testserver/v2/organizations/me",
        "type": "application/hal+json",
    }
    assert links["dashboard"]["href"] == f"http://testserver/dashboard/onboarding/{organization_id}"
    assert links["documentation"]["type"] == "text/html"


def test_organization_by_its_id(api: Api, granted: dict[str, Any], organization_id: str) -> None:
    path = f"/v2/organizations/{organization_id}"

    answers = [api.get(path, token).json() for token in (granted["access_token"], "access_box_partner")]

    assert answers[0] == answers[1]
    assert answers[0]["_links"]["self"]["href"] == f"http://testserver{path}"
    assert answers[0]["_links"]["documentation"]["href"].endswith("/get-organization")
    me = api.get("/v2/organizations/me", granted["access_token"]).json()
    assert {**answers[0], "_links": None} == {**me, "_links": None}


def test_organization_of_somebody_else(api: Api, granted: dict[str, Any]) -> None:
    """A merchant sees its own, the partner those of its clients."""
    stranger = service.sign_up("Old Mill")
    client = service.sign_up("New Mill", is_client=True)

    for organization, token in [
        (client, granted["access_token"]),
        (stranger, granted["access_token"]),
        (stranger, "access_box_partner"),
    ]:
        assert_mollie_error(api.get(f"/v2/organizations/{organization.pk}", token), 404)
    assert api.get(f"/v2/organizations/{client.pk}").json()["name"] == "New Mill"


def test_organization_that_the_partner_was_not_granted(api: Api, link_id: str) -> None:
    code = query_of(service.approve(link_id, state="s", scope="onboarding.read"))["code"]
    token = api.exchange(code).json()["access_token"]
    path = f"/v2/organizations/{SandboxOrganization.objects.get().pk}"

    assert_mollie_error(api.get(path), 404)
    assert_mollie_error(api.get(path, token), 403)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ({}, None),
        (
            {"country": "NL", "city": None, "planet": "Earth"},
            {"streetAndNumber": "", "postalCode": "", "city": "", "country": "NL"},
        ),
    ],
)
def test_address_is_whole_or_missing(api: Api, address: dict[str, Any], shown: dict[str, str] | None) -> None:
    organization = service.sign_up("Old Mill", is_client=True, address=address)

    assert api.get(f"/v2/organizations/{organization.pk}").json().get("address") == shown


def test_onboarding_of_merchant(api: Api, granted: dict[str, Any], organization_id: str) -> None:
    SandboxOrganization.objects.update(signed_up_at="2026-01-02T03:04:05.678Z")
    service.move_onboarding(organization_id, "in-review", True, False)

    response = api.get("/v2/onboarding/me", granted["access_token"])

    answer = response.json()
    links = answer.pop("_links")
    assert answer == {
        "resource": "onboarding",
        "name": "Bakery Baker",
        "status": "in-review",
        "canReceivePayments": True,
        "canReceiveSettlements": False,
        "signedUpAt": "2026-01-02T03:04:05+00:00",
    }
    assert links.keys() == {"self", "dashboard", "organization", "documentation"}
    assert links["dashboard"] == {
        "href": f"http://testserver/dashboard/onboarding/{organization_id}",
        "type": "text/html",
    }
    assert links["organization"]["href"] == f"http://testserver/v2/organizations/{organization_id}"
    page = api.client.get(links["dashboard"]["href"])
    assert b'data-page="dashboard"' in page.content


def test_new_organization_needs_data(api: Api, granted: dict[str, Any]) -> None:
    response = api.get("/v2/onboarding/me", granted["access_token"])

    assert response.json()["status"] == "needs-data"
    assert response.json()["canReceivePayments"] is False


def test_organization_of_partner(api: Api) -> None:
    response = api.get("/v2/organizations/me")

    assert (response.status_code, response.json()["name"]) == (200, "Shopwise")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", ["unknown", "", "refresh"])
def test_wrong_token(api: Api, granted: dict[str, Any], path: str, token: str) -> None:
    value = granted["refresh_token"] if token == "refresh" else token

    assert_mollie_error(api.get(path, value), 401)


@pytest.mark.parametrize(("path", "scope"), [(PATHS[0], "onboarding.read"), (PATHS[1], "organizations.read")])
def test_missing_scope(api: Api, link_id: str, path: str, scope: str) -> None:
    code = query_of(service.approve(link_id, state="s", scope=scope))["code"]

    assert_mollie_error(api.get(path, api.exchange(code).json()["access_token"]), 403)


@pytest.mark.parametrize("path", PATHS)
def test_only_get(api: Api, path: str) -> None:
    assert_mollie_error(api.client.post(path), 405)


def test_dashboard_of_unknown_organization(api: Api) -> None:
    assert api.client.get("/dashboard/onboarding/org_1").status_code == 404


def test_organization_has_a_name(organization_id: str) -> None:
    assert str(SandboxOrganization.objects.get()) == f"Bakery Baker ({organization_id})"
