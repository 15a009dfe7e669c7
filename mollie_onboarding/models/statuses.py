"""The words for where a client link request stands, what became of its mail, and what needs an operator."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


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


class DeliveryStatus(models.TextChoices):
    """What became of the last mail."""

    NOT_SENT = "", _("Not sent")
    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")
    # Told by the mail provider, where the platform lets us hear of it.
    DELIVERED = "delivered", _("Delivered")
    BOUNCED = "bounced", _("Bounced")
    COMPLAINED = "complained", _("Reported as spam")


# The merchant did not get it, or did not want it.
UNDELIVERED = (DeliveryStatus.FAILED, DeliveryStatus.BOUNCED, DeliveryStatus.COMPLAINED)


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


class Wait(models.TextChoices):
    """Why a row in the queue waits although nothing went wrong."""

    MOLLIE = "mollie", _("The mail waits until Mollie allows more calls")
    RECIPIENT = "recipient", _("The mail waits: this e-mail address has reached its limit of mails")


class IdentityCheck(models.TextChoices):
    UNKNOWN = "unknown", _("Unknown")
    MATCHES = "matches", _("Matches")
    DIFFERS = "differs", _("Differs")
    CONFIRMED = "confirmed", _("Confirmed by an operator")


class SendKind(models.TextChoices):
    """What the mail that a row is queued for is."""

    INVITATION = "invitation", _("Invitation")
    REMINDER = "reminder", _("Reminder")
