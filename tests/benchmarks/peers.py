"""One OAuth start and callback here, in django-allauth and in social-auth-app-django.

python -m tests.benchmarks.peers [--once]

All in one process, on one database, against one Mollie that answers at once; in turn, so that what else the machine
does slows all alike. With `--once` each goes its way once, and the statements are printed as JSON: for the suite.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.peer_settings"
    import django

    django.setup()

from allauth.socialaccount.models import SocialAccount, SocialToken
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import override_settings
from django.test.client import ClientHandler
from social_django.models import UserSocialAuth

from mollie_onboarding.fields import Secret
from mollie_onboarding.models import ClientLink, Organization
from tests.benchmarks.measuring import InstantMollie, databases, instant_mollie, milliseconds, statements
from tests.conftest import MERCHANT, Browser, authorization_url, state_of

RUNS = 200
ROWS = 1000  # of each, there before
LIMIT = 0.5  # of the faster peer's callback

Figures = dict[str, float]  # of "start" and "callback"
Measure = Callable[[Callable[[], Any]], float]
numbers = itertools.count(1)


@dataclass(frozen=True)
class Way:
    """One library's way from the button to the connected account."""

    name: str
    walk: Callable[[Measure], Figures]


def main() -> None:
    logging.disable()
    with databases(in_memory=True), instant_mollie() as mollie:
        ways = list(make_ways())
        if "--once" in sys.argv:
            for way in ways:
                way.walk(lambda function: function() and 0.0)  # what is cached by the first
            print(json.dumps({way.name: way.walk(statements) | calls_of(way, mollie) for way in ways}))
        else:
            make_rows()
            print_peers(ways, mollie)


def print_peers(ways: list[Way], mollie: InstantMollie) -> None:
    """A line for each; the last column is our first line's callback by its own, to be at most `LIMIT`."""
    counts = {way.name: way.walk(statements) | calls_of(way, mollie) for way in ways}
    times: dict[str, list[Figures]] = {way.name: [] for way in ways}
    for _ in range(RUNS):
        for way in ways:
            times[way.name].append(way.walk(lambda function: milliseconds(function, mollie)))
    print(f"\nOne OAuth start and callback on {connection.vendor}, with {ROWS:,} accounts of each.")
    print(
        f"Own CPU time in ms, medians of {RUNS}; Mollie's answers take none. SQL without BEGIN, COMMIT, SAVEPOINT."
    )
    print(f"The ratio is our callback, the mail left to a worker, by theirs; limit {LIMIT}.\n")
    print(f"{'':48}{'start':>9}{'callback':>15}")
    print(f"{'':48}{'SQL':>4}{'ms':>6}{'SQL':>6}{'calls':>6}{'ms':>7}{'quartiles':>16}{'ratio':>7}")
    ours = statistics.median(figures["callback"] for figures in times[ways[0].name])
    for name, count in counts.items():
        start = statistics.median(figures["start"] for figures in times[name])
        low, median, high = statistics.quantiles((figures["callback"] for figures in times[name]), n=4)
        print(
            f"{name:48}{count['start']:4.0f}{start:6.1f}{count['callback']:6.0f}{count['calls']:6.0f}", end=""
        )
        print(f"{median:7.1f}{low:8.1f} to {high:4.1f}{ours / median:7.2f}")


def calls_of(way: Way, mollie: InstantMollie) -> Figures:
    """How often the callback asks Mollie."""
    calls: list[int] = []

    def count(function: Callable[[], Any]) -> float:
        before = mollie.calls
        function()
        calls.append(mollie.calls - before)
        return 0.0

    way.walk(count)
    return {"calls": calls[-1]}


