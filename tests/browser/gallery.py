"""Every page in every state, how to get there, and what the server answered.

Each state is asked for once in each language, by plain requests to the running server. A browser is then shown that very
answer, at its own address: as often as the tests like, also where the first visit used something up at "Mollie", and
without a page that moves on before it was looked at. What a person presses there goes to the server again.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import requests

from .server import ROOT, Server

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from .visitor import Visitor

TEMPLATES = ROOT / "mollie_onboarding" / "templates" / "mollie_onboarding"
LANGUAGES = ("en", "nl", "de", "fi")
SIGN_UP = "/onboarding/signup/"
CALLBACK = "/onboarding/callback/"
CROWDED = "192.0.2.200"  # an address from which there were too many sign-ups
SIGN_UP_LIMIT = 5
PREPARE = ["-m", "tests.browser.gallery_rows"]
SUBMISSION = {
    "organization_name": "Bakkerij de Gouden Korenaar",
    "country": "NL",
    "registration_number": "30204462",
    "street_and_number": "Keizersgracht 126",
    "postal_code": "1015 CW",
    "city": "Amsterdam",
    "owner_given_name": "Jan",
    "owner_family_name": "Jansen",
    "owner_email": "jan@korenaar.example",
}
LONG_SENTENCE = (
    "The request could not be handled at this moment, because 'authorization_server_maintenance_window' is on"
)
# Waiting is for pages that look again by themselves; nothing else may happen while one is looked at.
WITHOUT_WAITING = """
  const soon = window.setTimeout;
  window.setTimeout = (work, after, ...rest) => after >= 1000 ? 0 : soon(work, after, ...rest);
  window.setInterval = () => 0;
