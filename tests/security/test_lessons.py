"""The faults of others that are tried on the whole way, from the button to the callback. `lessons.py` lists them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

import mollie_onboarding
from mollie_onboarding.exceptions import StateError
from mollie_onboarding.links import sign_link
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Organization, Status
from mollie_onboarding.mollie_api import MollieAPI
from mollie_onboarding.sandbox.models import Authorization
from mollie_onboarding.services import completing
from mollie_onboarding.state import cookie_name, digest
from tests.conftest import MERCHANT, Browser, authorization_url, page_status, reread, state_of

from .lessons import LESSONS, TESTS
from .world import dump

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

CALLBACK = "/onboarding/callback/"
TESTS_FOLDER = Path(__file__).parent.parent
PACKAGE = Path(mollie_onboarding.__file__).parent
DEFINITION = re.compile(r"^def (test_lessons_(\d+)_\w+)\(", re.MULTILINE)


def collected() -> dict[int, list[str]]:
    """The names of the tests of each number, sorted."""
    found: dict[int, list[str]] = {}
    for path in TESTS_FOLDER.rglob("test_*.py"):
        for name, number in DEFINITION.findall(path.read_text()):
            found.setdefault(int(number), []).append(name)
    return {number: sorted(names) for number, names in found.items()}


def test_every_lesson_has_its_tests():
    found = collected()
    for number in {*TESTS, *found}:
        assert found.get(number, []) == sorted(TESTS.get(number, ())), f"lesson {number}"


def test_every_lesson_names_a_test():
    assert list(LESSONS) == list(TESTS) == list(range(1, 34))
    assert all(TESTS.values())


@pytest.fixture
def leave(sandbox, make_client_link):
    """A merchant who pressed the button and consented: the row, the browser, and the callback that is about to arrive."""

    def leave(browser: Browser | None = None, row: ClientLink | None = None, **columns: Any) -> Any:
        browser = browser or Browser(enforce_csrf_checks=True)
        row = row or make_client_link(**columns)
        return row, browser, sandbox.visit(authorization_url(browser.press(row)))

    return leave


def exchanges(sandbox: Any) -> int:
    return len(sandbox.calls("tokens"))


def assert_refused(response: Any, sandbox: Any, before: Any) -> None:
    assert response.status_code == 400
    assert exchanges(sandbox) == 0
    assert dump() == before


# The state, and whose it is.


def test_lessons_2_callback_of_an_attacker_in_the_browser_of_a_merchant_connects_nothing(leave, sandbox):
    """State and code are right, and the browser is on its way as well, but for another state."""
    attacker, _, callback = leave(organization_name="Attacker")
    victim, browser, _ = leave(organization_name="Victim")
    before = dump()
    assert_refused(browser.come_back(callback), sandbox, before)
    assert not {reread(attacker).organization, reread(victim).organization} - {None}


@pytest.mark.parametrize("planted", ["nothing", "state", "digest", "other name", "row", "many"])
def test_lessons_4_no_cookie_but_the_one_that_was_set_opens_the_callback(leave, sandbox, planted):
    _, browser, callback = leave()
    secret = browser.cookies[cookie_name()].value
    stranger = Browser()
    stranger.cookies.load(
        {
            "nothing": {cookie_name(): ""},
            "state": {cookie_name(): state_of(callback)},
            "digest": {cookie_name(): digest(secret)},
            # What a neighbour under the same domain can set: no `__Host-` prefix.
            "other name": {"mollie_onboarding": secret, "__Secure-mollie_onboarding": secret},
            "row": {cookie_name(): str(AuthorizationRequest.objects.get().pk)},
            "many": {cookie_name(): f"{secret}, {secret}"},
        }[planted]
    )
    before = dump()
    assert_refused(stranger.come_back(callback), sandbox, before)
    assert browser.come_back(callback).status_code == 303


def test_planted_cookie_is_replaced_when_the_merchant_leaves_for_mollie(leave, sandbox):
    """Who knows a cookie in advance could else come back in the merchant's place."""
    browser = Browser(enforce_csrf_checks=True)
    browser.cookies[cookie_name()] = "planted"
    _, _, callback = leave(browser)
    assert browser.cookies[cookie_name()].value != "planted"
    attacker = Browser()
    attacker.cookies[cookie_name()] = "planted"
    before = dump()
    assert_refused(attacker.come_back(callback), sandbox, before)


SWITCHES = {
    "REQUIRE_LOGIN": False,
    "SIGNUP_ENABLED": False,
    "SIGNUP_LOGIN_REQUIRED": False,
    "ALLOW_SHARED_ORGANIZATIONS": True,
    "APPROVAL_PROMPT": "force",
    "REDIRECT_URI": "https://platform.example/onboarding/callback/",
    "TRUSTED_PROXY_COUNT": 1,
    "STATE_LIFETIME": 10**6,
    "CHECK_STATE": False,
    "STATE_DISABLED": True,
}


