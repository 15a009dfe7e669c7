"""A sandbox at the root of its own URLconf, and somebody to call it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import SandboxClientLink

REDIRECT_URI = "https://platform.example/onboarding/callback/"
SCOPE = "organizations.read onboarding.read"
BODY = {
    "owner": {"email": "ada@bakery.example", "givenName": "Ada", "familyName": "Baker", "locale": "nl_NL"},
    "name": "Bakery Baker",
    "address": {
        "streetAndNumber": "Keizersgracht 1",
        "postalCode": "1015 CJ",
        "city": "Amsterdam",
        "country": "NL",
    },
    "registrationNumber": "12345678",
    "vatNumber": "NL123456789B01",
    "legalEntity": "nl-bv",
    "registrationOffice": "aachen",
    "incorporationDate": "2020-02-29",
}
# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def basic(client_id: str = "app_box", client_secret: str = "box-secret") -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


@dataclass(frozen=True)
class Api:
    """Calls the API as a platform would."""

    client: Client

    def create(
        self, body: object = BODY, *, token: str = "access_box_partner", key: str = "", **headers: str
    ) -> Any:
        headers = {"authorization": f"Bearer {token}", **headers}
        if key:
            headers["idempotency-key"] = key
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post("/v2/client-links", content, content_type="application/json", headers=headers)

    def tokens(self, *, auth: str | None = None, key: str = "", **data: str) -> Any:
        headers = {"authorization": basic() if auth is None else auth}
        if key:
            headers["idempotency-key"] = key
        return self.client.post("/oauth2/tokens", json.dumps(data), "application/json", headers=headers)

    def exchange(self, code: str, **data: str) -> Any:
        return self.tokens(grant_type="authorization_code", code=code, **data)

    def refresh(self, refresh_token: str, **data: str) -> Any:
        return self.tokens(grant_type="refresh_token", refresh_token=refresh_token, **data)

    def revoke(self, token: str, hint: str = "refresh_token") -> Any:
        body = json.dumps({"token": token, "token_type_hint": hint})
        headers = {"authorization": basic()}
        return self.client.delete("/oauth2/tokens", body, content_type="application/json", headers=headers)

    def get(self, path: str, token: str = "access_box_partner") -> Any:
        return self.client.get(path, headers={"authorization": f"Bearer {token}"})


@pytest.fixture(autouse=True)
def sandbox_settings(settings: Any) -> Any:
    settings.ROOT_URLCONF = "mollie_onboarding.sandbox.urls"
    settings.MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG = True
    settings.MOLLIE_SANDBOX_CLIENT_ID = "app_box"
    settings.MOLLIE_SANDBOX_CLIENT_SECRET = "box-secret"
    settings.MOLLIE_SANDBOX_ACCESS_TOKEN = "access_box_partner"
    settings.MOLLIE_SANDBOX_REDIRECT_URI = REDIRECT_URI
    settings.MOLLIE_SANDBOX_PLATFORM_NAME = "Shopwise"
    return settings


@pytest.fixture
def api() -> Api:
    return Api(Client())


@pytest.fixture
def link_id(api: Api) -> str:
    link_id: str = api.create().json()["id"]
    return link_id


@pytest.fixture
def code(link_id: str) -> str:
    return query_of(service.approve(link_id, state="s", scope=SCOPE))["code"]


@pytest.fixture
def granted(api: Api, code: str) -> dict[str, Any]:
    """The answer of the token endpoint."""
    answer: dict[str, Any] = api.exchange(code).json()
    return answer


@pytest.fixture
def organization_id(link_id: str, granted: dict[str, Any]) -> str:
    organization = SandboxClientLink.objects.get(pk=link_id).organization
    assert organization is not None
    return organization.pk
