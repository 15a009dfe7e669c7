"""A valid access token, whenever the platform needs one.

A token that is about to expire is refreshed by whoever asks first. The right to do so is claimed by one conditional
update, the call to Mollie is made outside of every transaction, and its idempotency key lies in the row before: a process
that dies after Mollie gave new tokens loses nothing, because the next one asks with the same key and gets the same answer.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    DecryptionError,
    InvalidGrantError,
    MollieConnectionError,
    MollieError,
    MollieResponseError,
    NotConnectedError,
)
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import Event, Organization, new_refresh_key
from mollie_onboarding.mollie_api import MollieAPI, Tokens

from .announcing import announce
from .detached import is_in_transaction, run_after_transaction, run_on_own_connection
from .disconnecting import nudge_revocation

logger = logging.getLogger(__name__)

REFRESH_BEFORE = timedelta(minutes=5)  # the token expires
LEAST_LIFE = timedelta(seconds=10)  # of a token that is handed out while another process refreshes
PAUSE_AFTER_FAILURE = timedelta(seconds=30)  # while the token that there is still works
WAIT_FOR_OTHERS = 10.0  # seconds
LONGEST_LOCK = 0.5  # seconds; we lock a row for one statement
POLL_INTERVAL = 0.1  # seconds

NO_CLAIM: dict[str, Any] = {"refresh_claimed_until": None, "refresh_started_at": None}


@sensitive_variables()
def get_access_token(organization: Organization | str, *, rejected: str = "") -> str:
    """An access token that works for five minutes at least, where Mollie can be reached: refreshed when it is due.

    Takes an organization or its id (`org_…`). `rejected` is a token that Mollie has just answered with 401: it is not
    handed out again. May be called anywhere, also inside a transaction: what Mollie gave is kept even if that is rolled
    back. Waits up to ten seconds for another process that is refreshing, and 20 seconds for Mollie.

    Raises `NotConnectedError` when the merchant must connect again (or the platform has disconnected the organization),
    `MollieConnectionError` when there is no usable answer now, `MollieResponseError` when Mollie refuses the platform's
    own credentials, and `ImproperlyConfigured` when the tokens belong to another `MOLLIE_ONBOARDING_CLIENT_ID`; in the
    last three the connection stays as it is. RFC 6749 section 6,
    https://docs.mollie.com/reference/oauth-generate-tokens
    """
    column = {"organization_id": organization} if isinstance(organization, str) else {"pk": organization.pk}
    row = Organization.objects.get(**column)
    if token := _find_token(row, rejected, REFRESH_BEFORE):
        return token
    if not is_in_transaction():
        return _refresh_or_wait(row.pk, rejected)
    # On SQLite nobody else can commit as long as the caller's transaction is open.
    token = ""
    if transaction.get_connection().vendor != "sqlite":
        token = run_on_own_connection(partial(_refresh_if_free, row.pk, rejected))
    return token or _refresh_inside_transaction(row.pk, rejected)


@sensitive_variables()
def _find_token(row: Organization, rejected: str, least_life: timedelta) -> str:
    """The stored access token if it lives that long and was not rejected, else ''. Raises `NotConnectedError`."""
    if not row.is_connected:
        raise NotConnectedError(row.organization_id, row.connection_status)
    if (
        row.access_token is None
        or row.access_token_expires_at is None
        or row.access_token_expires_at - timezone.now() <= least_life
    ):
        return ""
    token = row.access_token.reveal()
    return "" if token == rejected else token


@sensitive_variables()
def _refresh_or_wait(pk: int, rejected: str) -> str:
    give_up_at = time.monotonic() + WAIT_FOR_OTHERS
    while True:
        row = Organization.objects.get(pk=pk)
        if token := _find_token(row, rejected, REFRESH_BEFORE):
            return token
        _check_client_id(row)
        if Organization.objects.claim_refresh(pk, row.token_version, timezone.now()):
            if token := _refresh_claimed(pk, rejected):
                return token
            continue  # lost, disconnected or connected again meanwhile: the row says which
        if token := _find_token(row, rejected, LEAST_LIFE):
            return token
        if time.monotonic() > give_up_at:
            raise MollieConnectionError(f"The tokens of {row.organization_id} are being refreshed for long.")
        time.sleep(POLL_INTERVAL)


@sensitive_variables()
def _refresh_if_free(pk: int, rejected: str) -> str:
    """The same, or '' when the row is locked for longer than other processes lock it: then by the caller itself.

    On MariaDB it is as soon as the caller has written anything that refers to it.
    """
    give_up_at = time.monotonic() + LONGEST_LOCK
    while not Organization.objects.is_free(pk):
        if time.monotonic() > give_up_at:
            return ""
        time.sleep(POLL_INTERVAL)
    return _refresh_or_wait(pk, rejected)


def _check_client_id(row: Organization) -> None:
    if row.client_id and row.client_id != conf.MOLLIE_ONBOARDING_CLIENT_ID:
        raise ImproperlyConfigured(
            f"The tokens of {row.organization_id} were issued to another OAuth app than MOLLIE_ONBOARDING_CLIENT_ID: "
            "only that one can refresh them."
        )


@sensitive_variables()
def _refresh_claimed(pk: int, rejected: str) -> str:
    """The token of a refresh, or '' where the row has to be read again. Raises what the call raised."""
    row = Organization.objects.get(pk=pk)  # with the key, and the time at which it was first used
    try:
        tokens = _call(row)
    except InvalidGrantError:
        _mark_lost(row)
        return ""
    except MollieError as exc:
        token = _find_token(row, rejected, LEAST_LIFE)
        _give_up(row, exc, pause=PAUSE_AFTER_FAILURE if token else None)
        if not token:
            raise
        logger.warning("The tokens of %s were not refreshed: %s", row.organization_id, exc)
        return token
    except (DecryptionError, ImproperlyConfigured) as exc:
        _give_up(row, exc, pause=None)
        raise
    return _store(row, tokens)


@sensitive_variables()
def _call(row: Organization) -> Tokens:
    """Ask Mollie for new tokens. Raises `InvalidGrantError` also where there is no refresh token to ask with."""
    if row.refresh_token is None:
        raise InvalidGrantError(400, "", error="invalid_grant")
    return MollieAPI().refresh(
        row.refresh_token.reveal(), redirect_uri=row.redirect_uri, idempotency_key=row.refresh_key
    )


@sensitive_variables()
def _store(row: Organization, tokens: Tokens) -> str:
    """Write the new tokens where the old ones still are. Gives the access token, or '' when it is none to hand out."""
    expires_at = _real_expiry(row, tokens)
    columns: dict[str, Any] = {
        "access_token": Secret(tokens.access_token),
        "access_token_expires_at": expires_at,
        "token_version": F("token_version") + 1,
        "refresh_key": new_refresh_key(),
        "last_error": "",
        "updated_at": timezone.now(),
        **NO_CLAIM,
    }
    if tokens.refresh_token:
        columns["refresh_token"] = Secret(tokens.refresh_token)
    if tokens.scope:
        columns["scope"] = tokens.scope
    ours = Organization.objects.connected().filter(pk=row.pk, token_version=row.token_version)
    if not ours.update(**columns):
        _revoke_instead(row, tokens)
        return ""
    is_old = tokens.was_replayed and expires_at - timezone.now() <= REFRESH_BEFORE
    return "" if is_old else tokens.access_token


def _real_expiry(row: Organization, tokens: Tokens) -> datetime:
    """An answer that Mollie repeats was given when the key was first used: its tokens live from then."""
    if not tokens.was_replayed or row.refresh_started_at is None:
        return tokens.expires_at
    return tokens.expires_at - (timezone.now() - row.refresh_started_at)


@sensitive_variables()
def _revoke_instead(row: Organization, tokens: Tokens) -> None:
    """The organization was disconnected during the call: what is to be revoked is the token that came of it."""
    if not tokens.refresh_token:
        return
    disconnected = Organization.objects.filter(
        pk=row.pk,
        connection_status=Organization.ConnectionStatus.DISCONNECTED,
        authorized_at=row.authorized_at,
    )
    with transaction.atomic():
        if disconnected.update(
            pending_revocation=Secret(tokens.refresh_token), token_version=F("token_version") + 1
        ):
            nudge_revocation(row.pk)


def _mark_lost(row: Organization) -> None:
    """Mollie no longer takes this refresh token. Nothing happens to a row that has others by now."""
    now = timezone.now()
    event = None
    with transaction.atomic():
        lost = (
            Organization.objects.connected()
            .filter(pk=row.pk, token_version=row.token_version)
            .update(
                connection_status=Organization.ConnectionStatus.LOST,
                last_error="invalid_grant",
                ended_at=now,
                refresh_key=new_refresh_key(),
                updated_at=now,
                **NO_CLAIM,
            )
        )
        if lost:
            event = Event.objects.record("connection_lost", organization=row, needs_signal=True)
    if event:
        logger.warning("The connection of %s is lost: its merchant must connect again.", row.organization_id)
        row.refresh_from_db()
        announce(event)


def _give_up(row: Organization, exc: Exception, *, pause: timedelta | None) -> None:
    """Free the claim, after a pause where there is no hurry, and keep the reason. The connection stays as it is."""
    columns: dict[str, Any] = {
        "refresh_claimed_until": timezone.now() + pause if pause else None,
        "last_error": _reason(exc),
    }
    if isinstance(exc, MollieResponseError) or getattr(exc, "needs_new_key", False):
        # Mollie keeps this answer under the key.
        columns |= {"refresh_key": new_refresh_key(), "refresh_started_at": None}
    Organization.objects.filter(pk=row.pk, token_version=row.token_version).update(**columns)


def _reason(exc: Exception) -> str:
    """A word for `Organization.last_error`; the admin knows the sentence."""
    if isinstance(exc, MollieResponseError):
        return exc.error or str(exc.status)
    return "no_answer" if isinstance(exc, MollieConnectionError) else type(exc).__name__


# Tokens that Mollie gave inside a transaction that holds the row, by row and version, until they are written.
_unwritten: dict[tuple[int, int], Tokens] = {}
_unwritten_lock = threading.Lock()


@sensitive_variables()
def _refresh_inside_transaction(pk: int, rejected: str) -> str:
    """Refresh inside a transaction beside which nothing can be committed.

    So nothing is claimed: the key in the row makes every other process get the same answer. What Mollie says is written
    when the transaction is over, and until then remembered here.
    """
    with _unwritten_lock:
        row = Organization.objects.get(pk=pk)
        _check_client_id(row)
        tokens = _unwritten.get((pk, row.token_version))
        if tokens is not None and tokens.access_token != rejected:
            return tokens.access_token
        return _call_and_write_later(row, rejected)


@sensitive_variables()
def _call_and_write_later(row: Organization, rejected: str) -> str:
    try:
        tokens = _call(row)
    except InvalidGrantError:
        run_after_transaction(partial(_mark_lost, row))
        raise NotConnectedError(row.organization_id, Organization.ConnectionStatus.LOST) from None
    except MollieError as exc:
        run_after_transaction(partial(_give_up, row, exc, pause=None))
        if token := _find_token(row, rejected, LEAST_LIFE):
            return token
        raise
    _unwritten[row.pk, row.token_version] = tokens
    run_after_transaction(partial(_write, row, tokens))
    return tokens.access_token


@sensitive_variables()
def _write(row: Organization, tokens: Tokens) -> None:
    _store(row, tokens)
    _unwritten.pop((row.pk, row.token_version), None)
