"""What the partner's token is for, over real HTTP: the list of clients, its permissions, and what is read of them all."""

from __future__ import annotations

import json
import logging
import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import urllib3.util.retry
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, settings
from hypothesis import strategies as st

from mollie_onboarding.exceptions import MollieConnectionError, MollieError, MollieResponseError
from mollie_onboarding.mollie_api import Capability, MollieAPI, OnboardingStatus, OrganizationInfo, wire
from mollie_onboarding.mollie_api.data import ClientInfo, ClientPage, Requirement
from mollie_onboarding.mollie_api.resources import (
    read_capabilities,
    read_client_page,
    read_onboarding_status,
    read_organization,
)
from tests.fake_mollie import FakeMollie

CANARY = "canary7f3a"
PARTNER_TOKEN = f"access_partner_{CANARY}"
CLIENT_SECRET = f"secret_{CANARY}"
ACCESS_TOKEN = f"access_{CANARY}"

EMBED = "organization,onboarding,capabilities"
DASHBOARD = "https://my.mollie.com/dashboard/requirements/1"
CAPABILITIES = [
    {
        "resource": "capability",
        "name": "payments",
        "status": "pending",
        "statusReason": "onboarding-information-needed",
        "requirements": [
            {
                "id": "needs-data",
                "status": "currently-due",
                "dueDate": "2026-12-01T12:00:00+00:00",
                "_links": {"dashboard": {"href": DASHBOARD, "type": "text/html"}},
            },
            {"id": "process-first-payment", "status": "requested", "dueDate": None},
        ],
    },
    {"resource": "capability", "name": "settlements", "status": "enabled", "statusReason": None},
]
READ_CAPABILITIES = (
    Capability(
        name="payments",
        status="pending",
        status_reason="onboarding-information-needed",
        requirements=(
            Requirement("needs-data", "currently-due", "2026-12-01T12:00:00+00:00", DASHBOARD),
            Requirement("process-first-payment", "requested"),
        ),
    ),
    Capability(name="settlements", status="enabled"),
)
CLIENT = {
    "resource": "client",
    "id": "org_1",
    "commission": None,
    "organizationCreatedAt": "2023-04-06 13:10:19+00:00",
    "_links": {"self": {"href": "https://api.mollie.com/v2/clients/org_1"}},
    "_embedded": {
        "organization": {
            "resource": "organization",
            "id": "org_1",
            "name": "Bakkerij Jansen B.V.",
            "address": {"country": "NL"},
            "registrationNumber": 30204462,
            "vatNumber": "NL815839091B01",
        },
        "onboarding": {
            "resource": "onboarding",
            "name": "Bakkerij Jansen B.V.",
            "status": "completed",
            "canReceivePayments": True,
            "canReceiveSettlements": True,
            "signedUpAt": "2026-09-30T10:00:00+02:00",
            "_links": {"dashboard": {"href": "https://my.mollie.com/dashboard"}},
        },
        "capabilities": {"count": 2, "_embedded": {"capabilities": CAPABILITIES}},
    },
}
READ_CLIENT = ClientInfo(
    organization_id="org_1",
    organization=OrganizationInfo("org_1", "Bakkerij Jansen B.V.", "NL", "30204462", "NL815839091B01"),
    onboarding=OnboardingStatus(
        "completed", True, True, datetime(2026, 9, 30, 8, tzinfo=UTC), "https://my.mollie.com/dashboard"
    ),
    capabilities=READ_CAPABILITIES,
)

