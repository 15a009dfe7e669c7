"""`MollieAPI` over real HTTP, against a Mollie that answers by script."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import re
import threading
import time
import traceback
import tracemalloc
import warnings
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import django
import pytest
import requests
import urllib3.util.retry
from django.utils import timezone
from django.views.debug import ExceptionReporter

from mollie_onboarding.exceptions import (
    IdempotencyKeyReusedError,
    InvalidGrantError,
    MollieConnectionError,
    MollieError,
    MollieResponseError,
)
from mollie_onboarding.mollie_api import (
    ClientLinkData,
    MollieAPI,
    OnboardingStatus,
    OrganizationInfo,
    Tokens,
    client_link_authorization_url,
    column_of,
    digest,
    is_allowed_url,
    plain_authorization_url,
    printable,
    transport,
    wire,
)
from tests.fake_mollie import FakeMollie

# Whatever must never be seen has this in it.
CANARY = "canary7f3a"
PARTNER_TOKEN = f"access_partner_{CANARY}"
CLIENT_SECRET = f"secret_{CANARY}"
CODE = f"auth_{CANARY}"
ACCESS_TOKEN = f"access_{CANARY}"
REFRESH_TOKEN = f"refresh_{CANARY}"
BASIC = "Basic " + base64.b64encode(f"app_test:{CLIENT_SECRET}".encode()).decode()

KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
HREF = "https://my.mollie.com/dashboard/client-link/cl_1"
CREATED = {
    "resource": "client-link",
    "id": "cl_1",
    "_links": {"clientLink": {"href": HREF, "type": "text/html"}},
}
GRANTED = {
    "access_token": ACCESS_TOKEN,
    "refresh_token": REFRESH_TOKEN,
    "expires_in": 3600,
    "token_type": "bearer",
    "scope": "organizations.read onboarding.read",
}
ORGANIZATION = {"resource": "organization", "id": "org_1", "name": "Bakkerij Jansen"}
ONBOARDING = {
    "resource": "onboarding",
    "name": "Bakkerij Jansen",
    "signedUpAt": "2026-09-30T10:00:00+02:00",
    "status": "in-review",
    "canReceivePayments": True,
    "canReceiveSettlements": False,
    "_links": {"dashboard": {"href": "https://my.mollie.com/dashboard/onboarding", "type": "text/html"}},
}

DATA = ClientLinkData(
    owner_email="jan@bakkerij.example",
    owner_given_name="Jan",
    owner_family_name="Jansen",
    organization_name="Bakkerij Jansen",
    country="NL",
)
FULL_DATA = ClientLinkData(
    owner_email="jan@bakkerij.example",
    owner_given_name="Jan",
    owner_family_name="Jansen",
    owner_locale="nl_NL",
    organization_name="Bakkerij “Jansen”",
    street_and_number="Keizersgracht 126",
    postal_code="1015 CW",
    city="Amsterdam",
    country="NL",
    registration_number="00123456",
    vat_number="NL815839091B01",
    legal_entity="nl-bv",
    registration_office="aachen",
    incorporation_date=date(2020, 2, 29),
)
SECRET_DATA = ClientLinkData(
    owner_email=f"{CANARY}@bakkerij.example",
    owner_given_name=CANARY,
    owner_family_name=CANARY,
    organization_name=CANARY,
    street_and_number=CANARY,
    postal_code=CANARY,
    city=CANARY,
    registration_number=CANARY,
    vat_number=CANARY,
    country="NL",
)

CALLS = {
    "create_client_link": lambda: MollieAPI().create_client_link(SECRET_DATA, idempotency_key=KEY),
    "exchange_code": lambda: MollieAPI().exchange_code(CODE),
    "refresh": lambda: MollieAPI().refresh(REFRESH_TOKEN, idempotency_key=KEY),
    "revoke": lambda: MollieAPI().revoke(REFRESH_TOKEN),
    "get_current_organization": lambda: MollieAPI().get_current_organization(ACCESS_TOKEN),
    "get_onboarding_status": lambda: MollieAPI().get_onboarding_status(ACCESS_TOKEN),
}
TOKEN_CALLS = ("exchange_code", "refresh", "revoke")
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
every_token_call = pytest.mark.parametrize("call", [CALLS[name] for name in TOKEN_CALLS], ids=TOKEN_CALLS)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The seconds that urllib3 would have slept between two tries."""
    pauses = []
    stand_in = SimpleNamespace(time=time.time, sleep=pauses.append)
    monkeypatch.setattr(urllib3.util.retry, "time", stand_in)
    return pauses


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


@pytest.fixture
def clock(monkeypatch):
    """The seconds on the clock that deadlines are counted by."""
    clock = SimpleNamespace(now=1000.0)
    for module in (transport, wire):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def _impatient(monkeypatch):
    """Give up on a silent Mollie at once: the one wait that is real."""
    monkeypatch.setattr(wire, "READ_TIMEOUT", 0.1)


def create(data=DATA):
    return MollieAPI().create_client_link(data, idempotency_key=KEY)


def keys(mollie):
    return [request.headers.get("Idempotency-Key") for request in mollie.requests]


# The body of `POST /v2/client-links`


def test_body_all_fields(mollie):
    mollie.answers(201, CREATED)

    create(FULL_DATA)

    [request] = mollie.requests
    assert request.json == {
        "owner": {
            "email": "jan@bakkerij.example",
            "givenName": "Jan",
            "familyName": "Jansen",
            "locale": "nl_NL",
        },
        "name": "Bakkerij “Jansen”",
        "address": {
            "streetAndNumber": "Keizersgracht 126",
            "postalCode": "1015 CW",
            "city": "Amsterdam",
            "country": "NL",
        },
        "registrationNumber": "00123456",
        "vatNumber": "NL815839091B01",
        "legalEntity": "nl-bv",
        "registrationOffice": "aachen",
        "incorporationDate": "2020-02-29",
    }


def test_body_minimum_leaves_keys_out(mollie):
    mollie.answers(201, CREATED)

    create()

    [request] = mollie.requests
    # Byte for byte: no null, no empty text, and the order by which Mollie knows a repeated body.
    assert request.body == (
        b'{"address": {"country": "NL"}, "name": "Bakkerij Jansen", "owner": '
        b'{"email": "jan@bakkerij.example", "familyName": "Jansen", "givenName": "Jan"}}'
    )


