"""What one refresh asks of Mollie, and what its answer does to the organization's row.

Nothing here waits for anybody: who asks, and when, is decided in `tokens`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import InvalidGrantError, MollieConnectionError, MollieResponseError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import (
    CLAIM_LIFETIME,
    AuthorizationRequest,
    Event,
    Organization,
    new_refresh,
    new_refresh_key,
)
from mollie_onboarding.mollie_api import Tokens
from mollie_onboarding.observing import observe

from .announcing import announce
from .calling import MollieAPI
from .detached import run_when_nobody_waits
from .disconnecting import nudge_revocation

logger = logging.getLogger(__name__)


def check_client_id(row: Organization) -> None:
    if row.client_id and row.client_id != conf.MOLLIE_ONBOARDING_CLIENT_ID:
        raise ImproperlyConfigured(
            f"The tokens of {row.organization_id} were issued to another OAuth app than MOLLIE_ONBOARDING_CLIENT_ID: "
            "only that one can refresh them."
        )


@sensitive_variables()
def call_mollie(row: Organization) -> Tokens:
    """Ask Mollie for new tokens. Raises `InvalidGrantError` also where there is no refresh token to ask with."""
    if row.refresh_token is None:
        raise InvalidGrantError(400, "", error="invalid_grant")
    return MollieAPI().refresh(
        row.refresh_token.reveal(), redirect_uri=row.redirect_uri, idempotency_key=row.refresh_key
    )


def find_expiry_of_replay(row: Organization, tokens: Tokens) -> datetime | None:
    """An answer that Mollie repeats was given when the key was first used: its tokens live from then.

    None where that is not known, because it was inside somebody's transaction, or in a process that died in one.
    """
    first_used_at = row.refresh_started_at
    if first_used_at is None or row.refresh_claimed_until == first_used_at + CLAIM_LIFETIME:
        return None  # or first used by this very claim, and before it without one
    return tokens.expires_at - (timezone.now() - first_used_at)


@sensitive_variables()
def store_tokens(row: Organization, tokens: Tokens) -> bool:
    """Write the new tokens where the old ones still are. False: they are not, and these are not to be used."""
    columns: dict[str, Any] = {
        "access_token": Secret(tokens.access_token),
        "access_token_expires_at": tokens.expires_at,
        "token_version": F("token_version") + 1,
        "last_error": "",
        "updated_at": timezone.now(),
        **new_refresh(),
    }
    if tokens.refresh_token:
        columns["refresh_token"] = Secret(tokens.refresh_token)
    if tokens.scope:
        columns["scope"] = tokens.scope
    ours = Organization.objects.filter(pk=row.pk, token_version=row.token_version)
    if ours.update(**columns):
        observe(
            logger,
            logging.INFO,
            "tokens_refreshed",
            "The tokens of %(organization)s were refreshed.",
            organization=row.organization_id,
        )
        return True
    _revoke_instead(row, tokens)
    return False


@sensitive_variables()
def _revoke_instead(row: Organization, tokens: Tokens) -> None:
    """The organization was disconnected during the call: what is to be revoked is the token that came of it."""
    if not tokens.refresh_token:
        return
    with transaction.atomic():
        current = Organization.objects.hold(row.pk)
        if current is None or current.authorized_at != row.authorized_at:
            return
        if current.connection_status == Organization.ConnectionStatus.DISCONNECTED:
            Organization.objects.filter(pk=row.pk).update(
                pending_revocation=Secret(tokens.refresh_token), token_version=F("token_version") + 1
            )
            nudge_revocation(row.pk)


def consent_under_way(row: Organization) -> MollieConnectionError:
    return MollieConnectionError(f"A new consent of {row.organization_id} is just being taken in.")


def mark_lost(row: Organization) -> bool:
    """Mollie no longer takes this refresh token, or gave none. Nothing happens to a row that has others by now.

    False, and nothing happens either, while a new consent is on its way in: by force, it ended the one that we have.
    """
    now = timezone.now()
    if AuthorizationRequest.objects.bringing_tokens(row.pk, now).exists():
        return False
    with transaction.atomic():
        current = Organization.objects.hold(row.pk)
        if current is None or not current.is_connected or current.token_version != row.token_version:
            return True
        Organization.objects.filter(pk=row.pk).update(
            connection_status=Organization.ConnectionStatus.LOST,
            token_version=F("token_version") + 1,
            last_error="no_refresh_token" if row.refresh_token is None else "invalid_grant",
            ended_at=now,
            updated_at=now,
            **new_refresh(),
        )
        event = Event.objects.record("connection_lost", organization=row, needs_signal=True)
    observe(
        logger,
        logging.WARNING,
        "connection_lost",
        "The connection of %(organization)s is lost: its merchant must connect again.",
        organization=row.organization_id,
    )
    row.refresh_from_db()
    run_when_nobody_waits(partial(announce, event))
    return True


def replace_used_key(exc: Exception) -> dict[str, Any]:
    """A new key, where Mollie keeps this answer under the old one."""
    is_kept = isinstance(exc, MollieResponseError) or getattr(exc, "needs_new_key", False)
    return {"refresh_key": new_refresh_key(), "refresh_started_at": None} if is_kept else {}


def error_word(exc: Exception) -> str:
    """A word for `Organization.last_error`; the admin knows the sentence."""
    if isinstance(exc, MollieResponseError):
        return exc.error or str(exc.status)
    return "no_answer" if isinstance(exc, MollieConnectionError) else type(exc).__name__