CALLS = {
    "list_clients": lambda: MollieAPI().list_clients(),
    "list_permissions": lambda: MollieAPI().list_permissions(),
    "get_partner_type": lambda: MollieAPI().get_partner_type(),
    "list_capabilities": lambda: MollieAPI().list_capabilities(ACCESS_TOKEN),
}
PATHS = {
    "list_clients": "/v2/clients",
    "list_permissions": "/v2/permissions",
    "get_partner_type": "/v2/organizations/me/partner",
    "list_capabilities": "/v2/capabilities",
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
every_reader = pytest.mark.parametrize(
    "read", [read_capabilities, read_client_page, read_onboarding_status, read_organization]
)

# Whatever JSON can hold, under the names that are looked for.
NAMES = st.sampled_from(
    [
        *(
            "_embedded",
            "_links",
            "clients",
            "capabilities",
            "permissions",
            "organization",
            "onboarding",
            "id",
        ),
        *(
            "name",
            "status",
            "statusReason",
            "requirements",
            "dueDate",
            "dashboard",
            "next",
            "href",
            "granted",
        ),
        *(
            "address",
            "country",
            "vatNumber",
            "signedUpAt",
            "canReceivePayments",
            "partnerType",
            "documentation",
        ),
    ]
)
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "org_1",
        "needs-data",
        "9999-99-99T00:00:00Z",
        "https://[",
        "https://my.mollie.com/?from=org_2",
        "//x?from=\ud800",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=40,
)
ANY_OBJECT = st.dictionaries(NAMES, ANY_JSON, max_size=6)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(
        urllib3.util.retry, "time", SimpleNamespace(time=time.time, sleep=lambda seconds: None)
    )


@pytest.fixture
def mollie(settings):
    """A Mollie on loopback. Its script must have been followed to the end, and not beyond."""
    settings.MOLLIE_ONBOARDING_CLIENT_SECRET = CLIENT_SECRET
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = PARTNER_TOKEN
    wire._forget_session()
    with FakeMollie() as fake:
        settings.MOLLIE_ONBOARDING_API_URL = fake.url
        yield fake
        wire._session().close()
        wire._forget_session()
    assert fake.unexpected == []
    assert fake.left == []


def page_of(*clients: Any, following: Any = None) -> dict[str, Any]:
    """A page as Mollie gives it; `following` is the address of the next one."""
    href = None if following is None else {"href": following, "type": "application/hal+json"}
    return {"count": len(clients), "_embedded": {"clients": list(clients)}, "_links": {"next": href}}


# Requests on the wire


@pytest.mark.parametrize(("name", "path"), PATHS.items())
def test_request_headers(mollie, name, path):
    mollie.answers(200, page_of())

    CALLS[name]()

    [request] = mollie.requests
    assert (request.method, urlsplit(request.path).path, request.body) == ("GET", path, b"")
    expected = ACCESS_TOKEN if name == "list_capabilities" else PARTNER_TOKEN
    assert request.headers.get_all("Authorization") == [f"Bearer {expected}"]
    assert request.headers["Accept"] == "application/hal+json, application/json"
    assert request.headers["User-Agent"].startswith("MollieOnboarding/")
    assert "Idempotency-Key" not in request.headers
    assert "Content-Type" not in request.headers


def test_list_clients_query(mollie):
    mollie.answers(200, page_of()).answers(200, page_of())

    MollieAPI().list_clients()
    MollieAPI().list_clients("org_2")

    first, second = (parse_qsl(urlsplit(request.path).query) for request in mollie.requests)
    assert first == [("embed", EMBED), ("limit", "250")]
    assert second == [("embed", EMBED), ("limit", "250"), ("from", "org_2")]


@pytest.mark.parametrize("start", ["a&limit=1", "ü /?#%00", "../v2/x", "a\r\nX-Evil: 1"])
def test_list_clients_start_is_one_parameter(mollie, start):
    mollie.answers(200, page_of())

    MollieAPI().list_clients(start)

    [request] = mollie.requests
    assert urlsplit(request.path).path == "/v2/clients"
    assert parse_qsl(urlsplit(request.path).query)[2:] == [("from", start)]
    assert "X-Evil" not in request.headers


def test_other_calls_have_no_query(mollie):
    for name in ("list_permissions", "get_partner_type", "list_capabilities"):
        mollie.answers(200, {})
        CALLS[name]()

    assert [request.path for request in mollie.requests] == [
        *("/v2/permissions", "/v2/organizations/me/partner", "/v2/capabilities")
    ]


