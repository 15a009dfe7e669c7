"""The merchant's return: from a callback to a connected organization, in an order that survives a kill at any line.

Verify, claim, exchange, commit the tokens, ask whose they are, connect. The code lives 30 seconds and works once, so
it is exchanged before anything else is asked; from the committed tokens on, everything can be done again.
"""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    DecryptionError,
    InvalidGrantError,
    MollieConnectionError,
    MollieError,
    MollieResponseError,
    StateError,
)
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import (
    AuthorizationRequest,
    ClientLink,
    Event,
    Organization,
    Problem,
    Status,
)
from mollie_onboarding.mollie_api import Tokens, printable
from mollie_onboarding.observing import observe
from mollie_onboarding.pkce import code_verifier
from mollie_onboarding.state import find_request

from .announcing import announce
from .calling import MollieAPI
from .connecting import RevocationPendingError, connect
from .notices import nudge_notice
from .status import apply_onboarding_status, list_capabilities

logger = logging.getLogger(__name__)

Outcome = AuthorizationRequest.Outcome

EXPIRY_MARGIN = timedelta(minutes=5)  # Mollie counts the hour from before its answer arrived here
# An operator may delete a row that never connected, at any moment.
DELETED = (AuthorizationRequest.DoesNotExist, ClientLink.DoesNotExist)
# RFC 6749 section 4.1.2.1: not the merchant's doing and not the platform's.
TEMPORARY_ERRORS = ("server_error", "temporarily_unavailable")


@dataclass(frozen=True)
class CallbackParameters:
    """What Mollie appends to the redirect URI. RFC 6749 sections 4.1.2 and 4.1.2.1"""

    state: str = field(repr=False)
    code: str = field(default="", repr=False)
    error: str = ""
    error_description: str = field(default="", repr=False)


class Completion(NamedTuple):
    """What became of a callback whose state and browser are verified.

    `outcome` is '' while it is under way; `is_expired` and `is_cancelled` tell that nothing was done at all.
    """

    client_link: ClientLink
    outcome: str = ""
    error: str = ""
    error_description: str = ""
    is_expired: bool = False
    is_cancelled: bool = False
    language: str = ""  # of the page that the merchant left, where they chose one


@sensitive_variables()
def complete_authorization(parameters: CallbackParameters, *, browser_secret: str) -> Completion:
    """Take the merchant's return. The same callback may arrive any number of times: its code is exchanged once.

    Raises `StateError` when it cannot be verified; nothing is written then. A fault at Mollie raises nothing: the
    outcome is in the completion and in the row. RFC 6749 sections 4.1.2 to 4.1.4 and 10.12,
    https://docs.mollie.com/reference/authorize, https://docs.mollie.com/reference/oauth-generate-tokens
    """
    request = find_request(parameters.state, browser_secret)
    try:
        return _complete(request, parameters, browser_secret)._replace(language=request.language)
    except DELETED:  # on the way: a state that nobody knows
        raise StateError("unknown state") from None


@sensitive_variables()
def _complete(
    request: AuthorizationRequest, parameters: CallbackParameters, browser_secret: str
) -> Completion:
    client_link = request.client_link
    now = timezone.now()
    if request.answered_at is None and client_link.is_cancelled:
        return Completion(client_link, is_cancelled=True)
    with transaction.atomic(durable=True):
        is_ours = AuthorizationRequest.objects.claim(request, now)
    if not is_ours:
        return _answer_again(request)
    if parameters.error:
        return _record_error(request, parameters.error, parameters.error_description)
    api = MollieAPI()
    try:
        tokens = api.exchange_code(
            parameters.code,
            redirect_uri=request.redirect_uri,
            code_verifier=code_verifier(parameters.state, browser_secret) if request.uses_pkce else "",
        )
    except MollieError as exc:
        return _record_failed_exchange(request, exc)
    if not _commit_tokens(request, tokens):
        return Completion(_reload(client_link.pk), Outcome.CANCELLED)
    return _identify_and_connect(request, tokens, api)


@sensitive_variables()
def resume_authorization(request: AuthorizationRequest) -> Completion:
    """Connect with tokens that were committed by a process that then died or got no answer. No code is exchanged.

    Does nothing while another process is at it. The access token is renewed where its hour is over.
    """
    with transaction.atomic(durable=True):
        is_ours = AuthorizationRequest.objects.claim_resumption(request.pk, timezone.now())
    if not is_ours:
        return _answer_again(AuthorizationRequest.objects.select_related("client_link").get(pk=request.pk))
    request = AuthorizationRequest.objects.select_related("client_link").get(pk=request.pk)
    api = MollieAPI()
    try:
        tokens = _load_tokens(request)
    except DecryptionError as exc:
        return _leave_interrupted(request, exc)
    if tokens.expires_at - timezone.now() <= EXPIRY_MARGIN:
        if request.client_id != conf.MOLLIE_ONBOARDING_CLIENT_ID:
            return _leave_interrupted(request, "its tokens belong to another OAuth app")
        try:
            tokens = _refresh(request, tokens, api)
        except InvalidGrantError as exc:
            return _record_failed_exchange(request, exc)
        except MollieError as exc:
            # Wrong credentials included: they can be mended, tokens that were thrown away cannot.
            return _leave_interrupted(request, exc)
    return _identify_and_connect(request, tokens, api, is_resumed=True)


