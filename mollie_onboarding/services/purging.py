"""Forgetting: what the retention settings no longer keep is deleted, or made to name nobody.

A connection that lives, or was lost and may come back, is never touched. Each row is looked at again under its lock, so
a merchant who comes back at this very moment keeps everything.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, ProtectedError, Q, QuerySet, RestrictedError
from django.utils import timezone

from mollie_onboarding.conf import conf
from mollie_onboarding.models import (
    BODY_COLUMNS,
    NO_CLIENT_LINK,
    NO_ERROR,
    AuthorizationRequest,
    ClientLink,
    Event,
    Organization,
)
from mollie_onboarding.observing import observe

from . import mail_quota
from .announcing import unannounced_events
from .batching import keys_in_batches

logger = logging.getLogger(__name__)

# Country and reference stay: one says nothing of a person, the other is the platform's own.
NO_PERSON: dict[str, Any] = {
    **dict.fromkeys(set(BODY_COLUMNS) - {"country"}, ""),
    "incorporation_date": None,
    "user": None,
    "submission_digest": None,
    "refused_organization_id": "",
    "mail_id": "",  # the mail provider may still know whose it was
    **NO_CLIENT_LINK,  # its digest is one of names and addresses
    **NO_ERROR,  # Mollie's sentence may repeat what was typed
    # Nothing is left that an operator could look at.
    "problem": "",
    "identity_check": ClientLink.IdentityCheck.UNKNOWN,
}
NO_TEXTS = dict.fromkeys(("name", "country", "registration_number", "vat_number", "dashboard_url"), "")
NO_ORGANIZATION: dict[str, Any] = {
    **NO_TEXTS,
    "capabilities": [],
    "last_error": "",
    "access_token": None,
    "refresh_token": None,
    "access_token_expires_at": None,
}


@dataclass(frozen=True)
class Purge:
    """How many rows went. `kept` are those that a row of the platform's own protects, or a receiver of its signals."""

    deleted: int  # client links that never connected
    anonymized: int  # client links whose organization is disconnected
    requests: int  # authorization requests
    kept: int = 0
    mail_quotas: int = 0  # counts of mails to one recipient, whose window is over


def purge_onboarding_data(*, dry_run: bool = False) -> Purge:
    """Do what `REQUEST_RETENTION`, `UNCONNECTED_RETENTION` and `DISCONNECTED_RETENTION` say. Gives how much was done.

    With `dry_run` it is counted, and nothing is written. A run that was interrupted is finished by the next one.
    What was counted for `MAIL_LIMIT` goes when its window is over. Raises `ImproperlyConfigured` where one of the
    settings cannot be read.
    """
    now = timezone.now()
    if dry_run:
        old_requests = _old_requests(now).exclude(client_link__in=_abandoned(now))
        return Purge(
            _abandoned(now).count(),
            _ended(now).count(),
            old_requests.count(),
            mail_quotas=mail_quota.over(now).count(),
        )
    # The requests last: they are how a client link is known to have been used of late.
    deleted = _each(_abandoned(now), lambda pk: _delete(pk, now))
    anonymized = _each(_ended(now), lambda pk: _anonymize(pk, now))
    _empty_organizations(now)
    return Purge(
        deleted[True],
        anonymized[True],
        _delete_in_batches(_old_requests(now)),
        deleted[None],
        _delete_in_batches(mail_quota.over(now)),
    )


def delete_client_link(client_link: ClientLink) -> bool:
    """Delete a row that never connected, with its history. False: it has an organization by now, or is gone already.

    Raises `ProtectedError` and `RestrictedError` where a row of the platform's own refers to it.
    """
    with transaction.atomic():
        _hold(client_link.pk)
        _, by_model = ClientLink.objects.filter(pk=client_link.pk, organization=None).delete()
    return ClientLink._meta.label in by_model


def _unfinished_requests(now: datetime) -> QuerySet[AuthorizationRequest]:
    """Requests whose merchant may still come back, or is back and not yet connected."""
    is_live = Q(answered_at=None, expires_at__gt=now)
    return AuthorizationRequest.objects.filter(
        Q(tokens__isnull=False) | Q(outcome="") & (is_live | Q(claimed_until__gt=now))
    )


def _idle(now: datetime) -> QuerySet[ClientLink]:
    """Client links that nobody is on the way with: no merchant, no mail, no process."""
    return ClientLink.objects.filter(
        ~Exists(_unfinished_requests(now).filter(client_link=OuterRef("pk"))),
        Q(sending_until=None) | Q(sending_until__lte=now),
        Q(issuing_until=None) | Q(issuing_until__lte=now),
        send_requested_at=None,
        notice_requested_at=None,
    )