def test_no_token_asks_nobody(mollie, settings):
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = ""

    for name in ("list_clients", "list_permissions", "get_partner_type"):
        with pytest.raises(ImproperlyConfigured, match="ACCESS_TOKEN"):
            CALLS[name]()


# GET /v2/clients


def test_list_clients(mollie):
    mollie.answers(200, page_of(CLIENT, {"resource": "client", "id": "org_2"}))

    page = MollieAPI().list_clients()

    assert page == ClientPage((READ_CLIENT, ClientInfo("org_2")), unreadable=0, following="")


def test_list_clients_pages(mollie):
    mollie.answers(200, page_of(CLIENT, following=f"{mollie.url}/v2/clients?from=org_2&limit=250"))
    mollie.answers(200, page_of({"id": "org_2"}))

    first = MollieAPI().list_clients()
    second = MollieAPI().list_clients(first.following)

    assert (first.following, second.following) == ("org_2", "")
    assert parse_qsl(urlsplit(mollie.requests[1].path).query)[2:] == [("from", "org_2")]


@pytest.mark.parametrize(
    ("href", "following"),
    [
        ("https://evil.example/v2/clients?from=org_2", "org_2"),
        ("http://169.254.169.254/?from=org_2", "org_2"),
        ("//evil.example/?from=org_2", "org_2"),
        ("javascript:alert(1)?from=org_2", "org_2"),
        ("?from=org_2&from=org_3", "org_2"),
        ("https://api.mollie.com/v2/clients?limit=5&from=a%26b%20c", "a&b c"),
        ("https://api.mollie.com/v2/clients?from=", ""),
        ("https://api.mollie.com/v2/clients", ""),
        ("https://[evil/?from=org_2", ""),
        ("https://api.mollie.com/?from=" + "x" * 3000, ""),
        ("from=org_2", ""),
        ("", ""),
        (5, ""),
        (None, ""),
        (["?from=org_2"], ""),
    ],
)
def test_list_clients_next_gives_a_cursor_and_no_address(mollie, href, following):
    mollie.answers(200, {**page_of(), "_links": {"next": {"href": href}}}).answers(200, page_of())

    page = MollieAPI().list_clients()
    MollieAPI().list_clients(page.following)

    # The token goes to the API alone, wherever the link leads.
    assert page.following == following
    assert [urlsplit(request.path).path for request in mollie.requests] == ["/v2/clients"] * 2


@pytest.mark.parametrize("links", [None, [], "next", {"next": None}, {"next": "?from=org_2"}, {"next": []}])
def test_list_clients_next_of_another_shape(links):
    assert read_client_page({**page_of(), "_links": links}).following == ""


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "org_1",
        [],
        {},
        {"id": None},
        {"id": ["org_1"]},
        {"id": "org/1"},
        {"id": "org_1?x"},
        {"id": ""},
    ],
)
def test_list_clients_unreadable_item_stops_no_other(mollie, item):
    mollie.answers(200, page_of(item, CLIENT, item))

    page = MollieAPI().list_clients()

    assert page == ClientPage((READ_CLIENT,), unreadable=2, following="")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"_embedded": None},
        {"_embedded": []},
        {"_embedded": {"clients": None}},
        {"_embedded": {"clients": {"id": "org_1"}}},
        {"_embedded": {"clients": "org_1"}},
    ],
)
def test_list_clients_without_a_list_is_no_empty_list(mollie, answer):
    mollie.answers(200, answer)

    with pytest.raises(MollieConnectionError, match="no list of clients"):
        MollieAPI().list_clients()


def test_list_clients_that_is_empty(mollie):
    mollie.answers(200, page_of())

    assert MollieAPI().list_clients() == ClientPage((), unreadable=0, following="")


def embedding(**embedded: Any) -> ClientInfo:
    [client] = read_client_page(page_of({"id": "org_1", "_embedded": embedded})).clients
    return client


@pytest.mark.parametrize(
    "value", [None, [], "x", 5, {}, {"id": None}, {"status": None}, {"status": ["completed"]}]
)
def test_embedded_part_of_another_shape_is_none(value):
    client = embedding(organization=value, onboarding=value, capabilities=value if value != [] else None)

    assert client == ClientInfo("org_1")


