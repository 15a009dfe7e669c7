"""OAuth states: one row for each click on the button."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.fields import EncryptedTextField, ExactCharField

from .claims import CLAIM_LIFETIME
from .locks import locked

LONGEST_WAIT = timedelta(days=1)  # of tokens that cannot be connected, for want of a key say


class AuthorizationRequestQuerySet(models.QuerySet["AuthorizationRequest"]):
    def claim(self, request: AuthorizationRequest, now: datetime) -> bool:
        """Take the one right to answer this request; it never comes back. False: it was answered, or is too old.

        When a request expires never changes, so that is no condition of the statement: by that column's index MariaDB would
        go through the requests of others and lock them, in another order than a correction or a deletion does.
        """
        if request.expires_at <= now:
            return False
        return bool(
            self.filter(pk=request.pk, answered_at=None, outcome="").update(
                answered_at=now, claimed_until=now + CLAIM_LIFETIME
            )
        )

    def claim_resumption(self, pk: int, now: datetime) -> bool:
        """Take over a request whose tokens were committed and whose process is gone. False: nothing to take over."""
        return bool(self.interrupted(now).filter(pk=pk).update(claimed_until=now + CLAIM_LIFETIME))

    def interrupted(self, now: datetime) -> Self:
        """Requests with tokens that were never connected, and that nobody is working on."""
        return self.filter(outcome="", tokens__isnull=False, claimed_until__lte=now)

    def bringing_tokens(self, organization_pk: int, now: datetime) -> Self:
        """Returns of this organization's merchants that are being answered, or wait with tokens to be finished."""
        waiting = Q(tokens__isnull=False, exchanged_at__gt=now - LONGEST_WAIT)
        return self.filter(
            Q(claimed_until__gt=now) | waiting, client_link__organization=organization_pk, outcome=""
        )

    def hold(self, client_link_ids: Collection[uuid.UUID]) -> None:
        """Lock all requests of these rows until the end of the transaction, in one order.

        Whoever locks the rows too does it after this: the order in which a merchant's return takes its locks.
        """
        list(locked(self.filter(client_link__in=client_link_ids)).order_by("pk").values_list("pk"))

    def void(self, client_link_ids: Collection[uuid.UUID]) -> None:
        """End every request of these rows that is not finished: whoever comes back with one connects nothing."""
        self.filter(client_link__in=client_link_ids, outcome="").update(
            outcome=AuthorizationRequest.Outcome.CANCELLED, tokens=None, claimed_until=None
        )

    def forget_browsers(self, client_link_ids: Collection[uuid.UUID]) -> None:
        """Void the requests of rows, and let no browser be known by one: it may belong to an address that was wrong."""
        # Locked in one order first: two statements over different rows of one merchant would else meet another's two.
        self.hold(client_link_ids)
        self.void(client_link_ids)
        self.filter(client_link__in=client_link_ids).update(browser_digest="")

    def live(self, now: datetime) -> Self:
        """Requests whose merchant may still come back."""
        return self.filter(outcome="", answered_at=None, expires_at__gt=now)


class AuthorizationRequest(models.Model):
    """One click on the button: the OAuth state, and what became of it (RFC 6749 section 4.1.1)."""

    class Flow(models.TextChoices):
        CLIENT_LINK = "client_link", _("Client link")
        AUTHORIZE = "authorize", _("Authorize")

    class Outcome(models.TextChoices):
        OPEN = "", _("In progress")
        CONNECTED = "connected", _("Connected")
        DECLINED = "declined", _("Declined")
        ERROR = "error", _("Mollie returned an error")
        EXCHANGE_FAILED = "exchange_failed", _("The code could not be exchanged")
        OTHER_ORGANIZATION = "other_org", _("Another Mollie organization")
        ORGANIZATION_TAKEN = "org_taken", _("Organization of another merchant")
        CANCELLED = "cancelled", _("Cancelled")

    client_link = models.ForeignKey("ClientLink", models.CASCADE, related_name="authorization_requests")
    flow = models.CharField(max_length=11, choices=Flow)
    state_digest = ExactCharField(max_length=64, unique=True)
    browser_digest = ExactCharField(max_length=64, db_index=True)
    scope = models.TextField()
    approval_prompt = models.CharField(max_length=5)
    redirect_uri = models.CharField(max_length=2000, blank=True)
    # As the setting was when the merchant left: a verifier belongs only to a request that had a challenge.
    uses_pkce = models.BooleanField(default=False)
    client_id = models.CharField(max_length=100)
    # Of the page that the merchant left for Mollie, where they chose one; '' leaves it to the browser.
    language = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    answered_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True)
    error = models.CharField(max_length=100, blank=True)
    error_description = models.CharField(max_length=500, blank=True)
    exchanged_at = models.DateTimeField(null=True)
    granted_scope = models.TextField(blank=True)
    tokens = EncryptedTextField()

    objects = AuthorizationRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("authorization request")
        verbose_name_plural = _("authorization requests")
        indexes: ClassVar = [models.Index(fields=["client_link", "-created_at"], name="mollie_ar_latest")]

    def __str__(self) -> str:
        return f"{self.pk}"

    def is_in_progress(self, now: datetime) -> bool:
        """Whether a process is at work on the merchant's return right now."""
        return bool(not self.outcome and self.claimed_until and self.claimed_until > now)

    def is_interrupted(self, now: datetime) -> bool:
        """Whether the tokens are there and only the connection is missing, with nobody at work."""
        return bool(not self.outcome and self.tokens is not None and not self.is_in_progress(now))