def make_ways() -> Iterator[Way]:
    """Ours first. The peers know by the login whose the account is, or make a user; here the row and the browser tell."""
    plain = _handler([name for name in settings.MIDDLEWARE if name != settings.ALLAUTH_MIDDLEWARE])
    allauths = _handler(settings.MIDDLEWARE)
    allauth = ("/accounts/mollie/login/", "/accounts/mollie/login/callback/")

    def ours(measure: Measure) -> Figures:
        return _walk_ours(plain, measure)

    def ours_with_mail(measure: Measure) -> Figures:
        with override_settings(TASKS=settings.INLINE_TASKS):
            return _walk_ours(plain, measure)

    def peer(
        handler: ClientHandler, start: str, callback: str, *, is_logged_in: bool
    ) -> Callable[[Measure], Figures]:
        return lambda measure: _walk_peer(handler, start, callback, measure, is_logged_in=is_logged_in)

    yield Way("mollie_onboarding", ours)
    yield Way("mollie_onboarding, the mail sent in the request", ours_with_mail)
    connect = peer(allauths, f"{allauth[0]}?process=connect", allauth[1], is_logged_in=True)
    yield Way("django-allauth, to who is logged in", connect)
    access = peer(plain, "/social/login/mollie-access/", "/social/complete/mollie-access/", is_logged_in=True)
    yield Way("social-auth-app-django, to who is logged in", access)
    yield Way("django-allauth, signing up", peer(allauths, *allauth, is_logged_in=False))
    sign_up = peer(plain, "/social/login/mollie/", "/social/complete/mollie/", is_logged_in=False)
    yield Way("social-auth-app-django, signing up", sign_up)


def _handler(middleware: list[str]) -> ClientHandler:
    """Takes requests through this middleware, loaded once, as a server does."""
    with override_settings(MIDDLEWARE=middleware):
        handler = ClientHandler(enforce_csrf_checks=False)
        handler.load_middleware()
    return handler


def _browser(handler: ClientHandler, user: Any = None) -> Browser:
    browser = Browser()
    browser.handler = handler
    if user is not None:
        browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


def _walk_ours(handler: ClientHandler, measure: Measure) -> Figures:
    """A merchant who is logged in as well, so that all browsers bring the same cookies."""
    user = _make_user()
    row = ClientLink(**MERCHANT, user=user)
    row.save()
    browser = _browser(handler, user)
    path = row.merchant_path()
    browser.post(path)  # makes the client link, which the peers know nothing of
    pages: list[Any] = []
    start = measure(lambda: pages.append(browser.post(path)))
    state = state_of(authorization_url(pages[0]))
    callback = measure(
        lambda: pages.append(browser.get("/onboarding/callback/", {"code": "auth_x", "state": state}))
    )
    assert pages[1].status_code == 303, pages[1].content
    row.refresh_from_db()
    assert row.is_connected
    return {"start": start, "callback": callback}


def _walk_peer(
    handler: ClientHandler, start_path: str, callback_path: str, measure: Measure, *, is_logged_in: bool
) -> Figures:
    browser = _browser(handler, _make_user() if is_logged_in else None)
    answers: list[Any] = []
    stored = _count_accounts()
    start = measure(lambda: answers.append(browser.post(start_path)))
    [state] = parse_qs(urlsplit(answers[0]["Location"]).query)["state"]
    callback = measure(lambda: answers.append(browser.get(callback_path, {"code": "auth_x", "state": state})))
    assert answers[1].status_code == 302, answers[1].content
    assert _count_accounts() == stored + 1
    return {"start": start, "callback": callback}


def _count_accounts() -> int:
    return SocialToken.objects.count() + UserSocialAuth.objects.count()


def _make_user() -> Any:
    user = get_user_model()(username=f"merchant-{next(numbers)}")
    user.set_unusable_password()
    user.save()
    return user


def make_rows() -> None:
    """So many connected accounts in the tables of each."""
    users = [_make_user() for _ in range(ROWS)]
    tokens = {"access_token": "access_x", "refresh_token": "refresh_x"}
    organizations = Organization.objects.bulk_create(
        Organization(
            organization_id=f"org_old{user.pk}", **{name: Secret(value) for name, value in tokens.items()}
        )
        for user in users
    )
    ClientLink.objects.bulk_create(
        ClientLink(**MERCHANT, user=user, organization=organization)
        for user, organization in zip(users, organizations, strict=True)
    )
    accounts = SocialAccount.objects.bulk_create(
        SocialAccount(user=user, provider="mollie", uid=f"org_old{user.pk}") for user in users
    )
    SocialToken.objects.bulk_create(
        SocialToken(account=account, token="access_x", token_secret="refresh_x") for account in accounts
    )
    UserSocialAuth.objects.bulk_create(
        UserSocialAuth(user=user, provider=provider, uid=f"org_old{user.pk}", extra_data=tokens)
        for user in users
        for provider in ("mollie", "mollie-access")
    )


if __name__ == "__main__":
    main()
