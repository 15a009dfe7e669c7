"""What Mollie says of an organization, from its answer into the row: read by the merchant's wish, or with all the others.

A reading counts from when Mollie was asked: whoever asked earlier never writes over what somebody asked later.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.exceptions import MollieConnectionError, MollieError, MollieResponseError
from mollie_onboarding.models import Event, Organization
from mollie_onboarding.mollie_api import Capability, ClientInfo, OnboardingStatus, OrganizationInfo
from mollie_onboarding.observing import observe

from .announcing import announce
from .calling import MollieAPI
from .tokens import get_access_token

logger = logging.getLogger(__name__)

# What a change of is announced.
FACTS = ("onboarding_status", "can_receive_payments", "can_receive_settlements")
# All that a reading compares and writes.
COLUMNS = (
    *FACTS,
    "signed_up_at",
    "dashboard_url",
    "name",
    "country",
    "registration_number",
    "vat_number",
    "capabilities",
    "payments_enabled_at",
    "completed_at",
)
STATUS_CHANGED = "onboarding_status_changed"


def check_onboarding_status(organization: Organization) -> bool:
    """Ask Mollie again, as a merchant may once a minute. False: not now, nobody was asked.

    True also when nothing changed. Refuses to run inside a transaction (RuntimeError), and raises what
    `get_access_token` raises, `MollieConnectionError` when Mollie gives no usable answer and `MollieResponseError` when
    it refuses. https://docs.mollie.com/reference/get-onboarding-status
    """
    if not organization.is_connected:
        return False
    with transaction.atomic(durable=True):
        is_due = Organization.objects.claim_check(organization.pk, timezone.now())
    if is_due:
        read_onboarding_status(organization, with_capabilities=True)
    return is_due


@sensitive_variables()
def read_onboarding_status(organization: Organization, *, with_capabilities: bool = False) -> bool:
    """Read one organization with its merchant's token. True when anything changed; raises as `check_onboarding_status`.

    The capabilities are beta at Mollie: that they cannot be read fails nothing.
    """
    token = get_access_token(organization)
    api = MollieAPI()
    asked_at = timezone.now()
    try:
        status = api.get_onboarding_status(token)
    except MollieResponseError as exc:
        if exc.status != 401:
            raise
        # Revoked, or over earlier than it said: one that Mollie gives now must do, or nothing does.
        token = get_access_token(organization, rejected=token)
        status = api.get_onboarding_status(token)
    if not status.status:
        raise MollieConnectionError("Mollie's answer holds no onboarding status.")
    capabilities = list_capabilities(api, organization, token) if with_capabilities else None
    return apply_onboarding_status(organization, status, capabilities=capabilities, asked_at=asked_at)


@sensitive_variables()
def list_capabilities(
    api: MollieAPI, organization: Organization, token: str
) -> tuple[Capability, ...] | None:
    """What the merchant can do and what is missing, None where that cannot be read: it is beta at Mollie."""
    try:
        return api.list_capabilities(token)
    except MollieError as exc:
        observe(
            logger,
            logging.INFO,
            "capabilities_not_read",
            "Capabilities of %(organization)s not read: %(detail)s",
            organization=organization.organization_id,
            detail=exc,
        )
        return None


def apply_onboarding_status(
    organization: Organization,
    status: OnboardingStatus,
    *,
    info: OrganizationInfo | None = None,
    capabilities: tuple[Capability, ...] | None = None,
    asked_at: datetime | None = None,
) -> bool:
    """Write what Mollie says of the merchant, into the row and the instance. True when anything changed.

    What is empty in the answer stays as it is. A change of the status, or of what the merchant may receive, is announced
    with old and new, unless this is the first reading. Nothing is written to a disconnected organization, and nothing
    when somebody asked Mollie later than `asked_at` (now, if not given) and has written already.
    """
    if not status.status:
        return False  # an answer that says nothing is no reading
    asked_at = asked_at or timezone.now()
    reading = ClientInfo(organization.organization_id, info, status, capabilities)
    while takes_reading(organization, asked_at):
        changes = find_changes(organization, reading, asked_at)
        with transaction.atomic(durable=True):
            written, event = _write(organization, changes, asked_at)
        if event:
            announce(event)
        if written:
            return bool(changes)
        # Somebody wrote since the instance was read: compare with that.
        organization.refresh_from_db(fields=[*COLUMNS, "synced_at", "connection_status"])
    return False


def takes_reading(organization: Organization, asked_at: datetime) -> bool:
    """Whether an answer that was asked for then is to be written into the row as it is."""
    if organization.connection_status == Organization.ConnectionStatus.DISCONNECTED:
        return False
    # A time in the future was written by a machine with a wrong clock, which must not keep out all that follow.
    return organization.synced_at is None or not asked_at < organization.synced_at <= timezone.now()


def find_changes(organization: Organization, reading: ClientInfo, asked_at: datetime) -> dict[str, Any]:
    """The columns in which the row differs from what Mollie said then, with their new values."""
    changes = {
        column: value
        for column, value in _known_columns(reading).items()
        if getattr(organization, column) != value
    }
    if reading.capabilities is None and organization.capabilities and _completes(changes):
        changes["capabilities"] = []  # what Mollie asked for before, it asks for no more
    return changes | _find_firsts(organization, reading.onboarding, asked_at)


def _find_firsts(
    organization: Organization, status: OnboardingStatus | None, asked_at: datetime
) -> dict[str, Any]:
    """What is read as true for the first time, with when. It stays, whatever Mollie says later."""
    reached = {
        "payments_enabled_at": status is not None and status.can_receive_payments,
        "completed_at": status is not None and status.status == Organization.OnboardingStatus.COMPLETED,
    }
    return {
        column: asked_at
        for column, is_true in reached.items()
        if is_true and not getattr(organization, column)
    }


def _completes(changes: dict[str, Any]) -> bool:
    return changes.get("onboarding_status") == Organization.OnboardingStatus.COMPLETED


def find_status_change(organization: Organization, changes: dict[str, Any]) -> dict[str, Any]:
    """Old and new of the three facts, as they are announced. Empty where none changes, or none was known before."""
    old = {fact: getattr(organization, fact) for fact in FACTS}
    new = {fact: changes.get(fact, value) for fact, value in old.items()}
    return {"old": old, "new": new} if old["onboarding_status"] and old != new else {}


def set_columns(organization: Organization, columns: dict[str, Any]) -> None:
    for column, value in columns.items():
        setattr(organization, column, value)


def _known_columns(reading: ClientInfo) -> dict[str, Any]:
    """What the answer says. What is missing in it, or came in a form that cannot be read, is left out."""
    columns: dict[str, Any] = {}
    if (status := reading.onboarding) and status.status:
        columns |= {
            "onboarding_status": status.status,
            "can_receive_payments": status.can_receive_payments,
            "can_receive_settlements": status.can_receive_settlements,
        }
        columns |= _without_empty(signed_up_at=status.signed_up_at, dashboard_url=status.dashboard_url)
    if (info := reading.organization) is not None:
        columns |= _without_empty(
            name=info.name,
            country=info.country,
            registration_number=info.registration_number,
            vat_number=info.vat_number,
        )
    if reading.capabilities is not None:
        columns["capabilities"] = [_to_json(capability) for capability in reading.capabilities]
    return columns


def _without_empty(**columns: Any) -> dict[str, Any]:
    return {column: value for column, value in columns.items() if value}


def _to_json(capability: Capability) -> dict[str, Any]:
    """As it comes back from the column: with a list where the named tuple has a tuple."""
    return {
        **capability._asdict(),
        "requirements": [requirement._asdict() for requirement in capability.requirements],
    }


def _write(
    organization: Organization, changes: dict[str, Any], asked_at: datetime
) -> tuple[bool, Event | None]:
    """Write the changes if the row is as the instance has it. So of two at once, one compares with the other's result."""
    unchanged = Organization.objects.exclude(
        connection_status=Organization.ConnectionStatus.DISCONNECTED
    ).filter(
        pk=organization.pk,
        synced_at=organization.synced_at,
        **{fact: getattr(organization, fact) for fact in FACTS},
    )
    columns = {**changes, "synced_at": asked_at}
    if changes:
        columns["updated_at"] = timezone.now()
    if not unchanged.update(**columns):
        return False, None
    status_change = find_status_change(organization, changes)
    set_columns(organization, columns)
    if not status_change:
        return True, None
    return True, Event.objects.record(
        STATUS_CHANGED, organization=organization, data=status_change, needs_signal=True
    )
