"""Everybody's status from the partner's list: few calls, few statements, nothing lost by an interruption."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services, signals
from mollie_onboarding.exceptions import DecryptionError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import CallBudget, Event, Organization, StatusSync
from mollie_onboarding.mollie_api import MollieAPI, api
from mollie_onboarding.mollie_api.data import ClientPage
from mollie_onboarding.services import announcing, syncing
from tests.conftest import NOON
from tests.connected import connect

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

NOT_COUNTED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET")
ConnectionStatus = Organization.ConnectionStatus
OLD = {"onboarding_status": "needs-data", "can_receive_payments": False, "can_receive_settlements": False}
NEW = {"onboarding_status": "completed", "can_receive_payments": True, "can_receive_settlements": True}


@pytest.fixture
def organizations(sandbox, clock) -> Any:
    """Clients of the sandbox that are connected here: some that were read before, or with other columns."""

    def make(count: int, **columns: Any) -> list[Organization]:
        defaults = {"synced_at": NOON - timedelta(days=1), "onboarding_status": "needs-data"}
        return connect(sandbox, count, **{**defaults, **columns})

    return make


@pytest.fixture
def pages_of_two(monkeypatch) -> None:
    monkeypatch.setattr(api, "CLIENTS_PER_PAGE", 2)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Where the pages began that were asked for, in order."""
    starts: list[str] = []
    original = MollieAPI.list_clients

    def list_clients(self: MollieAPI, start: str = "") -> ClientPage:
        starts.append(start)
        return original(self, start)

    monkeypatch.setattr(MollieAPI, "list_clients", list_clients)
    return starts


@pytest.fixture
def before_page(monkeypatch) -> Any:
    """Does something right before the page of that number is asked for."""

    def arrange(number: int, work: Any) -> None:
        original = MollieAPI.list_clients
        calls: list[str] = []

        def list_clients(self: MollieAPI, start: str = "") -> ClientPage:
            calls.append(start)
            if len(calls) == number:
                work()
            return original(self, start)

        monkeypatch.setattr(MollieAPI, "list_clients", list_clients)

    return arrange


