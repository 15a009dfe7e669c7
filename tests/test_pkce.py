"""PKCE, where it is on: RFC 7636."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mollie_onboarding.models import AuthorizationRequest, ClientLink, Status
from mollie_onboarding.mollie_api import client_link_authorization_url, plain_authorization_url, wire
from mollie_onboarding.pkce import code_challenge, code_verifier
from mollie_onboarding.sandbox.models import Authorization
from mollie_onboarding.state import cookie_name
from tests.conftest import Browser, authorization_url, reread, state_of
from tests.security.world import dump

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

FLOWS = ["start", "authorize"]
PARAMETERS = {
    "client_id": "app_x",
    "state": "s",
    "scopes": ["onboarding.read"],
    "approval_prompt": "auto",
    "code_challenge": "challenge",
}


@pytest.fixture
def pkce(settings: Any) -> Any:
    settings.MOLLIE_ONBOARDING_PKCE = True
    return settings


@pytest.fixture
def leave(sandbox, make_client_link):
    """A merchant who consented at Mollie: the row, the address they left for, the browser and the callback."""

    def leave(browser: Browser | None = None, action: str = "start") -> tuple[ClientLink, str, Browser, str]:
        browser = browser or Browser(enforce_csrf_checks=True)
        row = make_client_link()
        url = authorization_url(browser.press(row, action=action))
        return row, url, browser, sandbox.visit(url)

    return leave


def query_of(url: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


def test_challenge_of_the_example_in_the_rfc():
    """RFC 7636 appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifier_is_one_of_each_state_and_browser():
    verifiers = {code_verifier(state, secret) for state in ("a", "b") for secret in ("c", "d")}
    assert len(verifiers) == 4
    assert code_verifier("a", "c") in verifiers
    # RFC 7636 section 4.1
    assert all(
        len(verifier) == 43 and verifier.replace("-", "").replace("_", "").isalnum() for verifier in verifiers
    )


@pytest.mark.parametrize("action", FLOWS)
def test_no_challenge_unless_switched_on(leave, action):
    row, url, browser, callback = leave(action=action)
    assert "code_challenge" not in url
    browser.come_back(callback)
    assert reread(row).status == Status.CONNECTED
    assert not Authorization.objects.get().code_challenge


@pytest.mark.parametrize("action", FLOWS)
def test_merchant_connects(pkce, leave, action):
    row, url, browser, callback = leave(action=action)
    query = query_of(url)
    assert query["code_challenge_method"] == "S256"
    assert query["code_challenge"] == Authorization.objects.get().code_challenge
    browser.come_back(callback)
    assert reread(row).status == Status.CONNECTED


def test_verifier_is_nowhere_but_in_the_exchange(pkce, leave, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    bodies: list[bytes] = []
    original = wire.exchange

    def exchange(*args: Any, **kwargs: Any) -> Any:
        bodies.append(kwargs["body"] or b"")
        return original(*args, **kwargs)

    monkeypatch.setattr(wire, "exchange", exchange)
    _, url, browser, callback = leave()
    verifier = code_verifier(state_of(url), browser.cookies[cookie_name()].value)
    assert code_challenge(verifier) == query_of(url)["code_challenge"]
    browser.come_back(callback)
    [exchanged] = [body for body in bodies if verifier.encode() in body]
    assert b"grant_type=authorization_code" in exchanged
    assert verifier not in f"{dump()} {caplog.text}"


@pytest.mark.parametrize("was_on", [True, False])
def test_switch_that_moves_while_the_merchant_is_at_mollie_stops_nobody(settings, leave, was_on):
    settings.MOLLIE_ONBOARDING_PKCE = was_on
    row, _, browser, callback = leave()
    settings.MOLLIE_ONBOARDING_PKCE = not was_on
    browser.come_back(callback)
    assert reread(row).status == Status.CONNECTED


def test_tabs_of_one_browser_each_have_their_own(pkce, leave):
    first, first_url, browser, to_first = leave()
    second, second_url, _, to_second = leave(browser)
    assert query_of(first_url)["code_challenge"] != query_of(second_url)["code_challenge"]
    browser.come_back(to_second)
    browser.come_back(to_first)
    assert {reread(first).status, reread(second).status} == {Status.CONNECTED}


def test_lessons_29_code_of_another_flow_of_the_same_browser_is_refused_at_mollie(pkce, leave, sandbox):
    """Without PKCE nobody could tell: state and cookie are in order, and the code is one of this app."""
    first, _, browser, to_first = leave()
    _, _, _, to_second = leave(browser)
    callback = f"/onboarding/callback/?state={state_of(to_first)}&code={query_of(to_second)['code']}"
    browser.get(callback)
    assert reread(first).status == Status.STARTED
    assert reread(first).organization is None
    assert AuthorizationRequest.objects.get(client_link=first).outcome == "exchange_failed"
    assert [call.status for call in sandbox.calls("tokens")] == [400]


def test_addresses_carry_the_challenge():
    plain = plain_authorization_url(**PARAMETERS)
    of_link = client_link_authorization_url("https://my.mollie.com/dashboard/client-link/cl_x", **PARAMETERS)
    for url in (plain, of_link):
        query = query_of(url)
        assert (query["code_challenge"], query["code_challenge_method"]) == ("challenge", "S256")
