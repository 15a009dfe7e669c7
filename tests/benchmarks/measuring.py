"""What the benchmarks measure with: a Mollie that takes no time, databases of their own, statements and own CPU time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from unittest import mock

import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext, setup_test_environment, teardown_test_environment
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

NOT_COUNTED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET")


class InstantMollie:
    """Answers at once, out of a dict; what it takes itself is measured and taken off."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self.organization = 0

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        started = time.process_time()
        self.calls += 1
        status, body = self.answer(str(request.path_url))
        headers = {"Content-Type": "application/json"}
        raw = HTTPResponse(
            body=BytesIO(json.dumps(body).encode()), headers=headers, status=status, preload_content=False
        )
        response = HTTPAdapter().build_response(request, raw)
        self.seconds += time.process_time() - started
        return response

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        self.organization += 1
        number = self.organization
        if path == "/v2/client-links":
            href = f"https://my.mollie.com/dashboard/client-link/cl_{number}"
            return 201, {"id": f"cl_{number}", "_links": {"clientLink": {"href": href}}}
        if path == "/oauth2/tokens":
            scope = "organizations.read onboarding.read onboarding.write"
            return 200, {
                "access_token": "access_x",
                "refresh_token": "refresh_x",
                "token_type": "bearer",
                "expires_in": 3600,
                "scope": scope,
            }
        if path == "/v2/organizations/me":
            return 200, {
                "resource": "organization",
                "id": f"org_{number}",
                "name": "Bakkerij Jansen",
                "email": f"jan{number}@bakkerij-jansen.example",
                "locale": "nl_NL",
                "address": {
                    "streetAndNumber": "Keizersgracht 126",
                    "postalCode": "1015 CW",
                    "city": "Amsterdam",
                    "country": "NL",
                },
                "registrationNumber": "30204462",
                "vatNumber": "NL815839091B01",
                "vatRegulation": None,
            }
        return 200, {"status": "needs-data", "canReceivePayments": False, "canReceiveSettlements": False}


@contextmanager
def instant_mollie() -> Iterator[InstantMollie]:
    """Whatever is asked by `requests` in this process is answered by it."""
    mollie = InstantMollie()
    with mock.patch.object(HTTPAdapter, "send", lambda self, request, **kw: mollie.send(request)):
        yield mollie


@contextmanager
def databases(*, in_memory: bool) -> Iterator[None]:
    """The test database. Of SQLite in memory: the time of the disc is not ours. Only threads need a file."""
    setup_test_environment()
    given_name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite" and in_memory:
        connection.settings_dict["TEST"]["NAME"] = None
    elif connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = f"{given_name}.benchmark"
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(given_name, verbosity=0)
        teardown_test_environment()


def statements(function: Callable[[], Any]) -> int:
    """How many SQL statements the function takes; those of transactions do not count."""
    with CaptureQueriesContext(connection) as captured:
        function()
    return sum(not query["sql"].startswith(NOT_COUNTED) for query in captured.captured_queries)


def milliseconds(function: Callable[[], Any], mollie: InstantMollie) -> float:
    """The CPU time that the function takes in this process, without what Mollie takes."""
    before = mollie.seconds
    started = time.process_time()
    function()
    return (time.process_time() - started - (mollie.seconds - before)) * 1000