@pytest.fixture
def pauses(monkeypatch, clock) -> list[float]:
    """What was slept, in seconds; nobody really does."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.shift(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


def statements(function: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        function()
    return [query["sql"] for query in captured.captured_queries if not query["sql"].startswith(NOT_COUNTED)]


def answer_with(sandbox: Any, *clients: Any, **body: Any) -> None:
    """Let the sandbox answer the next call for the list with these items, whatever they are."""
    body = {"_embedded": {"clients": list(clients)}, **body}
    sandbox.add_fault("clients", "status", status=200, body=body)


def listed(organization_id: str, **embedded: Any) -> dict[str, Any]:
    return {"resource": "client", "id": organization_id, "_embedded": embedded}


def following(start: str) -> dict[str, Any]:
    return {"_links": {"next": {"href": f"https://api.mollie.com/v2/clients?from={start}"}}}


def ids(rows: Any) -> list[str]:
    return [row.organization_id for row in rows]


# Calls and statements


def test_thousand_organizations_take_four_calls_and_no_merchants_token(organizations, sandbox, told):
    organizations(1000)
    tokens = list(Organization.objects.order_by("pk").values_list("access_token_expires_at", "token_version"))

    result = services.sync_onboarding_status()

    assert result == services.SyncResult(pages=4, calls=4, read=1000, changed=1000)
    assert [call.path for call in sandbox.calls()] == ["/v2/clients"] * 4
    after = list(Organization.objects.order_by("pk").values_list("access_token_expires_at", "token_version"))
    assert after == tokens
    assert not Organization.objects.exclude(synced_at=NOON, listed_at=NOON).exists()
    assert told == []  # names were news, their status was not


@pytest.mark.parametrize("changed", [0, 20])
def test_page_takes_as_many_statements_for_250_organizations_as_for_50(
    organizations, sandbox, monkeypatch, changed
):
    monkeypatch.setattr(announcing, "_send", lambda event: None)
    counts = []
    for number in (50, 200):  # and then 250 in all
        rows = organizations(number)
        services.sync_onboarding_status()
        for row in rows[:changed]:
            sandbox.move_onboarding(row.organization_id, "completed", True, True)
        counts.append(statements(services.sync_onboarding_status))

    few, many = counts
    assert len(few) == len(many), many
    # Whether Mollie wants no calls; where the pass is; the organizations; who is listed; who was read; who is missing.
    # Twice more to begin the pass, and four for changes: the rows, their events, these read again, and marked.
    assert len(few) == 7 + 3 + (4 if changed else 0), few


def test_organizations_that_are_locked_bring_no_tokens_along(organizations):
    organizations(1)

    queries = statements(services.sync_onboarding_status)

    assert not any("access_token" in query or "refresh_token" in query for query in queries)


def test_each_page_has_a_time_budget_of_its_own(organizations, pages_of_two, before_page, clock, monkeypatch):
    organizations(4)
    monkeypatch.setattr(time, "monotonic", lambda: clock_of_the_machine[0])
    clock_of_the_machine = [1000.0]

    def take_long() -> None:
        clock_of_the_machine[0] += 3600

    before_page(1, take_long)

    # The first page is over its time before it is asked for; the next run's pages are not.
    assert services.sync_onboarding_status().interrupted == "Mollie has taken too long already."
    assert services.sync_onboarding_status().read == 4


# What is read


def test_change_is_announced_with_old_and_new_once(organizations, sandbox, told):
    first, second, third = organizations(3)
    sandbox.move_onboarding(second.organization_id, "completed", True, True)

    result = services.sync_onboarding_status()

    assert (result.read, result.changed) == (3, 3)
    [arguments] = told
    event = Event.objects.get()
    assert arguments == {
        "signal": signals.onboarding_status_changed,
        "sender": Organization,
        "organization": second,
        "event": event,
        "old": OLD,
        "new": NEW,
    }
    assert arguments["organization"].get_deferred_fields() == set()
    assert arguments["organization"].onboarding_status == "completed"
    assert (event.kind, event.organization, event.data) == (
        "onboarding_status_changed",
        second,
        {"old": OLD, "new": NEW},
    )
    assert event.announced_at == NOON
    second.refresh_from_db()
    assert second.updated_at == NOON

    assert services.sync_onboarding_status().changed == 0
    assert len(told) == 1
    assert Event.objects.count() == 1
    assert {first.pk, third.pk}.isdisjoint(Event.objects.values_list("organization", flat=True))


def test_signals_are_marked_by_one_statement(organizations, sandbox, told):
    for row in organizations(5):
        sandbox.move_onboarding(row.organization_id, "completed", True, True)

    queries = statements(services.sync_onboarding_status)

    assert len(told) == 5
    assert len([query for query in queries if query.startswith("UPDATE") and "announced_at" in query]) == 1
    assert not Event.objects.filter(announced_at=None).exists()


def test_everything_that_the_list_embeds_is_written(organizations, sandbox):
    [row] = organizations(1, onboarding_status="", synced_at=None)
    capability = {"resource": "capability", "name": "payments", "status": "enabled", "requirements": []}
    sandbox.set_capabilities(row.organization_id, [capability])
    sandbox.rename(row.organization_id, "Bakkerij Jansen & Zoon")

    services.sync_onboarding_status()

    row.refresh_from_db()
    assert row.name == "Bakkerij Jansen & Zoon"
    assert row.onboarding_status == "needs-data"
    assert row.dashboard_url
    assert row.signed_up_at
    assert row.capabilities == [
        {"name": "payments", "status": "enabled", "status_reason": "", "requirements": []}
    ]


def test_second_run_changes_nothing(organizations, sandbox):
    row, *_ = organizations(3)
    sandbox.move_onboarding(row.organization_id, "completed", True, True)
    services.sync_onboarding_status()
    before = list(Organization.objects.order_by("pk").values())
    events = list(Event.objects.values())

    assert services.sync_onboarding_status() == services.SyncResult(pages=1, calls=1, read=3)

    assert list(Organization.objects.order_by("pk").values()) == before
    assert list(Event.objects.values()) == events


def test_first_reading_is_not_announced(organizations, told):
    organizations(2, onboarding_status="", synced_at=None)

    assert services.sync_onboarding_status().changed == 2
    assert told == []
    assert not Event.objects.exists()


def test_renamed_organization_is_written_and_not_announced(organizations, sandbox, told):
    row, _ = organizations(2)
    services.sync_onboarding_status()
    sandbox.rename(row.organization_id, "Bakkerij Jansen & Zoon")

    assert services.sync_onboarding_status().changed == 1

    row.refresh_from_db()
    assert row.name == "Bakkerij Jansen & Zoon"
    assert told == []


def test_unknown_status_is_kept(organizations, sandbox, told):
    [row] = organizations(1)
    sandbox.move_onboarding(row.organization_id, "under-investigation", False, False)

    services.sync_onboarding_status()

    row.refresh_from_db()
    assert row.onboarding_status == "under-investigation"
    assert told[0]["new"]["onboarding_status"] == "under-investigation"


def test_unknown_organizations_are_counted_and_make_no_rows(organizations, sandbox):
    organizations(1)
    unknown = sandbox.add_clients(120)

    result = services.sync_onboarding_status()

    assert (result.read, result.unknown) == (1, 120)
    assert result.unknown_ids == tuple(unknown[:100])
    assert Organization.objects.count() == 1


def test_disconnected_organization_is_left_alone(organizations, sandbox, told):
    [row] = organizations(1, connection_status=ConnectionStatus.DISCONNECTED)
    sandbox.move_onboarding(row.organization_id, "completed", True, True)
    before = Organization.objects.values().get()

    result = services.sync_onboarding_status()

    assert (result.read, result.unknown, result.missing) == (0, 0, 0)
    assert Organization.objects.values().get() == before
    assert told == []


def test_lost_organization_that_is_listed_is_read_and_stays_lost(organizations, sandbox, told):
    [row] = organizations(1, connection_status=ConnectionStatus.LOST)
    sandbox.move_onboarding(row.organization_id, "completed", True, True)

    assert services.sync_onboarding_status().read == 1

    row.refresh_from_db()
    assert (row.connection_status, row.onboarding_status) == (ConnectionStatus.LOST, "completed")
    assert len(told) == 1


def test_merchant_who_does_not_let_the_partner_see_the_status_keeps_what_is_known(organizations, sandbox):
    [hidden] = organizations(1, scope="organizations.read", onboarding_status="in-review")
    [shown] = organizations(1)

    result = services.sync_onboarding_status()

    assert (result.read, result.without_status) == (1, 1)
    hidden.refresh_from_db()
    shown.refresh_from_db()
    assert hidden.onboarding_status == "in-review"
    assert hidden.name.startswith("Client")
    assert hidden.listed_at == NOON
    assert hidden.synced_at == NOON - timedelta(days=1)  # so it shows as old
    assert shown.synced_at == NOON


@pytest.mark.parametrize("odd", [None, [], "completed", 1, {"status": None}, {"status": ["completed"]}, {}])
def test_odd_part_of_an_item_leaves_that_part_of_the_row_as_it_is(organizations, sandbox, odd, told):
    first, second = organizations(2, name="Bakkerij", capabilities=[{"name": "payments"}])
    good = {"status": "completed", "canReceivePayments": True, "canReceiveSettlements": True}
    answer_with(
        sandbox,
        listed(first.organization_id, organization=odd, onboarding=odd, capabilities={"x": odd}),
        listed(second.organization_id, organization=None, onboarding=good, capabilities=None),
    )

    result = services.sync_onboarding_status()

    assert (result.read, result.changed, result.without_status) == (1, 1, 1)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.name, first.onboarding_status) == ("Bakkerij", "needs-data")
    assert (second.name, second.onboarding_status) == ("Bakkerij", "completed")
    assert first.capabilities == [{"name": "payments"}]
    assert second.capabilities == []  # completed: what was asked for before is asked for no more
    assert ids([arguments["organization"] for arguments in told]) == ids([second])


def test_items_that_are_none_are_counted_and_stop_nobody(organizations, sandbox):
    [row] = organizations(1)
    onboarding = {"status": "in-review", "canReceivePayments": "yes", "canReceiveSettlements": 1}
    answer_with(
        sandbox, None, "org_1", {"id": 7.5}, {"id": None}, listed(row.organization_id, onboarding=onboarding)
    )

    result = services.sync_onboarding_status()

    assert (result.read, result.unreadable, result.interrupted) == (1, 4, "")
    row.refresh_from_db()
    assert (row.onboarding_status, row.can_receive_payments) == ("in-review", False)


def test_organization_that_is_listed_twice_is_announced_once(organizations, sandbox, told):
    [row] = organizations(1)
    embedded = {"status": "completed", "canReceivePayments": True, "canReceiveSettlements": True}
    answer_with(sandbox, *[listed(row.organization_id, onboarding=embedded)] * 2)

    assert services.sync_onboarding_status().read == 1
    assert len(told) == 1


def test_what_was_asked_later_is_not_written_over(organizations, sandbox, before_page, clock, told):
    [row] = organizations(1)

    def be_overtaken() -> None:
        # The merchant's own "check again", while the list is on its way.
        clock.shift(5)
        Organization.objects.update(onboarding_status="completed", synced_at=NOON + timedelta(seconds=5))

    before_page(1, be_overtaken)
    services.sync_onboarding_status()

    row.refresh_from_db()
    assert row.onboarding_status == "completed"
    assert row.synced_at == NOON + timedelta(seconds=5)
    assert row.listed_at == NOON
    assert told == []


def test_change_whose_process_died_before_the_signal_is_announced_by_the_next_run(
    organizations, sandbox, told, clock, monkeypatch
):
    [row] = organizations(1)
    sandbox.move_onboarding(row.organization_id, "completed", True, True)

    def die(*events: Event) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(syncing, "announce", die)
        with pytest.raises(KeyboardInterrupt):
            services.sync_onboarding_status()
    assert told == []
    clock.shift(announcing.RESEND_AFTER)

    assert services.announce_overdue() == 1
    services.sync_onboarding_status()

    [arguments] = told
    assert (arguments["old"], arguments["new"]) == (OLD, NEW)


@committing
def test_nothing_is_pending_while_mollie_is_asked_or_a_signal_is_sent(organizations, sandbox, before_page):
    [row] = organizations(1)
    sandbox.move_onboarding(row.organization_id, "completed", True, True)
    states = []

    def look(**arguments: Any) -> None:
        states.append(connection.in_atomic_block)

    before_page(1, look)
    signals.onboarding_status_changed.connect(look)
    services.sync_onboarding_status()
    signals.onboarding_status_changed.disconnect(look)

    assert states == [False, False]


# Who is missing


def test_missing_organization_is_flagged_and_never_lost(organizations, sandbox, clock):
    gone, _ = organizations(2)
    services.sync_onboarding_status()
    sandbox.remove_client(gone.organization_id)
    clock.shift(3600)

    assert services.sync_onboarding_status().missing == 1

    assert ids(Organization.objects.missing()) == ids([gone])
    gone.refresh_from_db()
    assert gone.missing_since == NOON + timedelta(hours=1)
    assert gone.is_connected
    clock.shift(3600)
    assert services.sync_onboarding_status().missing == 0  # flagged before
    gone.refresh_from_db()
    assert gone.missing_since == NOON + timedelta(hours=1)
    assert gone.access_token is not None


def test_missing_organization_that_is_listed_again_loses_the_flag(organizations, sandbox, clock):
    [row] = organizations(1, missing_since=NOON - timedelta(days=3))

    services.sync_onboarding_status()

    row.refresh_from_db()
    assert row.missing_since is None


@pytest.mark.parametrize("state", [ConnectionStatus.LOST, ConnectionStatus.DISCONNECTED])
def test_only_connected_organizations_are_missed(organizations, sandbox, state):
    [row] = organizations(1, connection_status=state)
    sandbox.remove_client(row.organization_id)

    assert services.sync_onboarding_status().missing == 0


@pytest.mark.parametrize("column", ["created_at", "authorized_at"])
def test_whoever_connected_during_the_pass_is_not_missed(organizations, sandbox, before_page, clock, column):
    [row] = organizations(1)
    sandbox.remove_client(row.organization_id)

    def connect_now() -> None:
        clock.shift(1)
        Organization.objects.update(**{column: NOON + timedelta(seconds=1)})

    before_page(1, connect_now)

    assert services.sync_onboarding_status().missing == 0


# Interruptions


def test_interrupted_run_goes_on_where_it_stopped(
    organizations, pages_of_two, sandbox, asked, before_page, clock, told
):
    rows = organizations(7)
    for row in rows:
        sandbox.move_onboarding(row.organization_id, "completed", True, True)
    sandbox.remove_client(rows[0].organization_id)  # on the first page
    before_page(3, lambda: sandbox.add_fault("clients", "unavailable_html"))

    first = services.sync_onboarding_status()

    # Pages of rows 1 and 2, of 3 and 4, of 5 and 6.
    assert (first.pages, first.calls, first.read) == (2, 3, 4)
    assert first.interrupted == "Mollie answered 503."
    assert first.missing == 0  # not judged by half a pass
    assert ids(arguments["organization"] for arguments in told) == ids(rows[1:5])
    assert asked == ["", rows[3].organization_id, rows[5].organization_id]
    sync = StatusSync.objects.get()
    assert (sync.following, sync.finished_at) == (rows[5].organization_id, None)
    clock.shift(3600)

    second = services.sync_onboarding_status()

    assert asked[3:] == [rows[5].organization_id]
    assert (second.pages, second.read, second.interrupted) == (1, 2, "")
    assert second.missing == 1
    assert ids(Organization.objects.missing()) == ids(rows[:1])
    assert ids(arguments["organization"] for arguments in told) == ids(rows[1:])
    sync.refresh_from_db()
    assert (sync.following, sync.started_at, sync.finished_at) == ("", NOON, NOON + timedelta(hours=1))
    assert services.sync_onboarding_status().read == 6  # a new pass
    assert asked[4] == ""


def test_pass_of_yesterday_begins_anew(organizations, pages_of_two, asked):
    rows = organizations(4)
    StatusSync.objects.create(started_at=NOON - timedelta(hours=24), following=rows[2].organization_id)

    assert services.sync_onboarding_status().read == 4

    assert asked == ["", rows[2].organization_id]
    assert StatusSync.objects.get().started_at == NOON


def test_place_that_mollie_no_longer_knows_begins_anew(organizations, pages_of_two, sandbox, asked):
    rows = organizations(4)
    StatusSync.objects.create(started_at=NOON - timedelta(hours=1), following=rows[1].organization_id)
    sandbox.remove_client(rows[1].organization_id)

    result = services.sync_onboarding_status()

    assert asked == [rows[1].organization_id, "", rows[3].organization_id]
    assert (result.read, result.missing, result.interrupted) == (3, 1, "")


def test_place_that_mollie_forgets_twice_ends_the_run(
    organizations, pages_of_two, sandbox, before_page, asked
):
    organizations(4)
    StatusSync.objects.create(started_at=NOON - timedelta(hours=1), following="org_gone")
    before_page(3, lambda: sandbox.add_fault("clients", "status", status=400))

    result = services.sync_onboarding_status()

    assert len(asked) == 3
    assert (result.read, result.interrupted) == (2, "Mollie answered 400.")


def test_first_page_that_is_refused_ends_the_run(organizations, sandbox):
    organizations(1)
    sandbox.add_fault("clients", "status", status=400)

    result = services.sync_onboarding_status()

    assert (result.calls, result.interrupted) == (1, "Mollie answered 400.")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("org_00000001", "read before"),
        ("x" * 101, "cannot be asked for"),
        ("org%00", "cannot be asked for"),
    ],
)
def test_next_page_that_is_none_ends_the_run_and_the_next_begins_anew(
    organizations, sandbox, asked, start, words
):
    [row] = organizations(1)
    StatusSync.objects.create(started_at=NOON - timedelta(hours=1), following="org_00000001")
    answer_with(sandbox, listed(row.organization_id), **following(start))

    result = services.sync_onboarding_status()

    assert words in result.interrupted
    assert (result.calls, result.missing) == (1, 0)
    row.refresh_from_db()
    assert row.listed_at == NOON  # the page itself was good
    assert services.sync_onboarding_status().interrupted == ""
    assert asked == ["org_00000001", ""]


def test_pages_that_lead_round_in_a_circle_end_the_run(organizations, sandbox, asked):
    organizations(1)
    for start in ("org_a", "org_b", "org_a"):
        answer_with(sandbox, listed("org_other"), **following(start))

    assert "read before" in services.sync_onboarding_status().interrupted
    assert asked == ["", "org_a", "org_b"]


def test_empty_page_that_is_not_the_last_ends_the_run(organizations, sandbox, asked):
    organizations(1)
    answer_with(sandbox, **following("org_a"))

    result = services.sync_onboarding_status()

    assert "empty page" in result.interrupted
    assert (asked, result.missing) == ([""], 0)


def test_next_page_at_another_host_is_asked_for_at_mollie(organizations, pages_of_two, sandbox):
    organizations(3)
    sandbox.add_fault("clients", "wrong_host")

    assert services.sync_onboarding_status().read == 3


def test_two_runs_at_once_write_no_page_twice(organizations, pages_of_two, sandbox, before_page, told):
    rows = organizations(4)
    for row in rows:
        sandbox.move_onboarding(row.organization_id, "completed", True, True)
    others: list[services.SyncResult] = []
    before_page(2, lambda: others.append(services.sync_onboarding_status()))

    result = services.sync_onboarding_status()

    # The other went on where this one was, and to the end.
    assert (others[0].read, others[0].interrupted) == (2, "")
    assert (result.read, result.interrupted) == (2, "Another run is reading the list.")
    assert sorted(ids(arguments["organization"] for arguments in told)) == ids(rows)
    assert StatusSync.objects.get().finished_at == NOON


# Patience


def test_pause_that_mollie_asks_for_is_waited_out(organizations, sandbox, pauses):
    organizations(1)
    sandbox.add_fault("clients", "rate_limited", times=3, retry_after=20)

    result = services.sync_onboarding_status()

    assert pauses == [20, 20, 20]
    assert (result.calls, result.read, result.interrupted) == (4, 1, "")


@pytest.mark.parametrize(("seconds", "is_waited_out"), [(19.5, True), (61, False)])
def test_pause_that_another_worker_was_asked_for_holds_here_too(
    organizations, pauses, clock, seconds, is_waited_out
):
    organizations(1)
    CallBudget.objects.create(paused_until=timezone.now() + timedelta(seconds=seconds))

    result = services.sync_onboarding_status()

    if is_waited_out:
        assert (pauses, result.calls, result.read) == ([20], 1, 1)
    else:
        assert (pauses, result.calls, result.read) == ([], 0, 0)
        assert result.interrupted == "Mollie asked all workers for a pause."


def test_spent_window_of_the_client_links_does_not_keep_the_sync_waiting(organizations, pauses, clock):
    organizations(1)
    later = timezone.now() + timedelta(seconds=30)
    CallBudget.objects.create(remaining=0, quota=20, window=30, resets_at=later)

    assert services.sync_onboarding_status().read == 1
    assert pauses == []


@pytest.mark.parametrize(
    ("fault", "slept"),
    [
        (("rate_limited", {"times": 4, "retry_after": 60}), [60, 60, 60]),
        (("rate_limited", {"retry_after": 61}), []),
        (("rate_limited", {"retry_after": None}), []),
        (("server_error", {}), []),
        (("not_json", {}), []),
        (("drop_before", {}), []),
    ],
)
def test_mollie_that_gives_no_answer_ends_the_run(organizations, sandbox, pauses, clock, fault, slept):
    organizations(2)
    kind, options = fault
    sandbox.add_fault("clients", kind, **options)

    result = services.sync_onboarding_status()

    assert result.interrupted
    assert (result.read, result.missing, pauses) == (0, 0, slept)
    assert Organization.objects.connected().count() == 2
    clock.shift(61)
    assert services.sync_onboarding_status().read == 2


def test_other_refusal_ends_the_run(organizations, sandbox):
    organizations(1)
    sandbox.add_fault("clients", "status", status=404)

    result = services.sync_onboarding_status()

    assert (result.interrupted, result.fallback) == ("Mollie answered 404.", False)


# One by one


@pytest.fixture
def closed(sandbox) -> None:
    """The partner's token may not see the list."""
    sandbox.set_switch("partner_without_clients_read", True)


