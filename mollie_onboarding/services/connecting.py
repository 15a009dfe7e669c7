"""Tying a Mollie organization to the row of its merchant, in one transaction, or saying why not."""

from __future__ import annotations

import logging
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import (
    AuthorizationRequest,
    ClientLink,
    Event,
    Organization,
    Status,
    locked,
    new_refresh,
)
from mollie_onboarding.mollie_api import OrganizationInfo, Tokens
from mollie_onboarding.observing import observe

from .disconnecting import nudge_revocation
from .notices import notice_columns
from .retrying import try_again

logger = logging.getLogger(__name__)

Outcome = AuthorizationRequest.Outcome
Problem = ClientLink.Problem
Connection = Organization.ConnectionStatus


class RevocationPendingError(Exception):
    """A return is to be revoked, and an earlier revocation of its organization waits: nothing is written."""


@sensitive_variables()
def connect(
    request: AuthorizationRequest, tokens: Tokens, info: OrganizationInfo
) -> tuple[str, Event | None]:
    """Tie the organization to the row, in one transaction. The event is there when that happened.

    First connects of one organization at once may meet in a deadlock on MariaDB. Raises `OperationalError` when the
    database does not take it for the third time, and `RevocationPendingError`.
    """
    return try_again(partial(_connect, request, tokens, info))


@sensitive_variables()
def _connect(
    request: AuthorizationRequest, tokens: Tokens, info: OrganizationInfo
) -> tuple[str, Event | None]:
    with transaction.atomic(durable=True):
        # First a write to the one row that every process on this callback must write: the others wait here, and find
        # the outcome set. On SQLite it also takes the write lock before anything is read.
        won = AuthorizationRequest.objects.filter(pk=request.pk, outcome="").update(
            outcome=Outcome.CONNECTED, tokens=None, claimed_until=None
        )
        if not won:
            request.refresh_from_db(fields=["outcome"])
            return request.outcome, None
        client_link = locked(ClientLink.objects.filter(pk=request.client_link_id)).get()
        organization = locked(Organization.objects.filter(organization_id=info.id)).first()
        refusal = _find_refusal(client_link, organization, info)
        if not refusal:
            # Inside: two first connects at once meet at the unique id, and the second may now have to be refused.
            organization, refusal = _store_organization(client_link, organization, request, tokens, info)
        if refusal:
            return _refuse(request, client_link, refusal, info), None
        assert organization is not None  # noqa: S101 (for mypy)
        return Outcome.CONNECTED, _store_connection(client_link, organization, info)


def _find_refusal(client_link: ClientLink, organization: Organization | None, info: OrganizationInfo) -> str:
    """Why this organization may not be tied to this row: an outcome, or '' when it may."""
    if client_link.is_cancelled:
        return Outcome.CANCELLED
    if client_link.organization_id and (
        organization is None or client_link.organization_id != organization.pk
    ):
        return Outcome.OTHER_ORGANIZATION
    # Who is tied to it already stays so, also where sharing was allowed once and is no longer.
    if organization is not None and client_link.organization_id is None:
        others = ClientLink.objects.filter(organization=organization).select_related("organization")
        if any(not _may_share(client_link, other) for other in others):
            return Outcome.ORGANIZATION_TAKEN
    return ""


def _may_share(client_link: ClientLink, other: ClientLink) -> bool:
    """Whether two rows may have one organization: one merchant, a site that allows it, or an operator who did.

    The operator allowed the one that was refused, and no other.
    """
    return (
        conf.MOLLIE_ONBOARDING_ALLOW_SHARED_ORGANIZATIONS
        or client_link.is_same_merchant(other)
        or (
            client_link.may_share_organization
            and other.organization is not None
            and other.organization.organization_id == client_link.refused_organization_id
        )
    )


@sensitive_variables()
def _store_organization(
    client_link: ClientLink,
    organization: Organization | None,
    request: AuthorizationRequest,
    tokens: Tokens,
    info: OrganizationInfo,
) -> tuple[Organization | None, str]:
    """The organization's row with these tokens, unless better ones are stored; or why it may not be tied."""
    if organization is None:
        try:
            with transaction.atomic():
                new = Organization(organization_id=info.id)
                _set_identity(new, info)
                _set_tokens(new, request, tokens)
                new.save(force_insert=True)
                return new, ""
        except IntegrityError:
            organization = locked(Organization.objects.filter(organization_id=info.id)).get()
            if refusal := _find_refusal(client_link, organization, info):
                return None, refusal
    _set_identity(organization, info)
    if _are_better(request, organization):
        _set_tokens(organization, request, tokens)
    elif organization.connection_status != Connection.CONNECTED:
        # A return that waited while a later one connected and was ended, or that was ended itself: it revives nothing.
        _revoke_late(organization, tokens)
        return None, Outcome.EXCHANGE_FAILED
    organization.save()
    return organization, ""


