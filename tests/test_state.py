from __future__ import annotations

import hashlib
import string
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from mollie_onboarding.exceptions import StateError
from mollie_onboarding.models import AuthorizationRequest
from mollie_onboarding.state import (
    MAX_PARAMETER,
    browser_secret_of,
    cookie_name,
    digest,
    find_request,
    issue_state,
    new_secret,
    set_browser_cookie,
)

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
CLIENT_LINK, AUTHORIZE = AuthorizationRequest.Flow.CLIENT_LINK, AuthorizationRequest.Flow.AUTHORIZE


@pytest.fixture
def client_link(make_client_link):
    return make_client_link()


@pytest.fixture
def issue(client_link):
    def issue(browser_secret="", *, flow=CLIENT_LINK, now=NOW, approval_prompt="auto"):
        return issue_state(
            client_link, flow=flow, browser_secret=browser_secret, now=now, approval_prompt=approval_prompt
        )

    return issue


def request_with(**cookies):
    request = RequestFactory().get("/")
    request.COOKIES.update(cookies)
    return request


# Secrets


def test_digest():
    assert digest("state") == hashlib.sha256(b"state").hexdigest()
    assert digest("") == hashlib.sha256(b"").hexdigest()
    assert digest("ü") == hashlib.sha256("ü".encode()).hexdigest()


@pytest.mark.parametrize("secret", ["\ud800", "a\udfffb", "\x00", "😀"])
def test_digest_takes_any_character(secret):
    assert len(digest(secret)) == 64
    assert digest(secret) != digest("?")


def test_new_secret():
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    for secret in secrets:
        assert len(secret) == 43  # 32 bytes
        assert set(secret) <= set(string.ascii_letters + string.digits + "-_")


# Issuing


def test_issue_state_writes_digests_only(issue, client_link, settings):
    issued = issue()

    row = AuthorizationRequest.objects.get()
    assert (row.state_digest, row.browser_digest) == (digest(issued.state), digest(issued.browser_secret))
    written = " ".join(str(value) for value in AuthorizationRequest.objects.values_list().get())
    assert issued.state not in written
    assert issued.browser_secret not in written
    assert issued.state != issued.browser_secret
    assert row.client_link == client_link
    assert row.outcome == row.error == ""
    assert row.answered_at is None


def test_issue_state_remembers_what_is_asked(issue, settings):
    settings.MOLLIE_ONBOARDING_SCOPES = ["organizations.read", "onboarding.read"]
    settings.MOLLIE_ONBOARDING_STATE_LIFETIME = timedelta(hours=2)

    issue(approval_prompt="force")

    row = AuthorizationRequest.objects.get()
    assert row.scope == "organizations.read onboarding.read"
    assert row.approval_prompt == "force"
    assert row.client_id == "app_test"
    assert row.expires_at == NOW + timedelta(hours=2)


@pytest.mark.parametrize(
    ("flow", "setting", "redirect_uri"),
    [
        (CLIENT_LINK, "https://platform.example/callback/", ""),
        (CLIENT_LINK, "", ""),
        (AUTHORIZE, "https://platform.example/callback/", "https://platform.example/callback/"),
        (AUTHORIZE, "", ""),
    ],
)
def test_issue_state_redirect_uri_goes_with_authorize_only(issue, settings, flow, setting, redirect_uri):
    settings.MOLLIE_ONBOARDING_REDIRECT_URI = setting

    issue(flow=flow)

    row = AuthorizationRequest.objects.get()
    assert (row.flow, row.redirect_uri) == (flow, redirect_uri)


def test_issue_state_is_new_each_time(issue):
    first, second = issue(), issue()

    assert first.state != second.state
    assert first.browser_secret != second.browser_secret


def test_issue_state_in_a_second_tab_keeps_the_browser(issue):
    first = issue()
    second = issue(first.browser_secret, now=NOW + timedelta(hours=23))

    assert second.browser_secret == first.browser_secret
    assert second.state != first.state
    # Each tab comes back with its own state.
    assert find_request(first.state, first.browser_secret) != find_request(second.state, first.browser_secret)


