"""Batches: many client link requests that an operator sends at once, and what became of each."""

from __future__ import annotations

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """Why a merchant gets no mail."""

    CANCELLED = "cancelled", _("The client link is cancelled.")
    ERASED = "erased", _("The personal data of the merchant were erased.")
    CONNECTED = "connected", _("The merchant is connected.")
    BOUNCED = "bounced", _("The last mail bounced: correct the e-mail address first.")
    COMPLAINED = "complained", _("The merchant reported the last mail as spam.")
    MAILED = "mailed", _("A mail went out since you were asked.")
    DECLINED = "declined", _("The merchant said no twice.")
    EXCLUDED = "excluded", _("This merchant gets invitations only.")
    NOT_INVITED = "not_invited", _("The merchant was not invited yet.")
    REFUSED = "refused", _("Mollie refused the data: correct them first.")
    NO_ANSWER = "no_answer", _("Mollie did not answer.")
    MAIL_FAILED = "mail_failed", _("The mail could not be sent.")


class Batch(models.Model):
    """One press of the button for many merchants. Prepared until `started_at`, over once no item waits."""

    class Source(models.TextChoices):
        SELECTION = "selection", _("Selection")
        IMPORT = "import", _("Import")

    # The confirmation page names it, so that a form that is sent twice makes one batch.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.CharField(_("source"), max_length=10, choices=Source, default=Source.SELECTION)
    description = models.CharField(_("description"), max_length=255, blank=True)
    count = models.PositiveIntegerField(_("merchants"), default=0)
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    # When the operator was shown whom it concerns: who was mailed since is not mailed by this batch.
    asked_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    # In whose name the mails are requested.
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    cancelled_at = models.DateTimeField(_("cancelled"), null=True)
    cancelled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        default_permissions: ClassVar = ["view"]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M}"


class BatchItemQuerySet(models.QuerySet["BatchItem"]):
    def waiting(self) -> Self:
        """Items whose outcome is still open."""
        return self.filter(outcome__in=[BatchItem.Outcome.PENDING, BatchItem.Outcome.QUEUED])

    def settle(self, client_link_id: uuid.UUID, outcome: str, reason: str = "") -> None:
        """Note in every batch that has this row in the queue what became of it."""
        queued = self.filter(client_link_id=client_link_id, outcome=BatchItem.Outcome.QUEUED)
        queued.update(outcome=outcome, reason=reason, at=timezone.now())


class BatchItem(models.Model):
    """One merchant of a batch."""

    class Outcome(models.TextChoices):
        PENDING = "pending", _("Not queued yet")
        QUEUED = "queued", _("Queued")
        SENT = "sent", _("Sent")
        SKIPPED = "skipped", _("Skipped")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="items")
    client_link = models.ForeignKey("ClientLink", models.CASCADE, related_name="batch_items")
    outcome = models.CharField(_("outcome"), max_length=9, choices=Outcome, default=Outcome.PENDING)
    reason = models.CharField(_("reason"), max_length=11, choices=Reason, blank=True)
    at = models.DateTimeField(_("when"), null=True)

    objects = BatchItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("merchant of a batch")
        verbose_name_plural = _("merchants of a batch")
        default_permissions: ClassVar = []
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "client_link"], name="mollie_bi_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["batch", "outcome", "client_link"], name="mollie_bi_outcome"),
            models.Index(fields=["client_link", "outcome"], name="mollie_bi_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.client_link_id} {self.outcome}"
