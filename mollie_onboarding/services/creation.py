"""Creating client links at Mollie, so that a crash, a double click or a second machine never makes two.

The attempt is committed before it is sent, so whoever comes after a crash repeats it under the same idempotency key and
gets the same link. An unreachable orphan at Mollie is possible only when an answer was lost and the repetition came
over an hour later, or with other data.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import timedelta
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
from mollie_onboarding.models import NO_CLIENT_LINK, NO_ERROR, ClientLink, Event, Status
from mollie_onboarding.mollie_api import (
    CLIENT_LINK_LIFETIME,
    IDEMPOTENCY_KEY_LIFETIME,
    ClientLinkData,
    CreatedClientLink,
    MollieAPI,
    digest,
    is_allowed_url,
)

from .announcing import announce

logger = logging.getLogger(__name__)

# Five minutes less than Mollie keeps a key, for clocks that differ and answers that take their time.
KEY_REUSE = IDEMPOTENCY_KEY_LIFETIME - timedelta(minutes=5)
WAIT_FOR_OTHERS = 5.0  # seconds
POLL_INTERVAL = 0.2  # seconds
REPLACEMENT_INTERVAL = timedelta(days=1)


def create_client_link(client_link: ClientLink) -> ClientLink:
    """The row with a client link at Mollie that lives long enough: the one there is, or a new one.

    Commits before and after the call, so it refuses to run inside a transaction (RuntimeError). Raises
    `ClientLinkUnusableError` for a row that is connected, cancelled or refused, `CreationInProgressError` when
    another process is at it for over five seconds, and what `MollieAPI.create_client_link` raises; the reason is
    then in the row, and the next call takes up where this one ended.
    https://docs.mollie.com/reference/create-client-link
    """
    give_up_at = time.monotonic() + WAIT_FOR_OTHERS
    row = client_link
    while not _is_usable(row):
        if row.status in (Status.CONNECTED, Status.CANCELLED, Status.REJECTED):
            raise ClientLinkUnusableError(f"The client link is {row.status}.")
        with transaction.atomic(durable=True):
            is_ours = ClientLink.objects.claim_issuing(row.pk, timezone.now())
        if is_ours:
            return _create_claimed(row.pk)
        if time.monotonic() > give_up_at:
            raise CreationInProgressError(f"Client link {row.pk} is being made by another process.")
        time.sleep(POLL_INTERVAL)
        row = _load(row.pk)
    return row


def retry_rejected(client_link: ClientLink, *, actor: Any = None) -> ClientLink:
    """Take a row that Mollie refused back to draft without an edit: an operator wants it asked again."""
    ClientLink.objects.move(
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
    return ClientLink.objects.select_related("organization").get(pk=pk)


def _is_usable(row: ClientLink) -> bool:
    """Whether a merchant may be sent to the row's link: it lives, and its host is still among `LINK_HOSTS`."""
    return row.has_usable_url(timezone.now()) and is_allowed_url(row.url)


def _create_claimed(pk: uuid.UUID) -> ClientLink:
    # Read after the claim: whoever held it before may just have made the link.
    row = _load(pk)
    if _is_usable(row):
        ClientLink.objects.filter(pk=pk, issuing_until=row.issuing_until).update(issuing_until=None)
        return row
    if row.issuing_until is None:  # edited or replaced right after the claim
        raise CreationInProgressError(f"Client link {row.pk} changed while it was being made.")
    data = ClientLinkData(**row.body_values())  # type: ignore[arg-type]  # the columns have the names and types
    _commit_attempt(row, digest(data.to_body()))
    try:
        created = MollieAPI().create_client_link(data, idempotency_key=row.idempotency_key)
    except MollieConnectionError as exc:
        _keep_attempt(row, exc)
        raise
    except MollieResponseError as exc:
        _store_refusal(row, exc)
        raise
    return _store_created(row, created)


def _commit_attempt(row: ClientLink, body_digest: str) -> None:
    """Write what is about to be sent. The same body within the hour goes out under the same key."""
    now = timezone.now()
    if (
        row.idempotency_key
        and row.attempt_digest == body_digest
        and row.attempt_started_at
        and now - row.attempt_started_at < KEY_REUSE
    ):
        return
    claim = row.issuing_until
    row.idempotency_key = str(uuid.uuid4())
    row.attempt_started_at = now
    row.attempt_digest = body_digest
    with transaction.atomic(durable=True):
        is_ours = ClientLink.objects.filter(pk=row.pk, issuing_until=claim).update(
            idempotency_key=row.idempotency_key, attempt_started_at=now, attempt_digest=body_digest
        )
    if not is_ours:  # edited, cancelled or taken over since
        raise CreationInProgressError(f"Client link {row.pk} changed while it was being made.")


def _store_created(row: ClientLink, created: CreatedClientLink) -> ClientLink:
    assert row.attempt_started_at  # noqa: S101 (for mypy; `_commit_attempt` set it)
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
    ours = ClientLink.objects.filter(idempotency_key=row.idempotency_key)
    with transaction.atomic(durable=True):
        event = ours.move(row.pk, Status.READY, data={"mollie_id": created.id}, needs_signal=True, **columns)
        if event is None:
            renewable = ours.filter(pk=row.pk, status__in=[Status.READY, Status.STARTED, Status.DECLINED])
            if renewable.update(**columns):
                event = Event.objects.record(
                    "renewed", client_link_id=row.pk, data={"mollie_id": created.id}, needs_signal=True
                )
    stored = _load(row.pk)
    if event is None:
        # The process that took over our claim stored the same link, or the data changed on the way: then this link
        # was made from the old data, and nobody may follow it.
        if _is_usable(stored):
            return stored
        raise CreationInProgressError(f"Client link {row.pk} changed while it was being made.")
    event.client_link = stored
    announce(event)
    return stored


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
        logger.error("Mollie refused to make client link %s: %s", row.pk, exc)
