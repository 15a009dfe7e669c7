from __future__ import annotations

from typing import Any

import pytest

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import Fault, SandboxClientLink, Token
from mollie_onboarding.sandbox.server import ConnectionDropped, DroppedResponse

from .conftest import Api
from .test_client_links import assert_mollie_error

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


@pytest.mark.parametrize(
    ("options", "header"), [({}, "1"), ({"retry_after": 7}, "7"), ({"retry_after": None}, None)]
)
def test_rate_limited(api: Api, options: dict[str, Any], header: str | None) -> None:
    service.add_fault("client_links", "rate_limited", **options)

    response = api.create(key="k")

    assert_mollie_error(response, 429)
    assert response.headers.get("Retry-After") == header
    assert "Idempotent-Replayed" not in api.create(key="k")


def test_rate_limited_tokens_use_mollies_error_object(api: Api) -> None:
    service.add_fault("tokens", "rate_limited")

    assert_mollie_error(api.exchange("auth_x"), 429)


@pytest.mark.parametrize(
    ("kind", "options", "status"),
    [
        ("server_error", {}, 500),
        ("server_error", {"status": 502, "detail": "bad gateway"}, 502),
        ("conflict", {}, 409),
        ("unauthorized", {}, 401),
    ],
)
def test_error_before_work(api: Api, kind: str, options: dict[str, Any], status: int) -> None:
    service.add_fault("client_links", kind, **options)

    assert_mollie_error(api.create(key="k"), status)
    assert not SandboxClientLink.objects.exists()
    assert api.create(key="k").status_code == 201


def test_unavailable_html(api: Api) -> None:
    service.add_fault("any", "unavailable_html")

    response = api.get("/v2/organizations/me")

    assert response.status_code == 503
    assert response["Content-Type"].startswith("text/html")
    assert "Retry-After" not in response