def test_body_is_the_same_for_the_same_data():
    columns = {name: getattr(FULL_DATA, name) for name in reversed(FULL_DATA.__dataclass_fields__)}

    assert ClientLinkData(**columns).to_body() == FULL_DATA.to_body()
    assert digest(FULL_DATA.to_body()) != digest(DATA.to_body())
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_body_registration_number_is_a_text():
    data = ClientLinkData(**{**DATA.__dict__, "registration_number": 30204462})

    assert json.loads(data.to_body())["registrationNumber"] == "30204462"


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("Jan@Bakkerij.example", "Jan@Bakkerij.example"),
        ("jan@müller.example", "jan@xn--mller-kva.example"),
        ("jan@MÜLLER.Example", "jan@xn--mller-kva.example"),
        ("jörg@straße.example", "jörg@xn--strae-oqa.example"),
        ('"a@b"@bücher.example', '"a@b"@xn--bcher-kva.example'),
        ("jan@ü..example", "jan@ü..example"),
        ("jan@\ud800.example", "jan@\ud800.example"),
        ("nobody", "nobody"),
    ],
)
def test_body_domain_is_punycode(address, sent):
    data = ClientLinkData(**{**DATA.__dict__, "owner_email": address})

    assert json.loads(data.to_body())["owner"]["email"] == sent


def test_data_repr_shows_no_person():
    assert CANARY not in repr(SECRET_DATA)
    assert "country='NL'" in repr(SECRET_DATA)


# Headers


def test_client_link_headers(mollie):
    mollie.answers(201, CREATED)

    create()

    [request] = mollie.requests
    assert (request.method, request.path) == ("POST", "/v2/client-links")
    assert request.headers["Authorization"] == f"Bearer {PARTNER_TOKEN}"
    assert request.headers["Idempotency-Key"] == KEY
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/hal+json, application/json"
    assert request.headers["User-Agent"] == (
        f"MollieOnboarding/{version('mollie-onboarding')} Django/{django.__version__}"
    )


def test_read_has_no_body_headers(mollie):
    mollie.answers(200, ORGANIZATION)

    MollieAPI().get_current_organization(ACCESS_TOKEN)

    [request] = mollie.requests
    assert request.headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert "Content-Type" not in request.headers
    assert "Idempotency-Key" not in request.headers
    assert request.body == b""


@pytest.mark.parametrize(
    ("call", "answer", "authorization"),
    [
        ("create_client_link", CREATED, f"Bearer {PARTNER_TOKEN}"),
        ("get_current_organization", ORGANIZATION, f"Bearer {ACCESS_TOKEN}"),
        ("exchange_code", GRANTED, BASIC),
    ],
)
def test_authorization_beats_netrc(mollie, monkeypatch, tmp_path, call, answer, authorization):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(mollie.url) == ("somebody", "else")
    mollie.answers(200, answer)

    CALLS[call]()

    assert mollie.requests[0].headers["Authorization"] == authorization


# The answer of `POST /v2/client-links`


@pytest.mark.parametrize("client_link_id", ["cl_4Y0eZitmBnQ6IDoMqZQKh", "csr_wJPGBj7sFr"])
def test_create_client_link(mollie, client_link_id):
    mollie.answers(201, {**CREATED, "id": client_link_id})

    created = create()

    assert "self" not in CREATED["_links"]  # Mollie's own examples leave it out
    assert (created.id, created.url) == (client_link_id, HREF)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**CREATED, "id": ""},
        {**CREATED, "id": None},
        {**CREATED, "id": True},
        {**CREATED, "_links": {}},
        {**CREATED, "_links": []},
        {**CREATED, "_links": {"clientLink": HREF}},
        {**CREATED, "_links": {"clientLink": {"href": 1}}},
        {**CREATED, "_links": {"clientLink": {"href": "https://my.mollie.com.evil.example/cl_1"}}},
        {**CREATED, "_links": {"clientLink": {"href": "http://my.mollie.com/cl_1"}}},
        {**CREATED, "_links": {"clientLink": {"href": "javascript:alert(1)"}}},
        {**CREATED, "_links": {"clientLink": {"href": HREF + "x" * 2000}}},
    ],
)
def test_create_client_link_with_unusable_answer(mollie, answer):
    mollie.answers(201, answer).answers(201, answer, Idempotent_Replayed="true")

    with pytest.raises(MollieConnectionError, match="names no client link") as first:
        create()
    with pytest.raises(MollieConnectionError, match="names no client link") as second:
        create()

    # It may have been spoilt on the way; repeated like this, it lies at Mollie under the key.
    assert not first.value.needs_new_key
    assert second.value.needs_new_key


# Which status is which exception


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 415, 422])
def test_status_refusal(mollie, status):
    detail = "The 'owner' field is missing"
    mollie.answers(
        status, {"status": status, "title": "No", "detail": detail, "field": "owner.email", "_links": {}}
    )

    with pytest.raises(MollieResponseError) as caught:
        create()

    assert type(caught.value) is MollieResponseError
    assert (caught.value.status, caught.value.detail, caught.value.field) == (status, detail, "owner.email")
    assert caught.value.error == ""
    assert str(caught.value) == f"Mollie answered {status}."


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503, 504])
def test_status_busy_is_tried_four_times(mollie, pauses, status):
    for _ in range(4):
        mollie.answers(status, {"status": status, "title": "Later", "detail": "Later"})

    with pytest.raises(MollieConnectionError, match=f"^Mollie answered {status}.$") as caught:
        create()

    assert keys(mollie) == [KEY] * 4
    assert len({request.body for request in mollie.requests}) == 1
    assert pauses == [1, 2]  # the first repetition comes at once
    assert caught.value.retry_after is None
    assert not caught.value.needs_new_key


@pytest.mark.parametrize("status", [101, 300, 501, 505, 599])
def test_status_unknown_is_not_repeated(mollie, status):
    mollie.answers(status, {"detail": "?"})

    with pytest.raises(MollieConnectionError, match=f"^Mollie answered {status}.$"):
        create()


@pytest.mark.parametrize("status", [200, 202])
def test_status_other_success(mollie, status):
    mollie.answers(status, CREATED)

    assert create().id == "cl_1"


def test_status_204_names_no_client_link(mollie):
    mollie.answers(204)

    with pytest.raises(MollieConnectionError, match="names no client link"):
        create()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(mollie, status):
    mollie.answers(status, {"id": "cl_1"}, Location=f"{mollie.url}/elsewhere")

    with pytest.raises(MollieConnectionError, match=f"^Mollie answered {status}.$"):
        create()

    assert [request.path for request in mollie.requests] == ["/v2/client-links"]