@pytest.mark.parametrize("embedded", [None, [], "x", {}])
def test_embedded_nothing(embedded):
    [client] = read_client_page(page_of({"id": "org_1", "_embedded": embedded})).clients

    assert client == ClientInfo("org_1")


def test_embedded_capabilities_as_a_list():
    assert embedding(capabilities=CAPABILITIES).capabilities == READ_CAPABILITIES


@pytest.mark.parametrize("value", [[], {"_embedded": {"capabilities": []}}, {"_embedded": None}])
def test_embedded_capabilities_empty_are_known(value):
    assert embedding(capabilities=value).capabilities == ()


def test_embedded_organization_of_another_id_is_not_taken_over():
    client = embedding(organization={"id": "org_2", "name": "Evil"})

    assert client == ClientInfo("org_1")


def test_embedded_status_that_is_new_is_kept():
    assert embedding(onboarding={"status": "on-hold"}).onboarding == OnboardingStatus(
        "on-hold", False, False, None, ""
    )


# GET /v2/capabilities


def test_list_capabilities(mollie):
    mollie.answers(200, {"count": 2, "_embedded": {"capabilities": CAPABILITIES}})

    assert MollieAPI().list_capabilities(ACCESS_TOKEN) == READ_CAPABILITIES


@pytest.mark.parametrize(
    "item", [None, 5, "payments", [], {}, {"name": None}, {"name": ["payments"]}, {"name": ""}]
)
def test_capability_without_a_name_is_left_out(item):
    assert (
        read_capabilities({"_embedded": {"capabilities": [item, CAPABILITIES[1]]}}) == READ_CAPABILITIES[1:]
    )


@pytest.mark.parametrize(
    "value", [None, "x", 5, {}, {"id": "needs-data"}, [None], [5], [{"id": ""}], [{"id": None}]]
)
def test_requirements_of_another_shape_are_left_out(value):
    [capability] = read_capabilities({"_embedded": {"capabilities": [{"name": "x", "requirements": value}]}})

    assert capability == Capability("x")


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("dueDate", "tomorrow", ""),
        ("dueDate", "2026-12-01T12:00:00Z", "2026-12-01T12:00:00+00:00"),
        ("dueDate", "9999-99-99T12:00:00Z", ""),
        ("dueDate", 5, ""),
        ("_links", {"dashboard": {"href": "javascript:alert(1)"}}, ""),
        ("_links", {"dashboard": {"href": "http://my.mollie.com/x"}}, ""),
        ("_links", {"dashboard": {"href": "https://[x"}}, ""),
        ("_links", {"dashboard": {"href": "https://my.mollie.com/x"}}, "https://my.mollie.com/x"),
        ("_links", {"dashboard": None}, ""),
        ("status", {"a": 1}, ""),
        ("status", "a\x00b", "ab"),
        ("status", "x" * 60, "x" * 50),
    ],
)
def test_requirement_columns(column, value, expected):
    item = {"name": "x", "requirements": [{"id": "needs-data", column: value}]}

    [capability] = read_capabilities({"_embedded": {"capabilities": [item]}})

    [requirement] = capability.requirements
    read = {"dueDate": requirement.due_at, "_links": requirement.url, "status": requirement.status}
    assert read[column] == expected


def test_many_capabilities_and_requirements_are_cut():
    item = {"name": "x", "requirements": [{"id": str(number)} for number in range(1000)]}

    capabilities = read_capabilities({"_embedded": {"capabilities": [item] * 1000}})

    assert len(capabilities) == 50
    assert {len(capability.requirements) for capability in capabilities} == {50}


# GET /v2/permissions and /v2/organizations/me/partner


