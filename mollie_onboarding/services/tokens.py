"""A valid access token, whenever the platform needs one.

A token that is about to expire is refreshed by whoever asks first. The right to do so is claimed by one conditional
update, the call to Mollie is made outside of every transaction, and its idempotency key lies in the row before: a process
that dies after Mollie gave new tokens loses nothing, because the next one asks with the same key and gets the same answer.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, transaction
from django.db.models import Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.exceptions import (
    DecryptionError,
    InvalidGrantError,
    MollieConnectionError,
    MollieError,
    NotConnectedError,
)
from mollie_onboarding.models import AuthorizationRequest, Organization, new_refresh
from mollie_onboarding.mollie_api import Tokens
from mollie_onboarding.observing import observe

from . import budget
from .detached import is_in_transaction, run_after_transaction, run_on_own_connection
from .refreshing import (
    call_mollie,
    check_client_id,
    consent_under_way,
    error_word,
    find_expiry_of_replay,
    mark_lost,
    replace_used_key,
    store_tokens,
)

logger = logging.getLogger(__name__)

REFRESH_BEFORE = timedelta(minutes=5)  # the token expires
LEAST_LIFE = timedelta(seconds=10)  # of a token that is handed out while another process refreshes
PAUSE_AFTER_FAILURE = timedelta(seconds=30)  # while the token that there is still works
AGE_UNKNOWN = timedelta(minutes=1)  # that a token is used for when nobody knows how old it is
WAIT_FOR_OTHERS = 10.0  # seconds
LONGEST_LOCK = 0.5  # seconds; we lock a row for one statement
POLL_INTERVAL = 0.1  # seconds


@sensitive_variables()
def get_access_token(organization: Organization | str, *, rejected: str = "") -> str:
    """An access token that works for five minutes at least, where Mollie can be reached: refreshed when it is due.

    Takes an organization or its id (`org_…`). `rejected` is a token that Mollie has just answered with 401: it is not
    handed out again. May be called anywhere, also inside a transaction: what Mollie gave is kept even if that is rolled
    back. Waits up to ten seconds for another process that is refreshing, and 20 seconds for Mollie.

    Raises `NotConnectedError` when the merchant must connect again (or the platform has disconnected the organization),
    `MollieConnectionError` when there is no usable answer now, `MollieResponseError` when Mollie refuses the platform's
    own credentials, `ImproperlyConfigured` when the tokens belong to another `MOLLIE_ONBOARDING_CLIENT_ID`, and
    `DecryptionError` when none of the configured keys fits them; in the last four the connection stays as it is.
    `Organization.DoesNotExist` for an id that is not known here. RFC 6749 section 6,
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
    return token or _refresh_unclaimed(row.pk, rejected)


@sensitive_variables()
def _find_token(row: Organization, rejected: str, least_life: timedelta) -> str:
    """The stored access token if it lives that long and was not rejected, else ''. Raises `NotConnectedError`."""
    if not row.is_connected:
        raise NotConnectedError(row.organization_id, row.connection_status)
    unwritten = _unwritten.get(_version(row))
    if unwritten is not None:
        return unwritten.access_token if _is_usable(unwritten, rejected, least_life) else ""
    if (
        row.access_token is None
        or row.access_token_expires_at is None
        or row.access_token_expires_at - timezone.now() <= least_life
    ):
        return ""
    token = row.access_token.reveal()
    return "" if token == rejected else token


@sensitive_variables()
def _is_usable(tokens: Tokens, rejected: str, least_life: timedelta) -> bool:
    return tokens.expires_at - timezone.now() > least_life and tokens.access_token != rejected


