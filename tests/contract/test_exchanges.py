"""What we say to Mollie, and what the sandbox says in Mollie's place, held against Mollie's OpenAPI description."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, replace
from datetime import date, timedelta
from itertools import product
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.urls import get_resolver

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.enumerations import LEGAL_ENTITIES, LOCALES
from mollie_onboarding.exceptions import InvalidGrantError, MollieError
from mollie_onboarding.mollie_api import ClientLinkData, MollieAPI
from mollie_onboarding.sandbox.addresses import URLCONF
from mollie_onboarding.sandbox.models import SandboxOrganization
from tests.connected import connect as connect_many

from .exchanges import API, app, bearer, partner

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

ALL = "organization,onboarding,capabilities"
LEAST = ClientLinkData(
    owner_email="ada@bakery.example",
    owner_given_name="Ada",
    owner_family_name="Baker",
    organization_name="Bakery Baker",
    country="NL",
)
MOST = replace(
    LEAST,
    owner_email="ada@bäckerei.example",
    owner_locale="nl_NL",
    street_and_number="Keizersgracht 1",
    postal_code="1015 CJ",
    city="Amsterdam",
    registration_number="01234567",
    vat_number="NL123456789B01",
    legal_entity="nl-bv",
    registration_office="aachen",
    incorporation_date=date(2020, 2, 29),
)


@pytest.fixture
def assert_faithful(wire, description):
    """Nothing that went over the wire since the last time was wrong; gives the operations it went for."""

    def assert_faithful() -> set[str]:
        exchanges, wire.exchanges = wire.exchanges, []
        assert exchanges
        assert [mistake for exchange in exchanges for mistake in description.mistakes(exchange)] == []
        return {description.find(exchange.method, exchange.path)[0].id for exchange in exchanges}

    return assert_faithful


# What we say


def test_whole_life_of_a_connection(
    wire, sandbox, connect, assert_faithful, clock, django_capture_on_commit_callbacks
):
    row = connect(owner_email="ada@bäckerei.example", registration_office="aachen")
    organization = row.organization
    assert assert_faithful() == {
        "create-client-link",
        "oauth-generate-tokens",
        "get-current-organization",
        "get-onboarding-status",
        "list-capabilities",
    }

    sandbox.move_onboarding(organization.organization_id, "in-review", True, False)
    clock.shift(timedelta(minutes=2))
    assert services.check_onboarding_status(organization)
    assert assert_faithful() == {"get-onboarding-status", "list-capabilities"}

    services.sync_onboarding_status()
    assert assert_faithful() == {"list-clients"}

    clock.shift(timedelta(hours=2))
    services.get_access_token(organization.organization_id)
    assert assert_faithful() == {"oauth-generate-tokens"}

    assert not any(finding.is_failure for finding in services.check_mollie())
    assert assert_faithful() == {"list-permissions", "get-partner-status", "oauth-generate-tokens"}

    with django_capture_on_commit_callbacks(execute=True):
        assert services.disconnect(organization)
    assert assert_faithful() == {"oauth-revoke-tokens"}


def test_scopes_that_we_ask_for_open_all_that_we_call_for_merchants(wire, connect, description):
    connect()
    operations = {
        description.find(exchange.method, exchange.path)[0]
        for exchange in wire.exchanges
        if exchange.caller == "merchant"
    }
    needed = {scope for operation in operations for scope in _scopes(operation, "oAuth")}
    assert needed
    assert needed <= set(conf.MOLLIE_ONBOARDING_SCOPES)


def test_scopes_that_the_sandbox_asks_for_are_those_described(wire, sandbox, connect, description):
    """Each operation is open to a token with the described scope alone, and closed to one with all the others."""
    for path in (
        "/v2/organizations/me",
        "/v2/organizations/me/partner",
        "/v2/onboarding/me",
        "/v2/capabilities",
    ):
        [scope] = _scopes(description.find("GET", path)[0], "oAuth")
        others = "organizations.read onboarding.read onboarding.write payments.read".replace(
            scope, ""
        ).split()
        assert wire.call("GET", path, authorization=_token(sandbox, wire, scope)).status == 200
        assert wire.call("GET", path, authorization=_token(sandbox, wire, " ".join(others))).status == 403


def _scopes(operation, scheme):
    return [scope for alternative in operation.node["security"] for scope in alternative.get(scheme, [])]


def _token(sandbox, wire, scope):
    """The Authorization header of a merchant who has granted the scope."""
    body = LEAST.to_body()
    link = wire.call("POST", "/v2/client-links", body=body, authorization=partner()).json()
    callback = sandbox.approve(link["id"], state="s", scope=scope)
    body = {"grant_type": "authorization_code", "code": _code(callback)}
    return bearer(wire.call("POST", "/oauth2/tokens", body=body, authorization=app()).json()["access_token"])


def _code(callback):
    return parse_qs(urlsplit(callback).query)["code"][0]


def _each(**values):
    return [replace(MOST, **{column: value}) for column, many in values.items() for value in many]


CLIENT_LINKS = {
    "least": [LEAST],
    "most": [MOST],
    "locales": _each(owner_locale=LOCALES),
    "legal entities": _each(legal_entity=[next(iter(codes)) for codes in LEGAL_ENTITIES.values()]),
    "one by one": [
        replace(LEAST, **{field.name: getattr(MOST, field.name)})
        for field in fields(ClientLinkData)
        if field.name != "street_and_number"  # which needs its city
    ],
}


@pytest.mark.parametrize("kind", CLIENT_LINKS)
def test_client_links(wire, description, older_page, kind):
    for number, data in enumerate(CLIENT_LINKS[kind]):
        created = MollieAPI().create_client_link(data, idempotency_key=f"key-{number}")
    assert MollieAPI().create_client_link(data, idempotency_key=f"key-{number}") == created
    assert len(wire.exchanges) == len(CLIENT_LINKS[kind]) + 1
    assert wire.exchanges[-1].answer_headers["idempotent-replayed"] == "true"
    for exchange in wire.exchanges:
        assert exchange.status == 201
        assert description.mistakes(exchange) == []
        assert older_page.mistakes(exchange) == []


# Every operation of ours as it is called, and the token kinds it is called with.
CALLS = {
    "create_client_link": lambda api, tokens: api.create_client_link(MOST, idempotency_key="key"),
    "exchange_code": lambda api, tokens: api.exchange_code("auth_x", redirect_uri="https://shop.example/"),
    "refresh": lambda api, tokens: api.refresh(tokens.refresh_token.reveal(), idempotency_key="key"),
    "revoke": lambda api, tokens: api.revoke(tokens.refresh_token.reveal()),
    "get_current_organization": lambda api, tokens: api.get_current_organization(
        tokens.access_token.reveal()
    ),
    "get_onboarding_status": lambda api, tokens: api.get_onboarding_status(tokens.access_token.reveal()),
    "list_capabilities": lambda api, tokens: api.list_capabilities(tokens.access_token.reveal()),
    "list_clients": lambda api, tokens: api.list_clients(tokens.organization_id),
    "list_permissions": lambda api, tokens: api.list_permissions(),
    "get_partner_type": lambda api, tokens: api.get_partner_type(),
}


def test_every_call_of_ours_is_held_against_the_description():
    methods = inspect.getmembers(MollieAPI, inspect.isfunction)
    assert {name for name, _ in methods if not name.startswith("_")} == {*CALLS, "heed"}


# The faults of the sandbox that play Mollie; the others play a network, a proxy, or a Mollie gone mad.
FAULTS = {
    "rate_limited": 429,
    "unauthorized": 401,
    "server_error": 500,
}


@pytest.mark.parametrize("name", CALLS)
def test_call(wire, sandbox, connect, assert_faithful, name):
    tokens = connect().organization
    for fault, status in FAULTS.items():
        wire.exchanges.clear()
        sandbox.add_fault("any", fault, times=None)
        with pytest.raises(MollieError):
            CALLS[name](MollieAPI(), tokens)
        [exchange] = wire.exchanges
        assert exchange.status == status
        assert_faithful()
        sandbox.clear_faults()
    if name == "exchange_code":  # which is none that was given out
        with pytest.raises(InvalidGrantError):
            CALLS[name](MollieAPI(), tokens)
    else:
        CALLS[name](MollieAPI(), tokens)
    assert_faithful()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_call_that_fails_for_good(wire, sandbox, connect, assert_faithful, status):
    tokens = connect().organization
    sandbox.add_fault("any", "server_error", times=None, status=status)
    for call in CALLS.values():
        with pytest.raises(MollieError):
            call(MollieAPI(), tokens)
    sandbox.clear_faults()
    sandbox.add_fault("client_links", "replayed_error")
    for _ in range(2):
        with pytest.raises(MollieError):
            MollieAPI().create_client_link(MOST, idempotency_key="another")
    assert len(wire.exchanges) >= len(CALLS) + 2
    assert_faithful()


def test_call_beyond_a_rate_limit(wire, connect, assert_faithful, settings):
    tokens = connect().organization
    wire.exchanges.clear()
    settings.MOLLIE_SANDBOX_RATE_LIMIT = "1/3600"
    for call in CALLS.values():
        for _ in range(2):
            try:
                call(MollieAPI(), tokens)
            except MollieError:
                pass
    assert [exchange.status for exchange in wire.exchanges].count(429) == len(CALLS)
    assert_faithful()


# What the sandbox says


def test_sandbox_serves_what_is_described_and_nothing_else(description):
    names = {"<str:organization_id>": "{organizationId}", "<str:scope>": "{permissionId}"}
    served = {
        "/" + re.sub("<.*?>", lambda match: names[match[0]], str(pattern.pattern))
        for pattern in get_resolver(URLCONF).url_patterns
        if str(pattern.pattern).startswith(("v2/", "oauth2/tokens"))
    }
    assert served == set(description.document["paths"])


def test_sandbox_lacks_one_operation_and_says_so(wire, connect, description):
    """Mollie points to client links instead: docs.mollie.com/reference/submit-onboarding-data."""
    token = bearer(connect().organization.access_token.reveal())
    answers = {
        operation.id: wire.call(
            operation.method.upper(),
            operation.path.replace("{organizationId}", "org_1").replace("{permissionId}", "payments.read"),
            authorization=token,
        )
        for operation in description.operations.values()
    }
    lacking = {name: answer for name, answer in answers.items() if answer.status == 405}
    assert list(lacking) == ["submit-onboarding-data"]
    assert lacking["submit-onboarding-data"].answer_headers["allow"] == "GET"


def test_merchant_in_each_state(wire, sandbox, connect, assert_faithful):
    organization = connect().organization
    token = bearer(organization.access_token.reveal())
    calls = {
        "/v2/organizations/me": token,
        f"/v2/organizations/{organization.organization_id}": token,
        "/v2/onboarding/me": token,
        "/v2/capabilities": token,
        "/v2/organizations/me/partner": token,
        f"/v2/clients?embed={ALL}": partner(),
        f"/v2/clients/{organization.organization_id}?embed={ALL}": partner(),
    }
    for status, payments, settlements in product(SandboxOrganization.Status, (False, True), (False, True)):
        sandbox.move_onboarding(organization.organization_id, status, payments, settlements)
        wire.exchanges.clear()
        for path, credentials in calls.items():
            assert wire.call("GET", path, authorization=credentials).status == 200
        assert len(assert_faithful()) == len(calls)


@pytest.mark.parametrize(
    "data",
    [
        LEAST,
        MOST,
        replace(LEAST, country="IE", street_and_number="Main St 1", postal_code="D1", city="Dublin"),
    ],
)
def test_merchant_of_each_client_link(wire, sandbox, assert_faithful, data):
    """Also one that gave no more than a country: an address has four parts, or is left out."""
    created = MollieAPI().create_client_link(data, idempotency_key="key")
    callback = sandbox.approve(created.id, state="s", scope="organizations.read onboarding.read")
    token = MollieAPI().exchange_code(_code(callback)).access_token
    assert MollieAPI().get_current_organization(token).country == data.country
    MollieAPI().list_clients()
    assert_faithful()


def test_partner_asks_about_itself(wire, assert_faithful):
    for path in (
        "organizations/me",
        "organizations/me/partner",
        "onboarding/me",
        "capabilities",
        "permissions",
    ):
        assert wire.call("GET", f"/v2/{path}", authorization=partner()).status == 200
    assert len(assert_faithful()) == 5


def test_partner_that_lacks_permissions(wire, sandbox, assert_faithful):
    sandbox.set_switch("partner_without_clients_read", True)
    sandbox.set_switch("partner_without_clients_write", True)
    refused = [
        wire.call("GET", "/v2/clients", authorization=partner()),
        wire.call("GET", "/v2/clients/org_1", authorization=partner()),
        wire.call("POST", "/v2/client-links", body=MOST.to_body(), authorization=partner()),
    ]
    assert {exchange.status for exchange in refused} == {403}
    assert wire.call("GET", "/v2/permissions", authorization=partner()).status == 200
    assert_faithful()


@pytest.mark.parametrize("embed", ["", "organization", "onboarding", "capabilities,organization", ALL])
def test_clients(wire, sandbox, assert_faithful, embed):
    """None, one page, several; of merchants who let the partner see all, a part, or nothing."""
    query = {"limit": 3, **({"embed": embed} if embed else {})}
    assert _pages(wire, query) == [0]
    connect_many(sandbox, 2)
    assert _pages(wire, query) == [2]
    sandbox.add_clients(2, address={"country": "NL"})
    for scope in ("organizations.read", "onboarding.read", "payments.read"):
        connect_many(sandbox, 1, scope=scope)
    assert _pages(wire, query) == [3, 3, 1]
    for row in SandboxOrganization.objects.all():
        assert wire.call("GET", f"/v2/clients/{row.pk}?embed={embed}", authorization=partner()).status == 200
    assert assert_faithful() == {"list-clients", "get-client"}


def _pages(wire, query):
    """How many clients each page has."""
    counts = []
    following = f"/v2/clients?{urlencode(query, safe=',')}"
    while following and len(counts) < 10:
        answer = wire.call("GET", following, authorization=partner()).json()
        counts.append(answer["count"])
        following = (answer["_links"]["next"] or {}).get("href", "").removeprefix(API)
    return counts


def test_every_permission(wire, connect, assert_faithful):
    token = bearer(connect().organization.access_token.reveal())
    wire.exchanges.clear()
    for item in wire.call("GET", "/v2/permissions", authorization=token).json()["_embedded"]["permissions"]:
        assert (
            wire.call("GET", f"/v2/permissions/{item['id']}", authorization=token).json()["id"] == item["id"]
        )
    assert_faithful()


def test_refresh_tokens_rotate_or_not(wire, sandbox, connect, assert_faithful):
    refresh_token = connect().organization.refresh_token.reveal()
    assert MollieAPI().refresh(refresh_token, idempotency_key="1").refresh_token == refresh_token
    sandbox.set_switch("rotate_refresh_tokens", True)
    rotated = MollieAPI().refresh(refresh_token, idempotency_key="2")
    assert rotated.refresh_token != refresh_token
    assert MollieAPI().refresh(refresh_token, idempotency_key="2").was_replayed
    assert_faithful()


# What the sandbox refuses. The requests are wrong on purpose: only the answers are looked at.

EXCHANGE = {"grant_type": "authorization_code", "code": "auth_unknown"}
REFRESH = {"grant_type": "refresh_token", "refresh_token": "refresh_unknown"}
REFUSALS = {
    "no token": (401, "GET", "/v2/onboarding/me", {}),
    "unknown token": (401, "GET", "/v2/organizations/me", {"authorization": "Bearer access_x"}),
    "token as Basic": (400, "POST", "/v2/client-links", {"authorization": app(), "body": LEAST.to_body()}),
    "no JSON": (400, "POST", "/v2/client-links", {"authorization": "partner", "body": b"{"}),
    "form": (
        415,
        "POST",
        "/v2/client-links",
        {"authorization": "partner", "body": b"a=b", "content_type": "application/x-www-form-urlencoded"},
    ),
    "no owner": (422, "POST", "/v2/client-links", {"authorization": "partner", "body": b'{"name": "x"}'}),
    "no object": (422, "POST", "/v2/client-links", {"authorization": "partner", "body": b"[]"}),
    "wrong e-mail": (
        422,
        "POST",
        "/v2/client-links",
        {"authorization": "partner", "body": replace(LEAST, owner_email="ada").to_body()},
    ),
    "limit": (400, "GET", "/v2/clients?limit=251", {"authorization": "partner"}),
    "cursor": (400, "GET", "/v2/clients?from=org_9", {"authorization": "partner"}),
    "embed": (400, "GET", "/v2/clients?embed=payments", {"authorization": "partner"}),
    "client": (404, "GET", "/v2/clients/org_9", {"authorization": "partner"}),
    "organization": (404, "GET", "/v2/organizations/org_9", {"authorization": "partner"}),
    "permission": (404, "GET", "/v2/permissions/cake.read", {"authorization": "partner"}),
    "code": (400, "POST", "/oauth2/tokens", {"authorization": "app", "body": EXCHANGE}),
    "refresh token": (400, "POST", "/oauth2/tokens", {"authorization": "app", "body": REFRESH}),
    "no grant type": (400, "POST", "/oauth2/tokens", {"authorization": "app", "body": {}}),
    "grant type": (400, "POST", "/oauth2/tokens", {"authorization": "app", "body": {"grant_type": "cake"}}),
    "secret": (401, "POST", "/oauth2/tokens", {"authorization": app("wrong"), "body": EXCHANGE}),
    "no hint": (400, "DELETE", "/oauth2/tokens", {"authorization": "app", "body": {"token": "x"}}),
    "hint": (
        400,
        "DELETE",
        "/oauth2/tokens",
        {"authorization": "app", "body": {"token": "x", "token_type_hint": "cake"}},
    ),
    "secret to revoke": (401, "DELETE", "/oauth2/tokens", {"authorization": app("wrong"), "body": {}}),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(wire, description, case):
    status, method, path, sent = REFUSALS[case]
    credentials = {"partner": partner(), "app": app()}
    sent = {
        name: credentials.get(value, value) if name == "authorization" else value
        for name, value in sent.items()
    }
    exchange = wire.call(method, path, **sent)
    assert exchange.status == status
    assert description.mistakes_of_answer(exchange) == []


@pytest.mark.parametrize("operation", ["create-client-link", "oauth-generate-tokens"])
def test_idempotency_key_that_was_used_for_another_body(wire, connect, description, operation):
    path, credentials, bodies = {
        "create-client-link": ("/v2/client-links", partner(), [LEAST.to_body(), MOST.to_body()]),
        "oauth-generate-tokens": ("/oauth2/tokens", app(), [EXCHANGE, REFRESH]),
    }[operation]
    answers = [
        wire.call("POST", path, body=body, authorization=credentials, idempotency_key="key")
        for body in bodies
    ]
    assert answers[1].status == 400
    assert answers[1].answer_type == "application/hal+json"
    assert [mistake for answer in answers for mistake in description.mistakes(answer)] == []


@pytest.mark.parametrize("operation", ["create-client-link", "oauth-generate-tokens"])
def test_idempotency_key_whose_work_is_not_done(wire, sandbox, description, operation):
    path, credentials, body, name = {
        "create-client-link": ("/v2/client-links", partner(), LEAST.to_body(), "client_links"),
        "oauth-generate-tokens": ("/oauth2/tokens", app(), REFRESH, "tokens"),
    }[operation]
    sandbox.add_fault(name, "conflict")
    exchange = wire.call("POST", path, body=body, authorization=credentials, idempotency_key="key")
    assert exchange.status == 409
    assert description.mistakes(exchange) == []


@pytest.mark.parametrize("path", ["/v2/client-links", "/v2/clients", "/v2/clients/org_1"])
def test_merchant_where_only_the_partner_may_go(wire, connect, description, path):
    token = bearer(connect().organization.access_token.reveal())
    method, body = ("POST", LEAST.to_body()) if path == "/v2/client-links" else ("GET", None)
    exchange = wire.call(method, path, body=body, authorization=token)
    assert exchange.status == 403
    assert description.mistakes_of_answer(exchange) == []
    [mistake] = description.mistakes_of_request(exchange)
    assert "merchant" in mistake


@pytest.mark.parametrize("field", ["owner", "owner.email", "address.postalCode", "registrationNumber"])
def test_field_that_mollie_refuses(wire, sandbox, description, older_page, field):
    sandbox.add_fault("client_links", "validation", field=field)
    with pytest.raises(MollieError):
        MollieAPI().create_client_link(MOST, idempotency_key="key")
    [exchange] = wire.exchanges
    assert exchange.json()["field"] == field
    assert description.mistakes(exchange) == []
    assert older_page.mistakes(exchange) == []