def test_redirect_is_read_no_further_than_others(mollie):
    # requests itself reads the whole body of a redirect, however large it becomes.
    mollie.answers(302, gzip.compress(b" " * 1_500_000), Location="/elsewhere", Content_Encoding="gzip")

    with pytest.raises(MollieConnectionError, match=r"gave no answer \(ValueError\)"):
        create()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_html_refusal_decides_nothing(mollie, status):
    mollie.answers(status, b"<html>Blocked by a firewall</html>", Content_Type="text/html")

    with pytest.raises(MollieConnectionError, match="not a JSON object") as caught:
        create()

    # Whoever answered may have kept it under the key.
    assert caught.value.needs_new_key


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Back soon</html>",
        b"",
        b'["a list"]',
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"id": "cl_1"',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"expires_in": ' + b"9" * 5000 + b"}",
    ],
    ids=[
        "html",
        "empty",
        "list",
        "text",
        "null",
        "not utf-8",
        "cut",
        "deep list",
        "deep object",
        "long number",
    ],
)
def test_answer_is_no_json_object(mollie, body):
    mollie.answers(200, body).answers(200, body, Idempotent_Replayed="true")

    with pytest.raises(MollieConnectionError, match="200 with something that is not a JSON object") as first:
        create()
    with pytest.raises(MollieConnectionError, match="200 with something that is not a JSON object") as second:
        create()

    # The client link was made: the same key may bring the answer whole. Repeated like this, it will not.
    assert not first.value.needs_new_key
    assert second.value.needs_new_key


def test_html_503(mollie):
    for _ in range(4):
        mollie.answers(503, b"<html>Maintenance</html>", Content_Type="text/html")

    with pytest.raises(MollieConnectionError, match=r"^Mollie answered 503\.$"):
        create()


def test_gzip_is_read(mollie):
    mollie.answers(201, gzip.compress(json.dumps(CREATED).encode()), Content_Encoding="gzip")

    assert create().id == "cl_1"


@pytest.mark.parametrize("size", [transport.MAX_ANSWER, transport.MAX_ANSWER + 1])
def test_size_limit(mollie, size):
    text = json.dumps(CREATED).encode()
    mollie.answers(201, text + b" " * (size - len(text)))

    if size > transport.MAX_ANSWER:
        with pytest.raises(MollieConnectionError, match="ValueError"):
            create()
    else:
        assert create().id == "cl_1"


def test_size_limit_holds_for_a_gzip_bomb(mollie):
    mollie.answers(201, gzip.compress(b" " * 30_000_000), Content_Encoding="gzip")

    tracemalloc.start()
    try:
        with pytest.raises(MollieConnectionError, match="ValueError"):
            create()
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"5\r\nab", {"Transfer-Encoding": "chunked", "Connection": "close"}),
        (b"zz\r\nab", {"Transfer-Encoding": "chunked", "Connection": "close"}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
        (b"", {"Content-Length": "100", "Connection": "close"}),
    ],
    ids=["cut chunk", "bad chunk", "bad gzip", "no body"],
)
def test_broken_body(mollie, body, headers):
    mollie.answers(201, body, **headers)

    with pytest.raises(MollieConnectionError, match="gave no answer") as caught:
        create()

    # The work is done at Mollie: the same key brings the answer once more.
    assert not caught.value.needs_new_key


# Repetition


@pytest.mark.parametrize("status", [409, 500, 502, 503, 504])
def test_retry_uses_the_same_key(mollie, status):
    mollie.answers(status, {"detail": "?"}).answers(201, CREATED)

    assert create(FULL_DATA).id == "cl_1"

    assert keys(mollie) == [KEY, KEY]
    assert mollie.requests[0].body == mollie.requests[1].body == FULL_DATA.to_body()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_retry_after_a_dropped_connection(mollie, moment):
    mollie.drops(moment).answers(201, CREATED)

    assert create().id == "cl_1"

    assert mollie.dropped == 1
    assert set(keys(mollie)) == {KEY}
    assert len({request.body for request in mollie.requests}) == 1


def test_retry_after_a_read_timeout(mollie, monkeypatch):
    monkeypatch.setattr(wire, "READ_TIMEOUT", 1.0)  # the second answer has to come, also on a busy machine
    mollie.hangs().answers(201, CREATED)

    assert create().id == "cl_1"

    assert keys(mollie) == [KEY, KEY]


@pytest.mark.usefixtures("_impatient")
def test_silence_to_the_end(mollie):
    mollie.hangs().hangs().hangs().hangs()

    with pytest.raises(MollieConnectionError, match="gave no answer"):
        create()


def test_refused_connection(settings, mollie, pauses):
    settings.MOLLIE_ONBOARDING_API_URL = "http://127.0.0.1:1"

    with pytest.raises(MollieConnectionError, match=r"gave no answer \(ConnectionError\)"):
        create()

    assert pauses == [1, 2]


def test_no_retry_after_a_cut_body(mollie):
    mollie.drops("middle")

    with pytest.raises(MollieConnectionError, match="gave no answer"):
        create()


@pytest.mark.parametrize("fault", [500, "after"])
def test_no_retry_of_a_post_without_a_key(mollie, fault):
    mollie.answers(fault) if isinstance(fault, int) else mollie.drops(fault)

    with pytest.raises(MollieConnectionError):
        MollieAPI().create_client_link(DATA, idempotency_key="")

    assert keys(mollie) == [None]


def test_retry_of_a_read(mollie):
    mollie.drops("after").answers(503).answers(200, ORGANIZATION)

    assert MollieAPI().get_current_organization(ACCESS_TOKEN).id == "org_1"


def test_connection_is_kept_between_reads(mollie):
    mollie.answers(200, ORGANIZATION).answers(200, ONBOARDING)

    api = MollieAPI()
    api.get_current_organization(ACCESS_TOKEN)
    api.get_onboarding_status(ACCESS_TOKEN)

    first, second = mollie.requests
    assert first.connection == second.connection


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for(mollie, pauses, status):
    mollie.answers(status, {"detail": "?"}, Retry_After="1").answers(201, CREATED)

    assert create().id == "cl_1"

    assert pauses == [1]
    assert keys(mollie) == [KEY, KEY]


@pytest.mark.parametrize(("given", "seconds"), [("4", 4), ("60", 60), ("99999999", 86400)])
def test_retry_after_too_long_is_handed_on(mollie, pauses, given, seconds):
    mollie.answers(429, {"detail": "You have exceeded the rate limit"}, Retry_After=given)

    with pytest.raises(MollieConnectionError, match="429") as caught:
        create()

    assert caught.value.retry_after == seconds
    assert not caught.value.needs_new_key
    assert pauses == []


MALFORMED_RETRY_AFTER = {
    "word": "soon",
    "negative": "-1",
    "fraction": "1.5",
    "empty": "",
    "superscript": "\u00b2",
    "year too large": "Fri, 31 Dec 99999 23:59:59 GMT",
    "year beyond an integer": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    "number beyond an integer": "9" * 5000,
}


@pytest.mark.parametrize("given", MALFORMED_RETRY_AFTER.values(), ids=MALFORMED_RETRY_AFTER)
def test_retry_after_malformed_counts_as_missing(mollie, pauses, given):
    mollie.answers(429, {"detail": "?"}, Retry_After=given).answers(201, CREATED)

    assert create().id == "cl_1"
    assert pauses == []