def test_list_permissions(mollie):
    items = [
        {"resource": "permission", "id": "clients.write", "granted": True},
        {"resource": "permission", "id": "clients.read", "granted": False},
        {"resource": "permission", "id": "payments.read"},
    ]
    mollie.answers(200, {"count": 3, "_embedded": {"permissions": items}})

    assert MollieAPI().list_permissions() == {
        "clients.write": True, "clients.read": False, "payments.read": False,
    }  # fmt: skip


@pytest.mark.parametrize("granted", [None, 1, "true", "yes", [True], {"granted": True}])
def test_list_permissions_doubtful_is_not_granted(mollie, granted):
    mollie.answers(200, {"_embedded": {"permissions": [{"id": "clients.write", "granted": granted}]}})

    assert MollieAPI().list_permissions() == {"clients.write": False}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"_embedded": None},
        {"_embedded": ["clients.write"]},
        {"_embedded": {"permissions": {"clients.write": True}}},
        {"_embedded": {"permissions": ["clients.write", None, 5]}},
    ],
)
def test_list_permissions_of_another_shape(mollie, answer):
    mollie.answers(200, answer)

    assert MollieAPI().list_permissions() == {}


@pytest.mark.parametrize("value", [None, "", [], {}, True, ["oauth"]])
def test_get_partner_type_none(mollie, value):
    mollie.answers(200, {"resource": "partner", "partnerType": value}).answers(200, {})

    assert MollieAPI().get_partner_type() == ""
    assert MollieAPI().get_partner_type() == ""


@pytest.mark.parametrize("value", ["oauth", "signuplink", "useragent", "a-new-kind"])
def test_get_partner_type(mollie, value):
    mollie.answers(200, {"resource": "partner", "partnerType": value})

    assert MollieAPI().get_partner_type() == value


# Tokens that Mollie repeats


@pytest.mark.parametrize(
    ("headers", "was_replayed"),
    [
        ({}, False),
        ({"Idempotent_Replayed": "true"}, True),
        ({"Idempotent_Replayed": "True"}, True),
        ({"Idempotent_Replayed": "false"}, False),
        ({"Idempotent_Replayed": ""}, False),
    ],
)
def test_tokens_that_are_replayed_say_so(mollie, headers, was_replayed):
    mollie.answers(200, {"access_token": ACCESS_TOKEN, "expires_in": 3600}, **headers)

    tokens = MollieAPI().refresh("refresh_1", idempotency_key="key")

    assert tokens.was_replayed is was_replayed


def test_tokens_that_are_replayed_say_so_of_their_own_answer_only(mollie):
    mollie.answers(200, {"access_token": ACCESS_TOKEN}, Idempotent_Replayed="true")
    mollie.answers(200, {"access_token": ACCESS_TOKEN})
    api = MollieAPI()

    assert api.refresh("refresh_1", idempotency_key="key").was_replayed
    assert not api.refresh("refresh_1", idempotency_key="other").was_replayed


# Refusals, faults, sizes


@every_call
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusal(mollie, call, status):
    mollie.answers(status, {"status": status, "title": "No", "detail": "The cursor is gone", "field": "from"})

    with pytest.raises(MollieResponseError) as caught:
        call()

    assert (caught.value.status, caught.value.detail) == (status, "The cursor is gone")
    assert str(caught.value) == f"Mollie answered {status}."


@every_call
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_busy_is_tried_four_times(mollie, call, status):
    for _ in range(4):
        mollie.answers(status, {"detail": "busy"})

    with pytest.raises(MollieConnectionError):
        call()

    assert len(mollie.requests) == 4


@every_call
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"', b"{", b"[" * 100_000])
def test_answer_that_is_no_json_object(mollie, call, body):
    mollie.answers(200, body)

    with pytest.raises(MollieConnectionError):
        call()


@every_call
def test_redirect_is_not_followed(mollie, call):
    mollie.answers(302, None, Location="https://evil.example/v2/clients")

    with pytest.raises(MollieConnectionError):
        call()


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("list_clients", 20_000_000),
        ("list_permissions", 1_000_000),
        ("get_partner_type", 1_000_000),
        ("list_capabilities", 1_000_000),
    ],
)
def test_size_limit(mollie, name, bound):
    start = b'{"_embedded": {"clients": []}, "padding": "'
    body = start + b"x" * (bound - len(start) - 2) + b'"}'
    assert len(body) == bound
    mollie.answers(200, body).answers(200, body + b" ")

    CALLS[name]()
    with pytest.raises(MollieConnectionError, match="ValueError"):
        CALLS[name]()