@pytest.mark.parametrize("planted", ["planted by somebody", "\ud800", "x" * 2000])
def test_issue_state_with_a_planted_cookie(issue, planted):
    issue()

    issued = issue(planted)

    assert issued.browser_secret != planted
    assert len(issued.browser_secret) == 43


def test_issue_state_with_the_digest_as_a_cookie(issue):
    issue()
    stolen = AuthorizationRequest.objects.get().browser_digest

    assert issue(stolen).browser_secret != stolen


def test_issue_state_with_the_state_as_a_cookie(issue):
    # A state is in addresses and logs: whoever reads it there must not become the browser.
    state = issue().state

    assert issue(state).browser_secret != state


@pytest.mark.parametrize(
    "columns",
    [
        {"expires_at": NOW},
        {"expires_at": NOW - timedelta(seconds=1)},
        {"answered_at": NOW - timedelta(minutes=1)},
        {"outcome": "declined"},
    ],
)
def test_issue_state_after_a_request_that_is_over(issue, columns):
    first = issue(now=NOW - timedelta(hours=1))
    AuthorizationRequest.objects.update(**columns)

    assert issue(first.browser_secret).browser_secret != first.browser_secret


def test_issued_state_repr_shows_nothing(issue):
    issued = issue()

    assert issued.state not in repr(issued)
    assert issued.browser_secret not in repr(issued)


# Redeeming


def test_find_request(issue, client_link, django_assert_num_queries):
    issued = issue()

    with django_assert_num_queries(1):
        found = find_request(issued.state, issued.browser_secret)
        assert found.client_link == client_link
        assert found.client_link.merchant_path()
        assert not found.client_link.is_cancelled

    assert found == AuthorizationRequest.objects.get()
    assert found.answered_at is None  # nothing is claimed here


@pytest.mark.parametrize("state", ["", "x" * (MAX_PARAMETER + 1), "x" * 1_000_000])
def test_find_request_without_state(issue, state, django_assert_num_queries):
    issued = issue()

    with pytest.raises(StateError) as caught, django_assert_num_queries(0):
        find_request(state, issued.browser_secret)

    assert caught.value.reason == "no state"


@pytest.mark.parametrize(
    "state", ["made up", "x" * MAX_PARAMETER, "\ud800\udfff", "\x00", "😀", "e30=", "platform", "' OR 1=1 --"]
)
def test_find_request_with_an_unknown_state(issue, state):
    issued = issue()

    with pytest.raises(StateError) as caught:
        find_request(state, issued.browser_secret)

    assert caught.value.reason == "unknown state"
    assert state not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [str.swapcase, lambda state: state + " ", lambda state: state[:-1], digest, lambda state: f" {state}"],
    ids=["case", "space after", "shorter", "digest", "space before"],
)
def test_find_request_with_a_changed_state(issue, change):
    issued = issue()

    with pytest.raises(StateError) as caught:
        find_request(change(issued.state), issued.browser_secret)

    assert caught.value.reason == "unknown state"


@pytest.mark.parametrize("browser_secret", ["", "another browser's", "\ud800", "x" * 1_000_000])
def test_find_request_of_another_browser(issue, browser_secret):
    issued = issue()

    with pytest.raises(StateError) as caught:
        find_request(issued.state, browser_secret)

    assert caught.value.reason == "other browser"


def test_find_request_with_the_cookie_of_another_request(issue):
    # The one-click account linking of CVE-2025-68158: both are ours, and live, but not of one browser.
    ours, theirs = issue(), issue()

    with pytest.raises(StateError) as caught:
        find_request(ours.state, theirs.browser_secret)

    assert caught.value.reason == "other browser"
    assert issued_states() == 2


def issued_states():
    return AuthorizationRequest.objects.filter(answered_at=None, outcome="").count()


@pytest.mark.parametrize("read", ["browser_digest", "state_digest"])
def test_find_request_with_a_value_of_the_database(issue, read):
    issued = issue()
    stolen = getattr(AuthorizationRequest.objects.get(), read)

    with pytest.raises(StateError):
        find_request(issued.state, stolen)
    with pytest.raises(StateError):
        find_request(stolen, issued.browser_secret)


