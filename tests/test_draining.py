"""The queue of mails, drained by many threads and by several processes at once."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from requests.adapters import HTTPAdapter

from mollie_onboarding import services
from mollie_onboarding.models import SENDING_CLAIM_LIFETIME, ClientLink, Event, Organization, Status
from mollie_onboarding.services import Drained, budget, draining, pool, sending
from tests.benchmarks.light_mollie import run_light_mollie
from tests.processes import arguments_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


@pytest.fixture
def queue(make_client_link):
    """That many rows in the queue, the first one the oldest."""

    def queue(count: int, **columns: Any) -> list[ClientLink]:
        now = timezone.now()
        return [
            make_client_link(
                owner_email=f"{number}@merchant.example",
                **{"send_requested_at": now - timedelta(seconds=count - number), **columns},
            )
            for number in range(count)
        ]

    return queue


@pytest.fixture
def notice(make_client_link) -> ClientLink:
    organization = Organization.objects.create(organization_id="org_1", name="Bakkerij Jansen")
    requested_at = timezone.now() - timedelta(hours=1)
    return make_client_link(
        status=Status.CONNECTED, organization=organization, notice_requested_at=requested_at
    )


class Calls:
    """How many calls to Mollie were under way when each of them began."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.running: list[None] = []
        self.expected = (
            1  # at once; the calls wait for each other until there are as many, ten seconds at most
        )

    @property
    def most(self) -> int:
        return max(self.counts)

    @contextmanager
    def one(self) -> Iterator[None]:
        self.running.append(None)
        self.counts.append(len(self.running))
        give_up_at = time.monotonic() + 10
        while self.most < self.expected and time.monotonic() < give_up_at:
            time.sleep(0.005)
        time.sleep(0.05)  # for one too many to show
        yield
        self.running.pop()


@pytest.fixture
def calls(sandbox) -> Iterator[Calls]:
    calls = Calls()
    answer = HTTPAdapter.send

    def send(self: HTTPAdapter, *args: Any, **kwargs: Any) -> Any:
        with calls.one():
            return answer(self, *args, **kwargs)

    with mock.patch.object(HTTPAdapter, "send", send):
        yield calls


def recipients() -> Counter[str]:
    return Counter(message.to[0] for message in mail.outbox)


# Threads.


def test_every_row_is_mailed_once_by_many_threads(sandbox, queue, notice):
    rows = queue(12)

    assert services.drain_queue(concurrency=4) == Drained(sent=13)

    assert recipients() == Counter([row.owner_email for row in [*rows, notice]])
    assert set(ClientLink.objects.exclude(pk=notice.pk).values_list("send_count", "status")) == {(1, "ready")}
    assert services.drain_queue(concurrency=4) == Drained()


@pytest.mark.parametrize("concurrency", [1, 2, 3])
def test_as_many_calls_at_once_as_asked_for_and_no_more(calls, queue, concurrency):
    calls.expected = concurrency
    queue(9)

    assert services.drain_queue(concurrency=concurrency).sent == 9

    assert calls.most == concurrency


