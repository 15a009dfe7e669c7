"""The reading of everybody's status, on answers of Mollie's that were built before: what is left is our own."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from mollie_onboarding.models import ClientLink, Event, Organization, StatusSync
from mollie_onboarding.mollie_api.api import CLIENTS_PER_PAGE
from mollie_onboarding.mollie_api.resources import read_client_page
from mollie_onboarding.services import SyncResult, sync_onboarding_status
from mollie_onboarding.services.status import find_changes

SIZES = (1_000, 10_000, 100_000)
LIMIT = 3.0  # seconds for 1,000 organizations
NOT_COUNTED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET")


class ListingMollie:
    """Has clients `org_00000000` and up, who all look alike; gives them 250 at a time, without latency."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.status = "needs-data"
        self.seconds = 0.0
        self.calls = 0

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        started = time.process_time()
        self.calls += 1
        query = parse_qs(urlsplit(str(request.url)).query)
        body = self.page(int(query.get("from", ["org_0"])[0].removeprefix("org_")))
        raw = HTTPResponse(body=BytesIO(body), status=200, preload_content=False)
        response = HTTPAdapter().build_response(request, raw)
        self.seconds += time.process_time() - started
        return response

    def page(self, first: int) -> bytes:
        after = min(first + CLIENTS_PER_PAGE, self.count)
        href = f"https://api.mollie.com/v2/clients?from=org_{after:08}&limit={CLIENTS_PER_PAGE}"
        links = {"next": {"href": href} if after < self.count else None}
        clients = [self.client(number) for number in range(first, after)]
        return json.dumps({"_embedded": {"clients": clients}, "_links": links}).encode()

    def client(self, number: int) -> dict[str, Any]:
        organization_id = f"org_{number:08}"
        dashboard = {"dashboard": {"href": f"https://my.mollie.com/dashboard/{organization_id}"}}
        requirement = {"id": "needs-data", "status": "requested", "dueDate": None, "_links": dashboard}
        return {
            "resource": "client",
            "id": organization_id,
            "_embedded": {
                "organization": {
                    "id": organization_id,
                    "name": f"Client {number}",
                    "address": {"country": "NL"},
                    "registrationNumber": f"{number:08}",
                    "vatNumber": f"NL{number:09}B01",
                },
                "onboarding": {
                    "status": self.status,
                    "canReceivePayments": False,
                    "canReceiveSettlements": False,
                    "signedUpAt": "2026-12-20T10:49:08+00:00",
                    "_links": dashboard,
                },
                "capabilities": [
                    {
                        "name": name,
                        "status": "disabled",
                        "statusReason": "onboarding-information-needed",
                        "requirements": [requirement],
                    }
                    for name in ("payments", "settlements")
                ],
            },
        }


@contextmanager
def listing(count: int, *, are_known: bool) -> Iterator[ListingMollie]:
    """That many organizations at Mollie and here, where all or nothing is known of them; afterwards they are gone."""
    mollie = ListingMollie(count)
    blank = Organization()
    ClientLink.objects.all().delete()
    Organization.objects.all().delete()
    for first in range(0, count, CLIENTS_PER_PAGE):
        page = read_client_page(json.loads(mollie.page(first)))
        Organization.objects.bulk_create(
            Organization(
                organization_id=client.organization_id,
                **find_changes(blank, client, timezone.now()) if are_known else {},
            )
            for client in page.clients
        )
    Organization.objects.update(created_at=timezone.now() - timedelta(days=1))
    with mock.patch.object(HTTPAdapter, "send", lambda self, request, **kw: mollie.send(request)):
        yield mollie
    for model in (Event, Organization):
        model.objects.all()._raw_delete(
            connection.alias
        )  # nothing refers to them, and `delete` would read them all
    StatusSync.objects.all().delete()


def print_sync() -> None:
    """Time, calls and statements for 1,000 organizations, and memory for up to 100,000."""
    print(
        f"\nsync_onboarding_status, own CPU time in s on {connection.vendor}; limit {LIMIT} for {SIZES[0]:,}.\n"
    )
    print(f"{f'{SIZES[0]:,} organizations':36}{'s':>8}{'calls':>8}{'SQL a page':>12}")
    with listing(SIZES[0], are_known=False) as mollie:
        _print_run("the first reading", mollie)
        _print_run("nothing changed", mollie)
        mollie.status = "in-review"
        _print_run("all changed, each with its signal", mollie)
    print(f"\nMemory at its peak in kB while nothing changes, and its ratio to {SIZES[0]:,} organizations.\n")
    print(f"{'organizations':>36}{'kB':>8}{'ratio':>8}")
    floor = 0.0
    for size in SIZES:
        with listing(size, are_known=True):
            peak = _peak(sync_onboarding_status)
        floor = floor or peak
        print(f"{size:36,}{peak:8.0f}{peak / floor:8.2f}")


def _print_run(name: str, mollie: ListingMollie) -> None:
    mollie.calls = 0
    results: list[SyncResult] = []
    with CaptureQueriesContext(connection) as captured:
        seconds = _seconds(lambda: results.append(sync_onboarding_status()), mollie)
    counted = [query for query in captured.captured_queries if not query["sql"].startswith(NOT_COUNTED)]
    [result] = results
    print(f"{name:36}{seconds:8.2f}{mollie.calls:8}{len(counted) / result.pages:12.1f}")


def _seconds(function: Callable[[], Any], mollie: ListingMollie) -> float:
    before = mollie.seconds
    started = time.process_time()
    function()
    return time.process_time() - started - (mollie.seconds - before)


def _peak(function: Callable[[], Any]) -> float:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()
