from __future__ import annotations

from typing import Any

import pytest

from mollie_onboarding.sandbox import service

from .conftest import Api, query_of
from .test_client_links import assert_mollie_error

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PATH = "/v2/capabilities"
OWN = {
    "resource": "capability",
    "name": "payments",
    "status": "enabled",
    "statusReason": None,
    "requirements": [
        {
            "id": "process-first-payment",
            "status": "past-due",
            "dueDate": "2026-02-03T04:05:06+00:00",
            "_links": {"dashboard": {"href": "https://my.mollie.com/pay", "type": "text/html"}},
        }
    ],
}


def test_capabilities(api: Api, granted: dict[str, Any], organization_id: str) -> None:
    service.move_onboarding(organization_id, "needs-data", True, False)

    response = api.get(PATH, granted["access_token"])

    assert response["Content-Type"] == "application/hal+json"
    assert response.json() == {
        "count": 2,
        "_embedded": {
            "capabilities": [
                {
                    "resource": "capability",
                    "name": "payments",
                    "status": "enabled",
                    "statusReason": None,
                    "requirements": [],
                },
                {
                    "resource": "capability",
                    "name": "settlements",
                    "status": "disabled",
                    "statusReason": "onboarding-information-needed",
                    "requirements": [
                        {
                            "id": "needs-data",
                            "status": "requested",
                            "dueDate": None,
                            "_links": {
                                "dashboard": {
                                    "href": f"http://testserver/dashboard/onboarding/{organization_id}",
                                    "type": "text/html",
                                }
                            },
                        }
                    ],
                },
            ]
        },
        "_links": {
            "documentation": {
                "href": "https://docs.mollie.com/reference/list-capabilities",
                "type": "text/html",
            }
        },
    }
    assert service.calls("capabilities")[0].status == 200


@pytest.mark.parametrize(
    ("status", "payments", "settlements", "expected"),
    [
        ("needs-data", False, False, ["disabled", "disabled"]),
        ("in-review", False, False, ["pending", "pending"]),
        ("in-review", True, False, ["enabled", "pending"]),
        ("completed", True, True, ["enabled", "enabled"]),
        ("on-the-moon", False, True, ["disabled", "enabled"]),
    ],
)
def test_capabilities_follow_from_the_onboarding(
    api: Api,
    granted: dict[str, Any],
    organization_id: str,
    status: str,
    payments: bool,
    settlements: bool,
    expected: list[str],
) -> None:
    service.move_onboarding(organization_id, status, payments, settlements)

    found = api.get(PATH, granted["access_token"]).json()["_embedded"]["capabilities"]

    assert [(row["name"], row["status"]) for row in found] == list(
        zip(["payments", "settlements"], expected, strict=True)
    )
    assert [bool(row["requirements"]) for row in found] == [value == "disabled" for value in expected]


def test_capabilities_as_a_test_wants_them(api: Api, granted: dict[str, Any], organization_id: str) -> None:
    def found() -> Any:
        return api.get(PATH, granted["access_token"]).json()

    service.set_capabilities(organization_id, [OWN])
    assert (found()["count"], found()["_embedded"]) == (1, {"capabilities": [OWN]})
    service.set_capabilities(organization_id, [])
    assert (found()["count"], found()["_embedded"]) == (0, {"capabilities": []})
    service.set_capabilities(organization_id, None)
    assert found()["count"] == 2


def test_capabilities_of_partner(api: Api) -> None:
    found = api.get(PATH).json()["_embedded"]["capabilities"]

    assert [row["status"] for row in found] == ["enabled", "enabled"]


@pytest.mark.parametrize("token", ["", "unknown"])
def test_wrong_token(api: Api, token: str) -> None:
    assert_mollie_error(api.get(PATH, token), 401)


def test_missing_scope(api: Api, link_id: str) -> None:
    code = query_of(service.approve(link_id, state="s", scope="organizations.read"))["code"]

    assert_mollie_error(api.get(PATH, api.exchange(code).json()["access_token"]), 403)


def test_only_get(api: Api) -> None:
    assert_mollie_error(api.client.post(PATH), 405)
