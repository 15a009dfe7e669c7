"""What operators do to client link requests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, Organization, Status

from .confirming import SHOWN_ON_CONFIRMATION, ConfirmedAction, Words, asked_at
from .labels import DASH, join_scopes, missing_scopes, mollie_answer, reasons_for_attention

SHOWN_HOLDERS = 20  # merchants of one organization
NOTHING_TO_SHARE = _("No organization is waiting to be shared.")


def send(request: HttpRequest, rows: list[ClientLink], since: datetime) -> list[Any]:
    """Request the mail for each row that was not mailed since. Gives the ids of those that are queued or sent."""
    return [row.pk for row in rows if _send_one(request, row, since)]


def _send_one(request: HttpRequest, row: ClientLink, since: datetime) -> bool:
    if row.status == Status.REJECTED:
        row = services.retry_rejected(row, actor=request.user)
    return (
        services.request_sending(row, actor=request.user, unless_sent_since=since)
        or row.send_requested_at is not None
    )


def report_sending(request: HttpRequest, requested: list[Any]) -> None:
    """Say what the rows say now: with the default backend the mails have gone out already."""
    now = ClientLink.objects.filter(pk__in=requested).select_related("organization")
    sent = now.filter(send_requested_at=None, delivery_status=ClientLink.DeliveryStatus.SENT).count()
    failed = now.filter(delivery_status=ClientLink.DeliveryStatus.FAILED)
    queued = now.filter(send_requested_at__isnull=False).count()
    if sent:
        text = ngettext("%d onboarding link was sent.", "%d onboarding links were sent.", sent) % sent
        messages.success(request, text)
    if queued:
        text = ngettext("%d mail is queued.", "%d mails are queued.", queued) % queued
        messages.info(request, text)
    for row in failed[:SHOWN_ON_CONFIRMATION]:
        reasons = ", ".join(map(str, reasons_for_attention(row)))
        messages.error(request, f"{row.organization_name}: {reasons}, {mollie_answer(row)}")


def sent_before(row: ClientLink) -> str:
    """How often and when this merchant was mailed; '' when never."""
    if not row.send_count or row.last_sent_at is None:
        return ""
    values = {
        "counter": row.send_count,
        "last": date_format(timezone.localtime(row.last_sent_at), "SHORT_DATE_FORMAT"),
    }
    text = ngettext(
        "sent %(counter)s time before, last on %(last)s",
        "sent %(counter)s times before, last on %(last)s",
        row.send_count,
    )
    return text % values


def purpose_of_mail(organization: Organization) -> Words:
    """What the mail asks a merchant for who was connected before."""
    if organization.needs_new_consent:
        scopes = join_scopes(missing_scopes(organization))
        return _("The mail asks for consent again. Missing: %(scopes)s") % {"scopes": scopes}
    return _("The mail asks to connect again.")


def report_skipped_merchants(request: HttpRequest, skipped: int) -> None:
    if skipped:
        text = ngettext("%d merchant was skipped.", "%d merchants were skipped.", skipped) % skipped
        messages.warning(request, text)


def name_and_address(row: ClientLink) -> str:
    return f"{row.organization_name} {DASH} {row.owner_email}"


class SendOnboardingLink(ConfirmedAction):
    name = "send_onboarding_link"
    path = "send"
    title = button = _("Send onboarding link")
    permission = "send"

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s merchant will get a mail", "%(counter)s merchants will get a mail", count
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: ClientLink) -> Words:
        return services.reason_not_to_send(row)

    def line(self, row: ClientLink) -> str:
        before = sent_before(row)
        return name_and_address(row) + (f" ({before})" if before else "")

    def details(self, row: ClientLink) -> Iterable[Words]:
        return [purpose_of_mail(row.organization)] if row.is_connected and row.organization else []

    def run(self, request: HttpRequest, rows: list[ClientLink]) -> None:
        affected, _skipped = self.sort_out(rows)
        requested = send(request, affected, asked_at(request))
        report_sending(request, requested)
        report_skipped_merchants(request, len(rows) - len(requested))


class Cancel(ConfirmedAction):
    name = path = "cancel"
    title = _("Cancel client links")
    button = _("Cancel client link")
    permission = "cancel"
    is_dangerous = True
    notes = (_("Links that were mailed stop working. This cannot be undone."),)

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s client link will be cancelled", "%(counter)s client links will be cancelled", count
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: ClientLink) -> Words:
        if row.is_connected:
            return _("The merchant is connected.")
        return _("The client link is cancelled.") if row.is_cancelled else ""

    def line(self, row: ClientLink) -> str:
        return name_and_address(row)

    def run(self, request: HttpRequest, rows: list[ClientLink]) -> None:
        done = sum(services.cancel_client_link(row, actor=request.user) for row in rows)
        if done:
            text = ngettext("%d client link was cancelled.", "%d client links were cancelled.", done) % done
            messages.success(request, text)
        report_skipped_merchants(request, len(rows) - done)


class MarkReviewed(ConfirmedAction):
    name = "mark_reviewed"
    path = "review"
    title = button = _("Mark as reviewed")
    permission = "change"
    notes = (_("They leave the list of what needs attention. Nothing changes for the merchants."),)

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s merchant will be marked as reviewed",
            "%(counter)s merchants will be marked as reviewed",
            count,
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: ClientLink) -> Words:
        return "" if services.points_to_review(row) else _("There is nothing to review.")

    def details(self, row: ClientLink) -> Iterable[Words]:
        points = services.points_to_review(row)
        if "identity_check" in points:
            yield _("The identity of the Mollie organization is confirmed.")
        if "problem" in points:
            yield _("Seen: %(problem)s") % {"problem": row.get_problem_display()}

    def run(self, request: HttpRequest, rows: list[ClientLink]) -> None:
        done = sum(services.mark_reviewed(row, actor=request.user) for row in rows)
        if done:
            text = ngettext(
                "%d merchant was marked as reviewed.", "%d merchants were marked as reviewed.", done
            )
            messages.success(request, text % done)
        report_skipped_merchants(request, len(rows) - done)


class AllowSharing(ConfirmedAction):
    name = "allow_sharing"
    path = "share"
    title = _("Allow sharing the organization")
    button = _("These are one business: allow sharing")
    permission = "change"
    notes = (
        _("Several merchants are then connected to one Mollie organization: one consent and one balance serve them all, and to disconnect it disconnects all of them."),
        _("The merchant has to connect again afterwards."),
    )  # fmt: skip

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s merchant may share a Mollie organization",
            "%(counter)s merchants may share a Mollie organization",
            count,
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: ClientLink) -> Words:
        is_taken = row.problem == ClientLink.Problem.ORGANIZATION_TAKEN and not row.is_cancelled
        return "" if is_taken else NOTHING_TO_SHARE

    def details(self, row: ClientLink) -> Iterable[Words]:
        holders = ClientLink.objects.filter(organization__organization_id=row.refused_organization_id)
        others = holders.exclude(pk=row.pk).order_by("created_at", "pk")
        names = list(others.values_list("organization_name", flat=True)[:SHOWN_HOLDERS])
        if names:
            yield _("%(organization_id)s belongs to: %(merchants)s") % {
                "organization_id": row.refused_organization_id,
                "merchants": ", ".join(names),
            }

    def run(self, request: HttpRequest, rows: list[ClientLink]) -> None:
        for row in rows:
            if services.allow_sharing(row, actor=request.user):
                text = gettext(
                    "%(merchant)s may share the organization now. The merchant has to connect again: send the onboarding link."
                )
                messages.success(request, text % {"merchant": row})
            else:
                messages.warning(request, f"{row}: {NOTHING_TO_SHARE}")
