"""Creating client links at Mollie, so that a crash, a double click or a second machine never makes two.

The attempt is committed before it is sent, so whoever comes after a crash repeats it under the same idempotency key and
gets the same link. An unreachable orphan at Mollie is possible only when an answer was lost and the repetition came
over an hour later, or with other data.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mollie_onboarding.exceptions import (
    ClientLinkUnusableError,
    CreationInProgressError,
    MollieConnectionError,
    MollieResponseError,
)
from mollie_onboarding.models import CLAIM_LIFETIME, NO_CLIENT_LINK, NO_ERROR, ClientLink, Event, Status
from mollie_onboarding.mollie_api import (
    CLIENT_LINK_LIFETIME,
    IDEMPOTENCY_KEY_LIFETIME,
    ClientLinkData,
    CreatedClientLink,
    digest,
    is_allowed_url,
)
from mollie_onboarding.observing import observe

from .announcing import announce, is_heard
from .calling import MollieAPI

logger = logging.getLogger(__name__)

# Five minutes less than Mollie keeps a key, for clocks that differ and answers that take their time.
KEY_REUSE = IDEMPOTENCY_KEY_LIFETIME - timedelta(minutes=5)
WAIT_FOR_OTHERS = 5.0  # seconds
POLL_INTERVAL = 0.2  # seconds
REPLACEMENT_INTERVAL = timedelta(days=1)

WITHOUT_LINK = (Status.CONNECTED, Status.CANCELLED, Status.REJECTED)  # none is made for these

# What a call to Mollie waits for and holds, where somebody limits how many are under way at once.
Slot = AbstractContextManager[object]
NO_SLOT: Slot = nullcontext()


def create_client_link(
    client_link: ClientLink, *, slot: Slot = NO_SLOT, retries_when_limited: bool = True
) -> ClientLink:
    """The row with a client link at Mollie that lives long enough: the one there is, or a new one.

    Commits before and after the call, so it refuses to run inside a transaction (RuntimeError). `slot` is entered for
    as long as Mollie is called, and for nothing else. `retries_when_limited` is for somebody who waits in front of a
    browser: a 429 with a short pause is tried again. Raises
    `ClientLinkUnusableError` for a row that is connected, cancelled, refused or deleted, `CreationInProgressError` when
    another process is at it for over five seconds, and what `MollieAPI.create_client_link` raises; the reason is
    then in the row, and the next call takes up where this one ended.
    https://docs.mollie.com/reference/create-client-link
    """
    give_up_at = time.monotonic() + WAIT_FOR_OTHERS
    row = client_link
    while not has_usable_link(row):
        if row.status in WITHOUT_LINK:
            raise ClientLinkUnusableError(f"The client link is {row.status}.")
        with transaction.atomic(durable=True):
            is_ours = ClientLink.objects.claim_issuing(row.pk, timezone.now())
        if is_ours:
            return _create_claimed(row.pk, slot, retries_when_limited)
        if time.monotonic() > give_up_at:
            raise CreationInProgressError(f"Client link {row.pk} is being made by another process.")
        time.sleep(POLL_INTERVAL)
        row = _load(row.pk)
    return row


def retry_rejected(client_link: ClientLink, *, actor: Any = None) -> ClientLink:
    """Take a row that Mollie refused back to draft without an edit: an operator wants it asked again.

    Gives the row as it is now; one that is no longer refused stays as it is. Raises `ClientLinkUnusableError` for a row
    that was deleted.
    """
    ClientLink.objects.filter(status=Status.REJECTED).move(
        client_link.pk, Status.DRAFT, kind="retried", actor=actor, **NO_CLIENT_LINK, **NO_ERROR
    )
    return _load(client_link.pk)


def replace_client_link(client_link: ClientLink) -> bool:
    """Void a client link that the merchant says is dead at Mollie, once a day. False: not yet again.

    Mollie offers no way to ask whether a link was used up. The next `create_client_link` makes another one.
    """
    now = timezone.now()
    is_due = Q(replacement_requested_at=None) | Q(replacement_requested_at__lte=now - REPLACEMENT_INTERVAL)
    replaceable = ClientLink.objects.exclude(status__in=[Status.CONNECTED, Status.CANCELLED])
    with transaction.atomic(durable=True):
        replaced = replaceable.filter(is_due, pk=client_link.pk).update(
            **NO_CLIENT_LINK, replacement_requested_at=now
        )
        if replaced:
            Event.objects.record("replacement_requested", client_link_id=client_link.pk)
    return bool(replaced)


def _load(pk: uuid.UUID) -> ClientLink:
    row = ClientLink.objects.select_related("organization").filter(pk=pk).first()
    if row is None:
        raise ClientLinkUnusableError("The client link was deleted.")
    return row


def has_usable_link(row: ClientLink) -> bool:
    """Whether a merchant may be sent to the row's link: it lives, and its host is still among `LINK_HOSTS`."""
    return row.has_usable_url(timezone.now()) and is_allowed_url(row.url)