def test_full_page_is_read_in_little_time_and_memory(mollie):
    clients = [{**CLIENT, "id": f"org_{number}"} for number in range(250)]
    body = json.dumps(page_of(*clients)).encode()
    mollie.answers(200, body)
    tracemalloc.start()

    page = MollieAPI().list_clients()

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(page.clients) == 250
    assert page.clients[249].capabilities == READ_CAPABILITIES
    assert peak < 20 * len(body)


@every_reader
@settings(max_examples=200, deadline=None)
@given(answer=ANY_OBJECT)
def test_reader_takes_any_object(read, answer):
    with suppress(MollieError):
        read(answer)


@settings(max_examples=200, deadline=None)
@given(clients=st.lists(ANY_JSON, max_size=5), links=ANY_JSON)
def test_client_page_takes_anything_and_loses_no_item(clients, links):
    page = read_client_page({"_embedded": {"clients": clients}, "_links": links})

    assert len(page.clients) + page.unreadable == len(clients)
    for client in page.clients:
        assert client.organization_id.isascii()
        assert client.organization_id
    assert page.following.isprintable()


def test_any_json_over_the_wire_is_an_answer_or_a_mollie_error(mollie):
    @settings(max_examples=100, deadline=None)
    @given(
        call=st.sampled_from(sorted(CALLS)),
        answer=ANY_JSON,
        status=st.sampled_from([200, 201, 204, 299, 400, 401, 403, 404, 418, 422]),
    )
    def ask(call: str, answer: Any, status: int) -> None:
        mollie.answers(status, None if status == 204 else json.dumps(answer).encode())
        try:
            CALLS[call]()
        except MollieError:
            pass

    ask()


# Secrets


@every_call
@pytest.mark.parametrize(
    "fault",
    [
        lambda mollie: mollie.answers(401, {"detail": f"{ACCESS_TOKEN} {PARTNER_TOKEN}"}),
        lambda mollie: mollie.answers(400, {"error": "invalid_request", "error_description": CANARY}),
        lambda mollie: mollie.answers(503, CANARY.encode(), Retry_After="60"),
        lambda mollie: mollie.answers(200, CANARY.encode()),
        lambda mollie: [mollie.drops("after") for _ in range(4)],
    ],
    ids=["401", "400", "503", "html", "dropped"],
)
def test_secrets_are_not_in_errors_and_logs(mollie, caplog, call, fault):
    caplog.set_level(logging.DEBUG)
    fault(mollie)

    with pytest.raises(MollieError) as caught:
        call()

    assert CANARY in mollie.requests[0].headers["Authorization"]
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__} {caplog.text}"
    shown += "".join(f"{record.args!r} {record.exc_info}" for record in caplog.records)
    assert "Mollie: GET" in shown
    assert CANARY not in shown


def test_secrets_and_names_are_not_in_the_log_of_success(mollie, caplog):
    caplog.set_level(logging.DEBUG)
    mollie.answers(200, page_of(CLIENT, following=f"{mollie.url}/v2/clients?from=org_2"))

    MollieAPI().list_clients()

    assert "/v2/clients" in caplog.text
    for text in (CANARY, "Jansen", "30204462"):
        assert text not in caplog.text


def test_register_numbers_are_not_in_a_repr():
    assert "30204462" not in repr(READ_CLIENT)
    assert "NL815839091B01" not in repr(READ_CLIENT)


def test_api_url_that_is_no_web_address_is_a_configuration_error(settings):
    settings.MOLLIE_ONBOARDING_API_URL = "api.mollie.com"
    with pytest.raises(ImproperlyConfigured, match="MOLLIE_ONBOARDING_API_URL"):
        MollieAPI().list_clients()
