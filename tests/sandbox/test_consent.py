from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from mollie_onboarding.sandbox import authorization, service
from mollie_onboarding.sandbox.models import Authorization, SandboxClientLink, SandboxOrganization

from .conftest import BODY, CHALLENGE, REDIRECT_URI, SCOPE, Api, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PARAMS = {"client_id": "app_box", "state": "s t+&", "scope": SCOPE}


def link_url(link_id: str, **params: str) -> str:
    query = {name: value for name, value in {**PARAMS, **params}.items() if value != "-"}
    return f"/dashboard/client-link/{link_id}?{urlencode(query)}"


def authorize_url(**params: str) -> str:
    query = {"response_type": "code", **PARAMS, **params}
    return f"/oauth2/authorize?{urlencode({k: v for k, v in query.items() if v != '-'})}"


def assert_sent_back(response: Any, error: str, state: str | None = "s t+&") -> None:
    assert response.status_code == 302
    assert response["Location"].startswith(f"{REDIRECT_URI}?")
    query = query_of(response["Location"])
    assert query["error"] == error
    assert query["error_description"]
    assert query.get("state") == state


def assert_dead(response: Any, status: int) -> None:
    assert response.status_code == status
    assert 'data-page="dead"' in response.content.decode()


def test_page_shows_what_is_asked(client: Client, link_id: str) -> None:
    response = client.get(link_url(link_id, approval_prompt="force"))

    page = response.content.decode()
    assert response.status_code == 200
    for text in (
        '<main data-page="consent">',
        "This is not Mollie",
        "Shopwise",
        "See how far your onboarding is",
        "See the details of your organization",
        "ada@bakery.example",
        "Keizersgracht 1",
        "12345678",
        "NL123456789B01",
        "nl-bv",
        "2020-02-29",
        "earlier connections",
        'name="decision" value="allow"',
        'name="decision" value="deny"',
        'name="decision" value="fail"',
        "<option>temporarily_unavailable</option>",
        "A new organization with these details",
    ):
        assert text in page
    assert "no-store" in response["Cache-Control"]
    assert not response.cookies


def test_page_with_few_data(client: Client, api: Api) -> None:
    body = {"owner": BODY["owner"], "name": "Bakery", "address": {"country": "NL", "city": None}}
    link_id = api.create(body).json()["id"]

    page = client.get(link_url(link_id)).content.decode()

    assert "None" not in page
    assert "VAT number" not in page


def test_page_needs_no_csrf_cookie(link_id: str) -> None:
    response = Client(enforce_csrf_checks=True).post(link_url(link_id), {"decision": "deny"})

    assert_sent_back(response, "access_denied")


def test_looking_changes_nothing(client: Client, link_id: str) -> None:
    client.get(link_url(link_id))
    client.head(link_url(link_id))

    assert not SandboxOrganization.objects.exists()
    assert not Authorization.objects.exists()


def test_allow_makes_the_organization(client: Client, link_id: str) -> None:
    response = client.post(link_url(link_id), {"decision": "allow", "organization": "new"})

    assert response.status_code == 302
    query = query_of(response["Location"])
    assert query.keys() == {"code", "state"}
    assert query["state"] == "s t+&"
    organization = SandboxOrganization.objects.get()
    assert organization.pk.startswith("org_")
    assert organization.name == "Bakery Baker"
    granted = Authorization.objects.get()
    assert (granted.code, granted.scope, granted.redirect_uri) == (query["code"], SCOPE, "")
    assert SandboxClientLink.objects.get().organization == organization
    assert str(SandboxClientLink.objects.get()) == link_id


def test_allow_with_existing_organization(client: Client, link_id: str) -> None:
    existing = service.sign_up("Old Mill")
    assert "Log in to Old Mill" in client.get(link_url(link_id)).content.decode()

    client.post(link_url(link_id), {"decision": "allow", "organization": existing.pk})

    assert Authorization.objects.get().organization == existing
    assert SandboxOrganization.objects.count() == 1


