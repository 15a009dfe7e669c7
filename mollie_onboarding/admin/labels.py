"""Words and dates, as the pages of the admin show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.models import (
    ATTENTION_AFTER,
    ClientLink,
    DeliveryStatus,
    Organization,
    Status,
    next_reminder_at,
)
from mollie_onboarding.mollie_api.addresses import is_dashboard_url

from .confirming import Words

EMPTY = "-"  # as the admin itself shows an empty value
DASH = "\N{EN DASH}"

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
    "reminder_requested": _("Reminder requested"),
    "sent": _("Mail sent"),
    "delivered": _("Mail delivered"),
    "bounced": _("Mail bounced"),
    "complained": _("Mail reported as spam"),
    "delivery_failed": _("The mail could not be sent"),
    "started": _("The merchant went to Mollie"),
    "declined": _("The merchant said no at Mollie"),
    "authorization_error": _("Mollie returned an error"),
    "exchange_failed": _("The code could not be exchanged"),
    "other_organization": _("The merchant came back with another Mollie organization"),
    "organization_taken": _("The Mollie organization belongs to another merchant"),
    "identity_differs": _("The Mollie organization has other register data than we have here"),
    "connected": _("Connected"),
    "notice_failed": _("The notice after connecting was not sent"),
    "cancelled": _("Cancelled"),
    "anonymized": _("Personal data deleted"),
    "reviewed": _("Marked as reviewed"),
    "sharing_allowed": _("Allowed to share the Mollie organization of another merchant"),
    "connection_lost": _("Connection lost"),
    "disconnected": _("Disconnected"),
    "revoked": _("Revoked at Mollie"),
    "onboarding_status_changed": _("Onboarding status changed"),
}


def format_day(at: datetime) -> str:
    """The day in the operator's time zone, with hyphens that do not break in a narrow column.

    The year first, in every language: nobody takes the day for the month.
    """
    return timezone.localtime(at).strftime("%Y\u2011%m\u2011%d")


def format_moment(at: datetime) -> str:
    """The day and the time of day, alike."""
    return f"{format_day(at)} {timezone.localtime(at):%H:%M}"


def as_moment(model: type[Model], column: str) -> Callable[[Any, Any], str]:
    """A date of a model as a read-only field, a method of its admin, that is written like all others."""

    @admin.display(description=model._meta.get_field(column).verbose_name)  # type: ignore[union-attr]  # a column, no relation
    def show(self: Any, obj: Any) -> str:
        at = getattr(obj, column)
        return format_moment(at) if at else EMPTY

    return show


def format_link(url: str) -> str | SafeString:
    """A link to one of Mollie's pages. An address of another kind is shown and leads nowhere."""
    return format_html('<a href="{0}" rel="noreferrer">{0}</a>', url) if is_dashboard_url(url) else url


def reason_not_to_send(row: ClientLink) -> Words:
    """Why this merchant gets no onboarding link, in words; '' when they do."""
    reason = services.reason_not_to_send(row)
    return reason.label if reason else ""


def reason_not_to_remind(row: ClientLink) -> Words:
    """Why this merchant gets no reminder, in words; '' when they do."""
    reason = services.reason_not_to_remind(row)
    return reason.label if reason else ""


def describe_reminders(row: ClientLink) -> str:
    """How many reminders went, and when the next one goes or why none does."""
    reason = reason_not_to_remind(row)
    next_at = None if reason else next_reminder_at(row)
    if next_at:
        day = {"count": row.reminder_count, "day": format_day(next_at)}
        return _("%(count)s sent, the next one on %(day)s") % day
    line = _("%(count)s sent, no more will follow") % {"count": row.reminder_count}
    return f"{line} ({reason})" if reason else line


def missing_scopes(organization: Organization) -> list[str]:
    """What the platform asks for and was not granted. Empty also where it is not known what was granted."""
    asked_for = conf.MOLLIE_ONBOARDING_SCOPES if organization.scope else ()
    return [scope for scope in asked_for if not organization.covers(scope)]


def join_scopes(scopes: Iterable[str]) -> str:
    return ", ".join(scopes)


def reasons_for_attention(row: ClientLink) -> list[Words]:
    """What an operator must do something about, in words."""
    reasons: list[Words] = []
    if row.problem:
        reasons.append(row.get_problem_display())
    if row.status == Status.REJECTED:
        reasons.append(_("Correct the data"))
    if row.identity_check == ClientLink.IdentityCheck.DIFFERS:
        reasons.append(_("Check identity"))
    if row.organization and row.organization.connection_status == Organization.ConnectionStatus.LOST:
        reasons.append(_("The connection is lost"))
    if row.organization and row.organization.connection_status == Organization.ConnectionStatus.DISCONNECTED:
        reasons.append(_("Disconnected"))
    if row.needs_new_consent:
        reasons.append(_("Needs new consent"))
    now = timezone.now()
    if row.send_requested_at and row.send_requested_at <= now - ATTENTION_AFTER:
        reasons.append(row.reason_to_wait(now) or _("The mail is waiting in the queue"))
    if row.delivery_status == DeliveryStatus.BOUNCED:
        reasons.append(_("The mail bounced: correct the e-mail address"))
    if row.delivery_status == DeliveryStatus.COMPLAINED:
        reasons.append(_("The merchant reported the mail as spam"))
    if row.delivery_status == DeliveryStatus.FAILED and not reasons:
        reasons.append(_("The mail was not sent"))
    return reasons


def mollie_answer(row: ClientLink) -> str:
    """Mollie's last refusal: its status, field and sentence."""
    if not row.error_detail:
        return EMPTY
    return f"{row.error_status or ''} {row.error_field} {row.error_detail}".strip()
