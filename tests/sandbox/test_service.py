from __future__ import annotations

from urllib.parse import urlencode

import pytest

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.authorization import DeadPageError
from mollie_onboarding.sandbox.models import Authorization, Fault, SandboxOrganization, Switch
from mollie_onboarding.sandbox.scopes import SCOPES, in_words

from .conftest import REDIRECT_URI, SCOPE, Api, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def test_approve(link_id: str) -> None:
    url = service.approve(link_id, state="s", scope=SCOPE)

    assert url.startswith(REDIRECT_URI)
    assert query_of(url) == {"code": Authorization.objects.get().code, "state": "s"}


def test_approve_existing(link_id: str) -> None:
    organization = service.sign_up("Old Mill", status="completed")
    service.approve(link_id, state="s", scope=SCOPE, organization_id=organization.pk)

    assert Authorization.objects.get().organization == organization


def test_approve_is_sent_back_and_dead_as_a_browser_would_be(link_id: str) -> None:
    assert query_of(service.approve(link_id, state="s", scope="x"))["error"] == "invalid_scope"
    with pytest.raises(DeadPageError):
        service.approve("cl_unknown", state="s", scope=SCOPE)


def test_deny(link_id: str) -> None:
    assert query_of(service.deny(link_id, state="s", scope=SCOPE))["error"] == "access_denied"
    fails = service.deny(link_id, state="s", scope=SCOPE, error="server_error")
    assert query_of(fails)["error"] == "server_error"
    assert query_of(service.deny(link_id, state="s", scope="x"))["error"] == "invalid_scope"


def test_visit_client_link(link_id: str) -> None:
    query = urlencode({"client_id": "app_box", "state": "s", "scope": SCOPE})
    url = f"https://my.mollie.com/dashboard/client-link/{link_id}?{query}"

    assert "code" in query_of(service.visit(url))
    assert query_of(service.visit(url, decision="deny"))["error"] == "access_denied"
    assert query_of(service.visit(url, decision="fail"))["error"] == "server_error"


def test_visit_authorize_in_any_place() -> None:
    organization = service.sign_up("Old Mill")
    params = {"client_id": "app_box", "state": "s", "scope": SCOPE}
    url = f"http://localhost/sandbox/oauth2/authorize?{urlencode(params)}"

    assert query_of(service.visit(url))["error"] == "invalid_request"
    assert "code" in query_of(service.visit(f"{url}&response_type=code", organization_id=organization.pk))


def test_visit_elsewhere() -> None:
    with pytest.raises(ValueError, match="no consent screen"):
        service.visit("https://my.mollie.com/login")


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="nothing"):
        service.add_fault("nothing", "slow")
    with pytest.raises(ValueError, match="nothing"):
        service.add_fault("any", "nothing")
    with pytest.raises(ValueError, match="nothing"):
        service.set_switch("nothing", True)
    with pytest.raises(SandboxOrganization.DoesNotExist):
        service.move_onboarding("org_1", "completed", True, True)
    with pytest.raises(SandboxOrganization.DoesNotExist):
        service.set_capabilities("org_1", [])
    with pytest.raises(SandboxOrganization.DoesNotExist):
        service.rename("org_1", "Old Mill")
    with pytest.raises(SandboxOrganization.DoesNotExist):
        service.remove_client("org_1")


def test_calls_by_operation(api: Api, code: str) -> None:
    granted = api.exchange(code).json()
    api.refresh(granted["refresh_token"])
    api.revoke(granted["refresh_token"])

    assert [call.operation for call in service.calls("tokens")] == ["exchange", "refresh", "revoke"]
    assert [call.operation for call in service.calls("refresh")] == ["refresh"]
    assert len(service.calls()) == 4


def test_add_clients() -> None:
    service.sign_up("Old Mill")

    first = service.add_clients(12)
    second = service.add_clients(2, name="Twin", status="completed")

    ids = [*first, *second]
    assert len(set(ids)) == 14
    assert ids == sorted(ids)
    assert ids == [row.pk for row in SandboxOrganization.objects.clients().order_by("pk")]
    assert SandboxOrganization.objects.get(pk=first[2]).name == "Client 3"
    twin = SandboxOrganization.objects.get(pk=second[1])
    assert (twin.name, twin.email, twin.status) == ("Twin", "owner14@example.org", "completed")
    assert service.add_clients(0) == []


def test_rename(api: Api, granted: dict[str, str], organization_id: str) -> None:
    service.rename(organization_id, "New Mill")

    for path in ("/v2/organizations/me", "/v2/onboarding/me"):
        assert api.get(path, granted["access_token"]).json()["name"] == "New Mill"


def test_reset(organization_id: str) -> None:
    service.add_fault("any", "slow")
    service.set_switch("used_link_is_dead", True)
    service.set_switch("used_link_is_dead", True)
    assert str(Switch.objects.get()) == "used_link_is_dead"

    service.reset()

    assert not any(model._default_manager.exists() for model in service.MODELS)


def test_clear_faults() -> None:
    assert str(service.add_fault("any", "slow", times=None)) == "any: slow"
    service.clear_faults()

    assert not Fault.objects.exists()


def test_scopes() -> None:
    assert len(SCOPES) == 61
    assert in_words("balance-reports.read") == "See your balance reports"
    assert in_words("webhooks.write") == "Manage your webhooks"