@sensitive_variables()
def _refresh_or_wait(pk: int, rejected: str) -> str:
    """A token that was refreshed here or by somebody else, or the present one while somebody is at it.

    Raises what `get_access_token` raises; `MollieConnectionError` also after ten seconds of waiting.
    """
    give_up_at = time.monotonic() + WAIT_FOR_OTHERS
    has_refreshed = False
    while True:
        row = Organization.objects.get(pk=pk)
        if token := _find_token(row, rejected, REFRESH_BEFORE):
            return token
        token = _find_token(row, rejected, LEAST_LIFE)
        if token and (row.is_refresh_paused(timezone.now()) or budget.general_pause()):
            return token
        check_client_id(row)
        # Not where somebody has the row locked: their transaction may last, and ours would wait for it.
        is_free = Organization.objects.is_free(pk)
        unwritten = _unwritten.get(_version(row))
        if unwritten and is_free and _write_unwritten(row, unwritten):
            continue
        # By tokens that are not written yet, the refresh token in the row is over.
        if not unwritten and is_free and _claim(row):
            # The key of a second refresh was made by the first: no answer to it can be an old one, whatever Mollie calls
            # it. Else we would ask for ever.
            if fresh := _refresh_claimed(pk, rejected, may_be_replayed=not has_refreshed):
                return fresh
            has_refreshed = True
            continue  # lost, disconnected or connected again meanwhile: the row says which
        if token:
            return token
        if time.monotonic() > give_up_at:
            if is_free and not unwritten:
                raise MollieConnectionError(
                    f"The tokens of {row.organization_id} are being refreshed for long."
                )
            return _refresh_unclaimed(pk, rejected)
        time.sleep(POLL_INTERVAL)


@sensitive_variables()
def _write_unwritten(row: Organization, tokens: Tokens) -> bool:
    """Write what Mollie gave while the row was locked. False: it is locked again."""
    try:
        _write(row, tokens)
    except OperationalError:
        return False
    return True


def _claim(row: Organization) -> bool:
    try:
        return Organization.objects.claim_refresh(row.pk, row.token_version, timezone.now())
    except OperationalError:
        return False  # locked in this very moment


@sensitive_variables()
def _refresh_if_free(pk: int, rejected: str) -> str:
    """What `_refresh_or_wait` gives, or '' when the row is locked for longer than other processes lock it: then by the caller itself.

    On MariaDB it is as soon as the caller has written anything that refers to it.
    """
    give_up_at = time.monotonic() + LONGEST_LOCK
    while not Organization.objects.is_free(pk):
        if time.monotonic() > give_up_at:
            return ""
        time.sleep(POLL_INTERVAL)
    return _refresh_or_wait(pk, rejected)


@sensitive_variables()
def _refresh_claimed(pk: int, rejected: str, *, may_be_replayed: bool) -> str:
    """The token of a refresh, or '' where the row has to be read again. Raises what the call raised."""
    row = Organization.objects.get(pk=pk)  # with the key, and the time at which it was first used
    try:
        tokens = call_mollie(row)
    except InvalidGrantError:
        if not mark_lost(row):
            _free_claim(row, **new_refresh())
            raise consent_under_way(row) from None
        return ""
    except MollieError as exc:
        token = _find_token(row, rejected, LEAST_LIFE)
        _give_up(row, exc)
        if not token:
            raise
        _note_unrefreshed(row, exc)
        return token
    except (DecryptionError, ImproperlyConfigured) as exc:
        _give_up(row, exc)
        raise
    tokens = replace(tokens, was_replayed=tokens.was_replayed and may_be_replayed)
    if tokens.was_replayed:
        tokens = replace(tokens, expires_at=find_expiry_of_replay(row, tokens) or timezone.now())
    try:
        is_ours = store_tokens(row, tokens)
    except OperationalError:
        # Somebody has the row locked. What Mollie gave is never dropped: it is written when they are done.
        _write_later(row, tokens)
        is_ours = True
    # An old answer has the refresh token for a new one.
    return tokens.access_token if is_ours and not _is_old(tokens) else ""


def _note_unrefreshed(row: Organization, exc: MollieError) -> None:
    observe(
        logger,
        logging.WARNING,
        "tokens_not_refreshed",
        "The tokens of %(organization)s were not refreshed: %(detail)s",
        organization=row.organization_id,
        detail=exc,
    )


