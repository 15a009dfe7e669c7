"""What became of a mail after the mail backend took it: delivered, bounced, reported as spam.

The mail provider tells it, minutes or days later, in any order and more than once. Each mail carries a reference by which
it is known again, in its `metadata`, which django-anymail hands to the provider and back; where a provider takes no
metadata, the last mail is known by the provider's own id.
"""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When

from mollie_onboarding.models import ClientLink, DeliveryStatus, Event
from mollie_onboarding.recipients import spell

METADATA_KEY = "mollie_onboarding"  # Postmark: at most 20 characters, and 80 of the value
MAIL_ID_LENGTH = 255  # characters, as in `ClientLink.mail_id`

# Of anymail's `event_type`. The others say nothing about whether the merchant has the mail, or not yet.
STATUSES = {
    "delivered": DeliveryStatus.DELIVERED,
    "bounced": DeliveryStatus.BOUNCED,
    "rejected": DeliveryStatus.BOUNCED,  # it bounced before, so the provider does not try it again
    "complained": DeliveryStatus.COMPLAINED,
    "failed": DeliveryStatus.FAILED,
}
EVENT_KINDS = {
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.BOUNCED: "bounced",
    DeliveryStatus.COMPLAINED: "complained",
    DeliveryStatus.FAILED: "delivery_failed",
}
# anymail.signals.RejectReason. No other word is kept: what mail servers say quotes addresses.
REASONS = ("invalid", "bounced", "timed_out", "blocked", "spam", "unsubscribed", "other")

# What a word about a mail may replace, so that one that comes late does not hide a worse one.
REPLACEABLE = {
    DeliveryStatus.DELIVERED: (DeliveryStatus.SENT,),
    DeliveryStatus.FAILED: (DeliveryStatus.SENT,),
    # Also of a row that is queued again: the next mail would go to the same address.
    DeliveryStatus.BOUNCED: (
        DeliveryStatus.SENT,
        DeliveryStatus.DELIVERED,
        DeliveryStatus.FAILED,
        DeliveryStatus.QUEUED,
    ),
}
ON_THE_WAY = (DeliveryStatus.QUEUED, DeliveryStatus.NOT_SENT)


class Mail(NamedTuple):
    """One mail to one merchant: the address, by its generation, and the how-manieth mail of the row it is."""

    client_link: ClientLink
    generation: int
    number: int


def reference_of_next_mail(client_link: ClientLink) -> str:
    """By which the mail that goes out now is known again. It opens nothing and names nobody."""
    return f"{client_link.pk.hex}.{client_link.link_generation}.{client_link.send_count + 1}"


def mail_id_of(message: Any) -> str:
    """The mail provider's id of a mail that was sent, from anymail; '' where there is none."""
    mail_id = getattr(getattr(message, "anymail_status", None), "message_id", None)
    return mail_id if isinstance(mail_id, str) and len(mail_id) <= MAIL_ID_LENGTH else ""


def unless_told(status: DeliveryStatus, *, of: tuple[DeliveryStatus, ...] = ON_THE_WAY) -> Case:
    """A status for a row that leaves the queue; where the mail provider was faster, what that told."""
    return Case(When(delivery_status__in=of, then=Value(status)), default=F("delivery_status"))


def record_delivery(
    status: DeliveryStatus, *, reference: str = "", mail_id: str = "", recipient: str = "", reason: str = ""
) -> bool:
    """Write down what became of a mail: delivered, bounced, complained or failed. True when the row says so now.

    `reference` is what the mail carried in `message.metadata["mollie_onboarding"]`; without one, `mail_id` is the mail
    provider's id of the last mail. A word about an older mail, an older address or another `recipient`, about no mail of
    ours, or one that came before, changes nothing. `reason` is kept if it is one of anymail's `RejectReason`.
    """
    mail = _find_by_reference(reference) or _find_by_mail_id(mail_id)
    if mail is None or (recipient and spell(recipient) != spell(mail.client_link.owner_email)):
        return False
    with transaction.atomic():
        recorded = _rows_to_tell(mail, status).update(delivery_status=status)
        if recorded:
            data = {"reason": reason} if reason in REASONS else {}
            Event.objects.record(EVENT_KINDS[status], client_link_id=mail.client_link.pk, data=data)
    return bool(recorded)


def heed_tracking(sender: Any, event: Any, esp_name: str, **kwargs: Any) -> None:
    """The receiver for anymail's `tracking` signal. https://anymail.dev/en/stable/sending/tracking/"""
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    if status := STATUSES.get(_text(event.event_type)):
        record_delivery(
            status,
            reference=_text(metadata.get(METADATA_KEY)),
            mail_id=_text(event.message_id),
            recipient=_text(event.recipient),
            reason=_text(event.reject_reason),
        )


def _text(value: object) -> str:
    """What came as a text or a number; '' for anything else that a webhook's JSON may have in its place."""
    return str(value) if isinstance(value, str | int) else ""


def _find_by_reference(reference: str) -> Mail | None:
    try:
        pk, generation, number = reference.split(".")
        found = ClientLink.objects.filter(pk=uuid.UUID(pk)).first()
        return Mail(found, int(generation), int(number)) if found else None
    except ValueError:
        return None


def _find_by_mail_id(mail_id: str) -> Mail | None:
    # A database takes no null character, not even to look for it; and none of ours has one.
    mail_id = mail_id if mail_id.isprintable() else ""
    found = ClientLink.objects.filter(mail_id=mail_id).first() if mail_id else None
    return Mail(found, found.link_generation, found.send_count) if found else None


def _rows_to_tell(mail: Mail, status: DeliveryStatus) -> QuerySet[ClientLink]:
    rows = ClientLink.objects.filter(pk=mail.client_link.pk, link_generation=mail.generation)
    if status == DeliveryStatus.COMPLAINED:
        # Of whichever mail: who does not want one mail of ours wants none.
        return rows.exclude(delivery_status=status)
    before = REPLACEABLE[status]
    # The second: the provider was faster than the worker, who has not committed yet that the mail went out.
    return rows.filter(
        Q(send_count=mail.number, delivery_status__in=before)
        | Q(
            send_count=mail.number - 1,
            send_requested_at__isnull=False,
            delivery_status__in=[*before, *ON_THE_WAY],
        )
    )