@pytest.fixture
def order(monkeypatch) -> list[str]:
    """Who was read one by one."""
    read: list[str] = []
    original = syncing.read_onboarding_status

    def look(organization: Organization) -> bool:
        read.append(organization.organization_id)
        return original(organization)

    monkeypatch.setattr(syncing, "read_onboarding_status", look)
    return read


def test_closed_list_is_made_up_for_with_the_merchants_tokens(organizations, sandbox, closed, order, told):
    ages = [1, 3, None, 2]
    rows = [
        organizations(1, synced_at=None if age is None else NOON - timedelta(days=age))[0] for age in ages
    ]
    sandbox.move_onboarding(rows[0].organization_id, "completed", True, True)

    result = services.sync_onboarding_status()

    assert order == ids([rows[2], rows[1], rows[3], rows[0]])  # least recently read first
    assert result == services.SyncResult(
        calls=5,
        read=4,
        changed=4,
        fallback=True,
        fallback_reason=(
            "Mollie's list of clients is not open to MOLLIE_ONBOARDING_ACCESS_TOKEN (403): it needs clients.read."
        ),
    )
    assert [call.operation for call in sandbox.calls()] == ["clients", *["onboarding"] * 4]
    assert not Organization.objects.exclude(synced_at=NOON).exists()
    assert ids(arguments["organization"] for arguments in told) == ids(rows[:1])