@pytest.mark.parametrize("given", MALFORMED_RETRY_AFTER.values(), ids=MALFORMED_RETRY_AFTER)
def test_retry_after_malformed_at_the_token_endpoint(mollie, given):
    mollie.answers(429, {"detail": "?"}, Retry_After=given)

    with pytest.raises(MollieConnectionError, match="429") as caught:
        MollieAPI().exchange_code(CODE)

    assert caught.value.retry_after is None


def test_retry_after_as_a_date_far_away(mollie):
    mollie.answers(503, Retry_After="Fri, 31 Dec 2099 23:59:59 GMT")

    with pytest.raises(MollieConnectionError, match="503") as caught:
        create()

    assert caught.value.retry_after is None


def test_retry_does_not_outlast_the_deadline(mollie, clock):
    mollie.answers(500, {"detail": "?"})
    api = MollieAPI(time_budget=11)  # another try may take 11.05

    with pytest.raises(MollieConnectionError, match="500"):
        api.create_client_link(DATA, idempotency_key=KEY)


def test_retry_after_a_drop_does_not_outlast_the_deadline(mollie, clock):
    mollie.drops("after")
    api = MollieAPI(time_budget=11)

    with pytest.raises(MollieConnectionError, match="gave no answer"):
        api.create_client_link(DATA, idempotency_key=KEY)


def test_retry_counts_its_pause_as_time(mollie, clock):
    mollie.answers(429, Retry_After="2")
    api = MollieAPI(time_budget=12)  # enough for a try, not for a pause of 2 s before it

    with pytest.raises(MollieConnectionError, match="429") as caught:
        api.create_client_link(DATA, idempotency_key=KEY)

    assert caught.value.retry_after == 2


@pytest.mark.parametrize(("spent", "is_sent"), [(18.9, True), (19.1, False), (30, False)])
def test_time_budget_used_up(mollie, clock, spent, is_sent):
    api = MollieAPI()
    clock.now += spent

    if is_sent:
        mollie.answers(201, CREATED)
        assert api.create_client_link(DATA, idempotency_key=KEY).id == "cl_1"
    else:
        with pytest.raises(MollieConnectionError, match="too long already"):
            api.create_client_link(DATA, idempotency_key=KEY)


@pytest.mark.parametrize(("spent", "timeout"), [(0, (3.05, 8.0)), (15, (3.05, 5.0)), (18, (2.0, 2.0))])
def test_timeouts_are_what_is_left(mollie, clock, monkeypatch, spent, timeout):
    mollie.answers(201, CREATED)
    seen = []
    request = requests.Session.request
    monkeypatch.setattr(
        requests.Session, "request", lambda *args, **kw: (seen.append(kw["timeout"]), request(*args, **kw))[1]
    )
    api = MollieAPI()
    clock.now += spent

    api.create_client_link(DATA, idempotency_key=KEY)

    assert seen == [timeout]


def test_slow_answer_is_given_up_at_the_deadline(mollie, monkeypatch):
    moments = iter([0.0, 0.0, 0.0, 20.5, 20.5])  # building, sending, after the body's first bytes, logging
    for module in (transport, wire):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    mollie.answers(201, CREATED)

    with pytest.raises(MollieConnectionError, match=r"gave no answer \(TimeoutError\)"):
        create()


# The memory of Mollie under a key


@pytest.mark.parametrize(
    ("status", "replayed", "needs_new_key"),
    [
        (500, "true", True),
        (502, "True", True),
        (501, "true", True),
        (500, "false", False),
        (409, "true", False),
        (429, "true", False),
    ],
)
def test_replayed_error_needs_a_new_key(mollie, status, replayed, needs_new_key):
    for _ in range(4 if status in transport.RETRIED_STATUSES else 1):
        mollie.answers(status, {"detail": "?"}, Idempotent_Replayed=replayed)

    with pytest.raises(MollieConnectionError) as caught:
        create()

    assert caught.value.needs_new_key is needs_new_key


def test_replayed_client_link_is_the_client_link(mollie):
    mollie.answers(201, CREATED, Idempotent_Replayed="true")

    assert create().id == "cl_1"


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (400, "Idempotency key was used with different parameters", IdempotencyKeyReusedError),
        (400, "The idempotent request differs", IdempotencyKeyReusedError),
        (400, "The 'owner' field is missing", MollieResponseError),
        (422, "Idempotency key was used with different parameters", MollieResponseError),
    ],
)
def test_idempotency_key_reused(mollie, status, detail, kind):
    mollie.answers(status, {"status": status, "title": "Bad Request", "detail": detail})

    with pytest.raises(MollieResponseError) as caught:
        create()

    assert type(caught.value) is kind


# Errors in both shapes


def test_error_in_the_shape_of_oauth(mollie):
    mollie.answers(
        400, {"error": "invalid_request", "error_description": "Missing grant type", "detail": "other"}
    )

    with pytest.raises(MollieResponseError) as caught:
        MollieAPI().exchange_code(CODE)

    error = caught.value
    assert type(error) is MollieResponseError
    assert (error.status, error.error, error.detail, error.field) == (
        400,
        "invalid_request",
        "Missing grant type",
        "",
    )
    assert str(error) == "Mollie answered 400 invalid_request."


def test_error_in_the_shape_of_mollie_at_the_token_endpoint(mollie):
    mollie.answers(401, {"status": 401, "title": "Unauthorized Request", "detail": "Missing authentication"})

    with pytest.raises(MollieResponseError) as caught:
        MollieAPI().exchange_code(CODE)

    assert (caught.value.status, caught.value.error) == (401, "")
    assert caught.value.detail == "Missing authentication"


@pytest.mark.parametrize("call", ["exchange_code", "refresh"])
@pytest.mark.parametrize("answer", [{}, {"error_description": "Void"}])
def test_invalid_grant(mollie, call, answer):
    mollie.answers(400, {"error": "invalid_grant", **answer})

    with pytest.raises(InvalidGrantError) as caught:
        CALLS[call]()

    assert caught.value.error == "invalid_grant"
    assert caught.value.detail == answer.get("error_description", "")


def test_invalid_client_is_not_an_invalid_grant(mollie):
    mollie.answers(401, {"error": "invalid_client"})

    with pytest.raises(MollieResponseError) as caught:
        MollieAPI().refresh(REFRESH_TOKEN, idempotency_key=KEY)

    assert not isinstance(caught.value, InvalidGrantError)


