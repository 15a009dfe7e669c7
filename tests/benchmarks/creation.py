"""Making one client link here, with `mollie-api-py` and with a bare `requests.Session`.

python -m tests.benchmarks.creation

Mollie is a process of its own on loopback, so that its work is not counted. Ours also writes down what it is about to
send and what came back, which is measured by itself: the same function with an answer that is there already. So the
ratio tells what our door to Mollie costs beside `requests`, with retries, limits, budget and bounds on what it reads.
"""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any
from unittest import mock

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()

import mollie
import requests
from django.db import connection
from django.test import override_settings

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink
from mollie_onboarding.mollie_api import CreatedClientLink, MollieAPI
from tests.benchmarks.light_mollie import run_light_mollie
from tests.benchmarks.measuring import databases, statements
from tests.conftest import MERCHANT

RUNS = 200
WARM_UP = 5
LIMIT = 1.3
# What our row comes to, as `ClientLinkData` sends it.
BODY = {
    "owner": {
        "email": MERCHANT["owner_email"],
        "givenName": MERCHANT["owner_given_name"],
        "familyName": MERCHANT["owner_family_name"],
        "locale": MERCHANT["owner_locale"],
    },
    "name": MERCHANT["organization_name"],
    "address": {
        "streetAndNumber": MERCHANT["street_and_number"],
        "postalCode": MERCHANT["postal_code"],
        "city": MERCHANT["city"],
        "country": MERCHANT["country"],
    },
    "registrationNumber": MERCHANT["registration_number"],
    "vatNumber": MERCHANT["vat_number"],
    "legalEntity": MERCHANT["legal_entity"],
}


def print_creation(url: str) -> None:
    ways = {
        "requests.Session": _bare(url),
        "our writes, by themselves": _without_call,
        "ours": lambda: _create(_new_row()),
        "mollie-api-py": _library(url),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(WARM_UP + RUNS):
        for name, way in ways.items():
            times[name].append(way())
    medians = {name: statistics.median(some[WARM_UP:]) for name, some in times.items()}
    floor = medians["requests.Session"] + medians["our writes, by themselves"]
    row = _new_row()
    print(
        f"\nMaking one client link, own CPU time in ms, medians of {RUNS}, in turn, on {connection.vendor};"
    )
    print(f"our writes are {statements(lambda: services.create_client_link(row))} statements.\n")
    print(f"{'':44}{'ms':>8}{'quartiles':>18}")
    for name, some in times.items():
        low, median, high = statistics.quantiles(some[WARM_UP:], n=4)
        print(f"{name:44}{median:8.2f}{low:9.2f} to {high:5.2f}")
    print(f"\nours / (requests.Session + our writes): {medians['ours'] / floor:.2f}; limit {LIMIT}")
    print(f"ours / mollie-api-py, which writes nothing: {medians['ours'] / medians['mollie-api-py']:.2f}")


def _milliseconds(function: Callable[[], Any]) -> float:
    started = time.process_time()
    function()
    return (time.process_time() - started) * 1000


def _new_row() -> ClientLink:
    row = ClientLink(**MERCHANT)
    row.save()
    return row


def _create(row: ClientLink) -> float:
    taken = _milliseconds(lambda: services.create_client_link(row))
    assert ClientLink.objects.filter(pk=row.pk, status="ready").exists()
    return taken


numbers = itertools.count(1)


def _without_call() -> float:
    """What is left of ours when the answer is there already."""
    name = f"cl_without_{next(numbers)}"
    created = CreatedClientLink(name, f"https://my.mollie.com/dashboard/client-link/{name}")
    row = _new_row()
    with mock.patch.object(MollieAPI, "create_client_link", return_value=created):
        return _create(row)


def _bare(url: str) -> Callable[[], float]:
    """The least that sends the same: one session, a time-out, the token and a key."""
    session = requests.Session()

    def send() -> None:
        headers = {"Authorization": "Bearer access_x", "Idempotency-Key": str(uuid.uuid4())}
        response = session.post(f"{url}/v2/client-links", json=BODY, headers=headers, timeout=(3.05, 8))
        response.raise_for_status()
        assert response.json()["_links"]["clientLink"]["href"]

    return lambda: _milliseconds(send)


def _library(url: str) -> Callable[[], float]:
    library = mollie.ClientSDK(security=mollie.Security(o_auth="access_x"), server_url=url)
    body = {
        "owner": {
            "email": MERCHANT["owner_email"],
            "given_name": MERCHANT["owner_given_name"],
            "family_name": MERCHANT["owner_family_name"],
            "locale": mollie.LocaleResponse.NL_NL,
        },
        "name": MERCHANT["organization_name"],
        "address": {
            "street_and_number": MERCHANT["street_and_number"],
            "postal_code": MERCHANT["postal_code"],
            "city": MERCHANT["city"],
            "country": MERCHANT["country"],
        },
        "registration_number": MERCHANT["registration_number"],
        "vat_number": MERCHANT["vat_number"],
        "legal_entity": MERCHANT["legal_entity"],
    }

    def send() -> None:
        created = library.client_links.create(idempotency_key=str(uuid.uuid4()), client_link_request=body)
        assert created.id.startswith("cl_")

    return lambda: _milliseconds(send)


def main() -> None:
    logging.disable()
    with (
        databases(in_memory=True),
        run_light_mollie() as address,
        override_settings(MOLLIE_ONBOARDING_API_URL=address.url),
    ):
        print_creation(address.url)


if __name__ == "__main__":
    main()
