"""The merchant's start and callback with a million client links on PostgreSQL, beside the same with a thousand.

DATABASE_URL=postgres://… python -m tests.benchmarks.flatness

Each client link has an authorization request and an event, and each connected one an organization. The merchants who
go their way are rows of these tables, from anywhere in them. Both tables in turn, so that what else the machine does
slows both; wall time, in which the database has its part, without what Mollie takes.
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()

from django.db import connection
from django.utils import timezone

from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization
from tests.benchmarks.many_rows import in_schema, make_history, make_rows, make_schema
from tests.benchmarks.measuring import InstantMollie, databases, instant_mollie
from tests.conftest import Browser, authorization_url, state_of

FEW, MANY = 1000, 1_000_000
RUNS = 90  # of a thousand rows, about a hundred are of merchants who have not begun
WARM_UP = 5
LIMIT = 1.2

Figures = dict[str, float]


def print_flatness(mollie: InstantMollie) -> None:
    mollie.organization = 10 * MANY  # none that is there
    merchants = {count: _prepare(count) for count in (FEW, MANY)}
    times: dict[int, list[Figures]] = {FEW: [], MANY: []}
    for pair in zip(*merchants.values(), strict=False):
        for count, pk in zip(merchants, pair, strict=True):
            with in_schema(count):
                times[count].append(_walk(ClientLink.objects.get(pk=pk), mollie))
    print(
        f"\nStart and callback on {connection.vendor}, wall time in ms, medians of {RUNS}; limit {LIMIT}.\n"
    )
    print(f"{'':34}{FEW:>10,}{MANY:>12,}{'ratio':>8}")
    for name in times[FEW][0]:
        few, many = (
            statistics.median(figures[name] for figures in some[WARM_UP:]) for some in times.values()
        )
        print(f"{name:34}{few:10.2f}{many:12.2f}{many / few:8.2f}", flush=True)


def _prepare(count: int) -> list[Any]:
    """A schema with so many rows. Gives the merchants who are to go their way."""
    started = time.monotonic()
    make_schema(count)
    with in_schema(count):
        make_rows(count)
        make_history()
        sizes = ", ".join(
            f"{model.objects.count():,} {model._meta.verbose_name_plural}"
            for model in (ClientLink, Organization, AuthorizationRequest, Event)
        )
        print(f"{sizes}, made in {time.monotonic() - started:.0f} s", flush=True)
        drafts = ClientLink.objects.filter(status="draft").order_by("?")
        merchants = list(drafts.values_list("pk", flat=True)[: RUNS + WARM_UP])
        # Their mails are of today, however old their rows.
        expires_at = timezone.now() + timedelta(days=90)
        ClientLink.objects.filter(pk__in=merchants).update(link_expires_at=expires_at)
        return merchants


def _walk(row: ClientLink, mollie: InstantMollie) -> Figures:
    browser = Browser()
    path = row.merchant_path()
    answers: list[Any] = []
    figures = {
        "merchant page, GET": _milliseconds(lambda: browser.get(path), mollie),
        "start, with a new client link": _milliseconds(lambda: browser.post(path), mollie),
        "start, with a live one": _milliseconds(lambda: answers.append(browser.post(path)), mollie),
    }
    callback = {"code": "auth_x", "state": state_of(authorization_url(answers[0]))}
    # The mail waits for a worker, as on a site with many merchants.
    with mock.patch("mollie_onboarding.services.completing.nudge_notice"):
        figures["callback to connected"] = _milliseconds(
            lambda: browser.get("/onboarding/callback/", callback), mollie
        )
    row.refresh_from_db()
    assert row.is_connected
    return figures


def _milliseconds(function: Callable[[], Any], mollie: InstantMollie) -> float:
    before = mollie.seconds
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started - (mollie.seconds - before)) * 1000


if __name__ == "__main__":
    logging.disable()
    with databases(in_memory=False), instant_mollie() as mollie:
        print_flatness(mollie)