def resume_interrupted() -> int:
    """Resume every interrupted connection. Gives how many ended connected."""
    connected = 0
    for request in AuthorizationRequest.objects.interrupted(timezone.now()).order_by("pk").iterator(500):
        try:
            connected += resume_authorization(request).outcome == Outcome.CONNECTED
        except DELETED:
            continue
    return connected


def _answer_again(request: AuthorizationRequest) -> Completion:
    """A callback whose claim did not succeed: too old, already answered, or being answered right now."""
    now = timezone.now()
    request.refresh_from_db(fields=["answered_at", "outcome", "claimed_until", "tokens", "error"])
    if request.is_interrupted(now):
        return resume_authorization(request)
    is_expired = request.answered_at is None and not request.outcome
    return Completion(request.client_link, request.outcome, request.error, is_expired=is_expired)


def _record_error(request: AuthorizationRequest, error: str, description: str) -> Completion:
    """Mollie sent the merchant back without a code. `access_denied` is an outcome, the rest is somebody's fault."""
    error = printable(error)[:100]
    description = printable(description)[:500]
    was_declined = error == "access_denied"
    outcome = Outcome.DECLINED if was_declined else Outcome.ERROR
    link_id = request.client_link_id
    with transaction.atomic(durable=True):
        recorded = AuthorizationRequest.objects.filter(pk=request.pk, outcome="").update(
            outcome=outcome, error=error, error_description=description, claimed_until=None
        )
        event = None
        if recorded and was_declined:
            event = _record_denial(link_id)
        elif recorded:
            # The row before the event, whose foreign key would share-lock it.
            if error not in TEMPORARY_ERRORS:
                _set_problem(link_id, Problem.AUTHORIZATION_FAILED)
            Event.objects.record("authorization_error", client_link_id=link_id, data={"error": error})
    if not recorded:  # cancelled meanwhile
        return Completion(_reload(link_id), Outcome.CANCELLED)
    client_link = _reload(link_id)
    if event:
        event.client_link = client_link
        announce(event)
    elif not was_declined:
        observe(
            logger,
            logging.ERROR,
            "authorization_error",
            "Mollie returned the error %(error)r for client link %(client_link)s.",
            client_link=link_id,
            error=error,
        )
    return Completion(client_link, outcome, error, description)


def _record_denial(link_id: uuid.UUID) -> Event | None:
    """A denial moves a started row. One that an edit took back meanwhile hears of it all the same."""
    counted: dict[str, Any] = {"decline_count": F("decline_count") + 1}
    event = ClientLink.objects.move(link_id, Status.DECLINED, needs_signal=True, **counted)
    is_back = ClientLink.objects.filter(pk=link_id, status__in=[Status.DRAFT, Status.READY, Status.REJECTED])
    if event is None and is_back.update(**counted):
        event = Event.objects.record("declined", client_link_id=link_id, needs_signal=True)
    return event


def _record_failed_exchange(request: AuthorizationRequest, exc: MollieError) -> Completion:
    """The code is gone, whatever happened to it: the merchant starts again. Tokens that were refused go with it."""
    error = exc.error or str(exc.status) if isinstance(exc, MollieResponseError) else "no_answer"
    with transaction.atomic(durable=True):
        recorded = AuthorizationRequest.objects.filter(pk=request.pk, outcome="").update(
            outcome=Outcome.EXCHANGE_FAILED, error=error, claimed_until=None, tokens=None
        )
        if recorded:
            if isinstance(exc, MollieResponseError) and error != "invalid_grant":
                _set_problem(request.client_link_id, Problem.AUTHORIZATION_FAILED)
            Event.objects.record(
                "exchange_failed", client_link_id=request.client_link_id, data={"error": error}
            )
    if not recorded:  # cancelled meanwhile
        return Completion(_reload(request.client_link_id), Outcome.CANCELLED)
    observe(
        logger,
        logging.ERROR,
        "exchange_failed",
        "The authorization of client link %(client_link)s could not be completed: %(detail)s",
        client_link=request.client_link_id,
        detail=exc,
    )
    return Completion(_reload(request.client_link_id), Outcome.EXCHANGE_FAILED, error)


def _set_problem(client_link_id: uuid.UUID, problem: Problem) -> None:
    ClientLink.objects.filter(pk=client_link_id).exclude(
        status__in=[Status.CONNECTED, Status.CANCELLED]
    ).update(problem=problem)


def _reload(client_link_id: uuid.UUID) -> ClientLink:
    return ClientLink.objects.select_related("organization").get(pk=client_link_id)


