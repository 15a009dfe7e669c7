"""How much memory a process takes that sends from queues of different lengths. Each is a process of its own, with threads.

python -m tests.benchmarks.sender_memory <name of the database> <mails>

Of the shorter queues every mail is sent. Of the longest one the process sends some, and then takes every row that is
left and only ticks it off, so that it takes a minute and not a quarter of an hour: what 10,000 mails leave behind in
memory, the line before has shown. Mollie is within the process, and answers at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()

import requests
from django.db import connection
from django.test import override_settings
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from mollie_onboarding.models import ClientLink
from mollie_onboarding.services import draining
from tests.benchmarks.queues import forget_rows, queue_rows

CONCURRENCY = 16
MAILS = {1_000: 1_000, 10_000: 10_000, 100_000: 1_000}  # by the rows in the queue
PROC = Path("/proc/self/status")


def print_sender_memory() -> None:
    """The most memory that each process had, and the ratio to that of the shortest queue."""
    print(
        f"\nMemory of a sender at its peak, {CONCURRENCY} calls at once; rows that are not mailed are ticked off.\n"
    )
    if not PROC.exists():
        print("Left out: the memory of a process is read from /proc.")
        return
    print(f"{'rows':>12}{'mails':>10}{'MB':>10}{'ratio':>8}")
    floor = 0.0
    for size, mails in MAILS.items():
        queue_rows(size)
        megabytes = _measure(mails)
        floor = floor or megabytes
        print(f"{size:12,}{mails:10,}{megabytes:10.1f}{megabytes / floor:8.2f}", flush=True)
    forget_rows()


def _measure(mails: int) -> float:
    connection.close()
    name = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-m", "tests.benchmarks.sender_memory", name, str(mails)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    return int(done.stdout) / 1024


def main(database: str, mails: int) -> None:
    connection.settings_dict["NAME"] = database
    with instant_mollie(), override_settings(EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend"):
        assert draining.drain_queue(mails, concurrency=CONCURRENCY).sent == mails
        with mock.patch.object(draining, "send_onboarding_link", _tick_off):
            draining.drain_queue(concurrency=CONCURRENCY)
    assert not ClientLink.objects.exclude(send_requested_at=None).exists()
    [peak] = [line.split()[1] for line in PROC.read_text().splitlines() if line.startswith("VmHWM:")]
    print(peak)


def _tick_off(client_link_id: uuid.UUID, **kwargs: Any) -> bool:
    return bool(ClientLink.objects.filter(pk=client_link_id).update(send_requested_at=None))


@contextmanager
def instant_mollie() -> Iterator[None]:
    """A Mollie in this process."""

    def send(self: HTTPAdapter, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        number = uuid.uuid4().hex
        href = f"https://my.mollie.com/dashboard/client-link/cl_{number}"
        body = json.dumps({"id": f"cl_{number}", "_links": {"clientLink": {"href": href}}}).encode()
        raw = HTTPResponse(body=BytesIO(body), status=201, preload_content=False)
        return self.build_response(request, raw)

    with mock.patch.object(HTTPAdapter, "send", send):
        yield


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