def _create_claimed(pk: uuid.UUID, slot: Slot, retries_when_limited: bool) -> ClientLink:
    # Read after the claim: whoever held it before may just have made the link.
    row = _load(pk)
    if has_usable_link(row):
        ClientLink.objects.filter(pk=pk, issuing_until=row.issuing_until).update(issuing_until=None)
        return row
    if row.issuing_until is None:  # edited or replaced right after the claim
        raise CreationInProgressError(f"Client link {row.pk} changed while it was being made.")
    _commit_attempt(row)
    return create_attempted(row, slot=slot, retries_when_limited=retries_when_limited)


def attempt_columns(row: ClientLink, now: datetime) -> dict[str, Any]:
    """What is to be written into a row before `create_attempted`: the claim, and what is about to be sent.

    For who claims the row anyway, by an update that takes place only where the row is as it was read. Empty where no
    client link is to be made, or another process is at it.
    """
    is_taken = row.issuing_until is not None and row.issuing_until > now
    if is_taken or row.status in WITHOUT_LINK or has_usable_link(row):
        return {}
    return {"issuing_until": now + CLAIM_LIFETIME, **_new_attempt(row, now)}


def _new_attempt(row: ClientLink, now: datetime) -> dict[str, Any]:
    """What is about to be sent. Empty for the same body within the hour, which goes out under the same key."""
    body_digest = digest(_data_of(row).to_body())
    if (
        row.idempotency_key
        and row.attempt_digest == body_digest
        and row.attempt_started_at
        and now - row.attempt_started_at < KEY_REUSE
    ):
        return {}
    return {
        "idempotency_key": str(uuid.uuid4()),
        "attempt_started_at": now,
        "attempt_digest": body_digest,
    }


def _data_of(row: ClientLink) -> ClientLinkData:
    return ClientLinkData(**row.body_values())  # type: ignore[arg-type]  # the columns have the names and types


def _commit_attempt(row: ClientLink) -> None:
    """Write what is about to be sent."""
    columns = _new_attempt(row, timezone.now())
    if not columns:
        return
    with transaction.atomic(durable=True):
        is_ours = ClientLink.objects.filter(pk=row.pk, issuing_until=row.issuing_until).update(**columns)
    if not is_ours:  # edited, cancelled or taken over since
        raise CreationInProgressError(f"Client link {row.pk} changed while it was being made.")
    row.set_columns(columns)


def create_attempted(
    row: ClientLink,
    *,
    slot: Slot = NO_SLOT,
    retries_when_limited: bool = True,
    where: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
) -> ClientLink:
    """Make the client link of a row into which `attempt_columns` were written. Raises as `create_client_link` does.

    The `columns` are written together with the link, if the row still has the values of `where`; else the link is
    written without them. The row that comes back tells which.
    """
    try:
        with slot:
            api = MollieAPI(retries_when_limited=retries_when_limited)
            created = api.create_client_link(_data_of(row), idempotency_key=row.idempotency_key)
    except MollieConnectionError as exc:
        _keep_attempt(row, exc)
        raise
    except MollieResponseError as exc:
        _store_refusal(row, exc)
        raise
    return _store_created(row, created, where or {}, columns or {})