"""
# No parser for HTML: the pages are ours, and the browser reads them after this.
REFRESH = re.compile(r"""<meta\s[^>]*http-equiv=["']?refresh["']?[^>]*>""", re.IGNORECASE)
NOSCRIPT = re.compile(r"<noscript>.*?</noscript>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """What the server answered, and the cookies that the browser had then."""

    url: str
    code: int
    text: str
    cookies: tuple[tuple[str, str], ...] = field(repr=False)

    def still(self) -> str:
        """The page without the order to go on by itself."""
        return REFRESH.sub("", self.text)

    def refreshes(self) -> list[str]:
        """What the page orders every browser; what it orders those without scripts is another matter."""
        found = REFRESH.findall(NOSCRIPT.sub("", self.text))
        return [html.unescape(re.search(r'content="([^"]*)"', tag)[1]) for tag in found]  # type: ignore[index]


class Person:
    """Somebody who asks in a language, with cookies and an address of their own."""

    addresses = 0

    def __init__(self, server: Server, language: str) -> None:
        self.server = server
        self.language = language
        Person.addresses += 1
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Accept-Language"] = language
        self.comes_from(f"198.51.{100 + Person.addresses // 250}.{1 + Person.addresses % 250}")

    def comes_from(self, address: str) -> None:
        self.session.headers["X-Forwarded-For"] = address

    def path(self, name: str) -> str:
        """Of a merchant page that was prepared. `{language}` is this person's."""
        return str(self.server.rows["paths"][name.format(language=self.language)])

    def get(self, path: str, **parameters: str) -> requests.Response:
        return self.session.get(
            self.server.url + path, params={**parameters, "language": self.language}, timeout=30
        )

    def post(self, page: requests.Response, **fields: str) -> requests.Response:
        """Send the form of a page, with what it has hidden in itself."""
        data = {**_hidden_fields(page.text), **fields}
        return self.session.post(page.url, data=data, timeout=30)

    def press(self, name: str, action: str) -> requests.Response:
        """The button of a merchant page."""
        return self.post(self.get(self.path(name)), action=action)

    def come_back(self, name: str, **parameters: str) -> requests.Response:
        """Go to Mollie, and return from there with these parameters."""
        leaving = self.press(name, "start")
        return self.get(CALLBACK, state=_state_of(leaving), **parameters)

    def sign_up(self, **changes: str) -> requests.Response:
        return self.post(self.get(SIGN_UP), **{**SUBMISSION, **changes})

    def break_mollie(self, operation: str, kind: str, **options: Any) -> None:
        """Let the next such call fail."""
        page = self.session.get(f"{self.server.mollie}/", timeout=30)
        fault = {"action": "add", "operation": operation, "kind": kind, "options": json.dumps(options)}
        token = _hidden_fields(page.text)
        answer = self.session.post(
            f"{self.server.mollie}/control/faults", data={**token, **fault}, timeout=30
        )
        assert answer.ok, answer.text

    def cookies(self) -> tuple[tuple[str, str], ...]:
        host = urlsplit(self.server.url).hostname
        return tuple(
            (cookie.name, cookie.value or "") for cookie in self.session.cookies if cookie.domain == host
        )


def _hidden_fields(page: str) -> dict[str, str]:
    fields = {}
    for tag in re.findall(r'<input\s[^>]*type="hidden"[^>]*>', page):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        fields.setdefault(attributes["name"], html.unescape(attributes.get("value", "")))
    return fields


def _state_of(leaving: requests.Response) -> str:
    for address in re.findall(r'<a\s[^>]*href="([^"]*)"', leaving.text):
        if state := parse_qs(urlsplit(html.unescape(address)).query).get("state"):
            return state[0]
    raise AssertionError(f"no way to Mollie on the page:\n{leaving.text}")


Reach = Callable[[Person], requests.Response]


@dataclass(frozen=True)
class State:
    """A page in a state. The part of `name` before the slash is what its title tells apart."""

    name: str
    template: str
    status: str
    reach: Reach
    code: int = 200
    # It tells what came of something that was done or awaited, so it must be announced.
    announces: bool = False
    # The server takes seconds for it.
    is_slow: bool = False

    def __str__(self) -> str:
        return self.name.replace("/", "-")


def _merchant_page(name: str, status: str, *, row: str = "", announces: bool = False) -> State:
    row = row or name.rpartition("/")[2]
    return State(
        name, "client_link", status, lambda person: person.get(person.path(row)), announces=announces
    )


def _recovery(name: str, status: str, reach: Reach, code: int) -> State:
    return State(name, "recovery", status, reach, code)


def _crowd(person: Person) -> requests.Response:
    person.comes_from(CROWDED)
    for _ in range(SIGN_UP_LIMIT + 1):
        answer = person.sign_up(owner_email="")
        if answer.status_code == 429:
            return answer
    raise AssertionError("never too many sign-ups")


def _refused_sign_up(person: Person, error_field: str) -> requests.Response:
    person.break_mollie("client_links", "validation", field=error_field, detail="This value is not accepted")
    email = f"{error_field.lower()}-{person.language}@korenaar.example"
    return person.sign_up(vat_number="NL815839091B01", owner_email=email)


def _failing_start(name: str, kind: str, **options: Any) -> Reach:
    def reach(person: Person) -> requests.Response:
        person.break_mollie("client_links", kind, **options)
        return person.press(name, "start")

    return reach


def _failing_check(name: str, kind: str, **options: Any) -> Reach:
    def reach(person: Person) -> requests.Response:
        person.break_mollie("onboarding", kind, **options)
        return person.press(name, "check")

    return reach


def _check(person: Person) -> requests.Response:
    """Once a minute there is a button for it."""
    page = person.get(person.path("just-checked"))
    return person.post(page, action="check") if 'value="check"' in page.text else page


def _mailed_to_unknown(person: Person) -> requests.Response:
    page = person.get(CALLBACK, state="never-issued", code="x")
    data = _hidden_fields(page.text)
    return person.session.post(f"{person.server.url}/onboarding/recover/", data=data, timeout=30)


def _late(person: Person) -> requests.Response:
    host = urlsplit(person.server.url).hostname
    person.session.cookies.set("mollie_onboarding", person.server.rows["secret"], domain=host, path="/")
    return person.get(person.path("expired-state"))


def _without_cookies(person: Person) -> requests.Response:
    page = person.get(SIGN_UP)
    person.session.cookies.clear()
    return person.post(page)


STATES = (
    State("sign-up/empty", "signup", "ready", lambda person: person.get(SIGN_UP)),
    State("sign-up/country", "signup", "ready", lambda person: person.get(SIGN_UP, country="DE")),
    State(
        "sign-up/country-chosen", "signup", "ready",
        lambda person: person.sign_up(choose_country="1", owner_email="jan@"),
    ),
    State(
        "sign-up-errors/all", "signup", "error",
        lambda person: person.sign_up(**dict.fromkeys(SUBMISSION, "")), announces=True,
    ),
    State(
        "sign-up-errors/optional", "signup", "error",
        lambda person: person.sign_up(incorporation_date="yesterday"), announces=True,
    ),
    State(
        "sign-up-errors/refused-field", "signup", "error",
        lambda person: _refused_sign_up(person, "vatNumber"), announces=True,
    ),
    State(
        "sign-up-errors/refused", "signup", "error",
        lambda person: _refused_sign_up(person, "profile.unheardOf"), announces=True,
    ),
    State("sign-up-errors/crowded", "signup", "error", _crowd, 429, announces=True),
    _recovery("unknown-link/sign-up", "error", lambda person: person.get(SIGN_UP, **{"for": "forged"}), 400),
    State("cookies", "cookies", "error", _without_cookies, 403),

    _merchant_page("ready", "ready"),
    _merchant_page("ready/long-name", "ready"),
    _merchant_page("ready/needs-login", "ready", row="invited"),
    _merchant_page("started", "started"),
    _merchant_page("started/exchange-failed", "started", announces=True),
    _merchant_page("started/error", "started", announces=True),
    _merchant_page("declined", "declined"),
    _merchant_page("error/rejected", "error", announces=True),
    _merchant_page("error/taken", "error", announces=True),
    _merchant_page("lost", "lost"),
    _merchant_page("lost/disconnected", "lost"),
    _merchant_page("finishing", "finishing", announces=True),
    _merchant_page("finishing/interrupted", "finishing"),
    _merchant_page("connected/needs-data", "connected", announces=True),
    _merchant_page("connected/payments", "connected", announces=True),
    _merchant_page("connected/in-review", "connected", announces=True),
    _merchant_page("connected/completed", "connected", announces=True),
    _merchant_page("connected/requirements", "connected", announces=True),
    _merchant_page("connected/done-but-asked", "connected", announces=True),
    _merchant_page("connected/new-consent", "connected", announces=True),
    _merchant_page("connected/stale", "connected", announces=True),
    _merchant_page("connected/not-read", "connected", announces=True),
    _merchant_page("connected/unknown-status", "connected", announces=True),
    _merchant_page("connected/other-organization", "connected", announces=True),
    _merchant_page("connected/long-name", "connected", row="long-name-connected", announces=True),
    State(
        "connected/just-checked", "client_link", "connected",
        _check, announces=True,
    ),
    State(
        "connected/unread", "client_link", "connected",
        _failing_check("unread-{language}", "status", status=403), 502, announces=True,
    ),
    State(
        "connected/unanswered", "client_link", "connected",
        _failing_check("unanswered-{language}", "rate_limited", retry_after=60), 503, announces=True,
    ),
    State(
        "ready/busy", "client_link", "ready",
        lambda person: person.press("busy", "start"), 503, announces=True, is_slow=True,
    ),
    State(
        "ready/unreachable", "client_link", "ready",
        _failing_start("unreachable", "rate_limited", retry_after=60), 503, announces=True,
    ),
    State(
        "ready/refused", "client_link", "ready",
        _failing_start("refused", "unauthorized"), 502, announces=True,
    ),

    State("leaving", "leaving", "started", lambda person: person.press("to-mollie", "start"), announces=True),
    State(
        "settling", "settling", "finishing",
        lambda person: person.come_back("back-from-mollie", error="access_denied"),
    ),
    State("expired/late", "expired", "expired", lambda person: person.get(person.path("expired")), 410),
    State("expired/older", "expired", "expired", lambda person: person.get(person.path("older-link")), 410),
    State(
        "expired/connected", "expired", "expired",
        lambda person: person.get(person.path("expired-connected")), 410,
    ),

    _recovery("unknown-link", "error", lambda person: person.get("/onboarding/link/half-of-it/"), 404),
    _recovery("old-address", "expired", lambda person: person.get(person.path("old-address")), 400),
    _recovery("cancelled", "cancelled", lambda person: person.get(person.path("cancelled")), 410),
    _recovery("mailed", "ready", lambda person: person.press("expired", "mail"), 200),
    _recovery("mailed/unknown", "ready", _mailed_to_unknown, 200),
    _recovery(
        "unverified", "error", lambda person: person.get(CALLBACK, state="never-issued", code="x"), 400
    ),
    _recovery("unverified/no-state", "error", lambda person: person.get(CALLBACK, code="x"), 400),
    _recovery("expired-state", "expired", _late, 400),
    _recovery("mollie-error/ours", "error", lambda person: person.get(CALLBACK, error="invalid_request"), 400),
    _recovery(
        "mollie-error/temporary", "error",
        lambda person: person.come_back("failing", error="server_error", error_description=LONG_SENTENCE), 400,
    ),
    _recovery(
        "mollie-error/other", "error",
        lambda person: person.come_back("failing", error="invalid_scope"), 400,
    ),
)  # fmt: skip
NAMED = {state.name: state for state in STATES}


def page_templates() -> set[str]:
    """The names of the app's pages; what they extend and include is shown by them."""
    return {path.stem for path in Path(TEMPLATES).glob("*.html")} - {"base"}


class Gallery:
    def __init__(self, server: Server) -> None:
        self.server = server
        self._answers: dict[tuple[str, str], Answer] = {}

    def answer(self, state: State, language: str = "en") -> Answer:
        """What the server answered in this state, asked once."""
        if (state.name, language) not in self._answers:
            # All at once where each takes seconds.
            languages = LANGUAGES if state.is_slow else (language,)
            with ThreadPoolExecutor(len(languages)) as pool:
                for asked, answer in zip(
                    languages, pool.map(lambda one: self._ask(state, one), languages), strict=True
                ):
                    self._answers[state.name, asked] = answer
        return self._answers[state.name, language]

    def _ask(self, state: State, language: str) -> Answer:
        person = Person(self.server, language)
        with person.session:
            answer = state.reach(person)
            found = re.search(r'<main[^>]* data-status="([^"]*)"', answer.text)
            assert (answer.status_code, found and found[1]) == (state.code, state.status), (
                f"{state.name} is not reached any more: {answer.status_code} at {answer.url}\n{answer.text[:3000]}"
            )
            return Answer(answer.url, answer.status_code, answer.text, person.cookies())

    def show(self, visitor: Visitor, state: State | str, language: str = "en", **options: Any) -> Page:
        """Let the visitor's browser load the page, with all that belongs to it."""
        state = NAMED[state] if isinstance(state, str) else state
        answer = self.answer(state, language)
        cookies = [{"name": name, "value": value, "url": self.server.url} for name, value in answer.cookies]
        visitor.context.clear_cookies()
        visitor.context.add_cookies(cookies)  # type: ignore[arg-type]

        def fulfil(route: Route) -> None:
            route.fulfill(status=answer.code, content_type="text/html; charset=utf-8", body=answer.still())

        visitor.page.route(lambda url: url == answer.url, fulfil, times=1)
        visitor.page.goto(answer.url, **options)
        return visitor.page
