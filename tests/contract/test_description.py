"""The measure is measured: a mistake in a request or an answer is found, whichever it is."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from mollie_onboarding.mollie_api import ClientLinkData, MollieAPI

from .conftest import or_skip
from .description import NEWEST, Description, MissingDescriptionError, at, load_json
from .deviations import MISSING_NULLS, OAUTH_OPERATIONS, REQUEST_TYPES, UNDESCRIBED_STATUSES
from .exchanges import app, bearer, partner

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

ALL = "organization,onboarding,capabilities"
DATA = ClientLinkData(
    owner_email="ada@bakery.example",
    owner_given_name="Ada",
    owner_family_name="Baker",
    owner_locale="nl_NL",
    organization_name="Bakery Baker",
    street_and_number="Keizersgracht 1",
    postal_code="1015 CJ",
    city="Amsterdam",
    country="NL",
)


@pytest.fixture(scope="session")
def kept():
    """Exchanges that were made once: nobody changes them."""
    return []


@pytest.fixture
def good(request, kept):
    """An exchange of each operation that the sandbox has, all of them in order."""
    if not kept:
        kept += _make_exchanges(request.getfixturevalue("wire"), request.getfixturevalue("connect"))
    return kept


def _make_exchanges(wire, connect):
    organization = connect().organization
    token = bearer(organization.access_token.reveal())
    exchanges = [exchange for exchange in wire.exchanges if exchange.path == "/oauth2/tokens"]
    client = f"/v2/clients/{organization.organization_id}"
    calls = {
        "/v2/onboarding/me": token,
        "/v2/capabilities": token,
        "/v2/permissions": token,
        "/v2/permissions/payments.read": token,
        "/v2/organizations/me": token,
        f"/v2/organizations/{organization.organization_id}": token,
        "/v2/organizations/me/partner": partner(),
        f"/v2/clients?embed={ALL}&limit=5": partner(),
        f"{client}?embed={ALL}": partner(),
    }
    exchanges += [wire.call("GET", path, authorization=credentials) for path, credentials in calls.items()]
    MollieAPI().create_client_link(DATA, idempotency_key="key")
    exchanges.append(wire.exchanges[-1])
    return [exchange.answering(_shortened(exchange.json())) for exchange in exchanges]


def _shortened(answer):
    """With two permissions in place of all, which look alike."""
    embedded = answer.get("_embedded", {})
    if "permissions" in embedded:
        embedded["permissions"] = embedded["permissions"][:2]
    return answer


def test_good_exchanges_are_good(good, description):
    ids = {description.find(exchange.method, exchange.path)[0].id for exchange in good}
    assert ids == set(description.operations) - {"submit-onboarding-data", "oauth-revoke-tokens"}
    assert [mistake for exchange in good for mistake in description.mistakes(exchange)] == []


# Answers


def test_answer_with_a_value_of_another_type(good, description):
    """Each single value of each answer, replaced by one that nothing is described as."""
    overlooked = [
        f"{exchange}: {'.'.join(map(str, path))}"
        for exchange in good
        for path in _paths(exchange.json())
        if not description.mistakes(exchange.answering(_changed(exchange.json(), path, _other_type)))
    ]
    assert overlooked == []


def test_answer_with_a_property_that_is_not_described(good, description):
    overlooked = [
        f"{exchange}: {'.'.join(map(str, path))}"
        for exchange in good
        for path in [(), *_paths(exchange.json())]
        if isinstance(_value(exchange.json(), path), dict)
        and not description.mistakes(
            exchange.answering(_changed(exchange.json(), path, lambda value: {**value, "cake": 1}))
        )
    ]
    assert overlooked == []


# Each with what is described as not to be left out.
REQUIRED = {
    "create-client-link": ["resource", "id", "_links"],
    "get-onboarding-status": [
        "resource",
        "name",
        "signedUpAt",
        "status",
        "canReceivePayments",
        "canReceiveSettlements",
        "_links",
    ],
    "get-current-organization": ["resource", "id", "name", "email", "locale", "_links"],
    "get-client": ["resource", "id", "_links"],
    "list-capabilities": ["count", "_embedded", "_links"],
    "list-permissions": ["count", "_embedded", "_links"],
    "get-partner-status": ["resource", "partnerType"],
}


@pytest.mark.parametrize("operation", REQUIRED)
def test_answer_that_lacks_something(good, description, operation):
    exchange = _of(good, description, operation)
    for name in REQUIRED[operation]:
        answer = exchange.json()
        del answer[name]
        assert any(name in mistake for mistake in description.mistakes(exchange.answering(answer)))


@pytest.mark.parametrize(
    ("operation", "path", "value"),
    [
        ("get-onboarding-status", ("status",), "done"),
        ("get-current-organization", ("locale",), "nl_XX"),
        ("get-current-organization", ("vatRegulation",), "french"),
        ("get-current-organization", ("id",), "12345678"),
        ("get-partner-status", ("partnerType",), "reseller"),
        ("list-capabilities", ("_embedded", "capabilities", 0, "status"), "on"),
        ("list-capabilities", ("_embedded", "capabilities", 0, "statusReason"), "cake"),
        ("list-capabilities", ("_embedded", "capabilities", 0, "requirements", 0, "status"), "due"),
        ("list-clients", ("_embedded", "clients", 0, "_embedded", "onboarding", "status"), "done"),
        ("list-clients", ("count",), 251),
    ],
)
def test_answer_with_a_word_that_is_not_described(good, description, operation, path, value):
    exchange = _of(good, description, operation)
    wrong = exchange.answering(_changed(exchange.json(), path, lambda old: value))
    assert any(json.dumps(value).strip('"') in mistake for mistake in description.mistakes(wrong))


def test_answer_of_another_status(good, description):
    for exchange in good:
        assert description.mistakes(replace(exchange, status=202)) != []
        assert description.mistakes(replace(exchange, status=404)) != []


def test_answer_of_another_content_type(good, description):
    for exchange in good:
        assert description.mistakes(replace(exchange, answer_headers={"content-type": "text/html"})) != []


def test_answer_that_is_no_json(good, description):
    for exchange in good:
        assert description.mistakes(replace(exchange, answer=b"<html>")) != []


def test_answer_where_none_is_described(wire, connect, description):
    MollieAPI().revoke(connect().organization.refresh_token.reveal())
    exchange = wire.exchanges[-1]
    assert (exchange.status, description.mistakes(exchange)) == (204, [])
    assert description.mistakes(exchange.answering({})) != []


ERROR = {
    "status": 429,
    "title": "Too Many Requests",
    "detail": "…",
    "_links": {"documentation": {"href": "https://docs.example/", "type": "text/html"}},
}


@pytest.mark.parametrize(
    "change",
    [
        {"status": 428},
        {"status": "429"},
        {"title": None},
        {"detail": None},
        {"_links": {}},
        {"extra": {}},
        {"field": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [429, 500])
def test_error_that_is_not_mollies(good, description, change, status):
    """Described for the one status, known from elsewhere for the other."""
    good_error = {**ERROR, "status": status}
    for exchange in good:
        hal = {"content-type": "application/hal+json"}
        refused = replace(exchange, status=status, answer_headers=hal)
        assert description.mistakes_of_answer(refused.answering(good_error)) == []
        assert description.mistakes_of_answer(refused.answering(good_error | change)) != []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "cake"}),
        (400, {"error_description": "…"}),
        (400, {"error": "invalid_grant", "error_description": ""}),
        (400, {"error": "invalid_grant", "detail": "…"}),
        (429, {"error": "invalid_grant"}),
        (500, {"error": "server_error"}),
    ],
)
def test_error_that_is_not_oauths(good, description, status, body):
    exchange = _of(good, description, "oauth-generate-tokens")
    refused = replace(exchange, status=status)
    good_error = replace(exchange, status=400).answering({"error": "invalid_grant", "error_description": "…"})
    assert description.mistakes_of_answer(good_error) == []
    assert description.mistakes_of_answer(refused.answering(body)) != []


# Requests


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"owner": {}},
        {"owner": {"email": "ada@bakery.example", "givenName": "Ada"}},
        {"owner": {"email": 1}},
        {"owner": {"locale": "nl_XX"}},
        {"owner": {"phone": "1"}},
        {"name": None},
        {"address": {"city": "Amsterdam"}},
        {"address": {"postcode": "1015 CJ"}},
        {"registrationNumber": 1234},
        {"legalEntity": None},
        {"registrationOffice": None},
        {"id": "cl_1"},
        {"_links": {}},
        {"testmode": True},
    ],
    ids=str,
)
def test_body_that_is_not_described(good, description, body):
    exchange = _of(good, description, "create-client-link")
    sent = json.loads(exchange.body)
    for name, value in body.items():
        partial = isinstance(value, dict) and name in sent and value and len(value) == 1
        sent[name] = {**sent[name], **value} if partial else value
    if "city" in body.get("address", {}):
        del sent["address"]["country"]
    assert description.mistakes(exchange.asking(sent if body else {})) != []


def test_request_of_another_kind(good, description):
    exchange = _of(good, description, "create-client-link")
    headers = exchange.headers
    wrong = [
        replace(exchange, method="PUT"),
        replace(exchange, path="/v2/client-link"),
        replace(exchange, path="/v2/client-links/"),
        replace(exchange, query=(("testmode", "true"),)),
        replace(exchange, headers={**headers, "content-type": "application/x-www-form-urlencoded"}),
        replace(exchange, headers={**headers, "content-type": "text/plain"}),
        replace(exchange, headers={**headers, "authorization": app()}),
        replace(exchange, headers={**headers, "authorization": bearer("access_merchant")}),
        replace(exchange, headers={**headers, "authorization": partner().replace("Bearer", "Token")}),
        replace(exchange, headers={}),
        replace(exchange, body=b"{"),
    ]
    assert [request for request in wrong if not description.mistakes_of_request(request)] == []


@pytest.mark.parametrize(
    "query",
    [
        (("limit", "0"),),
        (("limit", "251"),),
        (("limit", "many"),),
        (("limit", "5"), ("limit", "6")),
        (("page", "2"),),
    ],
)
def test_query_that_is_not_described(good, description, query):
    exchange = _of(good, description, "list-clients")
    assert description.mistakes(replace(exchange, query=(("limit", "250"), ("from", "org_1")))) == []
    assert description.mistakes(replace(exchange, query=query)) != []


def test_path_that_is_not_described(good, description):
    exchange = _of(good, description, "get-client")
    assert description.mistakes(replace(exchange, path="/v2/clients/12345678")) != []


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=cake",
        b"code=auth_1",
        b"grant_type=authorization_code&client_secret=s",
        b"grant_type=refresh_token&grant_type=refresh_token",
        b"{}",
    ],
)
def test_form_that_is_not_described(good, description, body):
    exchange = _of(good, description, "oauth-generate-tokens")
    assert exchange.content_type == "application/x-www-form-urlencoded"
    assert description.mistakes(replace(exchange, body=body)) != []


def test_tokens_are_asked_for_with_the_apps_credentials(good, description):
    exchange = _of(good, description, "oauth-generate-tokens")
    for authorization in (partner(), ""):
        headers = {**exchange.headers, "authorization": authorization}
        assert description.mistakes(replace(exchange, headers=headers)) != []


def test_body_where_none_is_described(good, description):
    exchange = _of(good, description, "list-clients")
    assert description.mistakes(exchange.asking({})) != []


# Where we know better


def test_no_deviation_is_superfluous(description, older_page):
    """What a newer description knows by itself has to go from the table."""
    described = {
        (name, int(status))
        for name, operation in description.operations.items()
        for status in operation.node["responses"]
    }
    assert described.isdisjoint(UNDESCRIBED_STATUSES)
    assert {status for _, status in described}.isdisjoint(
        status for name, status in UNDESCRIBED_STATUSES if name == "*"
    )
    for name, content_type in REQUEST_TYPES:
        assert content_type not in description.operations[name].node["requestBody"]["content"]
    for pointer in MISSING_NULLS:
        node = at(description.document, pointer)
        assert "null" in node["type"]
        assert None not in node["enum"]
    for name in OAUTH_OPERATIONS:
        assert not {"400", "401"} & description.operations[name].node["responses"].keys()


def test_missing_folder_is_told_of(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.contract.description.DIRECTORY", tmp_path)
    with pytest.raises(MissingDescriptionError, match=f"{NEWEST}.*MOLLIE_OPENAPI_DIR"):
        load_json(f"{NEWEST}.openapi.json")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_missing_folder_fails_in_ci_and_skips_elsewhere(monkeypatch, tmp_path, ci, outcome):
    monkeypatch.setattr("tests.contract.description.DIRECTORY", tmp_path)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="MOLLIE_OPENAPI_DIR"):
        or_skip(load_json, f"{NEWEST}.openapi.json")


def _of(good, description: Description, operation: str):
    return next(
        exchange for exchange in good if description.find(exchange.method, exchange.path)[0].id == operation
    )


def _paths(value, path=()):
    """Where each value is, of objects and lists the values within as well."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _value(answer, path):
    for key in path:
        answer = answer[key]
    return answer


def _changed(answer, path, change):
    if not path:
        return change(answer)
    changed = copy.deepcopy(answer)
    parent = _value(changed, path[:-1])
    parent[path[-1]] = change(parent[path[-1]])
    return changed


def _other_type(value):
    return 1.5 if not isinstance(value, list) else {}