def test_token_of_the_partner_that_is_void_says_so(organizations, sandbox):
    organizations(1)
    sandbox.add_fault("clients", "unauthorized")

    result = services.sync_onboarding_status()

    assert (result.read, result.fallback) == (1, True)
    assert result.fallback_reason.endswith("(401): it is not valid.")


def test_limit_bounds_what_is_read_one_by_one(organizations, closed, order, clock):
    rows = organizations(3)

    assert services.sync_onboarding_status(limit=2).read == 2
    clock.shift(60)
    assert services.sync_onboarding_status(limit=2).read == 2
    assert order == ids([rows[0], rows[1], rows[2], rows[0]])


def test_lost_connection_is_counted_and_the_others_are_read(organizations, sandbox, closed):
    rows = organizations(3)
    sandbox.revoke_authorizations(rows[0].organization_id)

    result = services.sync_onboarding_status()

    assert (result.read, result.lost, result.failed) == (2, 1, 0)
    assert ids(Organization.objects.exclude(connection_status=ConnectionStatus.CONNECTED)) == ids(rows[:1])


def test_organization_that_cannot_be_read_stops_no_other(organizations, sandbox, closed, caplog):
    rows = organizations(5)
    sandbox.add_fault("onboarding", "status", status=403)
    sandbox.add_fault("onboarding", "server_error", times=2)
    Organization.objects.filter(pk=rows[3].pk).update(client_id="app_other", access_token_expires_at=NOON)

    result = services.sync_onboarding_status()

    assert (result.read, result.failed, result.interrupted) == (1, 4, "")
    assert f"Onboarding status of {rows[0].organization_id} not read: Mollie answered 403." in caplog.text
    assert Organization.objects.connected().count() == 5


