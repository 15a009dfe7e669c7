"""The figures of the README, each beside a floor in the same run: python -m tests.benchmarks

Machines are noisy, so nothing here fails by the clock. Statements are exact; times are medians of `RUNS`.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

import logging

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, Organization
from tests.benchmarks.measuring import InstantMollie, databases, instant_mollie, milliseconds, statements
from tests.benchmarks.processes import run_alone, run_on_postgres
from tests.benchmarks.sender_memory import print_sender_memory
from tests.benchmarks.spreadsheets import print_spreadsheets
from tests.benchmarks.sync import print_sync
from tests.conftest import MERCHANT, Browser, authorization_url, state_of

RUNS = 200


def make_rows(count: int) -> None:
    ClientLink.objects.bulk_create(ClientLink(**MERCHANT) for _ in range(count))


def one_walk(mollie: InstantMollie, measure: Callable[[Callable[[], Any]], float]) -> dict[str, float]:
    """The merchant page, a first press, a second one with a live link, and the callback."""
    row = ClientLink(**MERCHANT)
    row.save()
    browser = Browser()
    path = row.merchant_path()
    figures = {"merchant page, GET": measure(lambda: browser.get(path))}
    browser.post(path)
    pages: list[Any] = []
    figures["start with a live link, POST"] = measure(lambda: pages.append(browser.post(path)))
    callback = f"/onboarding/callback/?code=auth_x&state={state_of(authorization_url(pages[0]))}"
    figures["callback to connected"] = measure(lambda: browser.get(callback))
    organization_id = Organization.objects.latest("pk").organization_id
    figures["token that lives"] = measure(lambda: services.get_access_token(organization_id))
    Organization.objects.filter(organization_id=organization_id).update(access_token_expires_at=None)
    figures["token to be refreshed"] = measure(lambda: services.get_access_token(organization_id))
    return figures


def main() -> None:
    logging.disable()
    with databases(in_memory=True), instant_mollie() as mollie:
        print("SQL statements; BEGIN, COMMIT and SAVEPOINT are not counted.\n")
        print(f"{'':34}{'limit':>8}{'few rows':>10}{'1,000 rows':>12}")
        few = one_walk(mollie, statements) | admin_list(10)
        make_rows(1000)
        many = one_walk(mollie, statements) | admin_list(1000)
        limits = {
            "merchant page, GET": 3,
            "start with a live link, POST": 6,
            "callback to connected": 14,
            "token that lives": 1,
            "token to be refreshed": 6,
            "admin list, 100 a page": 8,
        }
        for name, limit in limits.items():
            print(f"{name:34}{limit:8}{few[name]:10.0f}{many[name]:12.0f}")

        print(f"\nOwn CPU time in ms, median of {RUNS}, on {connection.vendor}; Mollie's answers take none.")
        print("The floor is the test client on a page without a template or a statement (404).\n")
        browser = Browser()
        walks = [one_walk(mollie, lambda function: milliseconds(function, mollie)) for _ in range(RUNS)]
        with mock.patch("mollie_onboarding.services.completing.nudge_notice"):
            for walk in walks:
                without = one_walk(mollie, lambda function: milliseconds(function, mollie))
                walk["the same, the mail left to a worker"] = without["callback to connected"]
        floor = statistics.median(milliseconds(lambda: browser.get("/nothing"), mollie) for _ in range(RUNS))
        print(f"{'':36}{'ms':>8}{'ratio':>8}")
        print(f"{'floor':36}{floor:8.2f}{1:8.1f}")
        for name in walks[0]:
            median = statistics.median(walk[name] for walk in walks)
            print(f"{name:36}{median:8.2f}{median / floor:8.1f}")

        print_sync()
    sys.stdout.flush()
    run_alone("tests.benchmarks.peers")
    run_alone("tests.benchmarks.creation")
    run_alone("tests.benchmarks.start_up")
    run_alone("tests.benchmarks.sending")
    run_on_postgres("tests.benchmarks.sending")
    with databases(in_memory=False):
        print_sender_memory()
        print_spreadsheets()
    sys.stdout.flush()
    run_on_postgres("tests.benchmarks.flatness")
    run_on_postgres("tests.benchmarks.admin_lists", *sys.argv[1:])
    run_on_postgres("tests.benchmarks.workers")


def admin_list(rows: int) -> dict[str, float]:
    if ClientLink.objects.count() < rows:
        make_rows(rows - ClientLink.objects.count())
    assert Organization.objects.exists()
    operator = get_user_model().objects.filter(username="operator").first()
    operator = operator or get_user_model().objects.create_superuser("operator", "o@example.org", "x")
    client = Client()
    client.force_login(operator)
    return {"admin list, 100 a page": statements(lambda: client.get("/admin/mollie_onboarding/clientlink/"))}


if __name__ == "__main__":
    main()
