"""One budget towards Mollie, shared by all workers; merchants in front of a browser do not wait for it."""

from __future__ import annotations

import ast
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.admin.labels import reasons_for_attention
from mollie_onboarding.exceptions import MollieConnectionError
from mollie_onboarding.models import CallBudget, ClientLink, Organization, Wait
from mollie_onboarding.mollie_api import CREATE_CLIENT_LINK, RateLimit
from mollie_onboarding.sandbox import service as sandbox_service
from mollie_onboarding.services import budget
from tests import processes
from tests.conftest import MERCHANT, NOON
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def hear(
    remaining: int | None = None, t: int | None = 3, *, q: int | None = 20, w: int | None = 3, **more: Any
) -> None:
    """An answer to a call for a client link."""
    limit = RateLimit(
        **{
            "endpoint": CREATE_CLIENT_LINK,
            "remaining": remaining,
            "resets_in": t,
            "quota": q,
            "window": w,
            **more,
        }
    )
    budget.heed(SimpleNamespace(rate_limit=limit))


def hear_busy(retry_after: int | None = None, **more: Any) -> None:
    hear(t=None, q=None, w=None, is_exceeded=True, retry_after=retry_after, **more)


def takes(count: int) -> list[float]:
    return [budget.take() for _ in range(count)]


def remaining() -> int | None:
    return CallBudget.objects.get().remaining


# Nothing known


def test_nothing_known_costs_one_select():
    with CaptureQueriesContext(connection) as queries:
        assert budget.take() == 0.0

    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["SELECT"]
    assert budget.pause() == 0.0


def test_pause_that_is_over_costs_one_select(clock):
    hear_busy(5)
    clock.shift(seconds(5))

    with CaptureQueriesContext(connection) as queries:
        assert budget.take() == 0.0

    assert len(queries) == 1


def test_answer_that_says_nothing_is_not_written_down():
    with CaptureQueriesContext(connection) as queries:
        budget.heed(SimpleNamespace(rate_limit=None))

    assert len(queries) == 0


# A window


def test_workers_leave_a_fifth_to_merchants(clock):
    hear(20)

    assert takes(18) == [0.0] * 16 + [3.0, 3.0]
    assert remaining() == 4
    assert budget.pause() == 3.0


@pytest.mark.parametrize(("quota", "reserve"), [(1, 0), (2, 1), (5, 1), (9, 1), (10, 2), (20, 4), (100, 20)])
def test_reserve(quota, reserve):
    assert CallBudget(quota=quota).reserve == reserve


def test_quota_of_one_goes_to_workers_too(clock):
    hear(1, q=1)

    assert takes(2) == [0.0, 3.0]


def test_waiting_only_reads(clock):
    hear(4)

    with CaptureQueriesContext(connection) as queries:
        assert budget.take() == 3.0

    assert len(queries) == 1


def test_taking_is_one_select_and_one_update(clock):
    hear(20)

    with CaptureQueriesContext(connection) as queries:
        assert budget.take() == 0.0

    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["SELECT", "UPDATE"]


def test_next_window_has_the_same_quota_and_begins_with_its_first_call(clock):
    hear(4)
    clock.shift(seconds(7))
    assert budget.pause() == 0.0

    assert takes(17) == [0.0] * 16 + [3.0]


def test_answer_within_a_window_only_lowers_what_remains(clock):
    hear(20)
    takes(10)

    hear(19)  # an answer that overtook nine others
    assert remaining() == 10
    hear(7)
    assert remaining() == 7


def test_late_answer_of_the_window_before_raises_nothing(clock):
    hear(18, 1)
    clock.shift(seconds(1))
    takes(10)  # the next window has begun
    assert remaining() == 10

    hear(17, 1)

    assert remaining() == 10
    assert CallBudget.objects.get().resets_at == NOON + seconds(4)


def test_next_window_begins_after_every_reset_that_was_named(clock):
    hear(5, 2)
    clock.shift(seconds(1))
    hear(5, 3)

    assert CallBudget.objects.get().resets_at == NOON + seconds(4)


def test_answer_after_the_window_begins_another(clock):
    hear(4)
    clock.shift(seconds(3))

    hear(11, 2, q=30, w=2)

    row = CallBudget.objects.get()
    assert (row.remaining, row.resets_at, row.quota, row.window) == (11, NOON + seconds(5), 30, 2)