@sensitive_variables()
def _commit_tokens(request: AuthorizationRequest, tokens: Tokens) -> bool:
    """Write the tokens down before anything else can fail. False: the row was cancelled meanwhile."""
    request.tokens = Secret(
        json.dumps(
            {
                "access_token": tokens.access_token,
                "refresh_token": tokens.refresh_token,
                "expires_at": tokens.expires_at.isoformat(),
            }
        )
    )
    # RFC 6749 section 5.1: no scope in the answer means the one that was asked for.
    request.granted_scope = tokens.scope or request.granted_scope or request.scope
    request.exchanged_at = request.exchanged_at or timezone.now()
    with transaction.atomic(durable=True):
        stored = AuthorizationRequest.objects.filter(pk=request.pk, outcome="").update(
            tokens=request.tokens, granted_scope=request.granted_scope, exchanged_at=request.exchanged_at
        )
    return bool(stored)


@sensitive_variables()
def _load_tokens(request: AuthorizationRequest) -> Tokens:
    assert request.tokens is not None  # noqa: S101 (for mypy; only requests with tokens are resumed)
    stored = json.loads(request.tokens.reveal())
    expires_at = parse_datetime(stored["expires_at"]) or timezone.now()
    return Tokens(stored["access_token"], stored["refresh_token"], expires_at, request.granted_scope)


@sensitive_variables()
def _refresh(request: AuthorizationRequest, tokens: Tokens, api: MollieAPI) -> Tokens:
    """Fresh tokens for a connection that is resumed after an hour, committed before they are used."""
    # The same key for the same stored tokens: after a crash the repetition brings the answer that was lost.
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{request.state_digest}/{tokens.expires_at.isoformat()}"))
    fresh = api.refresh(tokens.refresh_token, redirect_uri=request.redirect_uri, idempotency_key=key)
    fresh = replace(
        fresh,
        refresh_token=fresh.refresh_token or tokens.refresh_token,
        # An answer that Mollie repeats may be nearly an hour old: whoever needs the token next refreshes it.
        expires_at=timezone.now() if fresh.was_replayed else fresh.expires_at,
    )
    _commit_tokens(request, fresh)
    return fresh


@sensitive_variables()
def _identify_and_connect(
    request: AuthorizationRequest, tokens: Tokens, api: MollieAPI, *, is_resumed: bool = False
) -> Completion:
    try:
        info = api.get_current_organization(tokens.access_token)
    except MollieConnectionError as exc:
        return _leave_interrupted(request, exc) if is_resumed else _leave_unconnected(request, exc)
    except MollieResponseError as exc:
        return _record_failed_exchange(request, exc)
    try:
        outcome, event = connect(request, tokens, info)
    except (OperationalError, RevocationPendingError) as exc:
        return _leave_unconnected(request, exc)
    client_link = _reload(request.client_link_id) if event is None else event.client_link
    assert client_link is not None  # noqa: S101 (for mypy)
    if event is not None and client_link.organization is not None:
        _read_status(client_link.organization, tokens, api)
        announce(event)
        nudge_notice(client_link)
    return Completion(client_link, outcome)


@sensitive_variables()
def _read_status(organization: Organization, tokens: Tokens, api: MollieAPI) -> None:
    """Read what the merchant's page will show. Its failure never fails the connection: `sync_onboarding_status` reads it again."""
    asked_at = timezone.now()
    try:
        status = api.get_onboarding_status(tokens.access_token)
    except MollieError as exc:
        observe(
            logger,
            logging.WARNING,
            "status_not_read",
            "Onboarding status of %(organization)s not read: %(detail)s",
            organization=organization.organization_id,
            detail=exc,
        )
        return
    capabilities = list_capabilities(api, organization, tokens.access_token)
    apply_onboarding_status(organization, status, capabilities=capabilities, asked_at=asked_at)


def _leave_unconnected(request: AuthorizationRequest, exc: Exception) -> Completion:
    """Whose tokens they are could not be asked, or not be written down."""
    observe(
        logger,
        logging.ERROR,
        "not_connected",
        "Client link %(client_link)s could not be connected: %(error)s",
        client_link=request.client_link_id,
        error=type(exc).__name__,
    )
    return _release(request)


def _leave_interrupted(request: AuthorizationRequest, detail: object) -> Completion:
    """It cannot be finished now. The tokens are kept, for a fault may be mended."""
    observe(
        logger,
        logging.ERROR,
        "not_resumed",
        "The connection of client link %(client_link)s cannot be resumed: %(detail)s",
        client_link=request.client_link_id,
        detail=detail,
    )
    return _release(request)


def _release(request: AuthorizationRequest) -> Completion:
    """Let go of a request: the tokens stay, and the next one who comes resumes."""
    AuthorizationRequest.objects.filter(pk=request.pk, outcome="").update(claimed_until=timezone.now())
    return Completion(_reload(request.client_link_id))