def test_error_texts_are_cut_and_cleaned(mollie):
    mollie.answers(422, {"detail": "a\nb\ud800" + "x" * 1000, "field": ["owner"], "error": None})

    with pytest.raises(MollieResponseError) as caught:
        create()

    assert caught.value.detail == "ab" + "x" * 498
    assert caught.value.field == ""


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("owner.email", "owner_email"),
        ("owner[email]", "owner_email"),
        ("email", "owner_email"),
        ("owner[givenName]", "owner_given_name"),
        ("owner.family_name", "owner_family_name"),
        ("owner.locale", "owner_locale"),
        ("name", "organization_name"),
        ("address.streetAndNumber", "street_and_number"),
        ("address[postalCode]", "postal_code"),
        ("address.city", "city"),
        ("/address/country", "country"),
        ("registrationNumber", "registration_number"),
        ("vatNumber", "vat_number"),
        ("legal_entity", "legal_entity"),
        ("registrationOffice", "registration_office"),
        ("incorporationDate", "incorporation_date"),
        ("owner", ""),
        ("something.else", ""),
        ("[]", ""),
        ("_", ""),
        ("", ""),
    ],
)
def test_column_of(path, column):
    assert column_of(path) == column


# The token endpoint


def test_exchange_code(mollie, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    mollie.answers(200, GRANTED)

    tokens = MollieAPI().exchange_code(CODE)

    assert tokens == Tokens(
        access_token=ACCESS_TOKEN,
        refresh_token=REFRESH_TOKEN,
        expires_at=NOW + timedelta(hours=1),
        scope="organizations.read onboarding.read",
    )
    [request] = mollie.requests
    assert (request.method, request.path) == ("POST", "/oauth2/tokens")
    assert request.headers["Authorization"] == BASIC
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Connection"] == "close"
    assert "Idempotency-Key" not in request.headers
    # No redirect_uri: Mollie wants an unused field left out.
    assert parse_qsl(request.body.decode(), keep_blank_values=True) == [
        ("grant_type", "authorization_code"),
        ("code", CODE),
    ]


def test_exchange_code_with_redirect_uri(mollie):
    mollie.answers(200, GRANTED)

    MollieAPI().exchange_code("auth_a b&c=d", redirect_uri="https://platform.example/callback/?a=b")

    assert dict(parse_qsl(mollie.requests[0].body.decode())) == {
        "grant_type": "authorization_code",
        "code": "auth_a b&c=d",
        "redirect_uri": "https://platform.example/callback/?a=b",
    }


@pytest.mark.parametrize("redirect_uri", ["", "https://platform.example/callback/"])
def test_refresh(mollie, redirect_uri):
    mollie.answers(200, GRANTED)

    tokens = MollieAPI().refresh(REFRESH_TOKEN, redirect_uri=redirect_uri, idempotency_key=KEY)

    assert tokens.access_token == ACCESS_TOKEN
    assert keys(mollie) == [KEY]
    sent = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
    assert dict(parse_qsl(mollie.requests[0].body.decode(), keep_blank_values=True)) == (
        {**sent, "redirect_uri": redirect_uri} if redirect_uri else sent
    )


def test_revoke(mollie):
    mollie.answers(204)

    assert MollieAPI().revoke(REFRESH_TOKEN) is None

    [request] = mollie.requests
    assert (request.method, request.path) == ("DELETE", "/oauth2/tokens")
    assert request.headers["Authorization"] == BASIC
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {"token_type_hint": "refresh_token", "token": REFRESH_TOKEN}


def test_revoke_void_token(mollie):
    mollie.answers(400, {"error": "invalid_grant"})

    assert MollieAPI().revoke(REFRESH_TOKEN) is None


@pytest.mark.parametrize(("status", "kind"), [(401, MollieResponseError), (500, MollieConnectionError)])
def test_revoke_failing(mollie, status, kind):
    mollie.answers(status, {"error": "invalid_client"})

    with pytest.raises(kind):
        MollieAPI().revoke(REFRESH_TOKEN)


@every_token_call
@pytest.mark.parametrize("status", [409, 429, 500, 502, 503, 504])
def test_token_endpoint_is_asked_once_after_a_status(mollie, pauses, call, status):
    mollie.answers(status, {"status": status, "title": "Later", "detail": "Later"}, Retry_After="1")

    with pytest.raises(MollieConnectionError, match=str(status)) as caught:
        call()

    assert len(mollie.requests) == 1
    assert caught.value.retry_after == 1
    assert pauses == []


@every_token_call
@pytest.mark.parametrize("moment", ["before", "after", "middle"])
def test_token_endpoint_is_asked_once_after_a_drop(mollie, call, moment):
    mollie.drops(moment)

    with pytest.raises(MollieConnectionError, match="gave no answer"):
        call()

    assert len(mollie.requests) == (0 if moment == "before" else 1)


@every_token_call
@pytest.mark.usefixtures("_impatient")
def test_token_endpoint_is_asked_once_after_a_timeout(mollie, call):
    mollie.hangs()

    with pytest.raises(MollieConnectionError, match="gave no answer"):
        call()

    assert len(mollie.requests) == 1


@every_token_call
def test_token_endpoint_gets_a_connection_of_its_own(mollie, call):
    # A kept connection may have died unseen, and the request could not be sent a second time.
    mollie.answers(200, ORGANIZATION).answers(200, GRANTED).answers(200, ORGANIZATION)
    api_call = CALLS["get_current_organization"]

    api_call()
    call()
    api_call()

    before, token, after = [request.connection for request in mollie.requests]
    assert token not in (before, after)


def test_token_endpoint_after_retried_calls_and_back(mollie):
    # The number of tries belongs to the call, not to the session that both use.
    mollie.answers(503).answers(200, ORGANIZATION)
    CALLS["get_current_organization"]()
    mollie.drops("after")
    with pytest.raises(MollieConnectionError):
        CALLS["exchange_code"]()
    mollie.drops("after").answers(200, ORGANIZATION)
    CALLS["get_current_organization"]()

    assert [request.path for request in mollie.requests].count("/oauth2/tokens") == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": 600}, 600),
        ({"expires_in": "600"}, 600),
        ({"expires_in": 1}, 1),
        ({}, 3600),
        ({"expires_in": None}, 3600),
        ({"expires_in": 0}, 3600),
        ({"expires_in": "0"}, 3600),
        ({"expires_in": -1}, 3600),
        ({"expires_in": "-600"}, 3600),
        ({"expires_in": True}, 3600),
        ({"expires_in": 600.5}, 3600),
        ({"expires_in": "an hour"}, 3600),
        ({"expires_in": "\u0663\u0666"}, 3600),
        ({"expires_in": [600]}, 3600),
        ({"expires_in": ""}, 3600),
    ],
)
def test_expires_in(mollie, monkeypatch, given, seconds):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    mollie.answers(200, {"access_token": ACCESS_TOKEN, **given})

    assert MollieAPI().exchange_code(CODE).expires_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("given", [10**12, 10**400, "9" * 400, 1e300])
