"""The admin's lists with a million rows on PostgreSQL, beside the same with a thousand.

DATABASE_URL=postgres://… python -m tests.benchmarks.admin_lists [--plans]

Both are asked in turn, so that what else the machine does slows both. And both show as many rows as the small table
has: Django's templates take most of the time, and a filter that finds 5 rows of a thousand finds a full page of a
million. The time of the full page stands beside.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlencode

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding.admin.large_lists import LargeListAdmin
from mollie_onboarding.models import ClientLink, Event
from mollie_onboarding.services.notices import overdue_notices
from tests.benchmarks.many_rows import in_schema, make_rows, make_schema
from tests.conftest import MERCHANT

FEW, MANY = 1000, 1_000_000
ROUNDS = 9
CLIENT_LINKS = "/admin/mollie_onboarding/clientlink/"
ORGANIZATIONS = "/admin/mollie_onboarding/organization/"


def created_since(days: int) -> str:
    """The query of the filter by day of creation, as its links have it."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    since, until = today - timedelta(days=days), today + timedelta(days=1)
    return urlencode({"created_at__gte": since, "created_at__lt": until})


PAGES = {
    "client links": f"{CLIENT_LINKS}?",
    "second page": f"{CLIENT_LINKS}?p=2",
    "last page offered": f"{CLIENT_LINKS}?p=1000000",
    "by name": f"{CLIENT_LINKS}?o=1",
    "needs attention": f"{CLIENT_LINKS}?attention=yes",
    "check identity": f"{CLIENT_LINKS}?attention=identity",
    "needs new consent": f"{CLIENT_LINKS}?attention=consent",
    "connected (40 %)": f"{CLIENT_LINKS}?status__exact=connected",
    "refused (0.5 %)": f"{CLIENT_LINKS}?status__exact=rejected",
    "expired": f"{CLIENT_LINKS}?expired=yes",
    "not expired": f"{CLIENT_LINKS}?expired=no",
    "mail delivered (60 %)": f"{CLIENT_LINKS}?delivery_status__exact=delivered",
    "mail bounced (2 %)": f"{CLIENT_LINKS}?delivery_status__exact=bounced",
    "problem (0.3 %)": f"{CLIENT_LINKS}?problem__exact=mail_failed",
    "country (20 %)": f"{CLIENT_LINKS}?country=NL",
    "country (5 %)": f"{CLIENT_LINKS}?country=LU",
    "created: today": f"{CLIENT_LINKS}?{created_since(0)}",
    "created: past 7 days": f"{CLIENT_LINKS}?{created_since(7)}",
    "created: this year": f"{CLIENT_LINKS}?{created_since(timezone.localtime().timetuple().tm_yday - 1)}",
    "stage: opened (8 %)": f"{CLIENT_LINKS}?stage=opened",
    "stage: payments (2 %)": f"{CLIENT_LINKS}?stage=payments",
    "stage, 12 weeks": f"{CLIENT_LINKS}?stage=started.12.all.",
    "search: one row": f"{CLIENT_LINKS}?q=zonnewijzer",
    "search: in 30 %": f"{CLIENT_LINKS}?q=bv",
    "search: nothing": f"{CLIENT_LINKS}?q=nobody",
    "search: two words": f"{CLIENT_LINKS}?q=janbak+bakk",
    "search: never together": f"{CLIENT_LINKS}?q=bv+gmbh",
    "organizations": f"{ORGANIZATIONS}?",
    "organizations, lost": f"{ORGANIZATIONS}?connection_status__exact=lost",
    "organizations, not read": f"{ORGANIZATIONS}?health=stale",
    "organizations, not listed": f"{ORGANIZATIONS}?health=missing",
    "organizations, consent": f"{ORGANIZATIONS}?health=consent",
    "organizations, failed": f"{ORGANIZATIONS}?health=error",
    "organizations, to revoke": f"{ORGANIZATIONS}?health=revocation",
    "organizations, completed": f"{ORGANIZATIONS}?onboarding_status=completed",
    "organizations, no payments": f"{ORGANIZATIONS}?can_receive_payments__exact=0",
    "organizations, no payouts": f"{ORGANIZATIONS}?can_receive_settlements__exact=0",
    "organizations, search": f"{ORGANIZATIONS}?q=bakk",
}


