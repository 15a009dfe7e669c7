from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import SandboxOrganization

from .conftest import Api, query_of
from .test_client_links import assert_mollie_error

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PATH = "/v2/clients"
ALL = "organization,onboarding,capabilities"


def ids_of(response: Any) -> list[str]:
    assert response.status_code == 200
    return [row["id"] for row in response.json()["_embedded"]["clients"]]


def href_of(response: Any, name: str) -> str:
    href: str = response.json()["_links"][name]["href"]
    return href


def grant(api: Api, organization_id: str, scope: str) -> str:
    """A new consent of the organization; returns the access token."""
    link_id = api.create().json()["id"]
    url = service.approve(link_id, state="s", scope=scope, organization_id=organization_id)
    token: str = api.exchange(query_of(url)["code"]).json()["access_token"]
    return token


def test_list(api: Api, organization_id: str) -> None:
    SandboxOrganization.objects.update(signed_up_at="2026-01-02T03:04:05.678Z")

    response = api.get(PATH)
    client = api.get(f"{PATH}/{organization_id}").json()
    del client["_links"]["documentation"]  # the list has one for all

    assert response["Content-Type"] == "application/hal+json"
    assert response.json() == {
        "count": 1,
        "_embedded": {"clients": [client]},
        "_links": {
            "self": {"href": "http://testserver/v2/clients", "type": "application/hal+json"},
            "previous": None,
            "next": None,
            "documentation": {
                "href": "https://docs.mollie.com/reference/list-clients",
                "type": "text/html",
            },
        },
    }
    assert [call.operation for call in service.calls()][-2:] == ["clients", "clients"]


def test_one(api: Api, organization_id: str) -> None:
    SandboxOrganization.objects.update(signed_up_at="2026-01-02T03:04:05.678Z")

    answer = api.get(f"{PATH}/{organization_id}").json()

    links = {name: link["href"] for name, link in answer.pop("_links").items()}
    assert answer == {
        "resource": "client",
        "id": organization_id,
        "commission": None,
        "organizationCreatedAt": "2026-01-02 03:04:05+00:00",
    }
    assert links == {
        "self": f"http://testserver/v2/clients/{organization_id}",
        "organization": f"http://testserver/v2/organizations/{organization_id}",
        "onboarding": f"http://testserver/v2/onboarding/{organization_id}",
        "documentation": "https://docs.mollie.com/reference/get-client",
    }


def test_nobody_is_a_client(api: Api) -> None:
    organization = service.sign_up("Old Mill")

    response = api.get(PATH)

    assert (response.json()["count"], ids_of(response)) == (0, [])
    assert_mollie_error(api.get(f"{PATH}/{organization.pk}"), 404)


def test_revoked_authorization_is_no_client(api: Api, organization_id: str) -> None:
    service.revoke_authorizations(organization_id)

    assert ids_of(api.get(PATH)) == []
    assert_mollie_error(api.get(f"{PATH}/{organization_id}"), 404)


def test_client_without_authorization(api: Api) -> None:
    organization = service.sign_up("Old Mill", is_client=True)

    assert ids_of(api.get(PATH)) == [organization.pk]


def test_removed_client_vanishes_while_its_tokens_work(
    api: Api, granted: dict[str, Any], organization_id: str
) -> None:
    service.remove_client(organization_id)

    assert ids_of(api.get(PATH)) == []
    assert_mollie_error(api.get(f"{PATH}/{organization_id}"), 404)
    assert api.get("/v2/organizations/me", granted["access_token"]).status_code == 200
    assert api.refresh(granted["refresh_token"]).status_code == 200


def test_removed_client_comes_back_with_a_new_authorization(api: Api, organization_id: str) -> None:
    service.remove_client(organization_id)

    grant(api, organization_id, "onboarding.read")

    assert ids_of(api.get(PATH)) == [organization_id]


@pytest.mark.parametrize("path", [PATH, f"{PATH}/org_1"])
@pytest.mark.parametrize(("token", "status"), [("", 401), ("unknown", 401), ("merchant", 403)])
def test_only_the_partner_may_look(
    api: Api, granted: dict[str, Any], path: str, token: str, status: int
) -> None:
    assert_mollie_error(api.get(path, granted["access_token"] if token == "merchant" else token), status)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/org_1"])
def test_partner_without_the_permission(api: Api, path: str) -> None:
    service.set_switch("partner_without_clients_read", True)

    assert "clients.read" in assert_mollie_error(api.get(path), 403)["detail"]
    assert api.create().status_code == 201


def test_partner_without_the_permission_to_create(api: Api) -> None:
    service.set_switch("partner_without_clients_write", True)

    assert "clients.write" in assert_mollie_error(api.create(), 403)["detail"]
    assert api.get(PATH).status_code == 200


@pytest.mark.parametrize("path", [PATH, f"{PATH}/org_1"])
def test_only_get(api: Api, path: str) -> None:
    assert_mollie_error(api.client.post(path), 405)


def test_pages(api: Api) -> None:
    ids = service.add_clients(7)

    first = api.get(f"{PATH}?limit=3&embed=organization,onboarding")
    second = api.get(href_of(first, "next"))
    third = api.get(href_of(second, "next"))

    assert [ids_of(page) for page in (first, second, third)] == [ids[:3], ids[3:6], ids[6:]]
    assert [page.json()["count"] for page in (first, second, third)] == [3, 3, 1]
    assert href_of(first, "next") == (
        f"http://testserver/v2/clients?from={ids[3]}&limit=3&embed=organization,onboarding"
    )
    assert href_of(second, "self") == href_of(first, "next")
    assert first.json()["_links"]["previous"] is None
    assert third.json()["_links"]["next"] is None
    assert ids_of(api.get(href_of(third, "previous"))) == ids[3:6]
    assert ids_of(api.get(href_of(second, "previous"))) == ids[:3]
    assert third.json()["_embedded"]["clients"][0]["_embedded"].keys() == {"organization", "onboarding"}