@pytest.mark.parametrize("name", SWITCHES)
def test_lessons_5_no_setting_switches_the_check_off(leave, sandbox, settings, name):
    setattr(settings, f"MOLLIE_ONBOARDING_{name}", SWITCHES[name])
    settings.DEBUG = True
    _, _, callback = leave()
    before = dump()
    assert_refused(Browser().come_back(callback), sandbox, before)
    assert_refused(Browser().get(CALLBACK, {"code": "auth_x"}), sandbox, before)


def test_lessons_5_code_is_exchanged_at_one_place_behind_the_check(leave, sandbox, monkeypatch):
    places = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts and re.search(r"\.exchange_code\(", path.read_text())
    }
    # `check_mollie` redeems a code that does not exist, to hear whether Mollie knows the app.
    assert places == {"completing.py", "checking.py"}
    assert "exchange_code(NO_CODE)" in (PACKAGE / "services" / "checking.py").read_text()
    _, browser, callback = leave()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise StateError("refused by the test")

    monkeypatch.setattr(completing, "find_request", refuse)
    before = dump()
    assert_refused(browser.come_back(callback), sandbox, before)


def test_lessons_8_state_code_and_ids_are_compared_exactly(leave, sandbox):
    """On MySQL and MariaDB too, where texts are else the same in upper and lower case."""
    row, browser, callback = leave()
    before = dump()
    swapped = {"state": state_of(callback).swapcase(), "code": "auth_x"}
    assert_refused(browser.get(CALLBACK, swapped), sandbox, before)
    token = sign_link(row.pk, row.link_generation)
    assert browser.get(f"/onboarding/link/{token.swapcase()}/").status_code == 404
    for organization_id in ("org_abc", "org_ABC"):
        Organization.objects.create(organization_id=organization_id)
    assert Organization.objects.get(organization_id="org_abc").organization_id == "org_abc"
    assert AuthorizationRequest.objects.filter(state_digest=digest(state_of(callback)).upper()).count() == 0


@pytest.mark.parametrize("query", [{}, {"state": ""}, {"code": "auth_x"}, {"state": "", "code": "auth_x"}])
def test_lessons_16_callback_without_a_state_is_refused(leave, sandbox, query):
    _, browser, _ = leave()
    before = dump()
    assert_refused(browser.get(CALLBACK, query), sandbox, before)


def test_lessons_29_client_link_is_redeemed_once_without_a_redirect_uri(leave, sandbox, monkeypatch):
    """It was made without one, and Mollie compares: RFC 6749 section 4.1.3. Plain authorize is in test_callback.py."""
    redeemed: list[tuple[str, dict[str, Any]]] = []
    exchange = MollieAPI.exchange_code

    def watch(self: MollieAPI, code: str, **kwargs: Any) -> Any:
        redeemed.append((code, kwargs))
        return exchange(self, code, **kwargs)

    monkeypatch.setattr(MollieAPI, "exchange_code", watch)
    _, browser, callback = leave()
    for _ in range(3):
        browser.come_back(callback)
    [(code, kwargs)] = redeemed
    assert f"code={code}" in callback
    assert not any(kwargs.values())


def code_of(callback: str) -> str:
    return parse_qs(urlsplit(callback).query)["code"][0]


def test_lessons_29_code_with_the_state_of_another_browsers_flow_is_refused(leave, sandbox):
    """Whichever of the two browsers brings it. Within one browser only PKCE tells: `tests/test_pkce.py`."""
    first, one, to_first = leave(organization_name="First")
    second, two, to_second = leave(organization_name="Second")
    before = dump()
    for browser, own, foreign in ((one, to_first, to_second), (two, to_second, to_first)):
        crossed = {"state": state_of(foreign), "code": code_of(own)}
        assert_refused(browser.get(CALLBACK, crossed), sandbox, before)
    for row, browser, callback in ((first, one, to_first), (second, two, to_second)):
        assert browser.come_back(callback).status_code == 303
        assert_connected(row, callback)


def test_lessons_29_each_flow_of_one_browser_connects_its_own_merchant(leave, sandbox):
    """Also where they end in another order than they began."""
    first, browser, to_first = leave(organization_name="First")
    second, _, to_second = leave(browser, organization_name="Second")
    browser.come_back(to_second)
    assert_connected(second, to_second)
    assert reread(first).organization is None
    browser.come_back(to_first)
    assert_connected(first, to_first)
    assert_connected(second, to_second)


