from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import Authorization, Token, TokenQuerySet

from .conftest import CHALLENGE, REDIRECT_URI, SCOPE, VERIFIER, Api, basic, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

FORM = "application/x-www-form-urlencoded"
ME = "/v2/organizations/me"


def assert_oauth_error(response: Any, error: str, status: int = 400) -> None:
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    answer = response.json()
    assert answer["error"] == error
    assert answer["error_description"]


def test_exchange_gives_tokens(api: Api, code: str) -> None:
    response = api.exchange(code)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    answer = response.json()
    assert answer.keys() == {"access_token", "refresh_token", "expires_in", "token_type", "scope"}
    assert answer["access_token"].startswith("access_")
    assert answer["refresh_token"].startswith("refresh_")
    assert (answer["expires_in"], answer["token_type"], answer["scope"]) == (3600, "bearer", SCOPE)
    assert code.startswith("auth_")
    assert service.calls("exchange")[0].status == 200


def test_exchange_takes_form_and_credentials_in_body(code: str) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "app_box",
        "client_secret": "box-secret",
    }

    assert Client().post("/oauth2/tokens", urlencode(form), content_type=FORM).status_code == 200


def test_code_works_once_and_a_second_use_revokes(api: Api, code: str) -> None:
    token = api.exchange(code).json()["access_token"]
    assert api.get(ME, token).status_code == 200

    assert_oauth_error(api.exchange(code), "invalid_grant")
    assert api.get(ME, token).status_code == 401


def test_code_lives_30_seconds(api: Api, link_id: str, time_machine: Any) -> None:
    time_machine.move_to("2026-01-01T12:00:00Z", tick=False)
    early, late = (query_of(service.approve(link_id, state="s", scope=SCOPE))["code"] for _ in range(2))

    time_machine.move_to("2026-01-01T12:00:29Z", tick=False)
    assert api.exchange(early).status_code == 200
    time_machine.move_to("2026-01-01T12:00:30Z", tick=False)
    assert_oauth_error(api.exchange(late), "invalid_grant")


def test_unknown_code(api: Api) -> None:
    assert_oauth_error(api.exchange("auth_unknown"), "invalid_grant")


def test_revoked_code(api: Api, code: str, link_id: str) -> None:
    service.approve(link_id, state="s", scope=SCOPE, approval_prompt="force")

    assert_oauth_error(api.exchange(code), "invalid_grant")


def test_code_of_client_link_takes_no_redirect_uri(api: Api, code: str) -> None:
    assert_oauth_error(api.exchange(code, redirect_uri=REDIRECT_URI), "invalid_grant")


def challenge_of(verifier: str) -> str:
    """RFC 7636 section 4.2"""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("challenge", "verifier", "ok"),
    [
        (CHALLENGE, VERIFIER, True),
        (CHALLENGE, None, False),
        (CHALLENGE, VERIFIER[:-1] + "l", False),
        (CHALLENGE, CHALLENGE, False),
        (CHALLENGE, "\ud800", False),
        (challenge_of("short"), "short", False),
        (challenge_of("a" * 129), "a" * 129, False),
        (challenge_of("a" * 128), "a" * 128, True),
        (None, None, True),
        (None, VERIFIER, False),
    ],
)
def test_code_verifier_is_the_one_of_the_challenge(
    api: Api, link_id: str, challenge: str | None, verifier: str | None, ok: bool
) -> None:
    """The example of RFC 7636 appendix B; a verifier without a challenge is a downgrade, RFC 9700 section 4.8.2."""
    query = {"client_id": "app_box", "state": "s", "scope": SCOPE}
    if challenge:
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    url = f"https://my.mollie.com/dashboard/client-link/{link_id}?{urlencode(query)}"
    code = query_of(service.visit(url))["code"]

    response = api.exchange(code, **({"code_verifier": verifier} if verifier else {}))

    if ok:
        assert response.status_code == 200
    else:
        assert_oauth_error(response, "invalid_grant")


@pytest.mark.parametrize(
    ("sent", "ok"), [(REDIRECT_URI, True), (None, False), ("https://evil.example", False)]
)
def test_redirect_uri_is_the_one_of_the_request(api: Api, sent: str | None, ok: bool) -> None:
    query = {
        "client_id": "app_box",
        "state": "s",
        "scope": SCOPE,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
    }
    code = query_of(service.visit(f"https://my.mollie.com/oauth2/authorize?{urlencode(query)}"))["code"]
    extra = {} if sent is None else {"redirect_uri": sent}

    response = api.exchange(code, **extra)

    if not ok:
        assert_oauth_error(response, "invalid_grant")
        return
    refresh_token = response.json()["refresh_token"]
    assert_oauth_error(api.refresh(refresh_token), "invalid_grant")
    assert api.refresh(refresh_token, redirect_uri=REDIRECT_URI).status_code == 200


def test_refresh_keeps_refresh_token(api: Api, granted: dict[str, Any]) -> None:
    answer = api.refresh(granted["refresh_token"]).json()

    assert answer["refresh_token"] == granted["refresh_token"]
    assert answer["access_token"] != granted["access_token"]
    assert answer["scope"] == SCOPE
    assert api.get(ME, answer["access_token"]).status_code == 200
    assert api.get(ME, granted["access_token"]).status_code == 200


def test_refresh_rotates_when_told(api: Api, granted: dict[str, Any]) -> None:
    service.set_switch("rotate_refresh_tokens", True)

    answer = api.refresh(granted["refresh_token"]).json()

    assert answer["refresh_token"] != granted["refresh_token"]
    assert_oauth_error(api.refresh(granted["refresh_token"]), "invalid_grant")
    assert api.refresh(answer["refresh_token"]).status_code == 200


