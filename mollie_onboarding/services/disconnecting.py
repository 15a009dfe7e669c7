"""Leaving: the tokens are unusable at once, and revoked at Mollie as soon as Mollie takes it."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.exceptions import DecryptionError, MollieError
from mollie_onboarding.models import AuthorizationRequest, Event, Organization, new_refresh_key
from mollie_onboarding.mollie_api import MollieAPI

from .announcing import announce_after_commit
from .sending import nudge_after_commit

logger = logging.getLogger(__name__)

Connection = Organization.ConnectionStatus


def disconnect(organization: Organization, *, actor: Any = None) -> bool:
    """End the connection of an organization, for every merchant that is connected to it. False: it had ended before.

    Works inside a transaction of the caller's. From its commit on nobody gets a token; the refresh token, and with it
    every access token, is revoked at Mollie by a task, or later by `sync_onboarding_status`. Merchants who are at Mollie
    right now come back to nothing. The signal `organization_disconnected` follows the commit.
    RFC 7009, https://docs.mollie.com/reference/oauth-revoke-tokens
    """
    now = timezone.now()
    with transaction.atomic():
        # Requests before the row: the order in which a merchant's return takes its locks.
        client_link_ids = list(organization.client_links.values_list("pk", flat=True))
        AuthorizationRequest.objects.void(*client_link_ids)
        ended = (
            Organization.objects.filter(pk=organization.pk)
            .exclude(connection_status=Connection.DISCONNECTED)
            .update(
                connection_status=Connection.DISCONNECTED,
                pending_revocation=F("refresh_token"),
                access_token=None,
                refresh_token=None,
                access_token_expires_at=None,
                token_version=F("token_version") + 1,
                refresh_claimed_until=None,
                refresh_started_at=None,
                refresh_key=new_refresh_key(),
                last_error="",
                missing_since=None,
                ended_at=now,
                updated_at=now,
            )
        )
        if not ended:
            return False
        event = Event.objects.record(
            "disconnected",
            organization=organization,
            actor=actor,
            data={"client_links": len(client_link_ids)},
            needs_signal=True,
        )
        announce_after_commit(event)
        nudge_revocation(organization.pk)
    organization.refresh_from_db()
    return True


def nudge_revocation(pk: int) -> None:
    """Wake the task that revokes what waits in `pending_revocation`."""
    nudge_after_commit("revoke_tokens", pk)


@sensitive_variables("row")
def revoke_tokens(pk: int) -> bool | None:
    """Revoke at Mollie what a disconnected organization left. One call ends the refresh and all its access tokens.

    True when Mollie did, False when it gave no usable answer: the token stays in `pending_revocation`. None: there is
    nothing to revoke. https://docs.mollie.com/reference/oauth-revoke-tokens
    """
    row = Organization.objects.get(pk=pk)
    if row.pending_revocation is None:
        return None
    try:
        MollieAPI().revoke(row.pending_revocation.reveal())
    except (MollieError, DecryptionError) as exc:
        logger.error("The tokens of %s could not be revoked: %s", row.organization_id, exc)
        Organization.objects.filter(pk=pk, token_version=row.token_version).update(
            last_error="revocation_failed"
        )
        return False
    with transaction.atomic(durable=True):
        # Not where a merchant connected again, or another token came to wait, during the call.
        done = Organization.objects.filter(pk=pk, token_version=row.token_version).update(
            pending_revocation=None, last_error=""
        )
        if done:
            Event.objects.record("revoked", organization=row)
    return True


def revoke_pending() -> tuple[int, int]:
    """Revoke whatever waits for it. Gives how many were done, and how many could not be."""
    waiting = Organization.objects.filter(pending_revocation__isnull=False).order_by("pk")
    results = [revoke_tokens(pk) for pk in list(waiting.values_list("pk", flat=True))]
    return results.count(True), results.count(False)
