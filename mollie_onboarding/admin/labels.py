"""Words and dates, as the pages of the admin show them."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

EMPTY = "-"  # as the admin itself shows an empty value

EVENT_LABELS = {
    "created": _("Created"),
    "signed_up": _("Signed up by the merchant"),
    "edited": _("Edited"),
    "retried": _("To be asked again at Mollie"),
    "ready": _("Client link made at Mollie"),
    "renewed": _("Client link renewed at Mollie"),
    "replacement_requested": _("The merchant asked for a new client link"),
    "rejected": _("Refused by Mollie"),
    "send_requested": _("Mail requested"),
    "sent": _("Mail sent"),
    "started": _("The merchant went to Mollie"),
    "declined": _("The merchant said no at Mollie"),
    "authorization_error": _("Mollie returned an error"),
    "exchange_failed": _("The code could not be exchanged"),
    "other_organization": _("The merchant came back with another Mollie organization"),
    "organization_taken": _("The Mollie organization belongs to another merchant"),
    "identity_differs": _("The Mollie organization has other register data than we have here"),
    "connected": _("Connected"),
    "cancelled": _("Cancelled"),
}


def format_day(at: datetime) -> str:
    """The day in the operator's time zone, with hyphens that do not break in a narrow column."""
    return timezone.localtime(at).strftime("%Y\u2011%m\u2011%d")