def assert_connected(row: ClientLink, callback: str) -> None:
    """With the organization whose owner consented before this callback."""
    row = reread(row)
    assert row.status == Status.CONNECTED
    authorization = Authorization.objects.get(code=code_of(callback))
    assert row.organization.organization_id == authorization.organization_id


@pytest.mark.parametrize("name", ["state", "code", "error", "error_description"])
def test_lessons_30_megabyte_in_any_parameter_is_never_stored(leave, sandbox, name):
    _, browser, callback = leave()
    query = {"state": state_of(callback), "code": "auth_x", name: "x" * 1_000_000}
    response = browser.get(f"{CALLBACK}?{urlencode(query)}")
    assert response.status_code == 400 if name in ("state", "code") else response.status_code in (303, 400)
    assert max(len(line) for lines in dump().values() for line in lines) < 20_000
    assert "x" * 5_000 not in response.content.decode()
    if name in ("state", "code"):
        assert exchanges(sandbox) == 0


@pytest.mark.parametrize(
    "column", ["owner_email", "organization_name", "owner_locale", "vat_number", "nonce"]
)
def test_lessons_30_megabyte_in_a_form_is_never_stored(sandbox, column):
    browser = Browser(enforce_csrf_checks=True)
    browser.submit("/onboarding/signup/", **{**MERCHANT, column: "x" * 1_000_000})
    assert max(len(line) for lines in dump().values() for line in lines) < 20_000


@pytest.mark.parametrize(
    "path",
    [
        f"/onboarding/link/{'x' * 100_000}/",
        f"/onboarding/signup/?for={'x.' * 50_000}",
        "/onboarding/recover/",
    ],
)
def test_lessons_30_long_addresses_are_answered_and_change_nothing(sandbox, make_client_link, path):
    make_client_link()
    browser = Browser(enforce_csrf_checks=True)
    before = dump()
    assert browser.get(path).status_code in (400, 404, 405)
    browser.submit(CALLBACK + "?state=x&code=y")
    token = browser.cookies["csrftoken"].value
    response = browser.post("/onboarding/recover/", {"state": "x" * 1_000_000, "csrfmiddlewaretoken": token})
    assert response.status_code == 200
    assert dump() == before


def test_lessons_24_page_moves_on_by_itself_only_after_the_button(world):
    """What a script could do is in tests/browser/test_waiting.py."""
    browser = Browser(enforce_csrf_checks=True)
    for row in world.client_links.values():
        assert 'http-equiv="refresh"' not in browser.get(row.merchant_path()).content.decode()
    assert 'http-equiv="refresh"' in browser.press(world.client_links["draft"]).content.decode()


# Merchants, and whose row it is.


def test_lessons_7_nobody_is_found_by_an_email_address(leave, sandbox):
    """Two merchants, one address: who connects changes one row, and a stranger who types the address makes a third."""
    first, _, _ = leave()
    _, browser, callback = leave()
    before = reread(first)
    browser.come_back(callback)
    Browser(enforce_csrf_checks=True).submit("/onboarding/signup/", **MERCHANT)
    after = reread(first)
    assert (after.status, after.organization, after.updated_at) == (before.status, None, before.updated_at)
    assert ClientLink.objects.count() == 3


def test_mail_to_an_address_that_was_corrected_opens_nothing(leave, sandbox):
    """The old mail is in a stranger's mailbox: its link names nobody, leads nowhere, and mails the right address only."""
    row, stranger, _ = leave()
    old = row.merchant_path()
    row = reread(row)
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()
    before = dump()
    for browser in (Browser(enforce_csrf_checks=True), stranger):
        page = browser.get(old)
        assert (page.status_code, page_status(page)) == (410, "expired")
        for personal in ("Jansen", "piet@", "jan@", row.merchant_path()):
            assert personal not in page.content.decode()
        for action in ("start", "authorize", "replace", "check"):
            assert browser.submit(old, action=action).status_code == 410
    assert dump() == before


def test_another_organization_never_takes_the_place_of_a_connected_one(leave, sandbox):
    row, browser, callback = leave()
    browser.come_back(callback)
    organization = reread(row).organization
    Organization.objects.update(connection_status="lost")
    other = sandbox.sign_up("Attacker").id
    url = authorization_url(browser.press(row, action="authorize"))
    browser.come_back(sandbox.visit(url, organization_id=other))
    assert reread(row).organization == organization
    assert reread(row).problem == ClientLink.Problem.OTHER_ORGANIZATION
    assert not Organization.objects.filter(organization_id=other).exists()


def test_callback_takes_no_parameter_that_names_a_merchant():
    """The row comes from the state alone."""
    assert set(completing.CallbackParameters.__annotations__) == {
        "state",
        "code",
        "error",
        "error_description",
    }