def test_quota_and_window_that_are_not_named_are_what_was_seen(clock):
    hear(6, 2, q=None, w=None)
    hear(4, 1, q=None, w=None)
    clock.shift(seconds(2))

    assert takes(7) == [0.0] * 6 + [2.0]


def test_window_without_a_time_is_over_in_a_second(clock):
    hear(1, None, q=None, w=None)

    assert budget.take() == 1.0


@pytest.mark.parametrize("t", [0, None])
def test_time_that_is_rounded_down_to_nothing_counts_as_a_second(clock, t):
    hear(0, t)

    assert budget.take() == 1.0


def test_limit_of_another_endpoint_is_not_that_of_the_bulk(clock):
    hear(0, endpoint="GET /v2/clients?limit=250")

    assert takes(2) == [0.0, 0.0]


def test_mollie_that_names_no_limit_any_more_is_believed_at_last(clock):
    hear(19)
    for _ in range(budget.MOST_SILENT_WINDOWS):
        clock.shift(seconds(3))
        assert takes(17)[-1] == 3.0
    clock.shift(seconds(3))

    assert takes(100) == [0.0] * 100
    hear(19)  # and when it does again
    assert takes(17)[-1] == 3.0


def test_each_word_of_a_limit_renews_it(clock):
    hear(19)
    for _ in range(budget.MOST_SILENT_WINDOWS + 1):
        clock.shift(seconds(3))
        assert takes(17)[-1] == 3.0
        hear(4)


@committing
def test_workers_at_once_share_a_window():
    hear(20, 60, w=60)

    results = in_threads(24, budget.take)

    assert results.count(0.0) == 16
    assert all(0 < wait <= 60 for wait in results if wait)


@committing
def test_workers_at_once_do_not_rush_into_a_new_window():
    with time_machine.travel(timezone.now() - seconds(3600)):
        hear(0, 60, w=60)

    results = in_threads(24, budget.take)

    assert results.count(0.0) == 16
    assert remaining() == 4


@committing
def test_first_words_of_a_limit_at_once_are_all_heard():
    levels = iter(range(19, 11, -1))

    results = in_threads(8, lambda: hear(next(levels), 60))

    assert results == [None] * 8
    assert remaining() == 12


def test_worker_that_another_was_quicker_than_comes_back_at_once(clock, monkeypatch):
    hear(5)
    clock.shift(seconds(3))
    begin = budget._begin_window

    def overtaken(row: CallBudget, now: datetime) -> bool:
        begin(row, now)
        CallBudget.objects.update(remaining=4)  # and others took all that there was
        return begin(row, now)

    monkeypatch.setattr(budget, "_begin_window", overtaken)

    assert budget.take() == budget.SHORTEST_WAIT


# A pause


def test_busy_answer_pauses_everybody(clock):
    hear_busy(5)

    assert takes(2) == [5.0, 5.0]
    assert budget.pause() == 5.0
    clock.shift(seconds(5))
    assert (budget.take(), budget.pause()) == (0.0, 0.0)


def test_pause_never_becomes_shorter(clock):
    hear_busy(30)
    hear_busy(5)
    assert budget.pause() == 30.0
    hear_busy(None)
    assert budget.pause() == 30.0
    hear_busy(31)
    assert budget.pause() == 31.0


def test_pause_of_no_time_is_a_second(clock):
    hear_busy(0)

    assert budget.pause() == 1.0


def test_busy_answer_of_any_endpoint_pauses(clock):
    hear_busy(5, endpoint="POST /oauth2/tokens", remaining=0)

    assert budget.take() == 5.0
    assert remaining() is None


def test_busy_answer_with_a_limit_tells_both(clock):
    hear(0, 3, is_exceeded=True, retry_after=2)

    assert budget.take() == 2.0
    clock.shift(seconds(2))
    assert budget.take() == 1.0
    clock.shift(seconds(1))
    assert takes(17) == [0.0] * 16 + [3.0]


def test_pauses_that_mollie_does_not_measure_grow(clock):
    lengths = []
    for _ in range(10):
        hear_busy()
        hear_busy()  # a call that had left before
        lengths.append(budget.pause())
        clock.shift(seconds(lengths[-1] + 59))

    assert lengths == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_pauses_begin_anew_when_it_went_well_for_a_minute(clock):
    for _ in range(3):
        hear_busy()
        clock.shift(seconds(budget.pause()))
    clock.shift(seconds(61))

    hear_busy()

    assert budget.pause() == budget.FIRST_PAUSE