def test_expires_in_huge_breaks_nothing(mollie, given):
    mollie.answers(200, {"access_token": ACCESS_TOKEN, "expires_in": given})

    assert MollieAPI().exchange_code(CODE).expires_at > timezone.now()


@pytest.mark.parametrize(
    ("given", "scope"),
    [
        ("  organizations.read \t onboarding.read  ", "organizations.read onboarding.read"),
        ("organizations.read", "organizations.read"),
        ("", ""),
        (None, ""),
        (["organizations.read"], ""),
    ],
)
def test_scope(mollie, given, scope):
    mollie.answers(200, {**GRANTED, "scope": given})

    assert MollieAPI().exchange_code(CODE).scope == scope


@pytest.mark.parametrize("given", [{}, {"refresh_token": None}, {"refresh_token": ""}])
def test_refresh_token_missing(mollie, given):
    mollie.answers(200, {"access_token": ACCESS_TOKEN, **given})

    assert MollieAPI().refresh(REFRESH_TOKEN, idempotency_key=KEY).refresh_token == ""


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": ""}, {"access_token": None}, {"access_token": ["a"]}]
)
def test_access_token_missing(mollie, answer):
    answer = {"refresh_token": REFRESH_TOKEN, **answer}
    mollie.answers(200, answer).answers(200, answer, Idempotent_Replayed="true")

    with pytest.raises(MollieConnectionError, match="holds no access token") as first:
        MollieAPI().refresh(REFRESH_TOKEN, idempotency_key=KEY)
    with pytest.raises(MollieConnectionError, match="holds no access token") as second:
        MollieAPI().refresh(REFRESH_TOKEN, idempotency_key=KEY)

    # The refresh token may have been replaced: only under the same key does Mollie tell by which.
    assert not first.value.needs_new_key
    assert second.value.needs_new_key


def test_tokens_repr_shows_no_token():
    tokens = Tokens(ACCESS_TOKEN, REFRESH_TOKEN, NOW, "onboarding.read")

    assert CANARY not in f"{tokens} {tokens!r}"
    assert "onboarding.read" in repr(tokens)


# The organization and its onboarding


def test_get_current_organization(mollie):
    mollie.answers(
        200,
        {
            "id": "org_12345678",
            "name": "Bakkerij Jansen",
            "address": {"country": "NL"},
            "registrationNumber": 30204462,
            "vatNumber": "NL815839091B01",
        },
    )

    organization = MollieAPI().get_current_organization(ACCESS_TOKEN)

    assert organization == OrganizationInfo(
        "org_12345678", "Bakkerij Jansen", "NL", "30204462", "NL815839091B01"
    )
    assert "30204462" not in repr(organization)
    assert [(request.method, request.path) for request in mollie.requests] == [
        ("GET", "/v2/organizations/me")
    ]


@pytest.mark.parametrize(
    "answer", [{}, {"name": None, "address": None, "registrationNumber": True, "vatNumber": []}]
)
def test_get_current_organization_with_an_id_only(mollie, answer):
    mollie.answers(200, {"id": "org_1", **answer})

    assert MollieAPI().get_current_organization(ACCESS_TOKEN) == OrganizationInfo("org_1")


@pytest.mark.parametrize("value", [None, "", [], {}, "org_1/../me", "org 1", "örg_1", "org_1'", True, "<b>"])
def test_get_current_organization_without_an_id(mollie, value):
    mollie.answers(200, {"id": value, "name": "Bakkerij Jansen"})

    with pytest.raises(MollieConnectionError, match="names no organization"):
        MollieAPI().get_current_organization(ACCESS_TOKEN)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_get_current_organization_refused(mollie, status):
    mollie.answers(status, {"status": status, "title": "No", "detail": "No"})

    with pytest.raises(MollieResponseError) as caught:
        MollieAPI().get_current_organization(ACCESS_TOKEN)

    assert caught.value.status == status


def test_get_onboarding_status(mollie):
    mollie.answers(200, ONBOARDING)

    assert MollieAPI().get_onboarding_status(ACCESS_TOKEN) == OnboardingStatus(
        status="in-review",
        can_receive_payments=True,
        can_receive_settlements=False,
        signed_up_at=datetime(2026, 9, 30, 8, tzinfo=UTC),
        dashboard_url="https://my.mollie.com/dashboard/onboarding",
    )
    assert [(request.method, request.path) for request in mollie.requests] == [("GET", "/v2/onboarding/me")]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": "paused-by-mollie"}, "paused-by-mollie"),
        ({"status": "x" * 99}, "x" * 50),
        ({"status": None}, ""),
        ({}, ""),
    ],
)
def test_get_onboarding_status_unknown(mollie, answer, status):
    mollie.answers(200, answer)

    assert MollieAPI().get_onboarding_status(ACCESS_TOKEN) == OnboardingStatus(status, False, False, None, "")


@pytest.mark.parametrize("value", [None, "true", 1, [], {}])
def test_get_onboarding_status_with_doubtful_booleans(mollie, value):
    mollie.answers(200, {**ONBOARDING, "canReceivePayments": value, "canReceiveSettlements": value})

    status = MollieAPI().get_onboarding_status(ACCESS_TOKEN)

    assert (status.can_receive_payments, status.can_receive_settlements) == (False, False)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-09-30T10:00:00Z", datetime(2026, 9, 30, 10, tzinfo=UTC)),
        (
            "2026-09-30 10:00:00.5",
            datetime(2026, 9, 30, 8, 0, 0, 500_000, tzinfo=UTC),
        ),  # ours, without a zone
        ("2026-09-30", datetime(2026, 9, 29, 22, tzinfo=UTC)),
        ("2026-13-45T10:00:00Z", None),
        ("yesterday", None),
        (1790000000, None),
        (None, None),
        ({}, None),
    ],
)
def test_get_onboarding_status_signed_up_at(mollie, settings, value, moment):
    settings.TIME_ZONE = "Europe/Amsterdam"
    mollie.answers(200, {**ONBOARDING, "signedUpAt": value})

    assert MollieAPI().get_onboarding_status(ACCESS_TOKEN).signed_up_at == moment


@pytest.mark.parametrize(
    ("href", "debug", "is_kept"),
    [
        ("https://my.mollie.com/dashboard/onboarding?a=b#c", False, True),
        ("javascript:alert(1)", False, False),
        ("data:text/html,x", True, False),
        ("http://my.mollie.com/dashboard", True, False),
        ("http://127.0.0.1:8000/sandbox/", True, True),
        ("http://127.0.0.1:8000/sandbox/", False, False),
        ("https://www.mollie.com/dashboard/onboarding", False, True),
        ("https://evil.example/dashboard", False, False),
        ("https://[broken", False, False),
        ("/dashboard", False, False),
        (None, False, False),
    ],
)
def test_get_onboarding_status_dashboard(mollie, settings, href, debug, is_kept):
    settings.DEBUG = debug
    settings.MOLLIE_ONBOARDING_LINK_HOSTS = ["my.mollie.com", "127.0.0.1:8000"]
    mollie.answers(200, {**ONBOARDING, "_links": {"dashboard": {"href": href}}})

    assert MollieAPI().get_onboarding_status(ACCESS_TOKEN).dashboard_url == (href if is_kept else "")