def shown_by_a_report(error):
    """What Django mails about an error of state.py: its text, and the variables of each frame."""
    frames = ExceptionReporter(None, type(error), error, error.__traceback__).get_traceback_frames()
    ours = [frame for frame in frames if frame["filename"].endswith("mollie_onboarding/state.py")]
    assert ours
    return repr([str(error), *(frame["vars"] for frame in ours)])


def test_find_request_shows_no_secret_in_a_report(issue):
    issued = issue()
    with pytest.raises(StateError) as caught:
        find_request(issued.state, "browser-secret")

    shown = shown_by_a_report(caught.value)
    assert issued.state not in shown
    assert "browser-secret" not in shown


def test_issue_state_shows_no_secret_in_a_report(issue, monkeypatch):
    browser_secret = issue().browser_secret
    monkeypatch.setattr(AuthorizationRequest.objects, "create", broken)

    with pytest.raises(RuntimeError) as caught:
        issue(browser_secret)

    assert browser_secret not in shown_by_a_report(caught.value)


def broken(**columns):
    raise RuntimeError("The database is away.")


def test_state_error_is_suspicious():
    error = StateError("other browser")

    assert isinstance(error, SuspiciousOperation)
    assert str(error) == "Callback refused: other browser."


# The cookie


@pytest.mark.parametrize(
    ("base_url", "name", "is_secure"),
    [
        ("https://platform.example", "__Host-mollie_onboarding", True),
        ("https://platform.example:8443/", "__Host-mollie_onboarding", True),
        ("http://127.0.0.1:8000", "mollie_onboarding", False),
    ],
)
def test_cookie(settings, base_url, name, is_secure):
    settings.MOLLIE_ONBOARDING_BASE_URL = base_url
    settings.MOLLIE_ONBOARDING_STATE_LIFETIME = timedelta(hours=3)
    # What other cookies do is no measure for this one.
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    settings.SESSION_COOKIE_DOMAIN = "platform.example"
    response = HttpResponse()

    set_browser_cookie(response, "the-secret")

    assert list(response.cookies) == [name]
    cookie = response.cookies[name]
    assert cookie.value == "the-secret"
    assert cookie["max-age"] == 3 * 3600
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
    assert bool(cookie["secure"]) is is_secure


@pytest.mark.parametrize("is_secure_request", [True, False])
def test_cookie_name_is_not_by_the_request(settings, is_secure_request):
    request = RequestFactory().get("/", secure=is_secure_request)
    request.COOKIES.update({"__Host-mollie_onboarding": "ours", "mollie_onboarding": "planted"})

    assert cookie_name() == "__Host-mollie_onboarding"
    assert browser_secret_of(request) == "ours"


@pytest.mark.parametrize(
    ("base_url", "cookies", "expected"),
    [
        ("https://platform.example", {}, ""),
        ("https://platform.example", {"mollie_onboarding": "planted"}, ""),
        ("https://platform.example", {"__Host-mollie_onboarding": "ours"}, "ours"),
        ("http://127.0.0.1", {"__Host-mollie_onboarding": "other"}, ""),
        ("http://127.0.0.1", {"mollie_onboarding": "ours"}, "ours"),
        ("http://127.0.0.1", {"mollie_onboarding": "x" * MAX_PARAMETER}, "x" * MAX_PARAMETER),
        ("http://127.0.0.1", {"mollie_onboarding": "x" * (MAX_PARAMETER + 1)}, ""),
    ],
    ids=["none", "other name", "https", "other name in http", "http", "long", "too long"],
)
def test_browser_secret_of(settings, base_url, cookies, expected):
    settings.MOLLIE_ONBOARDING_BASE_URL = base_url

    assert browser_secret_of(request_with(**cookies)) == expected


def test_cookie_comes_back_as_it_was_set(issue):
    issued = issue()
    response = HttpResponse()
    set_browser_cookie(response, issued.browser_secret)
    request = RequestFactory().get("/", headers={"Cookie": response.cookies.output(header="").strip()})

    assert find_request(issued.state, browser_secret_of(request)).pk