def print_admin_lists(*, plans: bool) -> None:
    """The wall time of each list in ms, and the ratio; with `plans`, how PostgreSQL finds the rows."""
    print("\nThe admin's lists on PostgreSQL, ms of the whole view, medians of", ROUNDS, "\n")
    browsers = {count: _prepare(count) for count in (FEW, MANY)}
    print(f"{'':28}{FEW:>10,}{MANY:>12,}{'ratio':>8}{'shown':>8}{'full page':>11}")
    for name, path in PAGES.items():
        with in_schema(FEW):
            shown = _open(browsers[FEW], path)
        with mock.patch.object(LargeListAdmin, "list_per_page", shown or 1):
            few, many = _medians(browsers, path)
        [full] = _medians({MANY: browsers[MANY]}, path)
        print(f"{name:28}{few:10.1f}{many:12.1f}{many / few:8.1f}{shown:8}{full:11.1f}", flush=True)
    if plans:
        _print_plans(browsers[MANY])
    _print_inserts()


def _prepare(count: int) -> Client:
    """A schema of its own with so many rows, and an operator in it."""
    started = time.monotonic()
    make_schema(count)
    with in_schema(count):
        make_rows(count)
        browser = Client()
        browser.force_login(get_user_model().objects.create_superuser("operator", "o@example.org", "x"))
    print(f"{count:,} rows made in {time.monotonic() - started:.0f} s", flush=True)
    return browser


def _medians(browsers: dict[int, Client], path: str) -> list[float]:
    times: dict[int, list[float]] = {count: [] for count in browsers}
    for _round in range(ROUNDS + 1):
        for count, browser in browsers.items():
            with in_schema(count):
                times[count].append(_milliseconds(lambda browser=browser: _open(browser, path)))
    return [statistics.median(some[1:]) for some in times.values()]  # the first of each warms up


def _open(browser: Client, path: str) -> int:
    """The rows that are shown."""
    response = browser.get(path)
    assert response.status_code == 200, (path, response.status_code)
    return len(response.context["cl"].result_list)


def _milliseconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1000


def _print_inserts() -> None:
    """What the indexes of the lists cost: 10,000 new rows with and without them, in the large table."""

    def insert() -> None:
        ClientLink.objects.bulk_create(ClientLink(**MERCHANT) for _ in range(10_000))

    with in_schema(MANY):
        with_indexes = statistics.median(_milliseconds(insert) for _ in range(3))
        with connection.schema_editor() as editor:
            for index in ClientLink._meta.indexes:
                editor.remove_index(ClientLink, index)
        without = statistics.median(_milliseconds(insert) for _ in range(3))
        with connection.schema_editor() as editor:
            for index in ClientLink._meta.indexes:
                editor.add_index(ClientLink, index)
    print(f"\n10,000 inserts: {with_indexes:.0f} ms, {without:.0f} ms without the indexes of Meta:", end=" ")
    print(f"ratio {with_indexes / without:.2f}")


def _print_plans(browser: Client) -> None:
    """Of the statements of each page that read our tables, and of those that look for work."""
    now = timezone.now()
    work = {
        "due for sending": ClientLink.objects.due_for_sending(now).order_by("send_requested_at")[:100],
        "overdue notices": overdue_notices(now).order_by("notice_requested_at")[:100],
        "signals not sent": Event.objects.filter(announced_at=None, at__lte=now).order_by("at", "pk")[:100],
        "history": Event.objects.filter(client_link=uuid.uuid4()).order_by("-at", "-pk")[:100],
    }
    with in_schema(MANY):
        for name, path in PAGES.items():
            with CaptureQueriesContext(connection) as queries:
                _open(browser, path)
            print(f"\n{name}")
            for query in queries:
                if "mollie_onboarding" in query["sql"]:
                    _print_plan(connection.cursor(), query["sql"])
        for name, rows in work.items():
            print(f"\n{name}\n    {_short(rows.explain(analyze=True).splitlines())}")


def _print_plan(cursor: Any, statement: str) -> None:
    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF) {statement}")
    print(f"    {_short([line for (line,) in cursor.fetchall()])}")


def _short(plan: list[str]) -> str:
    """What is read by which index, from the outermost node in, and how long the whole took."""
    reading = [line.split("  (cost")[0].strip().removeprefix("->  ") for line in plan if " Scan" in line]
    return f"{plan[-1].removeprefix('Execution Time: ')}: {' < '.join(reading)}"


if __name__ == "__main__":
    from tests.benchmarks.measuring import databases

    logging.disable()
    with databases(in_memory=False):
        print_admin_lists(plans="--plans" in sys.argv)