def test_pages_that_the_rest_fits_exactly(api: Api) -> None:
    ids = service.add_clients(4)

    assert api.get(f"{PATH}?limit=4").json()["_links"]["next"] is None
    last = api.get(f"{PATH}?limit=2&from={ids[2]}")
    assert (ids_of(last), last.json()["_links"]["next"]) == (ids[2:], None)
    assert href_of(api.get(f"{PATH}?limit=3&from={ids[1]}"), "previous").endswith(f"?from={ids[0]}&limit=3")


def test_default_limit(api: Api) -> None:
    ids = service.add_clients(51)

    assert ids_of(api.get(PATH)) == ids[:50]
    assert ids_of(api.get(f"{PATH}?limit=250")) == ids


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=many", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%D9%A3", "limit"),  # a three in Arabic
        (f"limit={'1' * 5000}", "limit"),
        ("embed=payments", "embed"),
        ("embed=organization,", "embed"),
        ("embed=organization,%20onboarding", "embed"),
        ("from=org_1", "from"),
        ("from=zzz", "from"),
    ],
)
def test_wrong_query(api: Api, organization_id: str, query: str, field: str) -> None:
    assert_mollie_error(api.get(f"{PATH}?{query}"), 400, field)


def test_wrong_embed_of_one(api: Api, organization_id: str) -> None:
    assert_mollie_error(api.get(f"{PATH}/{organization_id}?embed=payments"), 400, "embed")


def test_cursor_whose_client_went_away(api: Api) -> None:
    ids = service.add_clients(3)
    service.remove_client(ids[1])

    assert_mollie_error(api.get(f"{PATH}?from={ids[1]}"), 400, "from")


@pytest.mark.parametrize("one", [True, False])
def test_embeds_are_what_the_merchants_token_gets(
    api: Api, granted: dict[str, Any], organization_id: str, one: bool
) -> None:
    answer = api.get(f"{PATH}/{organization_id}?embed={ALL}" if one else f"{PATH}?embed={ALL}").json()
    embedded = (answer if one else answer["_embedded"]["clients"][0])["_embedded"]

    token = granted["access_token"]
    capabilities = api.get("/v2/capabilities", token).json()["_embedded"]["capabilities"]
    assert embedded == {
        "organization": api.get(f"/v2/organizations/{organization_id}", token).json(),
        "onboarding": api.get("/v2/onboarding/me", token).json(),
        "capabilities": capabilities,
    }


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ("organizations.read", {"organization"}),
        ("onboarding.read", {"onboarding", "capabilities"}),
        ("payments.read", set()),
    ],
)
def test_embeds_need_the_merchants_consent(api: Api, scope: str, shown: set[str]) -> None:
    organization = service.sign_up("Old Mill")
    grant(api, organization.pk, scope)

    answer = api.get(f"{PATH}/{organization.pk}?embed={ALL}").json()

    assert answer.get("_embedded", {}).keys() == shown
    assert ("_embedded" in answer) is bool(shown)


def test_embeds_of_several_authorizations(api: Api) -> None:
    organization = service.sign_up("Old Mill")
    grant(api, organization.pk, "onboarding.read")
    grant(api, organization.pk, "organizations.read")

    answer = api.get(f"{PATH}/{organization.pk}?embed={ALL}").json()

    assert answer["_embedded"].keys() == {"organization", "onboarding", "capabilities"}


def test_embeds_of_a_client_that_revoked(api: Api) -> None:
    (organization_id,) = service.add_clients(1)
    path = f"{PATH}/{organization_id}?embed={ALL}"
    assert api.get(path).json()["_embedded"].keys() == {"organization", "onboarding", "capabilities"}

    grant(api, organization_id, "organizations.read onboarding.read")
    service.revoke_authorizations(organization_id)

    assert "_embedded" not in api.get(path).json()


def test_page_takes_few_statements_wherever_it_is(api: Api) -> None:
    ids = service.add_clients(300)
    counts = []
    for path in (f"{PATH}?limit=1", f"{PATH}?limit=250", f"{PATH}?limit=30&from={ids[-30]}"):
        with CaptureQueriesContext(connections["mollie_sandbox"]) as captured:
            api.get(f"{path}&embed={ALL}")
        assert not any("OFFSET" in query["sql"] for query in captured.captured_queries)
        counts.append(len(captured))

    assert len(set(counts)) == 1


def test_next_page_on_a_foreign_host(api: Api) -> None:
    ids = service.add_clients(2)
    service.add_fault("clients", "wrong_host", times=2, host="evil.example:81")

    response = api.get(f"{PATH}?limit=1")

    assert href_of(response, "next") == f"http://evil.example:81/v2/clients?from={ids[1]}&limit=1"
    assert href_of(response, "self").startswith("http://testserver/")
    assert ids_of(api.get(f"{PATH}?limit=2")) == ids


def test_pages_where_mounted(api: Api, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.sandbox.mounted_urls"
    ids = service.add_clients(2)

    page = api.get("/box/v2/clients?limit=1")

    assert href_of(page, "next") == f"http://testserver/box/v2/clients?from={ids[1]}&limit=1"
    one = api.get(f"/box/v2/clients/{ids[0]}").json()
    assert one["_links"]["self"]["href"] == f"http://testserver/box/v2/clients/{ids[0]}"