# Secrets

FAULTS = {
    "400": lambda mollie: mollie.answers(400, {"error": "invalid_request", "error_description": CANARY}),
    "401": lambda mollie: mollie.answers(
        401, {"title": CANARY, "detail": f"Token {ACCESS_TOKEN}", "field": CANARY}
    ),
    "422": lambda mollie: mollie.answers(422, {"detail": f"{CANARY} is taken", "field": "owner.email"}),
    "429": lambda mollie: mollie.answers(429, {"detail": CANARY}, Retry_After="60"),
    "501": lambda mollie: mollie.answers(501, CANARY.encode()),
    "html": lambda mollie: mollie.answers(200, CANARY.encode()),
    "redirect": lambda mollie: mollie.answers(302, None, Location=f"{mollie.url}/{CANARY}"),
    "middle": lambda mollie: mollie.drops("middle"),
}


@every_call
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_secrets_are_not_in_errors_and_logs(mollie, caplog, call, fault):
    caplog.set_level(logging.DEBUG)
    fault(mollie)

    with pytest.raises(MollieError) as caught:
        call()

    assert CANARY in f"{mollie.requests[0].headers}{mollie.requests[0].body}"
    assert_hidden(caught.value, caplog)
    # What urllib3 says at DEBUG is the path and the status.
    assert any(record.name == "urllib3.connectionpool" for record in caplog.records)


@every_call
@pytest.mark.parametrize("moment", ["before", "after"])
def test_secrets_are_not_in_errors_and_logs_after_drops(mollie, caplog, call, moment):
    caplog.set_level(logging.DEBUG)
    tries = 4 if call not in [CALLS[name] for name in TOKEN_CALLS] else 1
    for _ in range(tries):
        mollie.drops(moment)

    with pytest.raises(MollieConnectionError) as caught:
        call()

    assert_hidden(caught.value, caplog)
    assert "got no answer" in caplog.text


@every_call
@pytest.mark.usefixtures("_impatient")
def test_secrets_are_not_in_errors_and_logs_after_a_timeout(mollie, caplog, call):
    caplog.set_level(logging.DEBUG)
    for _ in range(4 if call not in [CALLS[name] for name in TOKEN_CALLS] else 1):
        mollie.hangs()

    with pytest.raises(MollieConnectionError) as caught:
        call()

    assert_hidden(caught.value, caplog)


def assert_hidden(error, caplog):
    """No canary in the error, its chain as it is printed, its report by Django, or any log line."""
    report = ExceptionReporter(None, type(error), error, error.__traceback__)
    # The frames of this file hold the canaries of the test itself.
    frames = [frame for frame in report.get_traceback_frames() if "mollie_onboarding" in frame["filename"]]
    assert frames
    shown = [
        str(error),
        repr(error),
        *traceback.format_exception(error),
        repr([frame["vars"] for frame in frames]),
        *(f"{record.getMessage()} {record.args!r} {record.exc_info}" for record in caplog.records),
    ]
    for text in shown:
        for secret in (CANARY, BASIC.removeprefix("Basic ")):
            assert secret not in text


def test_secrets_are_not_in_the_log_of_success(mollie, caplog):
    caplog.set_level(logging.DEBUG)
    mollie.answers(201, CREATED).answers(200, GRANTED).answers(204)
    mollie.answers(200, {**ORGANIZATION, "name": CANARY}).answers(200, ONBOARDING)

    for name in (
        "create_client_link",
        "exchange_code",
        "revoke",
        "get_current_organization",
        "get_onboarding_status",
    ):
        CALLS[name]()

    assert "Mollie: POST /v2/client-links answered 201" in caplog.text
    assert CANARY not in caplog.text


# Sessions


def test_session_is_one_for_each_thread(mollie):
    ours = wire._session()
    theirs = []
    thread = threading.Thread(target=lambda: theirs.append(wire._session()))
    thread.start()
    thread.join()

    assert wire._session() is ours
    assert theirs[0] is not ours


def test_session_keeps_no_cookie_of_a_call_before(mollie):
    mollie.answers(404, b'{"status": 404}', Set_Cookie="merchant=one; Path=/")
    mollie.answers(404, b'{"status": 404}')
    for _ in range(2):
        with pytest.raises(MollieResponseError):
            create()
    assert [request.headers.get("Cookie") for request in mollie.requests] == [None, None]


def test_session_is_forgotten():
    session = wire._session()

    wire._forget_session()

    assert wire._session() is not session


def test_session_does_not_survive_a_fork():
    session = wire._session()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, since Python 3.12
        child = os.fork()
    if not child:  # pragma: no cover (its process ends here)
        os._exit(0 if wire._session() is not session else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert wire._session() is session


def test_printable():
    assert printable("a\x00b\nc\u2028d\ud800e é") == "abcde é"


# Addresses

EVIL_URLS = [
    "",
    " ",
    "https://",
    "https:///dashboard",
    "https:my.mollie.com/dashboard",
    "//my.mollie.com/dashboard",
    "//evil.example",
    "/dashboard",
    "my.mollie.com",
    "http://my.mollie.com/",
    "ftp://my.mollie.com/",
    "javascript:alert(1)",
    "javascript://my.mollie.com/%0aalert(1)",
    "data:text/html,x",
    "https://evil.example/",
    "https://evil.example/my.mollie.com",
    "https://evil.example?https://my.mollie.com",
    "https://evil.example#@my.mollie.com",
    "https://my.mollie.com.evil.example/",
    "https://evilmy.mollie.com/",
    "https://mollie.com/",
    "https://www.my.mollie.com/",
    "https://my.mollie.com./",
    "https://user@my.mollie.com/",
    "https://user:password@my.mollie.com/",
    "https://@my.mollie.com/",
    "https://:@my.mollie.com/",
    "https://my.mollie.com@evil.example/",
    "https://my.mollie.com:443@evil.example/",
    "https://my.mollie.com:444/",
    "https://my.mollie.com:80/",
    "https://my.mollie.com:0/",
    "https://my.mollie.com:99999/",
    "https://my.mollie.com:port/",
    "https://my.mollie.com\\@evil.example/",
    "https:\\\\my.mollie.com/",
    "https://evil.example\\.my.mollie.com/",
    "https://my.mollie\t.com/",
    "https://my.mollie.com\n/",
    "https://my.mollie.com/\r\nSet-Cookie: a=b",
    "https://my.mollie.com/a b",
    " https://my.mollie.com/",
    "\x00https://my.mollie.com/",
    "https://my.mollie.com/\u2028",
    "https://my.mollie.com/\ud800",
    "https://my.moll\u0456e.com/",  # a Cyrillic letter
    "https://my\u3002mollie\u3002com/",
    "https://\uff4dy.mollie.com/",
    "https://my.mollie.com\uff0fevil.example/",
    "https://evil.example\uff0f@my.mollie.com/",
    "https://[my.mollie.com]/",
    "https://[::1/",
]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("url", EVIL_URLS)
def test_is_allowed_url_evil(settings, url, debug):
    settings.DEBUG = debug

    assert not is_allowed_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://my.mollie.com",
        "https://my.mollie.com/",
        "https://my.mollie.com:443/dashboard",
        "https://my.mollie.com:/dashboard",
        "HTTPS://MY.MOLLIE.COM/Dashboard",
        "https://my.mollie.com/dashboard/client-link/cl_1?a=b&c#d",
        "https://my.mollie.com/?next=https://evil.example/@",
        "https://my.mollie.com/café",
    ],
)
def test_is_allowed_url_good(url):
    assert is_allowed_url(url)