@sensitive_variables()
def _revoke_late(organization: Organization, tokens: Tokens) -> None:
    """Tokens that came in after the platform had ended the connection are revoked like those before them.

    Raises `RevocationPendingError` while those before them wait: one at a time.
    """
    if organization.connection_status != Connection.DISCONNECTED or not tokens.refresh_token:
        return
    if organization.pending_revocation is not None:
        raise RevocationPendingError(organization.organization_id)
    organization.pending_revocation = Secret(tokens.refresh_token)
    organization.token_version += 1
    organization.save(update_fields=["pending_revocation", "token_version"])
    nudge_revocation(organization.pk)


def _set_identity(organization: Organization, info: OrganizationInfo) -> None:
    organization.name = info.name or organization.name
    organization.country = info.country or organization.country
    organization.registration_number = info.registration_number or organization.registration_number
    organization.vat_number = info.vat_number or organization.vat_number


def _are_better(request: AuthorizationRequest, organization: Organization) -> bool:
    """Whether this authorization's tokens replace the stored ones."""
    assert request.exchanged_at is not None  # noqa: S101 (for mypy; set with the tokens)
    if organization.authorized_at is not None and request.exchanged_at <= organization.authorized_at:
        return False
    if organization.connection_status == Connection.DISCONNECTED:
        # Who was on the way back when the platform ended the connection does not revive it.
        return not (
            organization.ended_at and request.answered_at and request.answered_at <= organization.ended_at
        )
    if organization.connection_status == Connection.LOST:
        return True
    # A consent by force has revoked the stored ones (docs.mollie.com/reference/create-client-link).
    return request.approval_prompt == "force" or set(organization.scope.split()) <= set(
        request.granted_scope.split()
    )


@sensitive_variables()
def _set_tokens(organization: Organization, request: AuthorizationRequest, tokens: Tokens) -> None:
    organization.access_token = Secret(tokens.access_token)
    organization.refresh_token = Secret(tokens.refresh_token) if tokens.refresh_token else None
    organization.access_token_expires_at = tokens.expires_at
    organization.token_version += 1
    for column, value in new_refresh().items():
        setattr(organization, column, value)
    organization.pending_revocation = None
    organization.client_id = request.client_id
    organization.redirect_uri = request.redirect_uri
    organization.scope = request.granted_scope
    organization.authorized_at = request.exchanged_at
    organization.connection_status = Connection.CONNECTED
    organization.ended_at = None
    organization.missing_since = None
    organization.check_requested_at = None
    organization.last_error = ""


def _store_connection(client_link: ClientLink, organization: Organization, info: OrganizationInfo) -> Event:
    check = compare_identity(client_link, info)
    event = ClientLink.objects.move(
        client_link.pk,
        Status.CONNECTED,
        data={"organization_id": info.id, "identity_check": check},
        needs_signal=True,
        organization=organization,
        identity_check=check,
        problem="",
        refused_organization_id="",
        **notice_columns(),
        connected_at=Coalesce("connected_at", Value(timezone.now())),
    )
    assert event is not None  # noqa: S101 (the row is locked and not cancelled)
    if check == ClientLink.IdentityCheck.DIFFERS:
        Event.objects.record("identity_differs", client_link_id=client_link.pk, organization=organization)
    client_link.status = Status.CONNECTED
    client_link.organization = organization
    client_link.identity_check = check
    client_link.problem = ""
    event.client_link = client_link
    return event


def _refuse(
    request: AuthorizationRequest, client_link: ClientLink, refusal: str, info: OrganizationInfo
) -> str:
    """Keep nothing of the tokens, tell the operator. Not revoked: it may be the authorization of the other merchant."""
    AuthorizationRequest.objects.filter(pk=request.pk).update(outcome=refusal)
    if refusal in (Outcome.CANCELLED, Outcome.EXCHANGE_FAILED):
        return refusal
    problem = (
        Problem.OTHER_ORGANIZATION if refusal == Outcome.OTHER_ORGANIZATION else Problem.ORGANIZATION_TAKEN
    )
    # What an operator allowed was for the organization that was refused before, and for no other.
    ClientLink.objects.filter(pk=client_link.pk).update(
        problem=problem, refused_organization_id=info.id, may_share_organization=False
    )
    Event.objects.record(problem, client_link_id=client_link.pk, data={"organization_id": info.id})
    observe(
        logger,
        logging.ERROR,
        "organization_refused",
        "Client link %(client_link)s came back with organization %(organization)s: %(reason)s",
        client_link=client_link.pk,
        organization=info.id,
        reason=problem,
    )
    return refusal


def compare_identity(client_link: ClientLink, info: OrganizationInfo) -> str:
    """Whether the organization that connected looks like the one that was invited: an `IdentityCheck` value.

    By the registration number, the VAT number, or else name and country, whichever both sides know first.
    """
    pairs = (
        (client_link.registration_number, info.registration_number),
        (client_link.vat_number, info.vat_number),
        (
            client_link.organization_name + client_link.country if info.country else "",
            info.name + info.country if info.name else "",
        ),
    )
    for ours, theirs in pairs:
        if ours and theirs:
            return (
                ClientLink.IdentityCheck.MATCHES
                if _bare(ours) == _bare(theirs)
                else ClientLink.IdentityCheck.DIFFERS
            )
    return ClientLink.IdentityCheck.UNKNOWN


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