def test_pause_that_is_not_measured_after_one_that_is(clock):
    hear_busy(5)
    clock.shift(seconds(5))

    hear_busy()

    assert budget.pause() == budget.FIRST_PAUSE


@committing
def test_busy_answers_at_once_are_one_pause():
    in_threads(8, hear_busy)

    assert CallBudget.objects.get().pause_seconds == budget.FIRST_PAUSE
    assert 0 < budget.pause() <= budget.FIRST_PAUSE


@committing
def test_longest_of_several_pauses_at_once_holds():
    lengths = iter([50, 10, 70, 20, 60, 30, 40, 5])

    in_threads(8, lambda: hear_busy(next(lengths)))

    assert 65 < budget.pause() <= 70


def test_row_that_cannot_be_written_breaks_nothing(monkeypatch, caplog):
    def refuse() -> None:
        raise DatabaseError("secret")

    monkeypatch.setattr(budget, "_load", refuse)

    hear_busy(5)

    assert "not written down: DatabaseError" in caplog.text
    assert "secret" not in caplog.text


@committing
def test_in_a_transaction_the_row_is_written_when_that_is_over():
    with transaction.atomic():
        hear_busy(60)
        assert budget.pause() == 0.0  # no other worker waits for our lock

    assert 59 < budget.pause() <= 60


# All doors to Mollie


def test_every_flow_heeds_what_mollie_says():
    """All flows build the `MollieAPI` of `calling`; the plain one would tell nobody."""
    plain = [
        path.name
        for path in Path(services.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).endswith("mollie_api")
        if "MollieAPI" in [name.name for name in node.names]
    ]

    assert plain == []


def test_merchant_in_front_of_a_browser_does_not_wait(sandbox, make_client_link, clock):
    hear_busy(5)

    assert services.create_client_link(make_client_link()).url


def test_answer_to_a_merchant_is_heeded(sandbox, make_client_link, settings, clock):
    settings.MOLLIE_SANDBOX_RATE_LIMIT = "20/3"

    services.create_client_link(make_client_link())

    row = CallBudget.objects.get()
    assert (row.remaining, row.resets_at, row.quota, row.window) == (19, NOON + seconds(3), 20, 3)


def test_busy_answer_to_a_merchant_is_heeded(sandbox, make_client_link, clock):
    sandbox.add_fault("client_links", "rate_limited", retry_after=30)

    with pytest.raises(MollieConnectionError):
        services.create_client_link(make_client_link())

    assert budget.take() == 30.0


# Sending


def test_row_over_the_budget_goes_back_without_an_attempt(sandbox, queued, clock):
    hear(4)
    row = queued()

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert (row.send_not_before, row.send_attempts, row.sending_until) == (NOON + seconds(3), 0, None)
    assert row.delivery_status == ClientLink.DeliveryStatus.QUEUED
    assert row.send_waits_for == Wait.MOLLIE
    assert sandbox.calls() == mail.outbox == []
    clock.shift(seconds(3))
    assert services.send_onboarding_link(row.pk) is True


def test_row_with_a_link_needs_no_budget(sandbox, queued, make_client_link, clock):
    row = services.create_client_link(make_client_link())
    hear_busy(60)
    services.request_sending(row)

    assert services.send_onboarding_link(row.pk) is True


def test_row_that_is_connected_needs_no_budget(sandbox, make_client_link, clock):
    organization = Organization.objects.create(
        organization_id="org_1", connection_status=Organization.ConnectionStatus.LOST, authorized_at=NOON
    )
    row = make_client_link(status="connected", organization=organization)
    hear_busy(60)
    assert services.request_sending(row)

    assert services.send_onboarding_link(row.pk) is True
    assert sandbox.calls() == []


def test_busy_answer_to_a_worker_pauses_all_without_an_attempt(sandbox, queued, clock):
    sandbox.add_fault("client_links", "rate_limited", retry_after=2)
    first, second = queued(), queued()

    assert services.send_onboarding_link(first.pk) is None
    assert services.send_onboarding_link(second.pk) is None

    for row in (first, second):
        row.refresh_from_db()
        assert (row.send_not_before, row.send_attempts, row.sending_until) == (NOON + seconds(2), 0, None)
        assert (row.send_waits_for, row.problem) == (Wait.MOLLIE, "")
    assert len(sandbox.calls("client_links")) == 1
    clock.shift(seconds(2))
    assert services.send_queued() == (2, 0)
    assert (
        len({call.idempotency_key for call in sandbox.calls("client_links")}) == 2
    )  # the first kept its key


