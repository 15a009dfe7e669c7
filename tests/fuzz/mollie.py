"""A Mollie that may answer anything: the answers as they should be, what can be wrong with them, and a door to let them in.

They come in below urllib3's retries and requests' decoding, where a socket would be, so all of that is tried as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from mollie_onboarding.mollie_api import wire

from .values import header_texts, json_values, mutated, to_json

SEND = HTTPAdapter.send  # as it is without the sandbox

CREATED = {
    "resource": "client-link",
    "id": "cl_vZCnNQsV2UtfXxYifWKWH",
    "_links": {
        "clientLink": {
            "href": "https://my.mollie.com/dashboard/client-link/cl_vZCnNQsV2UtfXxYifWKWH",
            "type": "text/html",
        },
        "documentation": {"href": "https://docs.mollie.com/", "type": "text/html"},
    },
}
TOKENS = {
    "access_token": "access_46EUJ6x8jFJZZeAvhNH4JVey6qVpqR",
    "refresh_token": "refresh_FS4xc3Mgci2xQ5s5DzaLXh3HhaTZOP",
    "expires_in": 3600,
    "token_type": "bearer",
    "scope": "organizations.read onboarding.read onboarding.write",
}
ORGANIZATION = {
    "resource": "organization",
    "id": "org_12345678",
    "name": "Bakkerij Jansen",
    "email": "jan@bakkerij-jansen.example",
    "address": {
        "streetAndNumber": "Keizersgracht 126",
        "postalCode": "1015 CW",
        "city": "Amsterdam",
        "country": "NL",
    },
    "registrationNumber": "30204462",
    "vatNumber": "NL815839091B01",
}
ONBOARDING = {
    "resource": "onboarding",
    "name": "Bakkerij Jansen",
    "status": "needs-data",
    "canReceivePayments": False,
    "canReceiveSettlements": False,
    "signedUpAt": "2027-02-28T10:00:00+00:00",
    "_links": {"dashboard": {"href": "https://my.mollie.com/onboarding", "type": "text/html"}},
}
CAPABILITIES = {
    "count": 1,
    "_embedded": {
        "capabilities": [
            {
                "resource": "capability",
                "name": "payments",
                "status": "pending",
                "statusReason": "requirement-past-due",
                "requirements": [
                    {
                        "id": "needs-data",
                        "status": "currently-due",
                        "dueDate": "2027-04-01T00:00:00+00:00",
                        "_links": {"dashboard": {"href": "https://my.mollie.com/x", "type": "text/html"}},
                    }
                ],
            }
        ]
    },
}
CLIENTS = {
    "count": 2,
    "_embedded": {
        "clients": [
            {
                "resource": "client",
                "id": organization_id,
                "organizationCreatedAt": "2027-02-28T10:00:00+00:00",
                "_embedded": {
                    "organization": {**ORGANIZATION, "id": organization_id},
                    "onboarding": ONBOARDING,
                    "capabilities": CAPABILITIES,
                },
            }
            for organization_id in ("org_00000001", "org_99999999")
        ]
    },
    "_links": {"next": None},
}
NEXT_PAGE = {
    **CLIENTS,
    "_links": {"next": {"href": "https://api.mollie.com/v2/clients?from=org_5&limit=250"}},
}
PERMISSIONS = {
    "count": 2,
    "_embedded": {
        "permissions": [
            {"resource": "permission", "id": "clients.write", "description": "", "granted": True},
            {"resource": "permission", "id": "clients.read", "description": "", "granted": False},
        ]
    },
}
PARTNER = {"resource": "partner", "partnerType": "signuplink"}
REFUSAL = {
    "status": 422,
    "title": "Unprocessable Entity",
    "detail": "The email is invalid",
    "field": "owner.email",
}
OAUTH_REFUSAL = {"error": "invalid_grant", "error_description": "The code is void"}

GOOD = {
    "client_links": (201, CREATED),
    "exchange": (200, TOKENS),
    "refresh": (200, TOKENS),
    "revoke": (204, {}),
    "organization": (200, ORGANIZATION),
    "onboarding": (200, ONBOARDING),
    "capabilities": (200, CAPABILITIES),
    "clients": (200, CLIENTS),
    "permissions": (200, PERMISSIONS),
    "partner": (200, PARTNER),
}


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""  # of an answer: what goes wrong with the connection


def good(operation: str) -> Answer:
    status, value = GOOD[operation]
    return Answer(status, b"" if status == 204 else to_json(value))


headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(["application/hal+json", "text/html; charset=utf-7"]) | header_texts,
        "Retry-After": st.sampled_from(["0", "1", "86400", "Wed, 21 Oct 2030 07:28:00 GMT", "-5", "1.5"]) | header_texts,
        "RateLimit": st.sampled_from(['"default";r=3;t=2', '"default";r=0', "r=1", ";;r=99999999999"]) | header_texts,
        "RateLimit-Policy": st.sampled_from(['"default";q=20;w=3;mollie-burst=60', "q=0;w=0"]) | header_texts,
        "Idempotent-Replayed": st.sampled_from(["true", "TRUE", "false"]) | header_texts,
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "identity", "gzip, gzip"]) | header_texts,
        "Content-Length": st.sampled_from(["0", "5", "99999"]) | header_texts,
        "Location": st.sampled_from(["https://evil.example/", "//x", "\x80"]) | header_texts,
        "Set-Cookie": header_texts,
    },
)  # fmt: skip

raw_bodies = st.sampled_from(
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b"<!DOCTYPE html><h1>503</h1>",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"id":"org_1","id":{}}',
        b'{"expires_in":1e400,"access_token":"access_x"}',
        b'{"expires_in":' + b"9" * 5_000 + b"}",
        '{"id":"org_1"}'.encode("utf-16"),
        b'{"id":"\\ud800\\u0000"}',
        b"\xff" * 40,
        b" " * 1_100_000,
    ]
) | st.binary(max_size=40)

statuses = st.sampled_from(
    [200, 201, 202, 204, 206, 301, 302, 400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503, 504]
)


@st.composite
def answers(draw: Any, operation: str) -> Answer:
    """What Mollie may say to an operation: mostly what it should, with something wrong in it."""
    status, value = GOOD[operation]
    if operation == "clients":
        value = draw(st.sampled_from([CLIENTS, NEXT_PAGE]))
    if draw(st.integers(0, 11)) == 0:
        return Answer(instead=draw(st.sampled_from(["reset", "silence", "middle"])))
    given = draw(headers) if draw(st.booleans()) else {}
    match draw(st.sampled_from(["good", "mutated", "mutated", "mutated", "refused", "any", "raw"])):
        case "good":
            return Answer(status, b"" if status == 204 else to_json(value), given)
        case "mutated":
            status = draw(st.just(status) | statuses)
            return Answer(status, to_json(draw(mutated(value))), given)
        case "refused":
            refusal = draw(st.sampled_from([REFUSAL, OAUTH_REFUSAL]))
            status = draw(st.sampled_from([400, 401, 403, 422, 429]) | st.integers(100, 999))
            return Answer(status, to_json(draw(mutated(refusal))), given)
        case "any":
            return Answer(draw(statuses | st.just(status)), to_json(draw(json_values)), given)
    return Answer(draw(statuses | st.just(status)), draw(raw_bodies), given)


def scripts(*operations: str) -> st.SearchStrategy[dict[str, list[Answer]]]:
    """Answers to each of these operations, the last of which is given again. Often all but one are good."""

    def but_one(chosen: str) -> st.SearchStrategy[dict[str, list[Answer]]]:
        wrong = st.lists(answers(chosen), min_size=1, max_size=3)
        return wrong.map(lambda given: {**{name: [good(name)] for name in operations}, chosen: given})

    every = st.fixed_dictionaries(
        {name: st.lists(answers(name), min_size=1, max_size=2) for name in operations}
    )
    return st.sampled_from(operations).flatmap(but_one) | every


class Heard(list[tuple[str, bytes]]):
    """The operations that were called, with their bodies."""

    def count_of(self, operation: str) -> int:
        return sum(name == operation for name, _body in self)


@contextmanager
def mollie_says(script: Mapping[str, Sequence[Answer]]) -> Iterator[Heard]:
    """Every call gets the next of its operation's answers. Nobody waits, and nothing leaves this process."""
    heard = Heard()
    numbers: dict[str, int] = defaultdict(int)

    def answer(
        self: HTTPConnectionPool, conn: Any, method: str, url: str, body: Any = None, **kwargs: Any
    ) -> HTTPResponse:
        operation = _operation(method, url, body or b"")
        heard.append((operation, body or b""))
        given = script[operation]
        chosen = given[min(numbers[operation], len(given) - 1)]
        numbers[operation] += 1
        return _respond(self, chosen, method, url, kwargs)

    with (
        mock.patch.object(HTTPAdapter, "send", SEND),
        mock.patch.object(HTTPConnectionPool, "_make_request", answer),
        mock.patch("time.sleep"),
        mock.patch.dict("os.environ", {"NO_PROXY": "*", "no_proxy": "*"}),
    ):
        wire._forget_session()
        yield heard
    wire._forget_session()


