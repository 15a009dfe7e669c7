from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import Http404, HttpResponse

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.server import ConnectionDropped
from mollie_onboarding.sandbox.transport import send

from .conftest import BODY, SCOPE, basic, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PARTNER = {"Authorization": "Bearer access_box_partner"}
JSON = {**PARTNER, "Content-Type": "application/json", "Content-Length": "9", "Idempotency-Key": "k"}


def answer_of(response: HttpResponse) -> Any:
    return json.loads(response.content)


@pytest.fixture(autouse=True)
def foreign_urlconf(settings: Any) -> None:
    """The host site need not have mounted the sandbox."""
    settings.ROOT_URLCONF = "tests.sandbox.mounted_urls"


def test_whole_flow_in_process() -> None:
    body = json.dumps(BODY).encode()
    created = send("POST", "https://api.mollie.com/v2/client-links", headers=JSON, body=body)
    assert created.status_code == 201
    href = answer_of(created)["_links"]["clientLink"]["href"]
    assert href == f"https://my.mollie.com/dashboard/client-link/{answer_of(created)['id']}"

    query = urlencode({"client_id": "app_box", "state": "s", "scope": SCOPE})
    code = query_of(service.visit(f"{href}?{query}"))["code"]
    form = urlencode({"grant_type": "authorization_code", "code": code}).encode()
    headers = {"authorization": basic(), "content-type": "application/x-www-form-urlencoded"}
    granted = send("POST", "https://api.mollie.com/oauth2/tokens", headers=headers, body=form)
    bearer = {"Authorization": f"Bearer {answer_of(granted)['access_token']}"}

    me = send("GET", "https://api.mollie.com/v2/organizations/me?embed=x", headers=bearer)
    assert answer_of(me)["_links"]["self"]["href"] == "https://api.mollie.com/v2/organizations/me"
    again = send("POST", "https://api.mollie.com/v2/client-links", headers=JSON, body=body)
    assert again["Idempotent-Replayed"] == "true"


def test_mounted_elsewhere() -> None:
    url = "http://localhost:8000/box/v2/onboarding/me"

    response = send("GET", url, headers=PARTNER, mounted_at="/box/")

    assert answer_of(response)["_links"]["self"]["href"] == url


def test_dropped_connection() -> None:
    service.add_fault("organization", "drop_before")

    with pytest.raises(ConnectionDropped):
        send("GET", "https://api.mollie.com/v2/organizations/me", headers=PARTNER)


def test_unknown_path() -> None:
    with pytest.raises(Http404):
        send("GET", "https://api.mollie.com/v2/payments", headers=PARTNER)


def test_name_of_mollie_need_not_be_one_of_the_sites_own(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["platform.example"]

    created = send(
        "POST", "https://api.mollie.com/v2/client-links", headers=JSON, body=json.dumps(BODY).encode()
    )
    assert created.status_code == 201