def _store_created(
    row: ClientLink, created: CreatedClientLink, where: dict[str, Any], columns: dict[str, Any]
) -> ClientLink:
    link = _link_columns(row, created)
    with transaction.atomic(durable=True):
        event = _write_link(row, {**link, **columns}, where)
        if event is None and where:
            columns = {}
            event = _write_link(row, link, {})
    if event is None:
        # The process that took over our claim stored the same link, or the data changed on the way: then this link
        # was made from the old data, and nobody may follow it.
        stored = _load(row.pk)
        if has_usable_link(stored):
            return stored
        raise CreationInProgressError(f"Client link {row.pk} changed while it was being made.")
    if event.announced_at is None:
        row = event.client_link = _load(row.pk)
        announce(event)
        return row
    row.set_columns({**link, **columns})
    if event.kind == Status.READY:
        row.status = Status.READY
    return row


def _link_columns(row: ClientLink, created: CreatedClientLink) -> dict[str, Any]:
    assert row.attempt_started_at  # noqa: S101 (for mypy; the attempt was written)
    columns: dict[str, Any] = NO_ERROR | {
        "mollie_id": created.id,
        "url": created.url,
        "issued_at": timezone.now(),
        # From the sending, not from the answer: a lost answer that is repeated does not make the link younger.
        "expires_at": row.attempt_started_at + CLIENT_LINK_LIFETIME,
        "idempotency_key": "",
        "issuing_until": None,
    }
    if row.problem == ClientLink.Problem.MOLLIE_REFUSED:
        columns["problem"] = ""
    return columns


def _write_link(row: ClientLink, columns: dict[str, Any], where: dict[str, Any]) -> Event | None:
    """Write the client link, if the row still waits for the answer to our key."""
    ours = ClientLink.objects.filter(idempotency_key=row.idempotency_key, **where)
    data = {"mollie_id": columns["mollie_id"]}
    needs_signal = is_heard("ready")
    event = ours.move(row.pk, Status.READY, data=data, needs_signal=needs_signal, **columns)
    if event:
        return event
    renewable = ours.filter(pk=row.pk, status__in=[Status.READY, Status.STARTED, Status.DECLINED])
    if not renewable.update(**columns):
        return None
    return Event.objects.record("renewed", client_link_id=row.pk, data=data, needs_signal=needs_signal)


def _keep_attempt(row: ClientLink, exc: MollieConnectionError) -> None:
    """Free the claim and keep the key: the next try asks for the same link."""
    columns: dict[str, Any] = {"issuing_until": None, "error_detail": str(exc)}
    if exc.needs_new_key:
        columns["idempotency_key"] = ""
    ClientLink.objects.filter(pk=row.pk, idempotency_key=row.idempotency_key).update(**columns)


def _store_refusal(row: ClientLink, exc: MollieResponseError) -> None:
    """Keep the reason. Only a 422 speaks of the data; any other refusal is for the platform's developers."""
    columns: dict[str, Any] = {
        "error_status": exc.status,
        "error_field": exc.field,
        "error_detail": exc.detail or str(exc),
        "idempotency_key": "",
        "issuing_until": None,
    }
    ours = ClientLink.objects.filter(idempotency_key=row.idempotency_key)
    with transaction.atomic(durable=True):
        data = {"status": exc.status, "field": exc.field}
        moved = exc.status == 422 and ours.move(row.pk, Status.REJECTED, data=data, **columns)
        if not moved:
            ours.filter(pk=row.pk).update(**columns, problem=ClientLink.Problem.MOLLIE_REFUSED)
    if exc.status != 422:
        observe(
            logger,
            logging.ERROR,
            "creation_refused",
            "Mollie refused to make client link %(client_link)s: %(detail)s",
            client_link=row.pk,
            status=exc.status,
            detail=exc,
        )