def test_sending_without_limits_costs_one_select_more(sandbox, queued, monkeypatch):
    first, second = queued(), queued()
    with CaptureQueriesContext(connection) as polite:
        assert services.send_onboarding_link(first.pk) is True
    monkeypatch.setattr(budget, "take", lambda: 0.0)
    with CaptureQueriesContext(connection) as plain:
        assert services.send_onboarding_link(second.pk) is True

    budgets = [query["sql"] for query in polite.captured_queries if "callbudget" in query["sql"]]
    assert [sql.split()[0] for sql in budgets] == ["SELECT"]
    assert not any("callbudget" in query["sql"] for query in plain.captured_queries)


def test_operator_is_told_that_the_mail_waits_for_mollie(sandbox, queued, clock):
    row = queued()
    sandbox.add_fault("client_links", "rate_limited", retry_after=3600)
    services.send_onboarding_link(row.pk)
    clock.shift(timedelta(minutes=10))
    row.refresh_from_db()

    assert reasons_for_attention(row) == ["The mail waits until Mollie allows more calls"]
    clock.shift(timedelta(minutes=50))
    assert reasons_for_attention(row) == ["The mail is waiting in the queue"]


def test_failure_takes_the_place_of_a_wait(sandbox, queued, clock):
    row = queued()
    hear(0)
    services.send_onboarding_link(row.pk)
    clock.shift(seconds(3))
    sandbox.add_fault("client_links", "drop_before")

    assert services.send_onboarding_link(row.pk) is False
    row.refresh_from_db()
    assert (row.send_waits_for, row.send_attempts) == ("", 1)


# For real: a Mollie in one process, workers in four others

LINKS = 40
WORKERS = 4


@pytest.fixture
def start_process():
    running = []

    def start(module: str, **environment: str) -> Any:
        running.append(processes.start(module, **environment))
        return running[-1]

    yield start
    for process in running:
        processes.stop(process)


@pytest.fixture
def send_all(start_process, make_client_link):
    """Queues so many mails and has four processes send them. Gives how many each of them sent."""

    def send(count: int, **of_mollie: str) -> list[int]:
        mollie = start_process("tests.sandbox_process", **of_mollie)
        url = f"http://127.0.0.1:{int(mollie.stdout.readline())}/sandbox"
        ClientLink.objects.bulk_create(
            [ClientLink(**MERCHANT, send_requested_at=timezone.now()) for _ in range(count)]
        )
        workers = [start_process("tests.sending_process", TEST_API_URL=url) for _ in range(WORKERS)]
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        return [int(worker.stdout.readline()) for worker in workers]

    return send


@committing
def test_four_workers_keep_the_limit_of_mollie(send_all):
    sent = send_all(LINKS, TEST_SANDBOX_RATE_LIMIT="10/2")

    assert sum(sent) == LINKS
    assert ClientLink.objects.filter(send_count=1, status="ready").count() == LINKS
    assert not ClientLink.objects.exclude(send_attempts=0).exists()
    # Nobody knew of the limit before the first answers; since then nobody went beyond it.
    assert [call.status for call in sandbox_service.calls("client_links")] == [201] * LINKS


@committing
def test_four_workers_keep_the_pause_that_one_was_told(send_all):
    sandbox_service.add_fault("client_links", "rate_limited", retry_after=4)

    sent = send_all(LINKS)

    assert sum(sent) == LINKS
    assert not ClientLink.objects.exclude(send_attempts=0).exists()
    calls = sandbox_service.calls("client_links")
    [busy] = [call for call in calls if call.status == 429]
    assert [call.status for call in calls].count(201) == LINKS
    # The others' calls of the same moment were on their way, on a busy machine for a while.
    meanwhile = [call.at - busy.at for call in calls if busy.at < call.at < busy.at + seconds(4)]
    assert len(meanwhile) <= 2 * WORKERS
    assert max(meanwhile, default=seconds(0)) < seconds(2)