def _is_old(tokens: Tokens) -> bool:
    return tokens.was_replayed and tokens.expires_at - timezone.now() <= REFRESH_BEFORE


def _give_up(row: Organization, exc: Exception) -> None:
    """Free our claim, pause while the token that there is works, and keep the reason. The connection stays as it is."""
    columns = {"refresh_claimed_until": None, "refresh_not_before": timezone.now() + PAUSE_AFTER_FAILURE}
    _free_claim(row, **columns, **replace_used_key(exc), last_error=error_word(exc))


def _free_claim(row: Organization, **columns: Any) -> None:
    Organization.objects.filter(
        pk=row.pk, token_version=row.token_version, refresh_claimed_until=row.refresh_claimed_until
    ).update(**columns)


Version = tuple[str, datetime | None, int]

# Tokens that Mollie gave while the row was locked, by the version of those before, until they are written.
_unwritten: dict[Version, Tokens] = {}
# One thread at a time asks for an organization. Some organizations share a lock, and then wait for each other.
_locks = [threading.Lock() for _ in range(64)]


def _version(row: Organization) -> Version:
    return row.organization_id, row.authorized_at, row.token_version


@sensitive_variables()
def _refresh_unclaimed(pk: int, rejected: str) -> str:
    """Refresh while nothing can be committed to the row: in a transaction on SQLite, or where somebody has it locked.

    So nothing is claimed: the key in the row makes every other process get the same answer. What Mollie says is written
    when the transaction is over, and until then remembered here.
    """
    with _locks[pk % len(_locks)]:
        row = Organization.objects.get(pk=pk)
        token = _find_token(row, rejected, LEAST_LIFE)
        is_known = _version(row) in _unwritten
        if token and (is_known or row.is_refresh_paused(timezone.now())):
            return token
        if not is_known:
            token = _call_unclaimed(row, token, rejected)
    if not token:
        raise MollieConnectionError(
            f"The tokens of {row.organization_id} can be refreshed again when the transaction is over."
        )
    return token


@sensitive_variables()
def _call_unclaimed(row: Organization, token: str, rejected: str) -> str:
    """A new access token, or the one that there is where Mollie gives none; '' when the new one is none to use."""
    check_client_id(row)
    started_at = timezone.now()
    try:
        tokens = call_mollie(row)
    except InvalidGrantError:
        if AuthorizationRequest.objects.bringing_tokens(row.pk, started_at).exists():
            raise consent_under_way(row) from None
        run_after_transaction(partial(mark_lost, row))
        raise NotConnectedError(row.organization_id, Organization.ConnectionStatus.LOST) from None
    except MollieError as exc:
        run_after_transaction(partial(_give_up_unclaimed, row, exc, started_at))
        if not token:
            raise
        return token
    if tokens.was_replayed:
        expires_at = find_expiry_of_replay(row, tokens) or started_at + AGE_UNKNOWN
        tokens = replace(tokens, expires_at=expires_at)
    _write_later(row, tokens)
    return tokens.access_token if _is_usable(tokens, rejected, LEAST_LIFE) else token


def _give_up_unclaimed(row: Organization, exc: Exception, started_at: datetime) -> None:
    """Keep the reason, and since when the key is in use; a new key only where nobody is at work with the old one."""
    now = timezone.now()
    ours = Organization.objects.filter(
        Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lte=now),
        pk=row.pk,
        token_version=row.token_version,
        refresh_key=row.refresh_key,
    )
    columns = {
        "refresh_started_at": Coalesce("refresh_started_at", Value(started_at)),
        "refresh_not_before": now + PAUSE_AFTER_FAILURE,
        **replace_used_key(exc),
    }
    ours.update(**columns, last_error=error_word(exc))


@sensitive_variables()
def _write_later(row: Organization, tokens: Tokens) -> None:
    _unwritten[_version(row)] = tokens
    run_after_transaction(partial(_write, row, tokens))


@sensitive_variables()
def _write(row: Organization, tokens: Tokens) -> None:
    store_tokens(row, tokens)
    _unwritten.pop(_version(row), None)
