"""Lets the demo's merchants live their stories, in this process and against the sandbox.

Only importable where `mollie_onboarding.sandbox` is installed. All of it goes the way that real merchants go, through the
services of mollie_onboarding; at the end the clock is turned back, which only a demo may do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.db.models import F, QuerySet
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import NotConnectedError
from mollie_onboarding.models import ClientLink, Event, Organization
from mollie_onboarding.sandbox import service as sandbox
from mollie_onboarding.sandbox.models import SandboxClientLink, SandboxOrganization
from mollie_onboarding.testing import sandbox_mollie

from .demo import Story

DAY = timedelta(days=1)
# After how many days a merchant of the demo is how far, where their story is as old as that.
PACE = {"opened_at": 1.0, "started_at": 1.1, "connected_at": 2.5}
PACE_AT_MOLLIE = {"payments_enabled_at": 3.5, "completed_at": 6.0}


def live(row: ClientLink, story: Story, *, operator: Any, age: timedelta) -> None:
    """Take a new row as far as its story goes, `age` ago."""
    if story == "draft":
        return
    with _quiet(), sandbox_mollie():
        _live(row, story, operator)
        _turn_back_the_clock(row, age)
        if story == "lost":
            _lose_connection(row)
        if story == "disconnected":
            _disconnect(row, operator)


@contextmanager
def _quiet() -> Iterator[None]:
    """What goes wrong in a story is meant to: nobody who starts the demo should read it as a fault."""
    logger = logging.getLogger("mollie_onboarding")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _live(row: ClientLink, story: Story, operator: Any) -> None:
    if story == "rejected":
        sandbox.add_fault(
            "client_links", "validation", field="vatNumber", detail="The VAT number is not registered"
        )
    services.request_sending(row, actor=operator)
    match story:
        case "expired":
            _start(row)
        case "declined":
            started = _start(row)
            _come_back(started, sandbox.visit(started.authorization_url, decision="deny"))
        case "needs-data":
            _connect(row, "needs-data", can_receive_payments=False, can_receive_settlements=False)
        case "in-review":
            _connect(row, "in-review", can_receive_payments=True, can_receive_settlements=False)
        case "completed" | "lost" | "disconnected":
            _connect(row, "completed", can_receive_payments=True, can_receive_settlements=True)
        case "taken":
            started = _start(row)
            _come_back(
                started, sandbox.visit(started.authorization_url, organization_id=_account_of_the_first())
            )
        case "cancelled":
            services.cancel_client_link(row, actor=operator)


def _start(row: ClientLink) -> services.StartedAuthorization:
    """The merchant presses the button."""
    row.refresh_from_db()
    ClientLink.objects.note_opening(row.pk, timezone.now())
    return services.start_authorization(row, browser_secret="")


def _come_back(started: services.StartedAuthorization, callback_url: str) -> None:
    """Mollie sends the merchant back."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(callback_url).query).items()}
    services.complete_authorization(
        services.CallbackParameters(**query), browser_secret=started.browser_secret
    )


def _connect(row: ClientLink, status: str, **abilities: bool) -> None:
    started = _start(row)
    callback_url = sandbox.visit(started.authorization_url)
    # Before the merchant is back, so that the first reading finds it.
    row.refresh_from_db(fields=["mollie_id"])
    account = SandboxOrganization.objects.get(sandboxclientlink__id=row.mollie_id)
    sandbox.move_onboarding(account.pk, status, **abilities)
    _come_back(started, callback_url)


def _lose_connection(row: ClientLink) -> None:
    """The merchant ends our access at Mollie, and the platform finds out when it next needs a token."""
    row.refresh_from_db()
    assert row.organization is not None  # noqa: S101 (for mypy; the row was connected)
    sandbox.revoke_authorizations(row.organization.organization_id)
    with suppress(NotConnectedError):
        services.get_access_token(row.organization, rejected=services.get_access_token(row.organization))


def _disconnect(row: ClientLink, operator: Any) -> None:
    """The platform ends the connection, and Mollie revokes it."""
    row.refresh_from_db()
    assert row.organization is not None  # noqa: S101 (for mypy; the row was connected)
    services.disconnect(row.organization, actor=operator)
    services.revoke_pending()


def _account_of_the_first() -> str:
    """The Mollie account that the bookseller has already."""
    return str(Organization.objects.get(name__startswith="Boekhandel").organization_id)


def _turn_back_the_clock(row: ClientLink, age: timedelta) -> None:
    """Date everything that just happened to a row earlier, here and at "Mollie". The tokens stay fresh."""
    row.refresh_from_db()
    events = Event.objects.filter(client_link=row)
    mollie_ids = [event.data["mollie_id"] for event in events.filter(kind="ready")]
    links = ClientLink.objects.filter(pk=row.pk)
    _shift(
        links, age, "created_at", "updated_at", "attempt_started_at", "issued_at", "expires_at",
        "link_expires_at", "first_sent_at", "last_sent_at", "invited_at", *PACE,
    )  # fmt: skip
    _take_days(links, age, PACE)
    _shift(events, age, "at", "announced_at")
    _shift(row.authorization_requests.all(), age, "created_at", "expires_at", "answered_at", "exchanged_at")
    _shift(SandboxClientLink.objects.filter(pk__in=mollie_ids), age, "created_at")
    if row.organization is not None:
        _shift(
            Organization.objects.filter(pk=row.organization.pk),
            age,
            "created_at",
            "authorized_at",
            "signed_up_at",
            *PACE_AT_MOLLIE,
        )
        _take_days(Organization.objects.filter(pk=row.organization.pk), age, PACE_AT_MOLLIE)
        accounts = SandboxOrganization.objects.filter(pk=row.organization.organization_id)
        _shift(accounts, age, "signed_up_at")


def _take_days(rows: QuerySet[Any], age: timedelta, pace: dict[str, float]) -> None:
    """A story takes days: date its stages as much later as the merchant took, and none of them today."""
    for column, days in pace.items():
        _shift(rows, -min(days * DAY, 0.8 * age), column)


def _shift(rows: QuerySet[Any], age: timedelta, *columns: str) -> None:
    rows.update(**{column: F(column) - age for column in columns})