def test_mails_take_no_slot(calls, queue, monkeypatch):
    """With two calls at a time there are four threads, so four mails can be on their way at once."""
    mailing = threading.Barrier(4, timeout=20)
    deliver = EmailBackend.send_messages

    def meet(self: EmailBackend, messages: Any) -> Any:
        mailing.wait()
        return deliver(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", meet)
    queue(4)

    assert services.drain_queue(concurrency=2) == Drained(sent=4)
    assert calls.most <= 2


def test_threads_end_and_leave_no_connection(sandbox, queue, monkeypatch):
    closed = []
    close_all = draining.connections.close_all

    def note_and_close() -> None:
        closed.append(threading.current_thread())
        close_all()

    monkeypatch.setattr(draining.connections, "close_all", note_and_close)
    queue(2)

    services.drain_queue(concurrency=2)

    assert len(set(closed)) == len(closed) == 2 * 4  # for the links, and for the notices
    assert not any(thread.is_alive() for thread in closed)
    assert threading.main_thread() not in closed


def test_row_that_fails_does_not_stop_the_others(sandbox, queue, monkeypatch, caplog):
    rows = queue(6)
    build = sending.build_mail

    def broken_for_one(client_link: ClientLink, *args: Any, **kwargs: Any) -> Any:
        if client_link.pk == rows[1].pk:
            raise LookupError("a template of the platform's")
        return build(client_link, *args, **kwargs)

    monkeypatch.setattr(sending, "build_mail", broken_for_one)
    ClientLink.objects.filter(pk=rows[2].pk).update(status=Status.REJECTED)

    assert services.drain_queue(concurrency=2) == Drained(sent=4, failed=2)
    assert f"Client link {rows[1].pk} could not be worked on." in caplog.text


@pytest.mark.parametrize("concurrency", [1, 2])
def test_database_that_is_away_for_a_moment_ends_neither_the_run_nor_its_threads(
    sandbox, queue, monkeypatch, concurrency
):
    queue(12)
    pause, refusals = budget.pause, iter(range(8))

    def pause_or_fail() -> float:
        if next(refusals, None) is not None:
            raise OperationalError("the database restarts")
        return pause()

    monkeypatch.setattr(budget, "pause", pause_or_fail)

    drained = services.drain_queue(concurrency=concurrency)

    assert (drained.sent, drained.failed) == (4, 8)
    assert services.drain_queue(concurrency=concurrency).sent == 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_jobs_whose_threads_all_ended_are_an_error_and_no_endless_wait(monkeypatch):
    monkeypatch.setattr(pool, "SLICE", 0.01)
    meanwhile = mock.Mock()

    with pytest.raises(RuntimeError, match="No thread is left"):
        pool.work_in_threads(
            range(100),
            mock.Mock(side_effect=LookupError),
            threads=2,
            at_end=lambda: None,
            meanwhile=meanwhile,
        )


def test_one_thread_is_this_one_and_so_is_a_transaction(sandbox, queue, monkeypatch):
    monkeypatch.setattr(draining, "work_in_threads", mock.Mock(side_effect=AssertionError))
    queue(2)
    assert services.drain_queue(1, concurrency=1) == Drained(sent=1)

    with transaction.atomic():
        # Which is no place to send from, and no thread sees into.
        assert services.drain_queue(concurrency=4) == Drained(failed=1)
    assert len(mail.outbox) == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's writers need to wait for each other")
@pytest.mark.parametrize(
    ("mode", "is_alone"), [(None, True), ("deferred", True), ("IMMEDIATE", False), ("exclusive", False)]
)
def test_sqlite_as_it_comes_gets_one_thread(queue, monkeypatch, mode, is_alone):
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"transaction_mode": mode})
    workers = set()
    monkeypatch.setattr(
        draining, "send_onboarding_link", lambda *args, **kwargs: workers.add(threading.current_thread())
    )
    queue(8)

    services.drain_queue(concurrency=2)

    assert (workers == {threading.current_thread()}) is is_alone


# What is taken, and when.


def test_pages_miss_nothing_and_repeat_nothing(sandbox, queue, monkeypatch):
    monkeypatch.setattr(draining, "PAGE_SIZE", 2)
    queue(3)
    queue(5, send_requested_at=timezone.now() - timedelta(minutes=1))  # a batch: all at one moment
    taken = []
    send = draining.send_onboarding_link

    def note(pk: Any, **kwargs: Any) -> Any:
        taken.append(pk)
        return send(pk, **kwargs)

    monkeypatch.setattr(draining, "send_onboarding_link", note)

    assert services.send_queued() == (8, 0)

    assert len(set(taken)) == len(taken) == 8
    moments = [ClientLink.objects.get(pk=pk).first_sent_at for pk in taken]
    assert moments == sorted(moments)


def test_rows_that_stay_due_are_tried_once(sandbox, queue, monkeypatch):
    monkeypatch.setattr(draining, "PAGE_SIZE", 2)
    queue(5)
    tries = mock.Mock(return_value=False)
    monkeypatch.setattr(draining, "send_onboarding_link", tries)

    assert services.drain_queue(concurrency=2) == Drained(failed=5)
    assert tries.call_count == 5


def test_rows_that_are_requested_during_a_run_are_for_the_next(sandbox, queue, monkeypatch):
    monkeypatch.setattr(draining, "PAGE_SIZE", 1)
    queue(1)
    send = draining.send_onboarding_link

    def request_one_more(pk: Any, **kwargs: Any) -> Any:
        queue(1, send_requested_at=timezone.now())
        return send(pk, **kwargs)

    monkeypatch.setattr(draining, "send_onboarding_link", request_one_more)

    assert services.send_queued() == (1, 0)
    assert ClientLink.objects.exclude(send_requested_at=None).count() == 1