def _operation(method: str, url: str, body: bytes) -> str:
    path = urlsplit(url).path
    if path == "/oauth2/tokens":
        grant = parse_qs(body.decode()).get("grant_type", [""])[0]
        return "revoke" if method == "DELETE" else "exchange" if grant == "authorization_code" else "refresh"
    return {
        "/v2/client-links": "client_links",
        "/v2/organizations/me": "organization",
        "/v2/organizations/me/partner": "partner",
        "/v2/onboarding/me": "onboarding",
        "/v2/capabilities": "capabilities",
        "/v2/clients": "clients",
        "/v2/permissions": "permissions",
    }[path]


class _Breaks(BytesIO):
    """A body that breaks off."""

    def read(self, *args: Any) -> bytes:
        raise ProtocolError("Connection broken")

    read1 = readinto = read  # type: ignore[assignment]


def _respond(pool: Any, answer: Answer, method: str, url: str, kwargs: dict[str, Any]) -> HTTPResponse:
    if answer.instead == "reset":
        raise ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
    if answer.instead == "silence":
        raise ReadTimeoutError(pool, url, "Read timed out.")
    return HTTPResponse(
        body=_Breaks(answer.body) if answer.instead else BytesIO(answer.body),
        headers=HTTPHeaderDict(answer.headers),
        status=answer.status,
        preload_content=False,
        decode_content=False,
        retries=kwargs.get("retries"),
        request_method=method,
        request_url=url,
    )
