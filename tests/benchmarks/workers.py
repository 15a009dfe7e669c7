"""Many processes on one queue in PostgreSQL, and then the same with one of them killed every second.

DATABASE_URL=postgres://… python -m tests.benchmarks.workers [--quick]

Counted is at the other ends: the client links at a Mollie in a process of its own, the mails in the mailbox. A merchant
without a mail, or with one too many, ends it with an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

PROCESSES = 4
COUNT, QUICK = 10_000, 500
LATENCY = 0.1  # seconds that Mollie takes
KILL_INTERVAL = 1.0  # seconds
# Instead of five minutes, so that the end is not mostly waiting; still many times what a row takes.
CLAIMS_END_AFTER = timedelta(seconds=20)
MOST_IN_FLIGHT = 6  # rows in the hands of one process
LONGEST_RUN = 1800.0  # seconds

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()

from django.db import connection
from django.utils import timezone

from mollie_onboarding.models import ClientLink, DeliveryStatus, Status
from mollie_onboarding.models.claims import CLAIM_LIFETIME, SENDING_CLAIM_LIFETIME
from tests.benchmarks.light_mollie import Address, run_light_mollie
from tests.conftest import MERCHANT
from tests.workers.engines import ENGINES, Platform, run_platform
from tests.workers.mails import read_mails, second_mails

QUEUED = {"send_requested_at__isnull": False}


def main(count: int) -> None:
    print(
        f"\n{PROCESSES} processes of send_onboarding_links on {connection.vendor}; Mollie takes {LATENCY * 1000:.0f} ms.\n"
    )
    connection.settings_dict["TEST"]["NAME"] = f"mollie_onboarding_bench_{os.getpid()}"
    name = connection.creation.create_test_db(verbosity=0)
    try:
        print(
            f"{'':34}{'merchants':>10}{'links/s':>9}{'links':>8}{'mails':>8}{'killed':>8}{'second':>8}",
            flush=True,
        )
        print_run("nobody killed", count, is_killing=False)
        print_run("one killed every second", count, is_killing=True)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def print_run(title: str, count: int, *, is_killing: bool) -> None:
    make_queue(count)
    with (
        tempfile.TemporaryDirectory() as directory,
        run_light_mollie(LATENCY) as mollie,
        run_platform(ENGINES["cron"], mollie.url, Path(directory)) as platform,
    ):
        started = time.monotonic()
        killed = drain(platform, is_killing=is_killing)
        seconds = time.monotonic() - started
        second = verify(platform, mollie, count, killed)
        links, mails = mollie.calls().owners, read_mails(platform.mails)
    print(
        f"{title:34}{count:10,}{count / seconds:9.0f}{sum(links.values()):8,}{len(mails):8,}{len(killed):8}{second:8}",
        flush=True,
    )


def make_queue(count: int) -> None:
    ClientLink.objects.all().delete()
    columns = MERCHANT | {"delivery_status": DeliveryStatus.QUEUED, "send_requested_at": timezone.now()}
    ClientLink.objects.bulk_create(
        (ClientLink(**columns | {"owner_email": f"owner{number}@shop.example"}) for number in range(count)),
        batch_size=1000,
    )


def drain(platform: Platform, *, is_killing: bool) -> set[int]:
    """Keep so many processes at work until the queue is empty. Gives the ids of those that were killed."""
    killed: set[int] = set()
    give_up_at = time.monotonic() + LONGEST_RUN
    platform.keep_at(PROCESSES)
    while ClientLink.objects.filter(**QUEUED).exists():
        assert time.monotonic() < give_up_at, platform.said()
        time.sleep(KILL_INTERVAL if is_killing else 0.2)
        if is_killing:
            end_old_claims()
            if victim := oldest_at_work(platform):
                killed |= platform.kill(victim)
        if ClientLink.objects.due_for_sending(timezone.now()).exists():
            platform.keep_at(PROCESSES)
    return killed


def oldest_at_work(platform: Platform) -> subprocess.Popen[bytes] | None:
    """The one of the workers that has been at it for longest, if it has sent something."""
    senders = {mail.pid for mail in read_mails(platform.mails)}
    live = [worker for worker in platform.workers if worker.poll() is None]
    return next((worker for worker in live if worker.pid in senders), None)


def end_old_claims() -> None:
    """What time does to the claims of the dead, only sooner."""
    now = timezone.now()
    for column, lifetime in (("sending_until", SENDING_CLAIM_LIFETIME), ("issuing_until", CLAIM_LIFETIME)):
        old = ClientLink.objects.filter(**{f"{column}__lte": now + lifetime - CLAIMS_END_AFTER})
        old.update(**{column: now})


def verify(platform: Platform, mollie: Address, count: int, killed: set[int]) -> int:
    """Fails unless everybody has one client link and their mail. Gives how many mails were sent a second time.

    Those are of rows that were in the hands of a killed process, which sent nothing, or few others, after them, and they
    have the `Message-ID` of the first.
    """
    sent = ClientLink.objects.filter(status=Status.READY, delivery_status=DeliveryStatus.SENT, send_count=1)
    assert sent.count() == count
    assert Counter(mollie.calls().owners.values()) == {1: count}
    mails = read_mails(platform.mails)
    assert {mail.to for mail in mails} == set(mollie.calls().owners)
    second = second_mails(mails)
    last_words = {pid: [mail for mail in mails if mail.pid == pid][-MOST_IN_FLIGHT:] for pid in killed}
    for first, _ in second:
        assert first in last_words.get(first.pid, []), first
    return len(second)


if __name__ == "__main__":
    main(QUICK if "--quick" in sys.argv else COUNT)