def test_limit_counts_what_is_begun(sandbox, queue, notice):
    queue(3)

    assert services.drain_queue(2, concurrency=2) == Drained(sent=2)
    assert services.drain_queue(2, concurrency=2) == Drained(sent=2)
    assert services.drain_queue(2, concurrency=2) == Drained()


def test_row_that_changed_since_its_page_was_read_is_read_again(sandbox, queue, monkeypatch):
    first, second, third = queue(3)
    send = draining.send_onboarding_link

    def change_the_others(pk: Any, **kwargs: Any) -> Any:
        if pk == first.pk:
            second.owner_email = "corrected@merchant.example"
            second.save()
            services.cancel_client_link(third)
        return send(pk, **kwargs)

    monkeypatch.setattr(draining, "send_onboarding_link", change_the_others)

    assert services.drain_queue(concurrency=1) == Drained(sent=2, skipped=1)

    assert recipients() == Counter([first.owner_email, "corrected@merchant.example"])
    second.refresh_from_db()
    assert second.merchant_url() in mail.outbox[1].body


def test_page_that_was_read_long_ago_is_not_trusted(sandbox, queue, monkeypatch):
    monkeypatch.setattr(draining, "READ_FOR", -1.0)
    queue(2)
    handed_over = []
    send = draining.send_onboarding_link

    def note(pk: Any, *, as_read: Any, **kwargs: Any) -> Any:
        handed_over.append(as_read)
        return send(pk, as_read=as_read, **kwargs)

    monkeypatch.setattr(draining, "send_onboarding_link", note)

    assert services.send_queued() == (2, 0)
    assert handed_over == [None, None]


def test_row_that_is_edited_between_each_reading_and_claim_is_left_for_later(sandbox, queue, monkeypatch):
    [row] = queue(1)
    attempt_columns = sending.attempt_columns

    def edit(client_link: ClientLink, now: Any) -> Any:
        ClientLink.objects.filter(pk=row.pk).update(updated_at=timezone.now())
        return attempt_columns(client_link, now)

    monkeypatch.setattr(sending, "attempt_columns", edit)

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert row.sending_until is row.issuing_until is None
    assert row.send_requested_at is not None
    assert mail.outbox == []


def test_claim_of_a_killed_worker_is_taken_over(sandbox, queue):
    rows = queue(3)
    long_ago = timezone.now() - SENDING_CLAIM_LIFETIME
    assert ClientLink.objects.claim_sending(rows[0].pk, long_ago)
    assert ClientLink.objects.claim_sending(rows[1].pk, timezone.now())

    assert services.drain_queue(concurrency=2) == Drained(sent=2)
    assert recipients() == Counter([rows[0].owner_email, rows[2].owner_email])


# Stopping and waiting.


def test_stopped_run_finishes_what_it_began(calls, queue):
    queue(20)
    stop = threading.Event()

    with mock.patch.object(EmailBackend, "send_messages", side_effect=lambda messages: stop.set() or 1):
        drained = services.drain_queue(concurrency=2, stop=stop)

    assert 1 <= drained.sent <= 4  # as many as there are threads
    assert drained == Drained(sent=drained.sent, left=20 - drained.sent)
    assert ClientLink.objects.due_for_sending(timezone.now()).count() == drained.left
    assert not ClientLink.objects.exclude(sending_until=None).exists()


def test_run_that_is_stopped_before_it_begins_sends_nothing(sandbox, queue):
    queue(2)
    stop = threading.Event()
    stop.set()

    assert services.drain_queue(concurrency=2, stop=stop) == Drained(left=2)
    assert mail.outbox == []


def test_pause_is_waited_for_in_slices(sandbox, queue, monkeypatch):
    pauses = iter([0.05, 0.02, 0.0])
    monkeypatch.setattr(budget, "pause", lambda: next(pauses, 0.0))
    queue(3)

    assert services.drain_queue(concurrency=2) == Drained(sent=3)
    assert next(pauses, None) is None


