from __future__ import annotations

import copy
from typing import Any

import pytest
from django.test import Client

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import SandboxClientLink

from .conftest import BODY, Api, basic

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def with_value(path: str, value: object) -> dict[str, Any]:
    """The good body with one value replaced; `...` takes the key away."""
    body: dict[str, Any] = copy.deepcopy(BODY)
    *parents, name = path.split(".")
    place = body
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return body


def assert_mollie_error(response: Any, status: int, field: str | None = None) -> dict[str, Any]:
    assert response.status_code == status
    assert response["Content-Type"] == "application/hal+json"
    error: dict[str, Any] = response.json()
    assert error["status"] == status
    assert error["title"]
    assert error["detail"]
    assert error["_links"]["documentation"]["type"] == "text/html"
    assert error.get("field") == field
    return error


def test_create_answers_with_link(api: Api) -> None:
    response = api.create()

    assert response.status_code == 201
    assert response["Content-Type"] == "application/hal+json"
    answer = response.json()
    link = SandboxClientLink.objects.get()
    assert answer["resource"] == "client-link"
    assert answer["id"] == link.pk
    assert answer["_links"]["clientLink"] == {
        "href": f"http://testserver/dashboard/client-link/{link.pk}",
        "type": "text/html",
    }
    assert answer["_links"]["documentation"]["type"] == "text/html"
    assert link.data == BODY


def test_create_varies_prefix_and_self_link(api: Api) -> None:
    answers = [api.create().json() for _ in range(4)]

    assert [answer["id"].partition("_")[0] for answer in answers] == ["cl", "csr", "cl", "csr"]
    assert ["self" in answer["_links"] for answer in answers] == [True, False, False, True]


def test_create_under_mollies_name_links_to_dashboard_host(api: Api) -> None:
    response = api.create(host="api.mollie.com")

    assert response.json()["_links"]["clientLink"]["href"].startswith("http://my.mollie.com/dashboard/")


def test_create_where_mounted(api: Api, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.sandbox.mounted_urls"

    response = api.client.post(
        "/box/v2/client-links",
        BODY,
        content_type="application/json",
        headers={"authorization": "Bearer access_box_partner"},
    )

    href = response.json()["_links"]["clientLink"]["href"]
    assert href.startswith("http://testserver/box/dashboard/client-link/")
    assert api.client.get(href).status_code == 302


def test_answers_name_no_limit_where_there_is_none(api: Api) -> None:
    for response in (api.create(), api.create("["), api.create(token="wrong")):
        assert not {"RateLimit-Policy", "RateLimit", "Retry-After"} & set(response.headers)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Bearer ", 401), ("Bearer live_abc", 401), ("Token x", 401), (basic(), 400)],
)
def test_create_with_wrong_credentials(api: Api, authorization: str, status: int) -> None:
    assert_mollie_error(api.create(authorization=authorization), status)
    assert not SandboxClientLink.objects.exists()


def test_create_unauthorized_has_mollies_title(api: Api) -> None:
    assert api.create(token="wrong").json()["title"] == "Unauthorized Request"


def test_create_with_token_of_merchant(api: Api, granted: dict[str, Any]) -> None:
    assert_mollie_error(api.create(token=granted["access_token"]), 403)


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_create_with_wrong_content_type(content_type: str) -> None:
    headers = {"authorization": "Bearer access_box_partner"}
    response = Client().post("/v2/client-links", "name=x", content_type=content_type, headers=headers)

    assert_mollie_error(response, 415)


@pytest.mark.parametrize("body", ["{", b"\xff"])
def test_create_without_json(api: Api, body: str | bytes) -> None:
    assert_mollie_error(api.create(body), 400)


def test_create_with_list(api: Api) -> None:
    assert_mollie_error(api.create([]), 422)


def test_create_knows_only_post() -> None:
    response = Client().get("/v2/client-links")

    assert_mollie_error(response, 405)
    assert response["Allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("owner", ...),
        ("owner", None),
        ("owner", "ada@bakery.example"),
        ("owner.email", ...),
        ("owner.email", ""),
        ("owner.email", None),
        ("owner.email", "ada"),
        ("owner.email", "@bakery.example"),
        ("owner.email", "a da@bakery.example"),
        ("owner.email", "ada@ada@bakery.example"),
        ("owner.email", "ada@bäckerei.example"),
        ("owner.email", "ada@bakery"),
        ("owner.givenName", ...),
        ("owner.givenName", " "),
        ("owner.familyName", ...),
        ("owner.locale", "nl"),
        ("owner.locale", "nl-NL"),
        ("owner.locale", 5),
        ("name", ...),
        ("name", None),
        ("address", ...),
        ("address", []),
        ("address.country", ...),
        ("address.country", "nl"),
        ("address.country", "XX"),
        ("address.country", "NLD"),
        ("address.city", ...),
        ("address.city", None),
        ("address.postalCode", ""),
        ("address.postalCode", 1015),
        ("registrationNumber", 12345678),
        ("vatNumber", 5),
        ("legalEntity", None),
        ("registrationOffice", None),
        ("incorporationDate", "20200229"),
        ("incorporationDate", "2021-02-29"),
        ("incorporationDate", "2999-01-01"),
        ("incorporationDate", 2020),
    ],
)
def test_create_with_wrong_field(api: Api, path: str, value: object) -> None:
    assert_mollie_error(api.create(with_value(path, value)), 422, path)
    assert not SandboxClientLink.objects.exists()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("owner.locale", None),
        ("owner.locale", ...),
        ("owner.email", "ada@xn--bckerei-5wa.example"),
        ("address", {"country": "DE"}),
        ("address", {"country": "AE", "streetAndNumber": "1 Beach Road", "city": "Dubai"}),
        ("address.streetAndNumber", None),
        ("registrationNumber", None),
        ("registrationNumber", ...),
        ("vatNumber", None),
        ("legalEntity", ...),
        ("legalEntity", "nl-something-new"),
        ("registrationOffice", ...),
        ("incorporationDate", None),
        ("incorporationDate", ...),
    ],
)
def test_create_with_optional_field(api: Api, path: str, value: object) -> None:
    assert api.create(with_value(path, value)).status_code == 201


def test_create_does_not_unfold_brackets(api: Api) -> None:
    body = {"owner[email]": "ada@bakery.example", "name": "Bakery", "address[country]": "NL"}

    assert_mollie_error(api.create(body), 422, "owner")


def test_calls_record_no_token(api: Api) -> None:
    api.create(key="k1")
    api.create("[")

    first, second = service.calls("client_links")
    assert (first.method, first.path, first.idempotency_key, first.status, first.replayed) == (
        "POST",
        "/v2/client-links",
        "k1",
        201,
        False,
    )
    assert second.status == 400
    assert "access_" not in repr(vars(first))
    assert str(first) == "POST /v2/client-links: 201"