def test_token_under_a_lost_key_stops_no_other(organizations, closed, monkeypatch):
    first, _ = organizations(2)
    original = Secret.reveal

    def reveal(self: Secret) -> str:
        text = original(self)
        if text == f"access_{first.organization_id}":
            raise DecryptionError("no such key")
        return text

    monkeypatch.setattr(Secret, "reveal", reveal)

    result = services.sync_onboarding_status()

    assert (result.read, result.failed) == (1, 1)


def test_three_organizations_without_an_answer_end_the_run(organizations, sandbox, closed, order):
    organizations(5)
    sandbox.add_fault("onboarding", "unavailable_html", times=None)

    result = services.sync_onboarding_status()

    assert len(order) == 3
    assert (result.failed, result.interrupted) == (3, "Mollie answered 503.")
    assert result.fallback
    assert Organization.objects.connected().count() == 5


def test_pause_is_waited_out_one_by_one_too(organizations, sandbox, closed, pauses):
    organizations(2)
    sandbox.add_fault("onboarding", "rate_limited", retry_after=5)

    result = services.sync_onboarding_status()

    assert (result.read, pauses) == (2, [5])


def test_organization_that_was_disconnected_meanwhile_is_not_asked_for(
    organizations, closed, order, monkeypatch
):
    first, second = organizations(2)
    original = syncing._read_one

    def read(run: Any, pk: int) -> str:
        Organization.objects.filter(pk=second.pk).update(connection_status=ConnectionStatus.DISCONNECTED)
        return original(run, pk)

    monkeypatch.setattr(syncing, "_read_one", read)

    assert services.sync_onboarding_status().read == 1
    assert order == ids([first])


