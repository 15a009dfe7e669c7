"""Signals, at least once: the event remembers whether its signal was sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import Signal
from django.utils import timezone

from mollie_onboarding import signals
from mollie_onboarding.models import ClientLink, Event, Organization

RESEND_AFTER = timedelta(minutes=1)  # by then the process that wrote the event has sent it, or is gone

# The signal and its sender, by the kind of the event.
SIGNALS: dict[str, tuple[Signal, type]] = {
    "ready": (signals.client_link_created, ClientLink),
    "renewed": (signals.client_link_created, ClientLink),
    "sent": (signals.client_link_sent, ClientLink),
    "connected": (signals.merchant_connected, ClientLink),
    "declined": (signals.merchant_declined, ClientLink),
    "connection_lost": (signals.connection_lost, Organization),
    "disconnected": (signals.organization_disconnected, Organization),
    "onboarding_status_changed": (signals.onboarding_status_changed, Organization),
}


def is_heard(kind: str) -> bool:
    """Whether the platform listens to the signal of such events. Where it does not, there is nothing to announce."""
    signal, sender = SIGNALS[kind]
    return signal.has_listeners(sender)


def announce(*events: Event) -> None:
    """Send the signals of events that are committed, then mark them all. A receiver's error is logged by Django."""
    for event in events:
        _send(event)
    pks = [event.pk for event in events]
    Event.objects.filter(pk__in=pks, announced_at=None).update(announced_at=timezone.now())


def _send(event: Event) -> None:
    signal, sender = SIGNALS[event.kind]
    arguments: dict[str, Any] = {"event": event}
    if sender is ClientLink:
        arguments["client_link"] = event.client_link
    if event.organization is not None:
        arguments["organization"] = event.organization
    if event.kind == "connected":
        arguments["identity_check"] = event.data["identity_check"]
    if event.kind == "onboarding_status_changed":
        arguments |= {"old": event.data["old"], "new": event.data["new"]}
    signal.send_robust(sender, **arguments)


def unannounced_events() -> QuerySet[Event]:
    """Events whose signal was not sent yet; those that have none do not count, however they were written."""
    return Event.objects.filter(announced_at=None, kind__in=SIGNALS)


def announce_after_commit(event: Event) -> None:
    """Send the signal once the transaction of the caller is committed."""
    rows = Event.objects.select_related("client_link__organization", "organization")
    transaction.on_commit(lambda: announce(rows.get(pk=event.pk)), robust=True)


def announce_overdue() -> int:
    """Send again what a process that died left unsent, oldest first. Gives how many."""
    overdue = unannounced_events().filter(at__lte=timezone.now() - RESEND_AFTER)
    count = 0
    for event in (
        overdue.select_related("client_link__organization", "organization").order_by("at").iterator(500)
    ):
        announce(event)
        count += 1
    return count