def test_pause_that_is_too_long_leaves_the_rows_queued(sandbox, queue, monkeypatch):
    monkeypatch.setattr(budget, "pause", lambda: 3600.0)
    queue(3)

    assert services.drain_queue(concurrency=2) == Drained(left=3, was_paused=True)
    assert sandbox.calls() == []


def test_stop_is_heard_during_a_pause(sandbox, queue, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(budget, "pause", lambda: stop.set() or 60.0)
    queue(3)

    assert services.drain_queue(concurrency=2, stop=stop) == Drained(left=3)


def test_rows_that_are_put_back_have_their_turn_in_the_same_run(sandbox, queue, monkeypatch):
    rows = queue(4)
    refused = {rows[0].pk, rows[1].pk}
    send = draining.send_onboarding_link

    def refuse_once(pk: Any, **kwargs: Any) -> Any:
        if pk in refused:  # no call is allowed now
            refused.remove(pk)
            return None
        return send(pk, **kwargs)

    monkeypatch.setattr(draining, "send_onboarding_link", refuse_once)

    assert services.drain_queue(concurrency=2) == Drained(sent=4, skipped=2)
    assert len(mail.outbox) == 4


def test_progress_is_reported_by_the_thread_that_asked(calls, queue, monkeypatch):
    monkeypatch.setattr("mollie_onboarding.services.pool.SLICE", 0.01)
    queue(20)
    reports = []

    services.drain_queue(
        concurrency=2, report=lambda drained: reports.append((threading.current_thread(), drained.done))
    )

    assert {thread for thread, _ in reports} == {threading.current_thread()}
    numbers = [done for _, done in reports]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 2
    assert numbers[-1] == 20


# Processes.


@pytest.fixture
def slow_mollie() -> Iterator[str]:
    """The address of a Mollie in a process of its own, which takes a moment for each call."""
    with run_light_mollie(0.2) as address:
        yield address.url


@pytest.fixture
def start_command(tmp_path):
    """Starts `send_onboarding_links` in a process of its own, with that Mollie."""

    def start_command(mollie: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            **arguments_of(
                "django",
                "send_onboarding_links",
                *arguments,
                TEST_API_URL=mollie,
                TEST_MAIL_DIRECTORY=str(tmp_path),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start_command


@pytest.fixture
def command(slow_mollie, start_command):
    return partial(start_command, slow_mollie)


def mails_in(directory: Path) -> Counter[str]:
    """The recipients of the mails that processes wrote, each as often as it got one."""
    contents = b"".join(path.read_bytes() for path in directory.iterdir())
    parts = [part.strip() for part in contents.split(b"-" * 79) if part.strip()]
    return Counter(str(message_from_bytes(part)["To"]) for part in parts)


def wait_for(condition: Any) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_command_without_losing_or_repeating_a_mail(command, queue, tmp_path, number):
    rows = queue(40)
    process = command("--concurrency=2")
    wait_for(lambda: Event.objects.filter(kind="sent").exists())
    in_hand = ClientLink.objects.exclude(sending_until=None).count()
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    sent = ClientLink.objects.filter(send_count=1).count()
    assert 1 <= sent < 40
    assert in_hand > 0
    assert output == f"{sent} sent, 0 not sent. {40 - sent} left in the queue: stopped.\n"
    assert not ClientLink.objects.exclude(sending_until=None, issuing_until=None).exists()
    assert sum(mails_in(tmp_path).values()) == sent

    process = command("--concurrency=4")
    output, errors = process.communicate(timeout=60)

    assert output == f"{40 - sent} sent, 0 not sent.\n", errors
    assert mails_in(tmp_path) == Counter([row.owner_email for row in rows])


def test_second_signal_ends_the_command_at_once(start_command, queue):
    queue(2)
    with run_light_mollie(60) as mollie:  # what is in hand is not finished in this test
        process = start_command(mollie.url, "--concurrency=1")
        wait_for(lambda: mollie.calls().requests == 1)
        # Two that come at the same time are one.
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert output == ""
    assert ClientLink.objects.filter(send_count=0, status=Status.DRAFT).count() == 2


def test_two_commands_at_once_mail_every_row_once(command, queue, tmp_path):
    rows = queue(40)
    processes = [command("--concurrency=4", "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert mails_in(tmp_path) == Counter([row.owner_email for row in rows])
    assert set(ClientLink.objects.values_list("send_count", flat=True)) == {1}
    assert Event.objects.filter(kind="ready").count() == 40
