"""The whole life of client links in any order, with a process that dies between any two steps of it.

Hypothesis plays the merchant, the operator, the worker, Mollie and bad luck. After every step the promises are checked; at
the end everything is healthy again, and nothing may be left half done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from requests.adapters import HTTPAdapter

from mollie_onboarding import services
from mollie_onboarding.exceptions import MollieError
from mollie_onboarding.models import (
    AuthorizationRequest,
    CallBudget,
    ClientLink,
    Event,
    MailQuota,
    Organization,
    StatusSync,
)
from mollie_onboarding.sandbox import service as sandbox
from mollie_onboarding.sandbox.authorization import DeadPageError
from mollie_onboarding.sandbox.models import Authorization, SandboxClientLink, Token
from mollie_onboarding.services import creation, tokens
from mollie_onboarding.testing import sandbox_mollie
from tests.conftest import MERCHANT, NOON, Browser, authorization_url, state_of

from .examples import DATABASES, dump
from .killing import Killer
from .profiles import PROFILE, SHARES, of_all

SHARE = 25
STEPS = 30
SHARES[f"{__name__}.test_life"] = SHARE

# Every move of a status that there is.
MOVES = {
    ("draft", "ready"),
    ("draft", "rejected"),
    ("draft", "connected"),
    ("draft", "cancelled"),
    ("ready", "draft"),
    ("ready", "started"),
    ("ready", "rejected"),
    ("ready", "connected"),
    ("ready", "cancelled"),
    ("started", "draft"),
    ("started", "declined"),
    ("started", "rejected"),
    ("started", "connected"),
    ("started", "cancelled"),
    ("declined", "draft"),
    ("declined", "started"),
    ("declined", "connected"),
    ("declined", "cancelled"),
    ("rejected", "draft"),
    ("rejected", "connected"),
    ("rejected", "cancelled"),
    ("connected", "connected"),
}
KEY_LIFETIME = timedelta(minutes=55)  # that a lost answer can be asked for again
LINK_LIFETIME = timedelta(days=30)
RENEWED_BEFORE = timedelta(days=1, hours=1)  # its end, counted from an attempt that was up to an hour earlier

# A person gets a page in any case; that Mollie is not to be reached now is said with these.
PAGES = {200, 303, 400, 403, 404, 410, 429, 502, 503}
FAULTS = {
    "client_links": ["lose_answer", "drop_before", "server_error", "unavailable_html", "not_json", "rate_limited", "validation"],
    "exchange": ["lose_answer", "drop_before", "server_error", "not_json", "unauthorized"],
    "refresh": ["lose_answer", "drop_before", "server_error", "not_json", "rate_limited", "unauthorized"],
    "revoke": ["lose_answer", "drop_before", "server_error", "unavailable_html"],
    "organization": ["lose_answer", "drop_before", "server_error", "not_json", "rate_limited", "unauthorized"],
    "onboarding": ["lose_answer", "server_error", "not_json", "unauthorized"],
    "capabilities": ["lose_answer", "server_error"],
    "clients": ["lose_answer", "server_error", "rate_limited", "unauthorized"],
}  # fmt: skip
SOME_FAULT = st.sampled_from([(operation, kind) for operation, kinds in FAULTS.items() for kind in kinds])
SOME = st.integers(0, 5)  # which of those that there are


@dataclass
class Merchant:
    """What is known of a row besides what it says itself."""

    pk: Any
    emails: set[str]
    handed_out: list[str] = field(default_factory=list)


@dataclass
class Journey:
    """A merchant at Mollie, and the way back once they decided."""

    merchant: Merchant
    browser: Browser
    url: str
    callback: str = ""


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.merchants: list[Merchant] = []
        self.journeys: list[Journey] = []
        self.browsers = [Browser(), Browser()]
        self.with_reference: set[Any] = set()
        self.secrets: set[str] = set()
        self.codes: Counter[str] = Counter()
        self.moves: list[tuple[str, str]] = []
        self.history: dict[int, Any] = {}
        self.links: dict[str, datetime] = {}  # at Mollie, with the time of the attempt that made it
        self.killer = Killer()
        self.stack = ExitStack()
        self._forget_everything()
        self.clock = self.stack.enter_context(time_machine.travel(NOON, tick=False))
        self.stack.enter_context(sandbox_mollie())
        self.stack.enter_context(mock.patch.object(HTTPAdapter, "send", self._call(HTTPAdapter.send)))
        self.stack.enter_context(mock.patch("time.sleep"))
        for module in (creation, tokens):
            self.stack.enter_context(mock.patch.object(module, "WAIT_FOR_OTHERS", 0))
        self.stack.enter_context(self.killer.watching_commits())
        self.stack.enter_context(connection.execute_wrapper(self._note_moves))

    def _forget_everything(self) -> None:
        for model in (
            Event,
            AuthorizationRequest,
            ClientLink,
            Organization,
            CallBudget,
            MailQuota,
            StatusSync,
        ):
            model.objects.all().delete()
        sandbox.reset()
        cache.clear()
        mail.outbox.clear()
        tokens._unwritten.clear()

    # What is seen on the way.

    def _call(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def call(adapter: Any, request: Any, **kwargs: Any) -> Any:
            self.killer.moment()
            body = parse_qs(request.body or b"") if request.url.endswith("/oauth2/tokens") else {}
            self.codes.update(code.decode() for code in body.get(b"code", []))
            try:
                return send(adapter, request, **kwargs)
            finally:
                self._note_links(request)
                self.killer.moment()

        return call

    def _note_links(self, request: Any) -> None:
        if not request.url.endswith("/v2/client-links"):
            return
        for pk in SandboxClientLink.objects.values_list("pk", flat=True):
            if pk not in self.links:
                key = request.headers["Idempotency-Key"]
                attempt = ClientLink.objects.filter(idempotency_key=key).first()
                self._check_new_link(SandboxClientLink.objects.get(pk=pk))
                self.links[pk] = attempt.attempt_started_at if attempt else timezone.now()

    def _check_new_link(self, link: SandboxClientLink) -> None:
        """There was none for this merchant, or the one before is of no use any more, or nobody could know of it."""
        [merchant] = [row for row in self.merchants if link.data["owner"]["email"] in row.emails]
        earlier = [
            other
            for other in SandboxClientLink.objects.exclude(pk=link.pk).order_by("created_at")
            if other.data["owner"]["email"] in merchant.emails and other.pk in self.links
        ]
        if not earlier:
            return
        previous, now = earlier[-1], timezone.now()
        events = Event.objects.filter(client_link=merchant.pk, at__gte=self.links[previous.pk])
        is_void = events.filter(kind__in=["edited", "retried", "replacement_requested", "rejected"]).exists()
        is_known = any(event.data.get("mollie_id") == previous.pk for event in events)
        is_old = previous.created_at + LINK_LIFETIME - now <= RENEWED_BEFORE
        is_lost = not is_known and now - self.links[previous.pk] >= KEY_LIFETIME
        assert is_void or is_old or is_lost, "a second client link for one merchant"

    def _note_moves(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not (sql.startswith("UPDATE") and ClientLink._meta.db_table in sql.partition("SET")[0]):
            return execute(sql, params, many, context)
        before = self._statuses()
        result = execute(sql, params, many, context)
        for pk, (status, organization) in self._statuses().items():
            old_status, old_organization = before[pk]
            assert old_organization in (None, organization), "a second organization on a row"
            if status != old_status:
                assert (old_status, status) in MOVES, f"{old_status} became {status}"
        return result

    @staticmethod
    def _statuses() -> dict[Any, tuple[str, Any]]:
        return {pk: rest for pk, *rest in ClientLink.objects.values_list("pk", "status", "organization_id")}

    # Who does what.

    def _row(self, number: int) -> ClientLink:
        merchant = self.merchants[number % len(self.merchants)]
        return ClientLink.objects.select_related("organization").get(pk=merchant.pk)

    def _do(self, work: Callable[[], Any]) -> Any:
        """In a process that may die. What Mollie's faults come to is for the services' own callers to catch."""
        try:
            return self.killer.survive(work)
        except (MollieError, CommandError):
            return None

    def _see(self, response: Any) -> Any:
        assert response is None or response.status_code in PAGES, response.status_code
        return response

    @initialize()
    def begin(self) -> None:
        self.sign_up()

    @precondition(lambda self: len(self.merchants) < 3)
    @rule()
    def sign_up(self) -> None:
        email = f"owner{len(self.merchants)}.0@shops.example"
        row = ClientLink(
            **{**MERCHANT, "owner_email": email, "organization_name": f"Shop {len(self.merchants)}"}
        )
        self._do(row.save)
        if ClientLink.objects.filter(pk=row.pk).exists():
            self.merchants.append(Merchant(row.pk, {email}))

    @rule(which=SOME)
    def invite(self, which: int) -> None:
        self._do(lambda: services.request_sending(self._row(which)))

    @rule(
        which=SOME,
        with_browser=st.integers(0, 1),
        action=st.sampled_from(["start", "start", "start", "authorize", "replace", "mail", "check"]),
        with_old_mail=st.integers(0, 5).map(lambda number: number == 0),
    )
    def press(self, which: int, with_browser: int, action: str, with_old_mail: bool) -> None:
        self._press(which, with_browser, action, with_old_mail=with_old_mail)

    def _press(
        self, which: int, with_browser: int = 0, action: str = "start", *, with_old_mail: bool = False
    ) -> Journey | None:
        """The way to Mollie that the button opened, if it did."""
        row, browser = self._row(which), self.browsers[with_browser]
        if with_old_mail:
            row.link_generation -= 1
        response = self._see(self._do(lambda: browser.post(row.merchant_path(), {"action": action})))
        if response is None or b'http-equiv="refresh" content="0; url=http' not in response.content:
            return None
        assert not with_old_mail
        url = authorization_url(response)
        self.secrets |= {state_of(url), *(cookie.value for cookie in browser.cookies.values())}
        merchant = self.merchants[which % len(self.merchants)]
        self._check_handed_out(merchant, url)
        self.journeys.append(Journey(merchant, browser, url))
        return self.journeys[-1]

    def _check_handed_out(self, merchant: Merchant, url: str) -> None:
        path = urlsplit(url).path
        if "/client-link/" not in path:
            return
        handed = path.rpartition("/")[2]
        assert ClientLink.objects.get(pk=merchant.pk).mollie_id == handed
        assert not SandboxClientLink.objects.get(pk=handed).is_expired
        assert handed not in merchant.handed_out[:-1], "a link that was void is handed out again"
        if handed not in merchant.handed_out:
            merchant.handed_out.append(handed)

    @precondition(lambda self: self.journeys)
    @rule(
        which=SOME,
        decision=st.sampled_from(["allow", "allow", "allow", "deny", "fail"]),
        with_organization=st.none() | SOME,
    )
    def decide(self, which: int, decision: str, with_organization: int | None) -> None:
        self._decide(which, decision, with_organization)

    def _decide(self, which: int, decision: str, with_organization: int | None) -> Journey | None:
        """The way back, unless Mollie's page is a dead one."""
        journey = self.journeys[-1 - which % len(self.journeys)]
        known = sorted(Organization.objects.values_list("organization_id", flat=True))
        organization_id = None
        if with_organization is not None and known:
            organization_id = known[with_organization % len(known)]
        try:
            journey.callback = sandbox.visit(journey.url, decision=decision, organization_id=organization_id)
        except DeadPageError:
            return None
        return journey

    @precondition(lambda self: any(journey.callback for journey in self.journeys))
    @rule(which=SOME, in_another_browser=st.integers(0, 5).map(lambda number: number == 0))
    def come_back(self, which: int, in_another_browser: bool) -> None:
        ways = [journey for journey in self.journeys if journey.callback]
        journey = ways[-1 - which % len(ways)]
        browser = journey.browser
        if in_another_browser:
            [browser] = [other for other in self.browsers if other is not browser]
        self._see(self._do(lambda: browser.come_back(journey.callback)))

    @rule(which=SOME, with_organization=st.none() | SOME, last_moment=st.none() | st.integers(0, 30))
    def walk_through(self, which: int, with_organization: int | None, last_moment: int | None) -> None:
        """The way that most go, so that not only the beginnings of it are seen; the return may be cut off anywhere."""
        if self._press(which) and self._decide(0, "allow", with_organization):
            if last_moment is not None:
                self.killer.arm(last_moment)
            self.come_back(0, False)

    @rule(which=SOME)
    def look(self, which: int) -> None:
        response = self._do(lambda: self.browsers[0].get(self._row(which).merchant_path()))
        assert response is None or response.status_code in (200, 410)

    @rule(
        which=SOME,
        column=st.sampled_from(["owner_email", "city", "organization_name", "reference"]),
        number=SOME,
    )
    def edit(self, which: int, column: str, number: int) -> None:
        merchant = self.merchants[which % len(self.merchants)]
        value = f"{column} {number}"
        if column == "owner_email":
            value = f"owner{self.merchants.index(merchant)}.{number}@shops.example"
            merchant.emails.add(value)
        if column == "reference":
            self.with_reference.add(merchant.pk)

        def revise() -> None:
            row = self._row(which)
            setattr(row, column, value)
            row.save()

        self._do(revise)

    @rule(which=SOME)
    def ask_again(self, which: int) -> None:
        self._do(lambda: services.retry_rejected(self._row(which)))

    @rule(which=SOME, is_meant=st.integers(0, 3).map(lambda number: number == 0))
    def cancel(self, which: int, is_meant: bool) -> None:
        if is_meant:
            self._do(lambda: services.cancel_client_link(self._row(which)))

    # The platform and its workers.

    def _organization(self, number: int) -> Organization:
        rows = list(Organization.objects.order_by("pk"))
        return rows[number % len(rows)]

    @precondition(lambda self: Organization.objects.exists())
    @rule(which=SOME)
    def disconnect(self, which: int) -> None:
        self._do(lambda: services.disconnect(self._organization(which)))

    @precondition(lambda self: Organization.objects.exists())
    @rule(which=SOME)
    def use(self, which: int) -> None:
        token = self._do(lambda: services.get_access_token(self._organization(which)))
        if token:
            assert Token.objects.filter(value=token).exists()

    @rule()
    def sync(self) -> None:
        self._do(lambda: call_command("sync_onboarding_status", stdout=StringIO()))

    @rule()
    def drain(self) -> None:
        self._do(lambda: services.drain_queue(concurrency=1, longest_pause=0))

    # Mollie, time, and bad luck.

    @precondition(lambda self: Organization.objects.exists())
    @rule(which=SOME)
    def take_back(self, which: int) -> None:
        sandbox.revoke_authorizations(self._organization(which).organization_id)

    @precondition(lambda self: Organization.objects.exists())
    @rule(
        which=SOME,
        status=st.sampled_from(["needs-data", "in-review", "completed", "new"]),
        flag=st.booleans(),
    )
    def move_on(self, which: int, status: str, flag: bool) -> None:
        sandbox.move_onboarding(self._organization(which).organization_id, status, flag, flag)

    @rule(is_on=st.booleans())
    def rotate(self, is_on: bool) -> None:
        sandbox.set_switch("rotate_refresh_tokens", is_on)

    @rule(fault=SOME_FAULT)
    def break_something(self, fault: tuple[str, str]) -> None:
        sandbox.add_fault(*fault)

    @rule()
    def mend(self) -> None:
        sandbox.clear_faults()

    @rule(moments=st.integers(0, 40))
    def let_die(self, moments: int) -> None:
        """The process of the next steps dies after so many of the moments that count."""
        self.killer.arm(moments)

    @rule(
        later=st.sampled_from(
            [
                timedelta(seconds=10),
                timedelta(seconds=61),
                timedelta(minutes=6),
                timedelta(minutes=56),
                timedelta(hours=2),
                timedelta(hours=25),
                timedelta(days=29, hours=2),
                timedelta(days=95),
            ]
        )
    )
    def wait(self, later: timedelta) -> None:
        self.clock.shift(later)

    # What holds at any time.

    @invariant()
    def promises_are_kept(self) -> None:
        self.no_code_was_exchanged_twice()
        self.history_is_only_added_to()
        self.nothing_secret_lies_in_clear()
        self.whoever_is_connected_has_an_organization_with_tokens()
        self.nobody_shares_an_organization_by_accident()

    def no_code_was_exchanged_twice(self) -> None:
        assert all(count == 1 for count in self.codes.values())

    def history_is_only_added_to(self) -> None:
        now = {pk: rest for pk, *rest in Event.objects.values_list("pk", "kind", "at", "client_link", "data")}
        assert all(now.get(pk) == rest for pk, rest in self.history.items())
        assert all(pk > max(self.history, default=0) for pk in now.keys() - self.history.keys())
        self.history = now

    def nothing_secret_lies_in_clear(self) -> None:
        self.secrets |= set(Token.objects.values_list("value", flat=True))
        self.secrets |= set(Authorization.objects.values_list("code", flat=True))
        text = dump()
        assert not [secret for secret in self.secrets if secret in text]

    def whoever_is_connected_has_an_organization_with_tokens(self) -> None:
        for row in ClientLink.objects.filter(status="connected").select_related("organization"):
            assert row.organization is not None
        for organization in Organization.objects.all():
            if organization.connection_status == "connected":
                assert organization.access_token.reveal().startswith("access_")
                assert organization.refresh_token.reveal().startswith("refresh_")
            if organization.connection_status == "disconnected":
                assert (organization.access_token, organization.refresh_token) == (None, None)

    def nobody_shares_an_organization_by_accident(self) -> None:
        """Only rows that had the same reference may have come to one."""
        rows = ClientLink.objects.exclude(organization=None).values_list("organization", "pk")
        sharing = Counter(organization for organization, _pk in rows)
        for organization, pk in rows:
            assert sharing[organization] == 1 or pk in self.with_reference

    # How it ends.

    def teardown(self) -> None:
        try:
            if self.merchants:
                self._settle()
        finally:
            self.stack.close()
            self._forget_everything()

    def _settle(self) -> None:
        """Everything is healthy again, and whoever works through what is due comes by a few times."""
        self.killer.disarm()
        sandbox.clear_faults()
        for _ in range(3):
            self.clock.shift(timedelta(hours=25))
            services.drain_queue(concurrency=1)
            # A return waits for a revocation that comes after it, and is finished by the next run.
            self._do(lambda: call_command("sync_onboarding_status", stdout=StringIO()))
        call_command("sync_onboarding_status", stdout=StringIO())
        now = timezone.now()
        for row in ClientLink.objects.all():
            assert (row.send_requested_at, row.sending_until) == (None, None)
            assert (row.notice_requested_at, row.notice_until) == (None, None)
            assert row.issuing_until is None or row.issuing_until <= now
        for request in AuthorizationRequest.objects.all():
            assert request.tokens is None
            assert not request.is_in_progress(now)
        for organization in Organization.objects.all():
            assert organization.pending_revocation is None
            assert not (organization.refresh_claimed_until and organization.refresh_claimed_until > now)
            if organization.connection_status == "connected":
                self._check_usable(organization)
        assert not Event.objects.filter(announced_at=None).exists()
        for merchant in self.merchants:
            self.history_is_only_added_to()
            self.nothing_secret_lies_in_clear()
            assert self._see(self.browsers[0].get(self._row(self.merchants.index(merchant)).merchant_path()))

    def _check_usable(self, organization: Organization) -> None:
        """A token that works at Mollie, or Mollie has ended it, and here that is known by now."""
        try:
            token = services.get_access_token(organization)
        except MollieError:
            organization.refresh_from_db()
            assert organization.connection_status == "lost"
        else:
            assert Token.objects.valid().filter(value=token).exists()


@contextmanager
def _quick_commits() -> Iterator[None]:
    """Nobody pulls the plug here: SQLite need not wait for the disk."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")
    yield


@pytest.mark.django_db(databases=DATABASES, transaction=True)
def test_life():
    profile = settings.get_profile(PROFILE)
    with _quick_commits():
        run_state_machine_as_test(
            Life, settings=settings(profile, max_examples=of_all(SHARE), stateful_step_count=STEPS)
        )