def test_second_use_is_the_same_organization(client: Client, link_id: str) -> None:
    for _ in range(2):
        client.post(link_url(link_id), {"decision": "allow", "organization": "new"})

    organization = SandboxOrganization.objects.get()
    assert Authorization.objects.filter(organization=organization).count() == 2
    page = client.get(link_url(link_id)).content.decode()
    assert "made when this link was first used" in page
    assert "Log in to" not in page


def test_first_use_in_two_tabs_makes_one_organization(link_id: str) -> None:
    # Both tabs have read the link before either has used it.
    tab = SandboxClientLink.objects.get(pk=link_id)
    service.approve(link_id, state="s", scope=SCOPE)

    assert authorization._organization_of(tab) == SandboxOrganization.objects.get()


def test_used_link_may_be_dead(client: Client, link_id: str) -> None:
    service.set_switch("used_link_is_dead", True)
    assert client.get(link_url(link_id)).status_code == 200
    client.post(link_url(link_id), {"decision": "allow"})

    assert_dead(client.get(link_url(link_id)), 410)
    service.set_switch("used_link_is_dead", False)
    assert client.get(link_url(link_id)).status_code == 200


def test_connected_organization_is_marked(client: Client, api: Api, link_id: str) -> None:
    client.post(link_url(link_id), {"decision": "allow"})
    other = api.create({**BODY, "name": "Other"}).json()["id"]

    assert "connected already" in client.get(link_url(other)).content.decode()


@pytest.mark.parametrize(("count", "is_folded"), [(5, False), (6, True)])
def test_many_organizations_are_folded_away(
    client: Client, api: Api, link_id: str, count: int, is_folded: bool
) -> None:
    for number in range(count):
        other = api.create({**BODY, "name": f"Other {number}"}).json()["id"]
        client.post(link_url(other), {"decision": "allow"})

    text = client.get(link_url(link_id)).content.decode()

    assert ("<details><summary>Log in to one of 6 organizations</summary>" in text) == is_folded
    assert text.count("Log in to Other") == count


def test_deny(client: Client, link_id: str) -> None:
    assert_sent_back(client.post(link_url(link_id), {"decision": "deny"}), "access_denied")
    assert not SandboxOrganization.objects.exists()


@pytest.mark.parametrize("error", authorization.ERRORS)
def test_fail(client: Client, link_id: str, error: str) -> None:
    assert_sent_back(client.post(link_url(link_id), {"decision": "fail", "error": error}), error)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"decision": "perhaps"},
        {"decision": "fail", "error": "made_up"},
        {"decision": "allow", "organization": "org_1"},
    ],
)
def test_strange_form(client: Client, link_id: str, form: dict[str, str]) -> None:
    assert_dead(client.post(link_url(link_id), form), 400)
    assert not Authorization.objects.exists()


def test_unknown_link(client: Client) -> None:
    assert_dead(client.get(link_url("cl_unknown")), 404)


def test_link_lives_30_days(client: Client, api: Api, time_machine: Any) -> None:
    time_machine.move_to("2026-01-01T12:00:00Z", tick=False)
    link_id = api.create().json()["id"]
    time_machine.move_to("2026-01-31T11:59:59Z", tick=False)
    assert client.get(link_url(link_id)).status_code == 200
    time_machine.move_to("2026-01-31T12:00:00Z", tick=False)
    assert_dead(client.get(link_url(link_id)), 410)
    assert_dead(client.post(link_url(link_id), {"decision": "allow"}), 410)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"client_id": "-"}, "invalid_request"),
        ({"client_id": "app_other"}, "unauthorized_client"),
        ({"scope": "-"}, "invalid_request"),
        ({"scope": " "}, "invalid_scope"),
        ({"scope": "organizations.read everything"}, "invalid_scope"),
        ({"scope": "organizations.read+onboarding.read"}, "invalid_scope"),
        ({"approval_prompt": "maybe"}, "invalid_request"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[1:], "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "=", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
    ],
)
def test_wrong_parameters_are_sent_back(
    client: Client, link_id: str, method: str, params: dict[str, str], error: str
) -> None:
    assert_sent_back(getattr(client, method)(link_url(link_id, **params)), error)
    assert_sent_back(getattr(client, method)(authorize_url(**params)), error)


