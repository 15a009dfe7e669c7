"""The engines that may drain the queue, with real workers: each merchant gets one link and one mail, whoever is killed.

Only on PostgreSQL: several processes that write at once are not what SQLite is for.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import django
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from mollie_onboarding.models import ClientLink, DeliveryStatus, Status
from tests.benchmarks.light_mollie import Address, run_light_mollie
from tests.conftest import MERCHANT
from tests.workers.engines import ENGINES, Platform, family, names_of_engines, run_platform, stored_tasks
from tests.workers.mails import read_mails, second_mails

pytestmark = [
    pytest.mark.workers,
    pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="workers are run on PostgreSQL"),
]

T = TypeVar("T")

ROWS = 30
KILLS = 6
MOST_IN_FLIGHT = 6  # rows in the hands of one process
DEADLINE = 60.0  # seconds; on an idle machine everything is over in five
LONGEST_REQUEST = 4.0  # seconds that a request may take because of a broker that is down
SEND = ("django", "send_onboarding_links")


def _do_without(reason: str) -> None:
    """Skip where an engine or its service is missing; on CI that is a failure."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def mollie() -> Iterator[Address]:
    with run_light_mollie(latency=0.02) as address:
        yield address


@pytest.fixture(params=names_of_engines())
def platform(request, mollie, tmp_path) -> Iterator[Platform]:
    engine = ENGINES[request.param]
    if engine.lowest_django > django.VERSION:
        pytest.skip("it needs a newer Django")
    if reason := engine.missing():
        _do_without(reason)
    with run_platform(engine, mollie.url, tmp_path) as platform:
        yield platform
    print(platform.said())  # noqa: T201 (pytest shows it beside a failure)


def queue_rows(platform: Platform, count: int = ROWS) -> float:
    """Ask for a mail to each of so many merchants, in a web process. Gives the seconds that the slowest one took."""
    rows = [
        ClientLink(**MERCHANT | {"owner_email": f"owner{number}@shop.example"}) for number in range(count)
    ]
    ClientLink.objects.bulk_create(rows)
    return float(platform.run("tests.workers.web_process", input="\n".join(str(row.pk) for row in rows)))


def queued() -> set[str]:
    """Who still waits for a mail."""
    rows = ClientLink.objects.filter(send_requested_at__isnull=False)
    return set(rows.values_list("owner_email", flat=True))


def wait_for(what: Callable[[], T]) -> T:
    give_up_at = time.monotonic() + DEADLINE
    while not (found := what()):
        assert time.monotonic() < give_up_at, f"{len(queued())} are still queued"
        time.sleep(0.05)
    return found


def has_work() -> bool:
    """Whether there is a row in nobody's hands."""
    return ClientLink.objects.due_for_sending(timezone.now()).exists()


def one_at_work(platform: Platform) -> subprocess.Popen[bytes] | None:
    """A worker that has sent something."""
    senders = {mail.pid for mail in read_mails(platform.mails)}
    live = [worker for worker in platform.workers if worker.poll() is None]
    return next((worker for worker in live if worker.pid in senders), None)


def end_claims() -> None:
    """As if five minutes had passed."""
    before = timezone.now() - timedelta(seconds=1)
    ClientLink.objects.exclude(sending_until=None).update(sending_until=before)
    ClientLink.objects.exclude(issuing_until=None).update(issuing_until=before)


def assert_everybody_has_one_link(mollie: Address, count: int = ROWS) -> None:
    sent = ClientLink.objects.filter(
        status=Status.READY, delivery_status=DeliveryStatus.SENT, send_count=1, sending_until=None
    )
    assert sent.count() == count
    assert Counter(mollie.calls().owners.values()) == {1: count}


def test_two_workers_send_everything_once(platform, mollie):
    queue_rows(platform)
    assert len(queued()) == ROWS

    for _ in range(2):
        platform.start_worker()

    wait_for(lambda: not queued())
    assert_everybody_has_one_link(mollie)
    assert Counter(mail.to for mail in read_mails(platform.mails)) == Counter(mollie.calls().owners)


