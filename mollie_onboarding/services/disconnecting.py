"""Leaving: the tokens are unusable at once, and revoked at Mollie as soon as Mollie takes it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import DecryptionError, MollieError
from mollie_onboarding.models import AuthorizationRequest, Event, Organization, new_refresh
from mollie_onboarding.observing import observe

from . import budget
from .announcing import announce_after_commit
from .calling import MollieAPI
from .queueing import nudge_after_commit
from .retrying import try_again

logger = logging.getLogger(__name__)

Connection = Organization.ConnectionStatus


def disconnect(organization: Organization, *, actor: Any = None) -> bool:
    """End the connection of an organization, for every merchant that is connected to it. False: it had ended before.

    Works inside a transaction of the caller's. From its commit on nobody gets a token; the refresh token, and with it
    every access token, is revoked at Mollie by a task, or later by `sync_onboarding_status`. Merchants who are at Mollie
    right now come back to nothing. The signal `organization_disconnected` follows the commit.
    RFC 7009, https://docs.mollie.com/reference/oauth-revoke-tokens
    """
    if not try_again(lambda: _disconnect(organization, actor)):
        return False
    organization.refresh_from_db()
    return True


def _disconnect(organization: Organization, actor: Any) -> bool:
    # Not in the statement itself: MariaDB would lock the client links before the requests.
    client_link_ids = list(organization.client_links.values_list("pk", flat=True))
    requests = AuthorizationRequest.objects.filter(client_link__in=client_link_ids, outcome="")
    with transaction.atomic():
        # Requests before the row: the order in which a merchant's return takes its locks. No value changes here.
        requests.update(outcome="")
        now = timezone.now()
        row = Organization.objects.hold(organization.pk)
        if row is None or row.connection_status == Connection.DISCONNECTED:
            return False
        Organization.objects.filter(pk=row.pk).update(
            connection_status=Connection.DISCONNECTED,
            pending_revocation=F("refresh_token"),
            access_token=None,
            refresh_token=None,
            access_token_expires_at=None,
            token_version=F("token_version") + 1,
            last_error="",
            missing_since=None,
            ended_at=now,
            updated_at=now,
            **new_refresh(),
        )
        # Those that are back already are refused when they connect: only then is it known what is to be revoked.
        requests.filter(answered_at=None).update(outcome=AuthorizationRequest.Outcome.CANCELLED)
        event = Event.objects.record(
            "disconnected",
            organization=organization,
            actor=actor,
            data={"client_links": len(client_link_ids)},
            needs_signal=True,
        )
        announce_after_commit(event)
        nudge_revocation(organization.pk)
    return True


def nudge_revocation(pk: int, *, run_after: datetime | None = None) -> None:
    """Wake the task that revokes what waits in `pending_revocation`."""
    nudge_after_commit("revoke_tokens", pk, run_after=run_after)


@sensitive_variables("row")
def revoke_tokens(pk: int) -> bool | None:
    """Revoke at Mollie what a disconnected organization left. One call ends the refresh and all its access tokens.

    True when Mollie did, False when it gave no usable answer, or wants no call now: the token stays in
    `pending_revocation`. None: there is nothing to revoke. https://docs.mollie.com/reference/oauth-revoke-tokens
    """
    row = Organization.objects.get(pk=pk)
    if row.pending_revocation is None:
        return None
    if pause := budget.general_pause():
        nudge_revocation(pk, run_after=timezone.now() + timedelta(seconds=pause))
        return False
    waiting = Organization.objects.filter(
        pk=pk, token_version=row.token_version, pending_revocation__isnull=False
    )
    try:
        _revoke(row)
    except (MollieError, DecryptionError, ImproperlyConfigured) as exc:
        observe(
            logger,
            logging.ERROR,
            "not_revoked",
            "The tokens of %(organization)s could not be revoked: %(detail)s",
            organization=row.organization_id,
            detail=exc,
        )
        waiting.update(last_error="revocation_failed")
        return False
    with transaction.atomic(durable=True):
        # Not where a merchant connected again, or another token came to wait, during the call.
        if waiting.update(pending_revocation=None, last_error="", token_version=F("token_version") + 1):
            Event.objects.record("revoked", organization=row)
    return True


@sensitive_variables()
def _revoke(row: Organization) -> None:
    assert row.pending_revocation is not None  # noqa: S101 (for mypy)
    if row.client_id and row.client_id != conf.MOLLIE_ONBOARDING_CLIENT_ID:
        # Mollie would call the token void, of another app as it is, and it would live on.
        raise ImproperlyConfigured("They were issued to another OAuth app than MOLLIE_ONBOARDING_CLIENT_ID.")
    MollieAPI().revoke(row.pending_revocation.reveal())


def revoke_pending() -> tuple[int, int]:
    """Revoke whatever waits for it. Gives how many were done, and how many could not be."""
    waiting = Organization.objects.filter(pending_revocation__isnull=False).order_by("pk")
    results = [revoke_tokens(pk) for pk in list(waiting.values_list("pk", flat=True))]
    return results.count(True), results.count(False)