def _abandoned(now: datetime) -> QuerySet[ClientLink]:
    """Client links that never connected, and with which nothing has happened since `UNCONNECTED_RETENTION`."""
    retention = conf.MOLLIE_ONBOARDING_UNCONNECTED_RETENTION
    if retention is None:
        return ClientLink.objects.none()
    before = now - retention
    # Not every flow touches `updated_at`, a mail for one: events and clicks are asked for, too. And what was never
    # announced is still to be: the platform waits for it.
    events = Event.objects.filter(client_link=OuterRef("pk"), at__gt=before)
    waiting = unannounced_events().filter(client_link=OuterRef("pk"))
    clicks = AuthorizationRequest.objects.filter(client_link=OuterRef("pk"), created_at__gt=before)
    return _idle(now).filter(
        ~Exists(events), ~Exists(waiting), ~Exists(clicks), organization=None, updated_at__lte=before
    )


def _ended(now: datetime) -> QuerySet[ClientLink]:
    """Client links whose organization is disconnected since `DISCONNECTED_RETENTION`, and that still name somebody."""
    organizations = _ended_organizations(now)
    is_named = Q(anonymized_at=None) | Q(anonymized_at__lt=F("organization__ended_at"))
    return _idle(now).filter(is_named, organization__in=organizations)


def _ended_organizations(now: datetime) -> QuerySet[Organization]:
    """Organizations that are disconnected since `DISCONNECTED_RETENTION`, and whose tokens are revoked."""
    retention = conf.MOLLIE_ONBOARDING_DISCONNECTED_RETENTION
    if retention is None:
        return Organization.objects.none()
    return Organization.objects.filter(
        connection_status=Organization.ConnectionStatus.DISCONNECTED,
        ended_at__lte=now - retention,
        pending_revocation__isnull=True,
    )


def _old_requests(now: datetime) -> QuerySet[AuthorizationRequest]:
    """Requests whose state is over since `REQUEST_RETENTION`, and from which nothing more can come."""
    before = now - conf.MOLLIE_ONBOARDING_REQUEST_RETENTION
    return AuthorizationRequest.objects.filter(expires_at__lte=before, tokens__isnull=True).exclude(
        outcome="", claimed_until__gt=now
    )


def _each(rows: QuerySet[ClientLink], forget: Callable[[uuid.UUID], bool | None]) -> Counter[bool | None]:
    return Counter(forget(pk) for keys in keys_in_batches(rows) for pk in keys)


def _hold(pk: uuid.UUID) -> None:
    """Lock a client link, its requests and its organization, in the order in which a merchant's return takes them.

    What is read after this stays so. A state that is issued at this moment waits for the row's lock; PostgreSQL takes it
    for a foreign key only at the commit, which then fails for a row that is gone.
    """
    # A write first: on SQLite, which has no row locks, it keeps every other writer out. No value changes.
    AuthorizationRequest.objects.filter(client_link=pk).update(outcome=F("outcome"))
    rows = ClientLink.objects.select_for_update().filter(pk=pk)
    organization_ids = list(rows.values_list("organization_id", flat=True))
    list(Organization.objects.select_for_update().filter(pk__in=organization_ids))


def _delete(pk: uuid.UUID, now: datetime) -> bool | None:
    """Delete an abandoned row with its history. False: it is none any more. None: something protects it."""
    try:
        with transaction.atomic():
            _hold(pk)
            _, by_model = _abandoned(now).filter(pk=pk).delete()
    except (ProtectedError, RestrictedError) as exc:
        observe(
            logger,
            logging.ERROR,
            "not_purged",
            "Client link %(client_link)s could not be deleted: %(error)s",
            client_link=pk,
            error=type(exc).__name__,
        )
        return None
    return ClientLink._meta.label in by_model


def _anonymize(pk: uuid.UUID, now: datetime) -> bool:
    """Empty what names a person or a business. False: the row is connected again, or a merchant is on the way."""
    with transaction.atomic():
        _hold(pk)
        row = _ended(now).filter(pk=pk).first()
        if row is None:
            return False
        if row.user_id:
            # A merchant who signed up is the actor of the sign-up.
            history = Event.objects.filter(Q(client_link=pk) | Q(organization=row.organization_id))
            history.filter(actor=row.user_id).update(actor=None)
            ClientLink.objects.filter(pk=pk, created_by=row.user_id).update(created_by=None)
        AuthorizationRequest.objects.forget_browsers([pk])
        ClientLink.objects.filter(pk=pk).update(
            **NO_PERSON,
            link_generation=F("link_generation") + 1,  # old mails lead nowhere
            anonymized_at=now,
            updated_at=now,
        )
        Event.objects.record("anonymized", client_link_id=pk)
    return True


def _empty_organizations(now: datetime) -> None:
    """Empty the organizations that no client link needs any more. One conditional update: a reconnected one is none."""
    needed = Q(anonymized_at=None) | Q(anonymized_at__lt=OuterRef("ended_at"))
    full = ~Q(**NO_TEXTS) | Q(access_token__isnull=False) | Q(refresh_token__isnull=False)
    rows = _ended_organizations(now).filter(
        full, ~Exists(ClientLink.objects.filter(needed, organization=OuterRef("pk")))
    )
    for keys in keys_in_batches(rows):
        rows.filter(pk__in=keys).update(**NO_ORGANIZATION, updated_at=now)


def _delete_in_batches(rows: QuerySet[Any]) -> int:
    return sum(rows.filter(pk__in=keys).delete()[0] for keys in keys_in_batches(rows))
