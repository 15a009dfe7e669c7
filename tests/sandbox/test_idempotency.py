from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from mollie_onboarding.sandbox import idempotency, service
from mollie_onboarding.sandbox.errors import MollieRefusalError
from mollie_onboarding.sandbox.models import IdempotentAnswer, SandboxClientLink, Token

from .conftest import BODY, SCOPE, Api, basic, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def test_same_key_repeats_answer(api: Api) -> None:
    first = api.create(key="k")
    second = api.create(dict(reversed(BODY.items())), key="k")

    assert SandboxClientLink.objects.count() == 1
    assert second.status_code == 201
    assert second.json() == first.json()
    assert second["Content-Type"] == "application/hal+json"
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert [call.replayed for call in service.calls()] == [False, True]


def test_same_key_repeats_refusal(api: Api) -> None:
    first = api.create({}, key="k")
    second = api.create({}, key="k")

    assert (first.status_code, second.status_code) == (422, 422)
    assert second["Idempotent-Replayed"] == "true"


def test_other_keys_and_none_make_other_links(api: Api) -> None:
    for key in ("k", "l", "", ""):
        api.create(key=key)

    assert SandboxClientLink.objects.count() == 4


def test_key_is_new_after_an_hour(api: Api, time_machine: Any) -> None:
    time_machine.move_to("2026-01-01T12:00:00Z", tick=False)
    api.create(key="k")
    time_machine.move_to("2026-01-01T12:59:59Z", tick=False)
    assert "Idempotent-Replayed" in api.create(key="k")
    time_machine.move_to("2026-01-01T13:00:00Z", tick=False)
    assert "Idempotent-Replayed" not in api.create(key="k")


def test_same_key_with_other_body(api: Api) -> None:
    api.create(key="k")

    response = api.create({**BODY, "name": "Other"}, key="k")

    assert response.status_code == 400
    assert "idempotency" in response.json()["detail"]


def test_same_key_with_other_endpoint() -> None:
    work = HttpResponse("done")
    factory = RequestFactory()
    headers = {"idempotency-key": "k"}
    idempotency.once(factory.post("/a", headers=headers), "partner", lambda: work)

    with pytest.raises(MollieRefusalError) as caught:
        idempotency.once(factory.post("/b", headers=headers), "partner", lambda: work)
    assert caught.value.status == 400
    assert idempotency.once(factory.post("/b", headers=headers), "other", lambda: work) is work


def test_same_key_while_in_progress(api: Api) -> None:
    api.create(key="k")
    IdempotentAnswer.objects.update(status=None)

    assert api.create(key="k").status_code == 409
    assert api.create({**BODY, "name": "Other"}, key="k").status_code == 400


def test_key_forgotten_by_its_first_call_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_insert", lambda claim: False)
    request = RequestFactory().post("/a", headers={"idempotency-key": "k"})

    with pytest.raises(MollieRefusalError) as caught:
        idempotency.once(request, "partner", HttpResponse)
    assert caught.value.status == 409


def test_unfinished_work_frees_the_key() -> None:
    request = RequestFactory().post("/a", headers={"idempotency-key": "k"})

    def crash() -> HttpResponse:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        idempotency.once(request, "partner", crash)
    assert not IdempotentAnswer.objects.exists()


@pytest.mark.parametrize("status", [409, 429])
def test_ask_again_is_not_remembered(status: int) -> None:
    request = RequestFactory().post("/a", headers={"idempotency-key": "k"})

    idempotency.once(request, "partner", lambda: HttpResponse(status=status))

    assert not IdempotentAnswer.objects.exists()


def test_key_may_not_be_endless(api: Api) -> None:
    assert api.create(key="k" * 256).status_code == 400
    assert api.create(key="k" * 255).status_code == 201


def test_unauthorized_call_claims_no_key(api: Api) -> None:
    assert api.create(token="wrong", key="k").status_code == 401
    assert "Idempotent-Replayed" not in api.create(key="k")


def test_code_exchange_is_repeated_under_its_key(api: Api, link_id: str) -> None:
    code = query_of(service.approve(link_id, state="s", scope=SCOPE))["code"]
    first = api.tokens(grant_type="authorization_code", code=code, key="k")
    second = api.tokens(grant_type="authorization_code", code=code, key="k")

    assert second.json() == first.json()
    assert second["Idempotent-Replayed"] == "true"
    assert Token.objects.valid().count() == 2


def test_delete_ignores_the_key(api: Api, granted: dict[str, Any]) -> None:
    IdempotentAnswer.objects.create(
        credential="client app_box", key="k", fingerprint="x", created_at=timezone.now()
    )
    response = api.client.delete(
        "/oauth2/tokens",
        {"token": granted["access_token"], "token_type_hint": "access_token"},
        content_type="application/json",
        headers={"idempotency-key": "k", "authorization": basic()},
    )

    assert response.status_code == 204


def test_answer_is_named_by_its_key() -> None:
    assert str(IdempotentAnswer(key="k")) == "k"