def test_slow(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    meanwhile: list[int] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        meanwhile.append(api.create(key="k").status_code)

    monkeypatch.setattr("mollie_onboarding.sandbox.faults.time.sleep", sleep)
    service.add_fault("client_links", "slow", seconds=12)

    assert api.create(key="k").status_code == 201
    assert (slept, meanwhile) == ([12], [409])


def test_drop_before(api: Api) -> None:
    service.add_fault("client_links", "drop_before")

    response = api.create(key="k")

    assert isinstance(response, DroppedResponse)
    with pytest.raises(ConnectionDropped):
        iter(response)
    assert not SandboxClientLink.objects.exists()
    call = service.calls()[0]
    assert (call.status, call.fault) == (None, "drop_before")


def test_lose_answer(api: Api) -> None:
    service.add_fault("client_links", "lose_answer")

    assert isinstance(api.create(key="k"), DroppedResponse)
    link = SandboxClientLink.objects.get()
    again = api.create(key="k")
    assert (again.json()["id"], again["Idempotent-Replayed"]) == (link.pk, "true")


def test_not_json(api: Api) -> None:
    service.add_fault("client_links", "not_json")

    response = api.create(key="k")

    assert response.status_code == 201
    with pytest.raises(ValueError, match="Expecting"):
        response.json()
    assert api.create(key="k").json()["resource"] == "client-link"


def test_too_large(api: Api) -> None:
    service.add_fault("client_links", "too_large")

    response = api.create()

    assert len(response.content) > 2_000_000
    assert response.json()["resource"] == "client-link"


def test_empty_answer_that_is_spoilt_has_a_body(api: Api, granted: dict[str, Any]) -> None:
    service.add_fault("revoke", "too_large")

    assert api.revoke(granted["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("options", "host"),
    [({}, "my.mollie.com.evil.example"), ({"host": "evil.example:81"}, "evil.example:81")],
)
def test_wrong_host(api: Api, options: dict[str, Any], host: str) -> None:
    service.add_fault("client_links", "wrong_host", **options)

    answer = api.create().json()

    assert answer["_links"]["clientLink"]["href"] == f"http://{host}/dashboard/client-link/{answer['id']}"


def test_wrong_host_means_nothing_elsewhere(api: Api) -> None:
    service.add_fault("any", "wrong_host")

    assert api.get("/v2/organizations/me").status_code == 200


def test_validation(api: Api) -> None:
    service.add_fault("client_links", "validation", field="owner[email]", detail="No such domain")

    assert assert_mollie_error(api.create(key="k"), 422, "owner[email]")["detail"] == "No such domain"
    assert api.create(key="k")["Idempotent-Replayed"] == "true"
    assert api.create(key="other").status_code == 201


def test_validation_needs_no_options(api: Api) -> None:
    service.add_fault("client_links", "validation")

    assert_mollie_error(api.create(), 422, "owner.email")


@pytest.mark.parametrize(("options", "second"), [({}, 201), ({"cached": True}, 418)])
def test_status(api: Api, options: dict[str, Any], second: int) -> None:
    service.add_fault("client_links", "status", status=418, body={"any": ["thing"]}, **options)

    first = api.create(key="k")

    assert (first.status_code, first.json()) == (418, {"any": ["thing"]})
    assert api.create(key="k").status_code == second


def test_status_as_the_token_endpoint_words_it(api: Api, code: str) -> None:
    service.add_fault("exchange", "status", body={"error": "invalid_grant"})

    assert api.exchange(code).json() == {"error": "invalid_grant"}
    assert not Token.objects.exists()


def test_replayed_error(api: Api) -> None:
    service.add_fault("client_links", "replayed_error")

    assert "Idempotent-Replayed" not in api.create(key="k")
    again = api.create(key="k")
    assert_mollie_error(again, 500)
    assert again["Idempotent-Replayed"] == "true"
    assert api.create(key="other").status_code == 201


def test_worked_out_faults_come_after_authentication(api: Api) -> None:
    service.add_fault("client_links", "validation")

    assert api.create(token="wrong").status_code == 401


def test_worked_out_fault_of_get_and_delete(api: Api, granted: dict[str, Any]) -> None:
    service.add_fault("any", "replayed_error", times=2)

    assert api.get("/v2/onboarding/me").status_code == 500
    assert api.revoke(granted["refresh_token"]).status_code == 500
    assert api.refresh(granted["refresh_token"]).status_code == 200


def test_faults_strike_as_often_as_told(api: Api) -> None:
    service.add_fault("organization", "server_error", times=2)
    service.add_fault("organization", "unavailable_html")

    statuses = [api.get("/v2/organizations/me").status_code for _ in range(4)]

    assert statuses == [500, 500, 503, 200]


def test_fault_until_cleared(api: Api) -> None:
    service.add_fault("any", "server_error", times=None)

    assert {api.get("/v2/organizations/me").status_code for _ in range(3)} == {500}
    service.clear_faults()
    assert api.get("/v2/organizations/me").status_code == 200


OPERATIONS = {
    "organization": "/v2/organizations/me",
    "onboarding": "/v2/onboarding/me",
    "capabilities": "/v2/capabilities",
    "clients": "/v2/clients",
    "permissions": "/v2/permissions",
    "partner": "/v2/organizations/me/partner",
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limited", 429),
        ("server_error", 500),
        ("unavailable_html", 503),
        ("unauthorized", 401),
        ("conflict", 409),
        ("validation", 422),
        ("status", 400),
        ("replayed_error", 500),
    ],
)
def test_faults_of_what_is_read(api: Api, operation: str, kind: str, status: int) -> None:
    service.add_fault(operation, kind)

    assert api.get(OPERATIONS[operation]).status_code == status
    assert api.get(OPERATIONS[operation]).status_code == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_spoilt_answers_of_what_is_read(api: Api, operation: str) -> None:
    service.add_fault(operation, "drop_before")
    service.add_fault(operation, "lose_answer")
    service.add_fault(operation, "not_json")
    service.add_fault(operation, "too_large")
    path = OPERATIONS[operation]

    assert isinstance(api.get(path), DroppedResponse)
    assert isinstance(api.get(path), DroppedResponse)
    with pytest.raises(ValueError, match="Expecting"):
        api.get(path).json()
    assert len(api.get(path).content) > 2_000_000


@pytest.mark.parametrize("path", ["/v2/clients/org_1", "/v2/permissions/moon.read"])
def test_worked_out_faults_come_before_the_search(api: Api, path: str) -> None:
    service.add_fault("any", "replayed_error")

    assert api.get(path).status_code == 500
    assert api.get(path).status_code == 404


def test_unauthorized(api: Api) -> None:
    service.add_fault("clients", "unauthorized", detail="The token is gone")

    error = assert_mollie_error(api.get("/v2/clients"), 401)

    assert (error["title"], error["detail"]) == ("Unauthorized Request", "The token is gone")


def test_fault_of_another_operation(api: Api) -> None:
    service.add_fault("client_links", "server_error")
    service.add_fault("refresh", "server_error")

    assert api.get("/v2/organizations/me").status_code == 200
    assert api.exchange("auth_x").status_code == 400
    assert api.refresh("refresh_x").status_code == 500


def test_claim_lost_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = service.add_fault("any", "slow")
    second = service.add_fault("any", "conflict")
    drawn = Fault.objects.active().order_by("pk")
    assert list(drawn) == [first, second]
    # Between our look and our update, another process has drawn the first.
    monkeypatch.setattr(type(drawn), "order_by", lambda self, *names: drawn)
    Fault.objects.filter(pk=first.pk).update(remaining=0)

    assert Fault.objects.all().claim() == second
    assert Fault.objects.all().claim() is None
