from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import Authorization, Fault, SandboxOrganization, Switch

from .conftest import Api

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def test_control_shows_everything(client: Client, api: Api, organization_id: str, time_machine: Any) -> None:
    time_machine.move_to("2026-01-01T12:00:00Z")
    fresh = api.create().json()["id"]
    service.add_fault("tokens", "conflict", times=None)
    api.create(key="key-of-mine")
    api.create(key="key-of-mine")

    page = client.get("/").content.decode()

    for text in (
        '<main data-page="control">',
        organization_id,
        fresh,
        "not used",
        f"became {organization_id}",
        "409 error object, until cleared",
        "key-of-mine",
        "(replayed)",
    ):
        assert text in page
    assert "access_" not in page
    time_machine.move_to("2026-02-01T12:00:00Z")
    assert "expired" in client.get("/").content.decode()


def test_control_of_an_empty_sandbox(client: Client) -> None:
    page = client.get("/").content.decode()

    assert "None: everything works." in page


def test_pages_show_the_newest_organizations_only(client: Client, link_id: str) -> None:
    service.add_clients(150)
    newest = service.sign_up("Newest Mill").pk
    consent = f"/dashboard/client-link/{link_id}?client_id=app_box&state=s&scope=onboarding.read"

    for path in ("/", consent):
        shown = set(re.findall(r"org_[0-9]+", client.get(path).content.decode()))
        assert (len(shown), newest in shown) == (100, True)


def test_organization_is_moved_on(client: Client, organization_id: str) -> None:
    form = {"status": "in-review", "can_receive_payments": "on"}
    response = client.post(f"/control/organizations/{organization_id}", form)

    assert (response.status_code, response["Location"]) == (303, "/")
    organization = SandboxOrganization.objects.get()
    assert organization.status == "in-review"
    assert organization.can_receive_payments
    assert not organization.can_receive_settlements


def test_merchant_revokes_access(client: Client, organization_id: str) -> None:
    client.post(f"/control/organizations/{organization_id}", {"revoke": ""})

    assert not Authorization.objects.active().exists()
    assert SandboxOrganization.objects.get().status == "needs-data"


def test_unknown_organization(client: Client) -> None:
    assert client.post("/control/organizations/org_1").status_code == 404


def test_faults_are_added_and_cleared(client: Client) -> None:
    form = {"action": "add", "operation": "tokens", "kind": "slow", "times": "3", "options": '{"seconds": 1}'}
    assert client.post("/control/faults", form).status_code == 303
    client.post("/control/faults", {**form, "times": "", "options": ""})

    faults = Fault.objects.order_by("pk").values_list("operation", "kind", "remaining", "options")
    assert list(faults) == [("tokens", "slow", 3, {"seconds": 1}), ("tokens", "slow", None, {})]
    client.post("/control/faults", {"action": "clear"})
    assert not Fault.objects.exists()


def test_switches(client: Client) -> None:
    form = {"action": "switch", "name": "used_link_is_dead"}
    client.post("/control/faults", {**form, "on": "on"})
    assert Switch.objects.get().name == "used_link_is_dead"
    client.post("/control/faults", form)
    assert not Switch.objects.exists()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"action": "add"},
        {"action": "add", "operation": "any", "kind": "slow", "times": "x"},
        {"action": "add", "operation": "any", "kind": "slow", "times": "-1"},
        {"action": "add", "operation": "any", "kind": "slow", "options": "["},
        {"action": "add", "operation": "any", "kind": "slow", "options": "[]"},
        {"action": "switch"},
    ],
)
def test_strange_form(client: Client, form: dict[str, str]) -> None:
    response = client.post("/control/faults", form)

    assert (response.status_code, response["Content-Type"]) == (400, "text/plain")
    assert not Fault.objects.exists()


def test_changes_need_a_post_of_our_own_page(organization_id: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    for path in ("/control/faults", f"/control/organizations/{organization_id}"):
        assert strict.get(path).status_code == 405
        assert strict.post(path, {"action": "clear"}).status_code == 403


def test_nobody_needs_a_login(client: Client, settings: Any, link_id: str) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    assert client.get("/").status_code == 200
    assert client.get("/mails/").status_code == 200
    assert client.get(f"/dashboard/client-link/{link_id}?state=s").status_code == 302
    assert client.get("/v2/onboarding/me").status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/mails/", "/v2/onboarding/me", "/oauth2/authorize", "/dashboard/client-link/x"]
)
def test_nothing_without_debug(client: Client, settings: Any, path: str) -> None:
    del settings.MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG
    assert client.get(path).status_code == 404
    settings.DEBUG = True
    assert client.get(path)["Cache-Control"]