def test_list_that_closes_in_the_middle_keeps_its_place(organizations, pages_of_two, sandbox, before_page):
    rows = organizations(4)
    before_page(2, lambda: sandbox.set_switch("partner_without_clients_read", True))

    result = services.sync_onboarding_status()

    assert (result.pages, result.read, result.fallback) == (1, 6, True)
    assert StatusSync.objects.get().following == rows[2].organization_id


def test_a_pass_is_named_by_its_day():
    assert str(StatusSync(started_at=datetime(2027, 3, 1, 12, 5, tzinfo=UTC))) == "2027-03-01 12:05"


# Sequences that must not stop it.


def test_limit_starves_nobody(organizations, sandbox, closed, clock):
    """Two that can never be read do not keep the third from its turn."""
    rows = organizations(3, synced_at=None)
    for row in rows[:2]:
        Organization.objects.filter(pk=row.pk).update(client_id="app_old", access_token_expires_at=NOON)
    for _ in range(2):
        services.sync_onboarding_status(limit=2)
        clock.shift(3600)
    rows[2].refresh_from_db()
    assert rows[2].onboarding_status


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00Z", "1989-01-01"]
)
def test_date_that_no_database_can_hold_stops_nobody(organizations, sandbox, when):
    first, second = organizations(2)
    good = {"status": "completed", "canReceivePayments": True, "canReceiveSettlements": True}
    answer_with(
        sandbox,
        listed(first.organization_id, onboarding={**good, "signedUpAt": when}),
        listed(second.organization_id, onboarding=good),
    )
    assert services.sync_onboarding_status().read == 2
    for row in (first, second):
        row.refresh_from_db()
        assert row.onboarding_status == "completed"


def test_pass_begun_by_a_machine_whose_clock_is_ahead_flags_nobody(organizations, sandbox, clock):
    rows = organizations(2)
    StatusSync.objects.create(
        pk=1, started_at=NOON + timedelta(seconds=30), following=rows[0].organization_id
    )
    assert services.sync_onboarding_status().missing == 0


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_inside_a_transaction_mollie_is_not_asked(organizations, sandbox, clock):
    organizations(2)
    with pytest.raises(RuntimeError), transaction.atomic():
        services.sync_onboarding_status()
    assert not sandbox.calls("clients")


def test_limit_below_one_is_refused(organizations):
    with pytest.raises(CommandError, match="--limit"):
        call_command("sync_onboarding_status", limit=0)


def test_missing_setting_for_one_part_stops_no_other(organizations, sandbox, monkeypatch):
    def broken() -> None:
        raise ImproperlyConfigured("MOLLIE_ONBOARDING_CLIENT_SECRET is not set.")

    organizations(1)
    monkeypatch.setattr(services, "revoke_pending", broken)
    with pytest.raises(CommandError, match="CLIENT_SECRET"):
        call_command("sync_onboarding_status")
    assert sandbox.calls("clients")
