"""Signals: after the commit, at least once, and again where a process died in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.dispatch import Signal

from mollie_onboarding import services, signals
from mollie_onboarding.models import ClientLink, Event, Organization, Status
from mollie_onboarding.services import announcing
from tests.conftest import NOON, authorization_url

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

# All that tell of a commit. `observed` counts what happens, at once.
ALL = {
    name: signal
    for name, signal in vars(signals).items()
    if isinstance(signal, Signal) and signal is not signals.observed
}
CONNECTED = {"organization_id": "org_1", "identity_check": "matches"}


@pytest.fixture
def received() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What a platform that listens to everything was told."""
    heard: list[tuple[str, dict[str, Any]]] = []
    receivers = []
    for name, signal in ALL.items():

        def receive(sender: Any, *, name: str = name, signal: Signal, **arguments: Any) -> None:
            heard.append((name, {"sender": sender, **arguments}))

        signal.connect(receive, weak=False)
        receivers.append((signal, receive))
    yield heard
    for signal, receive in receivers:
        signal.disconnect(receive)


@pytest.fixture
def record(make_client_link):
    def make(kind: str, **columns: Any) -> Event:
        columns = {"client_link_id": make_client_link().pk, "needs_signal": True, **columns}
        return Event.objects.record(kind, **columns)

    return make


def test_announce_sends_the_event_and_marks_it(record, received, clock):
    event = record("sent")

    announcing.announce(event)

    [(name, arguments)] = received
    assert name == "client_link_sent"
    assert arguments == {"sender": ClientLink, "client_link": event.client_link, "event": event}
    event.refresh_from_db()
    assert event.announced_at == NOON


@pytest.mark.parametrize(
    ("kind", "signal"),
    [
        ("ready", "client_link_created"),
        ("renewed", "client_link_created"),
        ("sent", "client_link_sent"),
        ("declined", "merchant_declined"),
    ],
)
def test_announce_tells_the_client_link(record, received, kind, signal):
    announcing.announce(record(kind))

    [(name, arguments)] = received
    assert name == signal
    assert arguments.keys() == {"sender", "client_link", "event"}


def test_announce_tells_who_connected(record, received):
    organization = Organization.objects.create(organization_id="org_1")

    announcing.announce(record("connected", organization=organization, data=CONNECTED))

    [(name, arguments)] = received
    assert name == "merchant_connected"
    assert arguments["organization"] == organization
    assert arguments["identity_check"] == "matches"
    assert arguments["sender"] is ClientLink


def test_announce_tells_what_changed_at_mollie(received):
    organization = Organization.objects.create(organization_id="org_1")
    data = {"old": {"onboarding_status": "needs-data"}, "new": {"onboarding_status": "completed"}}
    event = Event.objects.record(
        "onboarding_status_changed", organization=organization, data=data, needs_signal=True
    )

    announcing.announce(event)

    assert received == [
        (
            "onboarding_status_changed",
            {"sender": Organization, "organization": organization, "event": event, **data},
        )
    ]


def test_receiver_that_raises_stops_neither_the_others_nor_the_flow(record, received, caplog):
    def fail(**arguments: Any) -> None:
        raise RuntimeError("the platform's own fault")

    signals.client_link_sent.connect(fail)
    # Before the others: the receivers of the fixture were connected first, this one hears in between.
    signals.client_link_sent.connect(
        lambda **arguments: received.append(("after", {})), weak=False, dispatch_uid="after"
    )
    try:
        announcing.announce(record("sent"))
    finally:
        signals.client_link_sent.disconnect(fail)
        signals.client_link_sent.disconnect(dispatch_uid="after")

    assert [name for name, _ in received] == ["client_link_sent", "after"]
    assert "the platform's own fault" in caplog.text
    assert Event.objects.filter(announced_at=None).count() == 0


def test_event_that_a_dead_process_left_is_sent_once_more(record, received, clock):
    event = record("sent")

    assert services.announce_overdue() == 0  # its own process is at it
    clock.shift(announcing.RESEND_AFTER)
    assert services.announce_overdue() == 1
    assert services.announce_overdue() == 0

    assert [(name, arguments["event"]) for name, arguments in received] == [("client_link_sent", event)]


