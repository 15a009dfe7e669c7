"""Connected Mollie organizations, with their tokens."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from django.db import OperationalError, connections, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Concat, Greatest
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.conf import conf
from mollie_onboarding.fields import EncryptedTextField, ExactCharField

from .bounded import distinct_values
from .claims import CLAIM_LIFETIME
from .indexes import PostgresIndex, WordIndex
from .locks import locked
from .stages import OF_ORGANIZATION, furthest

STALE_AFTER = timedelta(hours=24)
SEARCHED_COLUMNS = ["name"]
MOST_SCOPES = 60  # different ones that are looked at one by one
CHECK_INTERVAL = timedelta(minutes=1)  # between two readings that a merchant asks for


def new_refresh_key() -> str:
    return str(uuid.uuid4())


def new_refresh() -> dict[str, Any]:
    """The columns of a refresh that nobody has begun."""
    return {
        "refresh_key": new_refresh_key(),
        "refresh_claimed_until": None,
        "refresh_started_at": None,
        "refresh_not_before": None,
    }


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def claim_refresh(self, pk: int, token_version: int, now: datetime) -> bool:
        """Take the right to refresh these tokens, for `CLAIM_LIFETIME`.

        False: somebody has it, or the tokens are others by now. They are too where the connection has ended: every
        change of it raises the version. So the status is no condition here: by its index MariaDB would lock the row
        the other way round than a merchant's return does.
        """
        free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lte=now)
        return bool(
            self.filter(free, pk=pk, token_version=token_version).update(
                refresh_claimed_until=now + CLAIM_LIFETIME,
                refresh_started_at=Coalesce("refresh_started_at", Value(now)),
            )
        )

    def hold(self, pk: int) -> Organization | None:
        """The row as it is now, locked until the end of the transaction; None where there is none."""
        # On SQLite, which has no row locks, a write keeps every other writer out. No value changes.
        self.filter(pk=pk).update(token_version=F("token_version"))
        return locked(self.filter(pk=pk)).first()

    def is_free(self, pk: int) -> bool:
        """Whether no other transaction has the row locked. A reference to it that was just written locks on MariaDB."""
        if not connections[self.db].features.has_select_for_update:
            return True
        try:
            with transaction.atomic(using=self.db):
                return locked(self.filter(pk=pk), nowait=True).exists()
        except OperationalError:
            return False

    def claim_check(self, pk: int, now: datetime) -> bool:
        """Take the right to ask Mollie about this organization: once in `CHECK_INTERVAL`."""
        # One in the future was written by a machine with a wrong clock.
        asked = Q(check_requested_at__gt=now - CHECK_INTERVAL, check_requested_at__lte=now)
        is_due = Q(check_requested_at=None) | ~asked
        return bool(self.filter(is_due, pk=pk).update(check_requested_at=now))

    def connected(self) -> Self:
        return self.filter(connection_status=Organization.ConnectionStatus.CONNECTED)

    def by_last_asking(self) -> Self:
        """Those first that Mollie was not asked about for longest, or never."""
        never = Value(datetime(1990, 1, 1, tzinfo=UTC), output_field=models.DateTimeField())
        asked_at = Greatest(Coalesce("synced_at", never), Coalesce("check_requested_at", never))
        return self.order_by(asked_at, "pk")

    def stale(self, now: datetime) -> Self:
        """Connected, and not read for a day: what is shown may be old."""
        return self.connected().filter(Q(synced_at=None) | Q(synced_at__lte=now - STALE_AFTER))

    def missing(self) -> Self:
        """Connected here, and no longer on Mollie's list of the partner's clients."""
        return self.connected().filter(missing_since__isnull=False)

    def needing_consent(self, scopes: Iterable[str]) -> Self:
        """Connected, but with less than these scopes. Where none is stored, it is not known what was granted."""
        asked_for = set(scopes)
        granted = self.connected().exclude(scope="")
        # There may be many organizations, but there are few different scopes.
        stored = distinct_values(self, "scope", MOST_SCOPES + 1)
        if len(stored) <= MOST_SCOPES:
            return granted.filter(scope__in=[text for text in stored if not asked_for <= set(text.split())])
        padded = Concat(Value(" "), "scope", Value(" "), output_field=models.TextField())
        lacking = Q(pk__in=[])
        for scope in asked_for:
            lacking |= ~Q(padded_scope__contains=f" {scope} ")
        return granted.alias(padded_scope=padded).filter(lacking)


class Organization(models.Model):
    """A connected Mollie organization, by its `org_…` id: the one thing of it that never changes."""

    class ConnectionStatus(models.TextChoices):
        CONNECTED = "connected", _("Connected")
        LOST = "lost", _("Connection lost")
        DISCONNECTED = "disconnected", _("Disconnected")

    class OnboardingStatus(models.TextChoices):
        """docs.mollie.com/reference/get-onboarding-status; Mollie may add values, which are kept as they come."""

        NEEDS_DATA = "needs-data", _("Mollie needs more data")
        IN_REVIEW = "in-review", _("Mollie is checking the data")
        COMPLETED = "completed", _("Completed")

    organization_id = ExactCharField(_("organization id"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=255, blank=True)
    access_token = EncryptedTextField()
    refresh_token = EncryptedTextField()
    access_token_expires_at = models.DateTimeField(null=True)
    token_version = models.PositiveIntegerField(default=0)
    refresh_claimed_until = models.DateTimeField(null=True)
    # The idempotency key of the next refresh, and when it was first used.
    refresh_key = models.CharField(max_length=36, default=new_refresh_key)
    refresh_started_at = models.DateTimeField(null=True)
    refresh_not_before = models.DateTimeField(
        null=True
    )  # a pause after a failure, while the token still works
    pending_revocation = EncryptedTextField()
    client_id = models.CharField(max_length=100, blank=True)
    redirect_uri = models.CharField(max_length=2000, blank=True)
    scope = models.TextField(_("scope"), blank=True)
    authorized_at = models.DateTimeField(_("authorized"), null=True)
    connection_status = models.CharField(
        _("connection"),
        max_length=12,
        choices=ConnectionStatus,
        default=ConnectionStatus.CONNECTED,
    )
    ended_at = models.DateTimeField(_("lost or disconnected"), null=True)
    last_error = models.CharField(_("last error"), max_length=255, blank=True)
    # As its register knows it, at Mollie.
    country = models.CharField(_("country"), max_length=2, blank=True)
    registration_number = models.CharField(_("registration number"), max_length=50, blank=True)
    vat_number = models.CharField(_("VAT number"), max_length=50, blank=True)
    # No choices: a value that Mollie adds is kept and shown.
    onboarding_status = models.CharField(_("onboarding status"), max_length=50, blank=True)
    can_receive_payments = models.BooleanField(_("can receive payments"), default=False)
    can_receive_settlements = models.BooleanField(_("can receive settlements"), default=False)
    # When each was first read as true.
    payments_enabled_at = models.DateTimeField(_("payments enabled"), null=True, editable=False)
    completed_at = models.DateTimeField(_("completed"), null=True, editable=False)
    stage = furthest(OF_ORGANIZATION)
    signed_up_at = models.DateTimeField(_("signed up"), null=True)
    dashboard_url = models.CharField(max_length=2000, blank=True)
    capabilities = models.JSONField(default=list, blank=True)
    synced_at = models.DateTimeField(_("last read"), null=True, db_index=True)
    check_requested_at = models.DateTimeField(null=True)
    # When Mollie's list of clients last had it, and since when it has not.
    listed_at = models.DateTimeField(null=True)
    missing_since = models.DateTimeField(_("not listed since"), null=True, db_index=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        permissions: ClassVar = [("disconnect_organization", "Can disconnect organizations")]
        # Besides those at the columns. What each is for:
        indexes: ClassVar = [
            # The admin's list, newest first, and its filters.
            models.Index(fields=["created_at"], name="mollie_org_created"),
            models.Index(fields=["connection_status", "created_at"], name="mollie_org_connection"),
            models.Index(fields=["onboarding_status", "created_at"], name="mollie_org_onboarding"),
            models.Index(fields=["can_receive_payments", "created_at"], name="mollie_org_payments"),
            models.Index(fields=["can_receive_settlements", "created_at"], name="mollie_org_settlements"),
            models.Index(fields=["last_error"], name="mollie_org_error"),
            # Two texts, of which MariaDB would have to be told how much to index.
            PostgresIndex(fields=["scope"], name="mollie_org_scope"),
            PostgresIndex(
                fields=["created_at"], name="mollie_org_revocation", where_set="pending_revocation"
            ),
            # Its search, and its order by name.
            WordIndex(fields=SEARCHED_COLUMNS, name="mollie_org_words"),
            models.Index(fields=["name"], name="mollie_org_name"),
            # Its merchants' filter by stage.
            models.Index(fields=["stage"], name="mollie_org_stage"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.organization_id})" if self.name else self.organization_id

    @property
    def onboarding_status_label(self) -> str:
        """The status in words; a word of Mollie's that is not known here as it came."""
        labels = dict(self.OnboardingStatus.choices)
        return str(labels.get(self.onboarding_status, self.onboarding_status))

    def covers(self, scope: str) -> bool:
        """Whether the stored tokens hold every scope of a space-separated list."""
        return set(scope.split()) <= set(self.scope.split())

    @property
    def is_connected(self) -> bool:
        return self.connection_status == self.ConnectionStatus.CONNECTED

    @property
    def needs_new_consent(self) -> bool:
        """Whether the platform asks for more by now than the merchant agreed to."""
        asked_for = " ".join(conf.MOLLIE_ONBOARDING_SCOPES)
        return self.is_connected and bool(self.scope) and not self.covers(asked_for)

    def is_stale(self, now: datetime) -> bool:
        """Whether what is shown of it may be old: connected, and not read for a day."""
        return self.is_connected and (self.synced_at is None or self.synced_at <= now - STALE_AFTER)

    def may_be_checked(self, now: datetime) -> bool:
        """Whether Mollie may be asked again, a minute after the last time."""
        asked_at = self.check_requested_at
        return self.is_connected and (asked_at is None or not now - CHECK_INTERVAL < asked_at <= now)

    def is_refresh_paused(self, now: datetime) -> bool:
        """Whether a refresh failed a moment ago, so that the next one waits while the token still works."""
        return self.refresh_not_before is not None and now < self.refresh_not_before