@pytest.mark.parametrize(
    ("url", "hosts", "is_allowed"),
    [
        ("https://my.mollie.com/", ["My.Mollie.Com"], True),
        ("https://my.mollie.com/", ["other.example", "my.mollie.com:443"], True),
        ("https://my.mollie.com/", ["my.mollie.com:8443"], False),
        ("https://my.mollie.com:8443/", ["my.mollie.com:8443"], True),
        ("https://my.mollie.com:8443/", ["my.mollie.com"], False),
        ("https://[2001:db8::1]/", ["[2001:db8::1]"], True),
        ("https://[2001:db8::1]:8443/", ["[2001:db8::1]:8443"], True),
        ("https://[2001:db8::1]:8443/", ["[2001:db8::1]"], False),
    ],
)
def test_is_allowed_url_by_host_and_port(settings, url, hosts, is_allowed):
    settings.MOLLIE_ONBOARDING_LINK_HOSTS = hosts

    assert is_allowed_url(url) is is_allowed


@pytest.mark.parametrize(
    ("url", "hosts", "in_debug"),
    [
        ("http://127.0.0.1:8000/sandbox/", "127.0.0.1:8000", True),
        ("http://localhost:8000/sandbox/", "127.0.0.1:8000,localhost:8000", True),
        ("http://[::1]:8000/sandbox/", "[::1]:8000", True),
        ("http://localhost/sandbox/", "localhost", True),
        ("http://localhost:80/sandbox/", "localhost:80", True),
        ("http://localhost:443/sandbox/", "localhost", False),
        ("http://127.0.0.1:8000/sandbox/", "127.0.0.1", False),
        ("http://127.0.0.1:8001/sandbox/", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000/sandbox/", "my.mollie.com", False),
        ("http://127.0.0.2:8000/sandbox/", "127.0.0.2:8000", False),
        ("http://sandbox.example:8000/", "sandbox.example:8000", False),
        ("http://127.0.0.1.evil.example:8000/", "127.0.0.1:8000", False),
    ],
)
def test_is_allowed_url_loopback(settings, url, hosts, in_debug):
    settings.MOLLIE_ONBOARDING_LINK_HOSTS = hosts

    assert not is_allowed_url(url)
    settings.DEBUG = True
    assert is_allowed_url(url) is in_debug


PARAMETERS = "client_id=app_test&state=s&scope=organizations.read%20onboarding.read&approval_prompt=auto"


def client_link_url(url, **replaced):
    return client_link_authorization_url(
        url,
        **{
            "client_id": "app_test",
            "state": "s",
            "scopes": ("organizations.read", "onboarding.read"),
            "approval_prompt": "auto",
            **replaced,
        },
    )


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        (HREF, f"{HREF}?{PARAMETERS}"),
        (f"{HREF}?", f"{HREF}?{PARAMETERS}"),
        (f"{HREF}?lang=nl", f"{HREF}?lang=nl&{PARAMETERS}"),
        (f"{HREF}?a=%2B+x&b=", f"{HREF}?a=%2B+x&b=&{PARAMETERS}"),
        (f"{HREF}#/start", f"{HREF}?{PARAMETERS}#/start"),
        (f"{HREF}?lang=nl#/start?x", f"{HREF}?lang=nl&{PARAMETERS}#/start?x"),
        ("https://my.mollie.com", f"https://my.mollie.com?{PARAMETERS}"),
    ],
)
def test_client_link_authorization_url(href, expected):
    assert client_link_url(href) == expected


def test_client_link_authorization_url_escapes_everything():
    state = "a b+c&d=e#f?g/h%i:;@é\"'<>~"

    url = client_link_url(HREF, state=state, client_id="app_&x", approval_prompt="force")

    query = urlsplit(url).query
    assert parse_qs(query) == {
        "client_id": ["app_&x"],
        "state": [state],
        "scope": ["organizations.read onboarding.read"],
        "approval_prompt": ["force"],
    }
    assert "+" not in query
    assert re.fullmatch(r"[A-Za-z0-9_.~%&=-]+", query)
    assert urlsplit(url).fragment == ""


def test_lessons_16_client_link_authorization_url_without_state():
    with pytest.raises(ValueError, match="needs a state"):
        client_link_url(HREF, state="")


@pytest.mark.parametrize("url", ["https://evil.example/", "", "javascript:alert(1)"])
def test_client_link_authorization_url_elsewhere(url):
    with pytest.raises(ValueError, match="LINK_HOSTS"):
        client_link_url(url)


def plain_url(**replaced):
    return plain_authorization_url(
        **{
            "client_id": "app_test",
            "state": "s",
            "scopes": ["organizations.read", "onboarding.read"],
            "approval_prompt": "auto",
            **replaced,
        }
    )


def test_plain_authorization_url():
    assert plain_url() == f"https://my.mollie.com/oauth2/authorize?response_type=code&{PARAMETERS}"


def test_plain_authorization_url_with_redirect_uri(settings):
    settings.MOLLIE_ONBOARDING_AUTHORIZE_URL = "https://sandbox.example/authorize?box=1"

    assert plain_url(redirect_uri="https://platform.example/callback/") == (
        f"https://sandbox.example/authorize?box=1&response_type=code&{PARAMETERS}"
        "&redirect_uri=https%3A%2F%2Fplatform.example%2Fcallback%2F"
    )


def test_lessons_16_plain_authorization_url_without_state():
    with pytest.raises(ValueError, match="needs a state"):
        plain_url(state="")
