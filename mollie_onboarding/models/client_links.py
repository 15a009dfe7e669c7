"""Client link requests: one merchant each, and how far they are."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date, datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import links, validation
from mollie_onboarding.conf import conf
from mollie_onboarding.fields import ExactCharField

from .client_link_queries import ClientLinkQuerySet
from .edits import BODY_COLUMNS, EDITABLE_COLUMNS, FOLLOWING_COLUMNS, Changes
from .indexes import WordIndex
from .stages import OF_CLIENT_LINK, furthest
from .statuses import DeliveryStatus, IdentityCheck, Problem, SendKind, Status, Wait

SEARCHED_COLUMNS = ["organization_name", "owner_email", "reference"]


class ClientLink(models.Model):
    """One merchant's client link request, and its progress."""

    Status = Status
    DeliveryStatus = DeliveryStatus
    Problem = Problem
    IdentityCheck = IdentityCheck
    SendKind = SendKind

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The body of the request, in Mollie's order. 254: RFC 5321; the other lengths are ours, Mollie publishes none.
    owner_email = models.EmailField(_("e-mail address"), max_length=254)
    # Two spellings of an address are one recipient. The database writes it, whoever writes the other.
    owner_email_key = models.GeneratedField(
        expression=Lower("owner_email"),
        output_field=models.CharField(max_length=254),
        db_persist=True,
    )
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
    problem = models.CharField(_("problem"), max_length=24, choices=Problem, blank=True, editable=False)

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
    send_kind = models.CharField(max_length=10, choices=SendKind, default=SendKind.INVITATION, editable=False)
    # Whose request is in the queue, where it is a batch's.
    batch = models.ForeignKey("Batch", models.SET_NULL, null=True, editable=False, related_name="+")
    send_not_before = models.DateTimeField(null=True, editable=False)
    # Until then, where that is for no fault.
    send_waits_for = models.CharField(max_length=10, choices=Wait, blank=True, editable=False)
    send_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    sending_until = models.DateTimeField(null=True, editable=False)
    first_sent_at = models.DateTimeField(_("first sent"), null=True, editable=False, db_index=True)
    last_sent_at = models.DateTimeField(_("last sent"), null=True, editable=False)
    send_count = models.PositiveIntegerField(default=0, editable=False)
    delivery_status = models.CharField(
        _("mail"), max_length=10, choices=DeliveryStatus, blank=True, editable=False
    )
    # The last mail's id at the mail provider, where that gives one.
    mail_id = models.CharField(max_length=255, blank=True, editable=False)
    # Reminders count from the last invitation.
    invited_at = models.DateTimeField(null=True, editable=False, db_index=True)
    reminder_count = models.PositiveIntegerField(_("reminders"), default=0, editable=False)
    reminders_excluded = models.BooleanField(
        _("no reminders"), default=False, help_text=_("This merchant gets invitations only.")
    )
    decline_count = models.PositiveSmallIntegerField(default=0, editable=False)
    # The notice after connecting: a queue of its own.
    notice_requested_at = models.DateTimeField(null=True, editable=False, db_index=True)
    notice_not_before = models.DateTimeField(null=True, editable=False)
    notice_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    notice_until = models.DateTimeField(null=True, editable=False)
    # How far the merchant came, each for the first time.
    opened_at = models.DateTimeField(_("opened"), null=True, editable=False)
    started_at = models.DateTimeField(_("at Mollie"), null=True, editable=False)
    connected_at = models.DateTimeField(_("connected"), null=True, editable=False)
    stage = furthest(OF_CLIENT_LINK)

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
        # Besides those at the columns. What each is for; an index of a text column here is one, at the column two.
        indexes: ClassVar = [
            # The filters of the admin's list, whose newest rows come first.
            models.Index(fields=["status", "created_at"], name="mollie_cl_status"),
            models.Index(fields=["delivery_status", "created_at"], name="mollie_cl_delivery"),
            models.Index(fields=["problem", "created_at"], name="mollie_cl_problem"),
            models.Index(fields=["identity_check", "created_at"], name="mollie_cl_identity"),
            models.Index(fields=["country", "created_at"], name="mollie_cl_country"),
            models.Index(fields=["stage", "created_at"], name="mollie_cl_stage"),
            # Its search, and its order by name.
            WordIndex(fields=SEARCHED_COLUMNS, name="mollie_cl_words"),
            models.Index(fields=["organization_name"], name="mollie_cl_name"),
            # Merchants by the platform's own id, recipients by address, mails by what their provider reports.
            models.Index(fields=["reference"], name="mollie_cl_reference"),
            models.Index(fields=["owner_email_key"], name="mollie_cl_recipient"),
            models.Index(fields=["mail_id"], name="mollie_cl_mail"),
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
        `owner_email` voids the links that were mailed before, unless it is another spelling of the same address. With
        `update_fields` the same for those of them that it names; its other columns are written as Django does.
        """
        names = kwargs.get("update_fields")
        if self._state.adding:
            super().save(*args, **kwargs)
            self.remember()
        elif names is None:
            self.revise()
        else:
            self._save_columns(set(names), *args, **kwargs)

    def _save_columns(self, names: set[str], *args: Any, **kwargs: Any) -> None:
        editable = {name for name in EDITABLE_COLUMNS if {name, name.removesuffix("_id")} & names}
        edits = {name: value for name, value in self.edits().items() if name in editable}
        others = names - editable - {name.removesuffix("_id") for name in editable}
        with transaction.atomic(using=self._state.db):
            if edits:
                self._write(edits)
                self.refresh_from_db(fields=[*edits, *FOLLOWING_COLUMNS])
            super().save(
                *args, **{**kwargs, "update_fields": others}
            )  # of none of them, Django writes nothing

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any
    ) -> Self:
        row = super().from_db(db, field_names, values, **kwargs)
        row._loaded = {name: row.__dict__[name] for name in EDITABLE_COLUMNS if name in row.__dict__}
        return row

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """As Django does, but without the space around: a name of nothing else is none."""
        self._strip()
        super().clean_fields(exclude=exclude)

    def _strip(self) -> None:
        for name in BODY_COLUMNS:
            value = getattr(self, name)
            if isinstance(value, str):
                setattr(self, name, value.strip())

    def clean(self) -> None:
        """Normalise what people type, then refuse what Mollie would refuse."""
        self._strip()
        self.country = self.country.upper()
        self.vat_number = "".join(self.vat_number.upper().split())
        if errors := validation.find_errors(self.body_values()):
            raise ValidationError({column: [*messages] for column, messages in errors.items()})

    def revise(self, *, actor: Any = None) -> list[str]:
        """Write the edits since the row was read, as `save()` does. Gives the names of the columns that changed."""
        edits = self.edits()
        if not edits:
            return []
        self._write(edits, actor=actor)
        self.refresh_from_db()
        return sorted(edits)

    def _write(self, edits: Changes, *, actor: Any = None) -> None:
        rows = type(self).objects.using(self._state.db)
        with transaction.atomic(using=rows.db):
            held = rows.hold([self.pk])
            rows.write_edits(held, dict.fromkeys(held, edits), actor=actor)

    def edits(self) -> Changes:
        """The editable columns that were changed since the row was read, with their new values."""
        # By __dict__: a deferred column that was set is a change, one that was not stays where it is.
        return {
            name: self.__dict__[name]
            for name in EDITABLE_COLUMNS
            if name in self.__dict__
            and (name not in self._loaded or self.__dict__[name] != self._loaded[name])
        }

    def refresh_from_db(self, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        # What was just read is no edit of this instance's, also where it differs from what was read before.
        self.remember(fields)

    def remember(self, fields: Collection[str] | None = None) -> None:
        """Take the editable columns, or these of them, as what the database has: no edit of this instance's."""
        read = {name: self.__dict__[name] for name in EDITABLE_COLUMNS if name in self.__dict__}
        if fields is not None:
            read = {name: read[name] for name in read if {name, name.removesuffix("_id")} & set(fields)}
        self._loaded = {**self.__dict__.get("_loaded", {}), **read}

    _loaded: dict[str, Any]

    def set_columns(self, columns: dict[str, Any]) -> None:
        """Take over what an update has just written."""
        for name, value in columns.items():
            setattr(self, name, value)

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

    def is_due_for_sending(self, now: datetime) -> bool:
        """Whether the row waits for its mail, and for nothing else."""
        return bool(
            self.send_requested_at
            and (self.sending_until is None or self.sending_until <= now)
            and (self.send_not_before is None or self.send_not_before <= now)
        )

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

    def reason_to_wait(self, now: datetime) -> str:
        """Why the row's mail is not sent yet, in words; '' where there is no reason other than the queue."""
        is_held = self.send_waits_for and self.send_not_before and self.send_not_before > now
        return str(self.get_send_waits_for_display()) if is_held else ""

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


def label_of(column: str) -> str:
    """What the admin calls a column of a client link, in the current language. Raises `FieldDoesNotExist`."""
    return str(ClientLink._meta.get_field(column).verbose_name)  # type: ignore[union-attr]  # a column, no relation