def test_rotation_lets_one_refresh_through(
    api: Api, granted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.set_switch("rotate_refresh_tokens", True)
    # Another process revokes the token between our look at it and our update.
    monkeypatch.setattr(TokenQuerySet, "revoke", lambda self: 0)

    assert_oauth_error(api.refresh(granted["refresh_token"]), "invalid_grant")


def test_refresh_with_access_token(api: Api, granted: dict[str, Any]) -> None:
    assert_oauth_error(api.refresh(granted["access_token"]), "invalid_grant")


def test_refresh_after_merchant_revoked(api: Api, granted: dict[str, Any], organization_id: str) -> None:
    assert service.revoke_authorizations(organization_id) == 1

    assert_oauth_error(api.refresh(granted["refresh_token"]), "invalid_grant")
    assert api.get(ME, granted["access_token"]).status_code == 401


def test_access_token_lives_an_hour(api: Api, link_id: str, time_machine: Any) -> None:
    time_machine.move_to("2026-01-01T12:00:00Z", tick=False)
    code = query_of(service.approve(link_id, state="s", scope=SCOPE))["code"]
    granted = api.exchange(code).json()

    time_machine.move_to("2026-01-01T12:59:59Z", tick=False)
    assert api.get(ME, granted["access_token"]).status_code == 200
    time_machine.move_to("2026-01-01T13:00:00Z", tick=False)
    assert api.get(ME, granted["access_token"]).status_code == 401
    assert api.refresh(granted["refresh_token"]).status_code == 200


def test_force_revokes_earlier_authorizations(api: Api, granted: dict[str, Any], link_id: str) -> None:
    service.approve(link_id, state="s", scope=SCOPE)
    assert api.get(ME, granted["access_token"]).status_code == 200

    service.approve(link_id, state="s", scope=SCOPE, approval_prompt="force")
    assert api.get(ME, granted["access_token"]).status_code == 401


@pytest.mark.parametrize(
    "auth",
    ["", basic("app_box", "wrong"), basic("app_other", "box-secret"), "Basic ???", "Basic /w==", "Bearer x"],
)
def test_wrong_credentials(api: Api, code: str, auth: str) -> None:
    response = api.tokens(auth=auth, grant_type="authorization_code", code=code)

    assert_oauth_error(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith("Basic")
    assert api.exchange(code).status_code == 200


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_wrong_parameters(api: Api, data: dict[str, str], error: str) -> None:
    assert_oauth_error(api.tokens(**data), error)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("{", "application/json"),
        ("[]", "application/json"),
        ('{"grant_type": "refresh_token", "code": null}', "application/json"),
        ("grant_type=refresh_token", "text/plain"),
        ("grant_type=refresh_token&grant_type=refresh_token", FORM),
    ],
)
def test_wrong_body(body: str, content_type: str) -> None:
    headers = {"authorization": basic()}
    response = Client().post("/oauth2/tokens", body, content_type=content_type, headers=headers)

    assert_oauth_error(response, "invalid_request")
    assert service.calls("tokens")[0].operation == "tokens"


def test_revoking_refresh_token_ends_everything(api: Api, granted: dict[str, Any]) -> None:
    second = api.refresh(granted["refresh_token"]).json()

    response = api.revoke(granted["refresh_token"])

    assert (response.status_code, response.content) == (204, b"")
    assert api.get(ME, second["access_token"]).status_code == 401
    assert_oauth_error(api.refresh(granted["refresh_token"]), "invalid_grant")
    assert api.revoke(granted["refresh_token"]).status_code == 204


def test_revoking_a_replaced_refresh_token_ends_everything(api: Api, granted: dict[str, Any]) -> None:
    # It belongs to the same grant, RFC 7009 section 2.1; whoever holds an old one must be able to end it.
    service.set_switch("rotate_refresh_tokens", True)
    latest = api.refresh(granted["refresh_token"]).json()

    assert api.revoke(granted["refresh_token"]).status_code == 204

    assert api.get(ME, latest["access_token"]).status_code == 401
    assert_oauth_error(api.refresh(latest["refresh_token"]), "invalid_grant")


def test_revoking_access_token_keeps_the_rest(api: Api, granted: dict[str, Any]) -> None:
    # The hint may be wrong, RFC 7009 section 2.1.
    assert api.revoke(granted["access_token"], "refresh_token").status_code == 204

    assert api.get(ME, granted["access_token"]).status_code == 401
    assert api.refresh(granted["refresh_token"]).status_code == 200


def test_revoking_takes_a_form(granted: dict[str, Any]) -> None:
    form = urlencode({"token": granted["refresh_token"], "token_type_hint": "refresh_token"})
    response = Client().delete("/oauth2/tokens", form, content_type=FORM, headers={"authorization": basic()})

    assert response.status_code == 204
    assert service.calls("revoke")[0].status == 204


def test_revoking_unknown_token(api: Api) -> None:
    assert api.revoke("refresh_unknown").status_code == 204


def test_revoking_with_unknown_hint(api: Api, granted: dict[str, Any]) -> None:
    assert_oauth_error(api.revoke(granted["refresh_token"], "id_token"), "unsupported_token_type")


@pytest.mark.parametrize("missing", ["token", "token_type_hint"])
def test_revoking_with_missing_parameter(missing: str) -> None:
    params = {"token": "x", "token_type_hint": "refresh_token"}
    del params[missing]
    response = Client().delete(
        "/oauth2/tokens",
        json.dumps(params),
        content_type="application/json",
        headers={"authorization": basic()},
    )

    assert_oauth_error(response, "invalid_request")


def test_rows_have_names(granted: dict[str, Any], organization_id: str) -> None:
    assert str(Authorization.objects.get()) == f"{organization_id}: {SCOPE}"
    assert granted["access_token"] not in str(Token.objects.first())
