"""The sending of many onboarding links: how near it comes to what Mollie's latency allows.

python -m tests.benchmarks.sending

Mollie is a process of its own on loopback, so that its work is not counted as ours.
"""

from __future__ import annotations

import gc
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()

import mollie
from django.db import connection
from django.test import override_settings

from mollie_onboarding.models import ClientLink
from mollie_onboarding.services import Drained, draining, sending
from tests.benchmarks.light_mollie import Address, run_light_mollie
from tests.benchmarks.queues import forget_rows, queue_rows
from tests.conftest import MERCHANT

LINKS = 1_000
LINKS_OF_THE_LIBRARY = 50  # each takes as long as the other, one after the other
LATENCY = 0.1  # seconds
CONCURRENCY = 16
LIMIT = 1.15
RUNS = 7  # odd, so that one of them is the median


def print_sending() -> None:
    """Seconds for 1,000 links at Mollie's latency."""
    with run_light_mollie(LATENCY) as address, override_settings(MOLLIE_ONBOARDING_API_URL=address.url):
        _print_speed(address)
    forget_rows()


def _print_speed(address: Address) -> None:
    floor = LINKS * LATENCY / CONCURRENCY
    print(
        f"\n{LINKS:,} onboarding links; Mollie takes {LATENCY * 1000:.0f} ms for each. On {connection.vendor}, {RUNS} runs;"
    )
    print(
        f"ratios to the floor, which is {CONCURRENCY} calls at once and no other work; limit {LIMIT}; seconds of the median.\n"
    )
    print(f"{'':38}{'min':>7}{'median':>8}{'max':>7}{'s':>8}{'at once':>9}{'own CPU, s':>12}")
    print(f"{'floor':38}{1:7.2f}{1:8.2f}{1:7.2f}{floor:8.2f}{CONCURRENCY:9}")
    _print_runs("client links and mails", _send_all, address, floor)
    with _no_mails():
        _print_runs("client links alone, with our records", _send_all, address, floor)
    factor = LINKS / LINKS_OF_THE_LIBRARY
    _print_runs(
        "mollie-api-py, client links alone", lambda: _use_library(address.url), address, floor, factor
    )
    print(f"\nmollie-api-py one after the other: {LINKS_OF_THE_LIBRARY} links, times {factor:.0f}.")


def _print_runs(
    name: str, function: Callable[[], Any], address: Address, floor: float, factor: float = 1.0
) -> None:
    runs = []
    for _ in range(RUNS):
        queue_rows(LINKS)
        gc.collect()
        started, started_cpu = time.perf_counter(), time.process_time()
        function()
        seconds, own = time.perf_counter() - started, time.process_time() - started_cpu
        runs.append((factor * seconds, factor * own))
    runs.sort()
    fastest, (seconds, own), slowest = runs[0], runs[RUNS // 2], runs[-1]
    ratios = "".join(
        f"{value / floor:{width}.2f}" for value, width in ((fastest[0], 7), (seconds, 8), (slowest[0], 7))
    )
    print(f"{name:38}{ratios}{seconds:8.2f}{address.calls().most:9}{own:12.2f}", flush=True)


def _send_all() -> None:
    drained = draining.drain_queue(concurrency=CONCURRENCY)
    assert drained == Drained(sent=LINKS), drained
    assert ClientLink.objects.filter(send_count=1, status="ready").count() == LINKS


@contextmanager
def _no_mails() -> Iterator[None]:
    """Everything is done as ever, but no mail is written and none delivered."""
    with mock.patch.object(sending, "_onboarding_mail"), mock.patch.object(sending, "deliver"):
        yield


def _use_library(url: str) -> None:
    library = mollie.ClientSDK(security=mollie.Security(o_auth="access_x"), server_url=url)
    for _ in range(LINKS_OF_THE_LIBRARY):
        created = library.client_links.create(
            idempotency_key=str(uuid.uuid4()),
            client_link_request={
                "owner": {
                    "email": MERCHANT["owner_email"],
                    "given_name": MERCHANT["owner_given_name"],
                    "family_name": MERCHANT["owner_family_name"],
                    "locale": mollie.LocaleResponse.NL_NL,
                },
                "name": MERCHANT["organization_name"],
                "address": {"country": MERCHANT["country"]},
            },
        )
        assert created.id.startswith("cl_")


if __name__ == "__main__":
    from tests.benchmarks.measuring import databases

    logging.disable()
    with databases(in_memory=False):
        print_sending()