def test_event_whose_process_died_while_it_told_is_told_again(record, received, clock, monkeypatch):
    event = record("sent")

    def die(**arguments: Any) -> None:
        raise KeyboardInterrupt

    signals.client_link_sent.connect(die)
    with pytest.raises(KeyboardInterrupt):
        announcing.announce(event)
    signals.client_link_sent.disconnect(die)
    clock.shift(announcing.RESEND_AFTER)

    assert services.announce_overdue() == 1
    assert [arguments["event"] for _, arguments in received] == [event, event]


def test_overdue_events_come_oldest_first_and_complete(record, received, clock):
    organization = Organization.objects.create(organization_id="org_1")
    row = ClientLink(organization_name="Bakkerij Jansen")
    row.save()
    made = []
    for kind in ("ready", "sent", "connected"):
        clock.shift(timedelta(seconds=1))
        columns = {"organization": organization, "data": CONNECTED} if kind == "connected" else {}
        made.append(record(kind, client_link_id=row.pk, **columns))
    clock.shift(timedelta(hours=1))

    assert services.announce_overdue() == 3
    assert [arguments["event"] for _, arguments in received] == made
    assert received[2][1]["organization"] == organization


def test_event_without_signal_is_never_announced(record, received, clock):
    record("started", needs_signal=False)
    clock.shift(timedelta(days=1))

    assert services.announce_overdue() == 0
    assert received == []


def test_event_of_a_kind_that_has_no_signal_keeps_nobody_from_theirs(record, received, clock):
    """However it was written: a run that ended at it would send no signal any more."""
    record("created")
    sent = record("sent")
    clock.shift(timedelta(days=1))

    assert services.announce_overdue() == 1
    assert [arguments["event"] for _, arguments in received] == [sent]


def test_first_marking_stays(record, clock):
    event = record("sent")
    announcing.announce(event)
    clock.shift(timedelta(hours=1))

    announcing.announce(event)  # a second process, as slow as possible

    event.refresh_from_db()
    assert event.announced_at == NOON


def test_every_event_that_waits_for_a_signal_has_one():
    documented = {"client_link_created", "client_link_sent", "merchant_connected", "merchant_declined"}
    ours = {signal for signal, _ in announcing.SIGNALS.values()}

    assert {name for name, signal in ALL.items() if signal in ours} >= documented | {
        "onboarding_status_changed"
    }


@committing
def test_walk_announces_after_each_commit_and_without_tokens(sandbox, browser, make_client_link, received):
    row = make_client_link()
    states = []

    def look(**arguments: Any) -> None:
        # Another connection would see what the receiver sees: nothing is pending.
        states.append(connection.in_atomic_block)

    for signal in ALL.values():
        signal.connect(look)
    try:
        services.request_sending(row)
        callback = sandbox.visit(authorization_url(browser.press(row)))
        browser.come_back(callback)
    finally:
        for signal in ALL.values():
            signal.disconnect(look)

    assert [name for name, _ in received] == ["client_link_created", "client_link_sent", "merchant_connected"]
    assert states == [False] * 3
    organization = Organization.objects.get()
    told = repr([arguments for _, arguments in received]) + str([e.data for e in Event.objects.all()])
    assert organization.access_token.reveal() not in told
    assert organization.refresh_token.reveal() not in told
    assert not Event.objects.filter(announced_at=None).exists()


@committing
def test_receiver_sees_the_row_as_it_is_and_may_open_transactions(sandbox, make_client_link):
    seen = []

    def look(client_link: ClientLink, **arguments: Any) -> None:
        with transaction.atomic(durable=True):
            seen.append((client_link.status, ClientLink.objects.get(pk=client_link.pk).status))

    signals.client_link_created.connect(look)
    services.create_client_link(make_client_link())
    signals.client_link_created.disconnect(look)

    assert seen == [(Status.READY, Status.READY)]