def test_row_in_the_hands_of_a_killed_worker_is_mailed_again_by_the_command_and_as_the_same_mail(
    platform, mollie
):
    held = f"owner{ROWS // 3}@shop.example"
    platform.environment["TEST_HELD_ADDRESS"] = held
    queue_rows(platform)
    workers = [platform.start_worker() for _ in range(2)]
    [mail] = wait_for(lambda: [mail for mail in read_mails(platform.mails) if mail.to == held])

    [victim] = [worker for worker in workers if mail.pid in family(worker.pid)]
    killed = platform.kill(victim)

    wait_for(lambda: not has_work())  # the other one does the rest
    platform.stop()
    left = queued()
    assert held in left
    assert platform.run(*SEND).startswith("0 sent")  # as long as the claims hold
    end_claims()
    assert platform.run(*SEND).startswith(f"{len(left)} sent")
    assert_everybody_has_one_link(mollie)
    seconds = second_mails(read_mails(platform.mails))
    assert mail in {first for first, _ in seconds}
    assert {first.to for first, _ in seconds} <= left
    assert {first.pid for first, _ in seconds} <= killed


@pytest.mark.parametrize("platform", ["db", "rq"], indirect=True)
def test_queue_keeps_ids_and_nothing_of_a_merchant(platform, mollie):
    """Neither while a task waits, nor when it is done, nor when a mail server refused the merchant by address."""
    refused = "owner0@shop.example"
    platform.environment["TEST_REFUSED_ADDRESS"] = refused
    queue_rows(platform, 3)
    kept = stored_tasks(platform.engine)
    platform.start_worker()
    wait_for(lambda: queued() == {refused} and ClientLink.objects.filter(send_attempts__gt=0).exists())
    platform.stop()
    kept += stored_tasks(platform.engine)

    for row in ClientLink.objects.all():
        assert str(row.pk) in kept
        for value in (row.owner_email, row.owner_family_name, row.organization_name, row.url):
            assert value
            assert value not in kept
    for secret in (settings.SECRET_KEY, settings.MOLLIE_ONBOARDING_ACCESS_TOKEN):
        assert secret not in kept


@pytest.mark.parametrize("platform", ["celery"], indirect=True)
def test_task_of_a_killed_child_comes_again_by_itself_with_acks_late(platform, mollie):
    held = "owner0@shop.example"
    platform.environment["TEST_HELD_ADDRESS"] = held
    queue_rows(platform, 3)
    worker = platform.start_worker()
    [mail] = wait_for(lambda: [mail for mail in read_mails(platform.mails) if mail.to == held])
    end_claims()  # that task has been at it for five minutes

    os.kill(mail.pid, signal.SIGKILL)  # as the kernel does where memory is short

    wait_for(lambda: not queued())
    assert worker.poll() is None
    assert_everybody_has_one_link(mollie, 3)
    [(first, second)] = second_mails(read_mails(platform.mails))
    assert (first, second.to) == (mail, held)


@pytest.mark.parametrize("platform", ["cron"], indirect=True)
def test_with_workers_killed_one_after_the_other_nothing_is_lost(platform, mollie):
    platform.environment["TEST_MAIL_SECONDS"] = "0.2"
    queue_rows(platform, 60)
    killed: set[int] = set()

    while len(killed) < KILLS and has_work():
        platform.keep_at(4)
        if victim := one_at_work(platform):
            killed |= platform.kill(victim)
        time.sleep(0.5)
    platform.keep_at(4)
    wait_for(lambda: all(worker.poll() is not None for worker in platform.workers))
    left = queued()
    end_claims()
    platform.run(*SEND)

    assert killed
    assert not queued()
    assert_everybody_has_one_link(mollie, 60)
    mails = read_mails(platform.mails)
    assert {mail.to for mail in mails} == set(mollie.calls().owners)
    for first, _ in second_mails(mails):
        assert first.to in left
        assert first.pid in killed
        assert first in [mail for mail in mails if mail.pid == first.pid][-MOST_IN_FLIGHT:]


@pytest.mark.parametrize("platform", ["rq", "celery"], indirect=True)
@pytest.mark.parametrize("answers", [False, True])
def test_broker_that_is_down_costs_nothing_but_time(platform, mollie, answers):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:  # takes connections, and says nothing
        port = silent.getsockname()[1] if answers else 1
        platform.environment["TEST_BROKER_URL"] = re.sub(
            r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", platform.engine.broker
        )

        assert queue_rows(platform, 3) < LONGEST_REQUEST

    assert len(queued()) == 3
    assert platform.run(*SEND).startswith("3 sent")
    assert_everybody_has_one_link(mollie, 3)