@pytest.mark.parametrize("state", ["-", ""])
def test_missing_state_is_sent_back(client: Client, link_id: str, state: str) -> None:
    assert_sent_back(client.get(link_url(link_id, state=state)), "invalid_request", None)


def test_parameter_twice_is_sent_back(client: Client, link_id: str) -> None:
    assert_sent_back(client.get(link_url(link_id) + "&scope=onboarding.read"), "invalid_request")


def test_link_ignores_what_only_authorize_knows(client: Client, link_id: str) -> None:
    url = link_url(link_id, redirect_uri="https://evil.example", response_type="token")

    assert client.get(url).status_code == 200


def test_redirect_uri_keeps_its_query(client: Client, link_id: str, settings: Any) -> None:
    settings.MOLLIE_SANDBOX_REDIRECT_URI = "https://platform.example/back?tenant=a%20b#top"

    response = client.post(link_url(link_id), {"decision": "deny"})

    assert response["Location"].startswith("https://platform.example/back?tenant=a%20b&error=access_denied&")
    assert response["Location"].endswith("state=s%20t%2B%26#top")


def test_without_redirect_uri_nobody_is_sent(client: Client, link_id: str, settings: Any) -> None:
    del settings.MOLLIE_SANDBOX_REDIRECT_URI

    assert_dead(client.get(link_url(link_id)), 500)


def test_other_methods(client: Client, link_id: str) -> None:
    assert client.delete(link_url(link_id)).status_code == 405


def test_authorize_logs_in(client: Client) -> None:
    existing = service.sign_up("Old Mill")
    url = authorize_url(locale="nl_NL", redirect_uri=REDIRECT_URI)
    page = client.get(url).content.decode()
    assert f'value="{existing.pk}" checked' in page

    response = client.post(url, {"decision": "allow", "organization": existing.pk})

    assert query_of(response["Location"]).keys() == {"code", "state"}
    granted = Authorization.objects.get()
    assert (granted.organization, granted.redirect_uri) == (existing, REDIRECT_URI)


@pytest.mark.parametrize(
    ("form", "name", "email"),
    [
        ({"organization_name": "Fresh Fish", "email": "f@fish.example"}, "Fresh Fish", "f@fish.example"),
        ({"organization_name": "", "email": ""}, "New organization", "owner@example.org"),
    ],
)
def test_authorize_signs_up(client: Client, form: dict[str, str], name: str, email: str) -> None:
    service.sign_up("Old Mill")
    url = authorize_url(landing_page="signup")
    assert 'value="new" checked' in client.get(url).content.decode()

    client.post(url, {"decision": "allow", "organization": "new", **form})

    organization = Authorization.objects.get().organization
    assert (organization.name, organization.email) == (name, email)


def test_authorize_without_any_organization_signs_up(client: Client) -> None:
    assert 'value="new" checked' in client.get(authorize_url()).content.decode()


def test_authorize_never_sends_to_foreign_address(client: Client) -> None:
    assert_dead(client.get(authorize_url(redirect_uri="https://evil.example/")), 400)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"response_type": "-"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"landing_page": "home"}, "invalid_request"),
    ],
)
def test_authorize_with_wrong_parameters(client: Client, params: dict[str, str], error: str) -> None:
    assert_sent_back(client.get(authorize_url(**params)), error)


def test_long_scope_is_normalised(link_id: str) -> None:
    service.approve(link_id, state="s", scope=" organizations.read   onboarding.read ")

    assert Authorization.objects.get().scope == SCOPE
