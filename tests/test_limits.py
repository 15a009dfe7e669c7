"""What Mollie says of its limits: read from the headers, and told to whoever called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mollie_onboarding.exceptions import MollieConnectionError
from mollie_onboarding.mollie_api import ClientLinkData, MollieAPI, RateLimit
from mollie_onboarding.mollie_api.limits import LONGEST_WINDOW, MOST_CALLS, read_rate_limit
from tests.fake_mollie import FakeMollie

KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
CREATED = {
    "id": "cl_1",
    "_links": {"clientLink": {"href": "https://my.mollie.com/dashboard/client-link/cl_1"}},
}
DATA = ClientLinkData(
    owner_email="jan@bakkerij.example",
    owner_given_name="Jan",
    owner_family_name="Jansen",
    organization_name="Bakkerij Jansen",
    country="NL",
)
CREATE = "POST /v2/client-links"


def read(limit: str | None, policy: str | None = None, status: int = 200, **more: str) -> RateLimit | None:
    headers = {"RateLimit": limit, "RateLimit-Policy": policy, **more}
    return read_rate_limit(
        "GET /", status, {name: text for name, text in headers.items() if text is not None}
    )


# Reading the headers


def test_headers_as_mollie_documents_them():
    limit = read('"payments-list";r=19;t=3', '"payments-list";q=20;w=3;mollie-burst=60')

    assert limit == RateLimit("GET /", remaining=19, resets_in=3, quota=20, window=3)


@pytest.mark.parametrize(
    ("limit", "policy", "expected"),
    [
        ("payments;r=19;t=3", "payments;q=20;w=3", (19, 3, 20, 3)),
        (' "a" ; r = 19 ; t = 3 ', '"a"; w=3; q=20', (19, 3, 20, 3)),
        ('"a";R="19";T="3"', '"a";Q="20";W="3"', (19, 3, 20, 3)),
        ('"a";r=19', '"a";q=20;w=3', (19, None, 20, 3)),
        ('"a";r=19;t=3', None, (19, 3, None, None)),
        ('"a";r=19;t=3', '"a";q=20', (19, 3, 20, None)),
        ('"a";r=19;t=3', '"a";q=0;w=0', (19, 3, None, None)),
        (";r=19;t=3", ";q=20;w=3", (19, 3, 20, 3)),
        ('"a";r=0;t=0', '"a";q=1;w=1', (0, 0, 1, 1)),
        # One of each: whatever they are called.
        ('"a";r=19;t=3', '"b";q=20;w=3', (19, 3, 20, 3)),
        # Several: the one that leaves the least, and its own policy.
        ('"a";r=9;t=1, "b";r=2;t=60', '"a";q=10;w=1, "b";q=100;w=60', (2, 60, 100, 60)),
        ('"a";r=2;t=1,"b";r=2;t=60', '"b";q=100;w=60,"a";q=10;w=1', (2, 60, 100, 60)),
        ('"a";r=2,"b";r=2;t=60', None, (2, 60, None, None)),
        ('"a";r=9;t=1, "b";r=2;t=60', '"c";q=10;w=1', (2, 60, None, None)),
        ('"a;r=1";r=9;t=1', '"a;r=1";q=10;w=1', (9, 1, 10, 1)),
        ('"a, b";r=9;t=1', None, (9, 1, None, None)),
        # A part that cannot be read is not there.
        ('"a";r=9;t=soon', '"a";q=-1;w=1.5', (9, None, None, None)),
        ('"a";r=9;t=1, "b";r=none', None, (9, 1, None, None)),
        ('"a";r=9;t=1;pk=:c29tZQ==:', None, (9, 1, None, None)),
        # Absurd numbers.
        ('"a";r=999999999;t=999999999', '"a";q=999999999;w=999999999', (MOST_CALLS, LONGEST_WINDOW) * 2),
        (f'"a";r=9;t={"9" * 50}', None, (9, None, None, None)),
    ],
)
def test_liberal_reading(limit, policy, expected):
    found = read(limit, policy)

    assert (found.remaining, found.resets_in, found.quota, found.window) == expected


@pytest.mark.parametrize(
    "limit",
    [
        None,
        "",
        "?",
        '"a"',
        '"a";t=3',
        '"a";r=',
        '"a";r=-1',
        '"a";r=\u0661',
        '"a";rr=1',
        "r=1",
        ",;,;",
        "x" * 3000 + ";r=1",
    ],
)
def test_nothing_that_says_how_many_calls_remain(limit):
    assert read(limit, '"a";q=20;w=3') is None


def test_busy_answer_counts_without_any_header():
    assert read(None, status=429) == RateLimit("GET /", is_exceeded=True)


def test_busy_answer_with_everything():
    limit = read('"a";r=0;t=3', '"a";q=20;w=3', 429, **{"Retry-After": "4"})

    assert limit == RateLimit("GET /", True, 4, remaining=0, resets_in=3, quota=20, window=3)


@pytest.mark.parametrize("status", [200, 409, 503])
def test_retry_after_of_another_status_is_no_limit(status):
    assert read(None, status=status, **{"Retry-After": "4"}) is None
    assert read('"a";r=9;t=3', status=status, **{"Retry-After": "4"}).retry_after is None


PIECES = st.lists(st.sampled_from([*'";,= ', "r", "t", "q", "w", "r=1", ";r=2", "999999999", "0", "-", "é"]))


@given(st.one_of(st.text(), PIECES.map("".join)), st.one_of(st.text(), PIECES.map("".join)))
def test_no_header_breaks_the_reading(limit, policy):
    found = read(limit, policy)

    if found is not None:
        assert 0 <= found.remaining <= MOST_CALLS
        assert found.quota is None or 1 <= found.quota <= MOST_CALLS
        assert found.window is None or 1 <= found.window <= LONGEST_WINDOW
        assert found.resets_in is None or 0 <= found.resets_in <= LONGEST_WINDOW


# Told by the transport


class Listener(MollieAPI):
    def __init__(self, **options: bool) -> None:
        super().__init__(**options)
        self.heard: list[RateLimit | None] = []

    def heed(self) -> None:
        self.heard.append(self.rate_limit)


@pytest.fixture
def mollie(settings):
    with FakeMollie() as mollie:
        settings.MOLLIE_ONBOARDING_API_URL = mollie.url
        yield mollie
        assert not mollie.unexpected
        assert not mollie.left


def create(api: MollieAPI) -> None:
    api.create_client_link(DATA, idempotency_key=KEY)


def test_answer_without_a_limit_is_not_told(mollie):
    mollie.answers(201, CREATED)
    api = Listener()

    create(api)

    assert (api.rate_limit, api.heard) == (None, [])


def test_good_answer_tells_its_limit_until_the_next(mollie):
    mollie.answers(201, CREATED, RateLimit='"cl";r=1;t=3').answers(201, CREATED)
    api = Listener()

    create(api)
    assert api.rate_limit == RateLimit(CREATE, remaining=1, resets_in=3)
    create(api)

    assert api.rate_limit is None
    assert api.heard == [RateLimit(CREATE, remaining=1, resets_in=3)]


def test_answer_that_raises_tells_its_limit(mollie):
    mollie.answers(422, {"detail": "?"}, RateLimit='"cl";r=1;t=3')
    api = MollieAPI()

    with pytest.raises(Exception, match="422"):
        create(api)

    assert api.rate_limit == RateLimit(CREATE, remaining=1, resets_in=3)


def test_answer_whose_body_breaks_off_tells_its_limit(mollie):
    # A body that is not what its header says: it cannot be unpacked.
    mollie.answers(201, b"no gzip", RateLimit='"cl";r=1;t=3', Content_Encoding="gzip")
    api = Listener()

    with pytest.raises(MollieConnectionError, match="no answer"):
        create(api)

    assert api.heard == [RateLimit(CREATE, remaining=1, resets_in=3)]


def test_busy_answer_that_is_tried_again_is_told_before_the_pause(mollie, monkeypatch):
    mollie.answers(429, Retry_After="1").answers(201, CREATED)
    api = Listener()
    monkeypatch.setattr("time.sleep", lambda seconds: api.heard.append(seconds))

    create(api)

    assert api.heard == [RateLimit(CREATE, is_exceeded=True, retry_after=1), 1]


def test_worker_does_not_try_a_busy_answer_again(mollie):
    mollie.answers(429, Retry_After="1")
    api = Listener(retries_when_limited=False)

    with pytest.raises(MollieConnectionError, match="429") as caught:
        create(api)

    assert caught.value.is_rate_limited
    assert caught.value.retry_after == 1
    assert api.heard == [RateLimit(CREATE, is_exceeded=True, retry_after=1)]


def test_worker_tries_again_what_is_no_limit(mollie, monkeypatch):
    mollie.answers(503, Retry_After="1").answers(409).answers(201, CREATED)
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    api = Listener(retries_when_limited=False)

    create(api)

    assert pauses[0] == 1
    assert api.heard == []


def test_only_a_busy_answer_is_one_of_too_many_calls(mollie, monkeypatch):
    mollie.answers(503, Retry_After="60")

    with pytest.raises(MollieConnectionError, match="503") as caught:
        create(MollieAPI())

    assert not caught.value.is_rate_limited
