"""The merchant's own page at Mollie."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import Authorization, SandboxOrganization

from .conftest import Api
from .test_client_links import assert_mollie_error
from .test_tokens import assert_oauth_error

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def path_of(organization_id: str) -> str:
    return f"/dashboard/onboarding/{organization_id}"


def test_page(client: Client, organization_id: str) -> None:
    service.move_onboarding(organization_id, "in-review", True, False)

    page = client.get(path_of(organization_id)).content.decode()

    for text in (
        '<main data-page="dashboard">',
        "Bakery Baker",
        '<option value="in-review" selected>',
        'name="can_receive_payments" checked',
        'name="can_receive_settlements">',
        "Revoke access of Shopwise",
        "csrfmiddlewaretoken",
        f'href="/#{organization_id}"',
    ):
        assert text in page


def test_merchant_revokes_access(
    client: Client, api: Api, granted: dict[str, Any], organization_id: str
) -> None:
    paths = (
        "/v2/organizations/me",
        "/v2/organizations/me/partner",
        "/v2/onboarding/me",
        "/v2/capabilities",
        "/v2/permissions",
        "/v2/clients",
    )

    response = client.post(path_of(organization_id), {"revoke": ""})

    assert (response.status_code, response["Location"]) == (303, path_of(organization_id))
    for path in paths:
        assert_mollie_error(api.get(path, granted["access_token"]), 401)
    assert_oauth_error(api.refresh(granted["refresh_token"]), "invalid_grant")
    page = client.get(path_of(organization_id)).content.decode()
    assert "Shopwise has no access" in page
    assert "Revoke access" not in page


def test_merchant_of_another_organization_keeps_it(client: Client, organization_id: str) -> None:
    other = service.sign_up("Old Mill")

    client.post(path_of(other.pk), {"revoke": ""})

    assert Authorization.objects.active().get().organization_id == organization_id


def test_onboarding_is_moved_on(client: Client, organization_id: str) -> None:
    form = {"move": "", "status": "completed", "can_receive_payments": "on", "can_receive_settlements": "on"}

    response = client.post(path_of(organization_id), form)

    assert (response.status_code, response["Location"]) == (303, path_of(organization_id))
    organization = SandboxOrganization.objects.get()
    assert organization.status == "completed"
    assert organization.can_receive_payments
    assert organization.can_receive_settlements
    assert Authorization.objects.active().exists()


def test_change_needs_a_post_of_our_own_page(organization_id: str) -> None:
    strict = Client(enforce_csrf_checks=True)

    assert strict.post(path_of(organization_id), {"revoke": ""}).status_code == 403
    assert Authorization.objects.active().exists()
    strict.get(path_of(organization_id))
    form = {"revoke": "", "csrfmiddlewaretoken": strict.cookies["csrftoken"].value}
    assert strict.post(path_of(organization_id), form).status_code == 303
    assert not Authorization.objects.active().exists()


def test_looking_changes_nothing(client: Client, organization_id: str) -> None:
    client.get(path_of(organization_id) + "?revoke=")
    client.head(path_of(organization_id))

    assert Authorization.objects.active().exists()


def test_refusals(client: Client, organization_id: str) -> None:
    assert client.post(path_of("org_1"), {"revoke": ""}).status_code == 404
    assert client.delete(path_of(organization_id)).status_code == 405
