"""Client link requests: one merchant each, and how far they are."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date, datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import links, validation
from mollie_onboarding.conf import conf
from mollie_onboarding.fields import ExactCharField

from .authorization_requests import AuthorizationRequest
from .claims import ATTENTION_AFTER, CLAIM_LIFETIME, SENDING_CLAIM_LIFETIME
from .events import Event
from .organizations import Organization


class Status(models.TextChoices):
    """Where a client link request stands. Expiry is no status: it is `expires_at` against now."""

    DRAFT = "draft", _("Draft")
    READY = "ready", _("Ready")
    STARTED = "started", _("Started")
    DECLINED = "declined", _("Declined")
    REJECTED = "rejected", _("Refused by Mollie")
    CONNECTED = "connected", _("Connected")
    CANCELLED = "cancelled", _("Cancelled")


# Every move of `ClientLink.status` that there is: to → from.
MOVES: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.READY, Status.STARTED, Status.DECLINED, Status.REJECTED}),
    Status.READY: frozenset({Status.DRAFT}),
    Status.STARTED: frozenset({Status.READY, Status.DECLINED}),
    Status.DECLINED: frozenset({Status.STARTED}),
    Status.REJECTED: frozenset({Status.DRAFT, Status.READY, Status.STARTED}),
    Status.CONNECTED: frozenset(set(Status) - {Status.CANCELLED}),
    Status.CANCELLED: frozenset(set(Status) - {Status.CONNECTED, Status.CANCELLED}),
}

# What `POST /v2/client-links` is made of. An edit of one of these voids a client link that was made before.
BODY_COLUMNS = (
    "owner_email",
    "owner_given_name",
    "owner_family_name",
    "owner_locale",
    "organization_name",
    "street_and_number",
    "postal_code",
    "city",
    "country",
    "registration_number",
    "vat_number",
    "legal_entity",
    "registration_office",
    "incorporation_date",
)
NO_CLIENT_LINK: dict[str, Any] = {
    "mollie_id": None,
    "url": "",
    "issued_at": None,
    "expires_at": None,
    "idempotency_key": "",
    "attempt_started_at": None,
    "attempt_digest": "",
    "issuing_until": None,
}
NO_ERROR: dict[str, Any] = {"error_status": None, "error_field": "", "error_detail": ""}


class ClientLinkQuerySet(models.QuerySet["ClientLink"]):
    def move(
        self,
        pk: uuid.UUID,
        to: Status,
        *,
        kind: str = "",
        actor: Any = None,
        data: dict[str, Any] | None = None,
        needs_signal: bool = False,
        **columns: Any,
    ) -> Event | None:
        """Move one row of this set to a status, if the table allows it from where the row is now.

        One conditional update, and the event beside it in one transaction. Gives the event, or None when the move did
        not happen: the caller decides what that means. `columns` are written by the same update.
        """
        with transaction.atomic(using=self.db):
            moved = self.filter(pk=pk, status__in=MOVES[to]).update(
                status=to, updated_at=timezone.now(), **columns
            )
            if not moved:
                return None
            return Event.objects.record(
                kind or to, client_link_id=pk, actor=actor, data=data, needs_signal=needs_signal,
                organization=columns.get("organization"),
            )  # fmt: skip

    def claim_issuing(self, pk: uuid.UUID, now: datetime) -> bool:
        """Take the right to make this row's client link at Mollie, for `CLAIM_LIFETIME`.

        False: somebody has it, or the row needs no link any more.
        """
        free = Q(issuing_until=None) | Q(issuing_until__lte=now)
        open_rows = self.exclude(status__in=[Status.CONNECTED, Status.CANCELLED, Status.REJECTED])
        return bool(open_rows.filter(free, pk=pk).update(issuing_until=now + CLAIM_LIFETIME))

    def claim_sending(self, pk: uuid.UUID, now: datetime) -> bool:
        """Take the right to mail this row, if it is queued and due. False: nothing to do, or somebody else does it."""
        return bool(
            self.due_for_sending(now).filter(pk=pk).update(sending_until=now + SENDING_CLAIM_LIFETIME)
        )

    def due_for_sending(self, now: datetime) -> Self:
        return self.filter(
            Q(sending_until=None) | Q(sending_until__lte=now),
            Q(send_not_before=None) | Q(send_not_before__lte=now),
            send_requested_at__isnull=False,
        )

    def expired(self, now: datetime) -> Self:
        """Rows whose client link at Mollie is over and who are not connected."""
        return self.filter(expires_at__lte=now).exclude(status__in=[Status.CONNECTED, Status.CANCELLED])

    def needing_attention(self, now: datetime) -> Self:
        """Rows that go no further until an operator does something."""
        return self.exclude(status=Status.CANCELLED).filter(
            Q(status=Status.REJECTED)
            | ~Q(problem="")
            | Q(identity_check=ClientLink.IdentityCheck.DIFFERS)
            | Q(send_requested_at__lte=now - ATTENTION_AFTER)
            | (Q(delivery_status=ClientLink.DeliveryStatus.FAILED) & ~Q(status=Status.CONNECTED))
            | Q(status=Status.CONNECTED, organization__connection_status=Organization.ConnectionStatus.LOST)
        )


class ClientLink(models.Model):
    """One merchant's client link request, and its progress."""

    Status = Status

    class DeliveryStatus(models.TextChoices):
        NOT_SENT = "", _("Not sent")
        QUEUED = "queued", _("Queued")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")

    class Problem(models.TextChoices):
        """What an operator must look at; the merchant cannot mend it alone."""

        NONE = "", _("No problem")
        MAIL_FAILED = "mail_failed", _("The mail could not be sent")
        MOLLIE_REFUSED = "mollie_refused", _("Mollie refused the request of the platform")
        AUTHORIZATION_FAILED = "authorization_failed", _("Mollie did not complete the authorization")
        OTHER_ORGANIZATION = (
            "other_organization",
            _("The merchant came back with another Mollie organization"),
        )
        ORGANIZATION_TAKEN = "organization_taken", _("The Mollie organization belongs to another merchant")

    class IdentityCheck(models.TextChoices):
        UNKNOWN = "unknown", _("Unknown")
        MATCHES = "matches", _("Matches")
        DIFFERS = "differs", _("Differs")
        CONFIRMED = "confirmed", _("Confirmed by an operator")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The body of the request, in Mollie's order. 254: RFC 5321; the other lengths are ours, Mollie publishes none.
    owner_email = models.EmailField(_("e-mail address"), max_length=254)
    owner_given_name = models.CharField(_("given name"), max_length=100)
    owner_family_name = models.CharField(_("family name"), max_length=100)
    owner_locale = models.CharField(_("language at Mollie"), max_length=5, blank=True)
    organization_name = models.CharField(_("organization name"), max_length=255)
    street_and_number = models.CharField(_("street and number"), max_length=255, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=255, blank=True)
    country = models.CharField(_("country"), max_length=2)
    registration_number = models.CharField(_("registration number"), max_length=50, blank=True)
    vat_number = models.CharField(_("VAT number"), max_length=50, blank=True)
    legal_entity = models.CharField(_("legal form"), max_length=64, blank=True)
    registration_office = models.CharField(_("registration office"), max_length=100, blank=True)
    incorporation_date = models.DateField(_("date of incorporation"), null=True, blank=True)

    reference = models.CharField(
        _("reference"),
        max_length=255,
        blank=True,
        db_index=True,
        help_text=_("The platform's own id of the merchant."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    # Where the merchant goes on once connected; checked against the allowed hosts when it comes and when it is shown.
    return_url = models.CharField(max_length=2000, blank=True, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=Status, default=Status.DRAFT, editable=False
    )
    problem = models.CharField(
        _("problem"), max_length=24, choices=Problem, blank=True, editable=False, db_index=True
    )

    # At Mollie.
    mollie_id = ExactCharField(_("id at Mollie"), max_length=64, null=True, unique=True, editable=False)
    url = models.CharField(max_length=2000, blank=True, editable=False)
    issued_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, editable=False, db_index=True)
    # The attempt that is under way, or whose answer never came.
    idempotency_key = models.CharField(max_length=36, blank=True, editable=False)
    attempt_started_at = models.DateTimeField(null=True, editable=False)
    attempt_digest = models.CharField(max_length=64, blank=True, editable=False)
    issuing_until = models.DateTimeField(null=True, editable=False)
    replacement_requested_at = models.DateTimeField(null=True, editable=False)
    # Mollie's last refusal.
    error_status = models.PositiveSmallIntegerField(null=True, editable=False)
    error_field = models.CharField(max_length=100, blank=True, editable=False)
    error_detail = models.TextField(blank=True, editable=False)
    # Our own link, the one that is mailed.
    link_generation = models.PositiveIntegerField(default=1, editable=False)
    link_expires_at = models.DateTimeField(null=True, editable=False)
    # Sending. `send_requested_at` is the queue: the row waits while it is set.
    send_requested_at = models.DateTimeField(null=True, editable=False, db_index=True)
    send_not_before = models.DateTimeField(null=True, editable=False)
    send_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    sending_until = models.DateTimeField(null=True, editable=False)
    last_sent_at = models.DateTimeField(_("last sent"), null=True, editable=False)
    send_count = models.PositiveIntegerField(default=0, editable=False)
    reminder_count = models.PositiveIntegerField(default=0, editable=False)
    delivery_status = models.CharField(max_length=10, choices=DeliveryStatus, blank=True, editable=False)
    notice_requested_at = models.DateTimeField(null=True, editable=False, db_index=True)

    submission_digest = ExactCharField(max_length=64, null=True, unique=True, editable=False)
    organization = models.ForeignKey(
        "Organization",
        models.PROTECT,
        null=True,
        editable=False,
        related_name="client_links",
        verbose_name=_("organization at Mollie"),
    )
    identity_check = models.CharField(
        _("identity check"),
        max_length=9,
        choices=IdentityCheck,
        default=IdentityCheck.UNKNOWN,
        editable=False,
    )
    # A return with an organization that was refused: its `org_…`, and what the operator decided.
    refused_organization_id = models.CharField(max_length=64, blank=True, editable=False)
    may_share_organization = models.BooleanField(
        _("may share an organization"), default=False, editable=False
    )
    anonymized_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects = ClientLinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("client link")
        verbose_name_plural = _("client links")
        permissions: ClassVar = [
            ("send_clientlink", "Can send the onboarding link, and see it"),
            ("cancel_clientlink", "Can cancel client links"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "created_at"], name="mollie_cl_status"),
            models.Index(fields=["country", "created_at"], name="mollie_cl_country"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="mollie_cl_status_known"),
            models.CheckConstraint(
                condition=~Q(status=Status.CONNECTED) | Q(organization__isnull=False),
                name="mollie_cl_connected_to",
            ),
        ]

    def __str__(self) -> str:
        return self.organization_name or str(self.pk)  # a row that was anonymized has no name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the row, or write the editable columns that were changed since it was read, and nothing else.

        A changed body column takes an unconnected row back to draft and voids its client link at Mollie; a changed
        `owner_email` voids the links that were mailed before. With `update_fields` given, Django's own save.
        """
        if self._state.adding or kwargs.get("update_fields") is not None:
            super().save(*args, **kwargs)
            self._remember()
            return
        self.revise()

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any
    ) -> Self:
        row = super().from_db(db, field_names, values, **kwargs)
        row._loaded = {name: row.__dict__[name] for name in cls._editable_columns() if name in row.__dict__}
        return row

    @classmethod
    def _editable_columns(cls) -> list[str]:
        return [*BODY_COLUMNS, "reference", "user_id"]

    def clean(self) -> None:
        """Normalise what people type, then refuse what Mollie would refuse."""
        for name in BODY_COLUMNS:
            value = getattr(self, name)
            if isinstance(value, str):
                setattr(self, name, value.strip())
        self.country = self.country.upper()
        self.vat_number = "".join(self.vat_number.upper().split())
        if errors := validation.find_errors(self.body_values()):
            raise ValidationError({column: [*messages] for column, messages in errors.items()})

    def revise(self, *, actor: Any = None) -> list[str]:
        """Write the edits since the row was read, as `save()` does. Gives the names of the columns that changed."""
        # By __dict__: a deferred column that was set is a change, one that was not stays where it is.
        changes = {
            name: self.__dict__[name]
            for name in self._editable_columns()
            if name in self.__dict__
            and (name not in self._loaded or self.__dict__[name] != self._loaded[name])
        }
        if not changes:
            return []
        columns = dict(changes)
        if "owner_email" in changes:
            columns |= {"link_generation": F("link_generation") + 1, "delivery_status": ""}
        rows = type(self).objects.filter(pk=self.pk)
        with transaction.atomic(using=self._state.db):
            # Requests before the row: the order in which a merchant's return takes its locks.
            if "owner_email" in changes:
                AuthorizationRequest.objects.forget_browsers(self.pk)
            # Holds the row: its status cannot move between the statements below.
            rows.update(updated_at=timezone.now())
            if changes.keys() & set(BODY_COLUMNS):
                # A draft is no move: it may have an attempt under way all the same, which is void now.
                void = {**columns, **NO_CLIENT_LINK, **NO_ERROR, "problem": ""}
                data = {"columns": sorted(changes)}
                moved = type(self).objects.move(
                    self.pk, Status.DRAFT, kind="edited", actor=actor, data=data, **void
                )
                written = moved or rows.filter(status=Status.DRAFT).update(**void, updated_at=timezone.now())
                if not written:
                    rows.update(**columns, updated_at=timezone.now())
                if not moved:
                    Event.objects.record("edited", client_link_id=self.pk, actor=actor, data=data)
            else:
                rows.update(**columns, updated_at=timezone.now())
        self.refresh_from_db()
        return sorted(changes)

    def refresh_from_db(self, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        # What was just read is no edit of this instance's, also where it differs from what was read before.
        self._remember(fields)

    def _remember(self, fields: Collection[str] | None = None) -> None:
        read = {name: self.__dict__[name] for name in self._editable_columns() if name in self.__dict__}
        if fields is not None:
            read = {name: read[name] for name in read if {name, name.removesuffix("_id")} & set(fields)}
        self._loaded = {**self.__dict__.get("_loaded", {}), **read}

    _loaded: dict[str, Any]

    def body_values(self) -> dict[str, str | date | None]:
        """The columns that make the request's body, by name."""
        return {name: getattr(self, name) for name in BODY_COLUMNS}

    def warnings(self) -> validation.Messages:
        """What looks like a slip in the data, by column."""
        return validation.find_warnings(self.body_values())

    @property
    def is_connected(self) -> bool:
        return self.status == Status.CONNECTED

    @property
    def is_cancelled(self) -> bool:
        return self.status == Status.CANCELLED

    def has_usable_url(self, now: datetime) -> bool:
        """Whether the client link at Mollie outlives the time that a merchant may take."""
        return bool(
            self.url and self.expires_at and self.expires_at - now >= conf.MOLLIE_ONBOARDING_STATE_LIFETIME
        )

    def has_expired_link(self, now: datetime) -> bool:
        """Whether our own link is over. One that was never mailed counts from the row's creation."""
        return (self.link_expires_at or self.created_at + conf.MOLLIE_ONBOARDING_LINK_LIFETIME) <= now

    @property
    def is_expired(self) -> bool:
        """Whether the client link at Mollie is over. The merchant's next click renews it."""
        return bool(self.expires_at and self.expires_at <= timezone.now() and not self.is_connected)

    @property
    def needs_reconnecting(self) -> bool:
        """Whether the row is connected to an organization whose connection was lost or ended."""
        return bool(self.is_connected and self.organization and not self.organization.is_connected)

    @property
    def needs_new_consent(self) -> bool:
        """Whether the row is connected, but the platform asks for more by now than the merchant agreed to."""
        return bool(self.is_connected and self.organization and self.organization.needs_new_consent)

    def is_same_merchant(self, other: ClientLink) -> bool:
        """Whether two rows are one merchant of the platform: same reference, or same user."""
        return bool(
            self.pk == other.pk
            or (self.reference and self.reference == other.reference)
            or (self.user_id and self.user_id == other.user_id)
        )

    def merchant_path(self) -> str:
        """The merchant page's address on this site, without scheme and host. It opens the page: treat it as a secret."""
        token = links.sign_link(self.pk, self.link_generation)
        return reverse("mollie_onboarding:client_link", args=[token])

    def merchant_url(self) -> str:
        """The merchant page's full address, as it is mailed."""
        return conf.MOLLIE_ONBOARDING_BASE_URL + self.merchant_path()
