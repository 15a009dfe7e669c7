"""What operators do to client link requests."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import services
from mollie_onboarding.exceptions import ClientLinkUnusableError
from mollie_onboarding.models import Batch, BatchItem, ClientLink, Organization, Status

from .confirming import (
    SHOWN_ON_CONFIRMATION,
    ConfirmedAction,
    ConfirmingAdmin,
    Words,
    asked_at,
    confirmed_rows,
    is_across,
    is_confirmed,
    report_missing,
)
from .labels import (
    DASH,
    format_day,
    format_moment,
    join_scopes,
    missing_scopes,
    mollie_answer,
    reason_not_to_send,
    reasons_for_attention,
)

MOST_JUDGED = 500  # rows that the confirmation looks at one by one
SHOWN_HOLDERS = 20  # merchants of one organization
NOTHING_DONE = services.Progress()
NOTHING_TO_SHARE = _("No organization is waiting to be shared.")


def send(request: HttpRequest, rows: list[ClientLink], since: datetime) -> list[Any]:
    """Request the mail for each row that was not mailed since. Gives the ids of those that are queued or sent."""
    return [row.pk for row in rows if _send_one(request, row, since)]


def _send_one(request: HttpRequest, row: ClientLink, since: datetime) -> bool:
    try:
        if row.status == Status.REJECTED:
            row = services.retry_rejected(row, actor=request.user)
    except ClientLinkUnusableError:  # deleted since
        return False
    return (
        services.request_sending(row, actor=request.user, unless_sent_since=since)
        or row.send_requested_at is not None
    )


def report_sending(request: HttpRequest, requested: list[Any]) -> None:
    """Say what the rows say now: with the default backend the mails have gone out already."""
    now = ClientLink.objects.filter(pk__in=requested).select_related("organization")
    # Some providers are quick.
    has_gone = (ClientLink.DeliveryStatus.SENT, ClientLink.DeliveryStatus.DELIVERED)
    sent = now.filter(send_requested_at=None, delivery_status__in=has_gone).count()
    failed = now.filter(delivery_status=ClientLink.DeliveryStatus.FAILED)
    queued = now.filter(send_requested_at__isnull=False).count()
    report_counts(request, sent, queued)
    report_failed(request, failed)


def report_counts(request: HttpRequest, sent: int, queued: int) -> None:
    if sent:
        text = ngettext("%d onboarding link was sent.", "%d onboarding links were sent.", sent) % sent
        messages.success(request, text)
    if queued:
        text = ngettext("%d mail is queued.", "%d mails are queued.", queued) % queued
        messages.info(request, text)


def report_failed(request: HttpRequest, failed: QuerySet[ClientLink]) -> None:
    for row in failed[:SHOWN_ON_CONFIRMATION]:
        reasons = ", ".join(map(str, reasons_for_attention(row)))
        messages.error(request, f"{row.organization_name}: {reasons}, {mollie_answer(row)}")


def sent_before(row: ClientLink) -> str:
    """How often and when this merchant was mailed; '' when never."""
    if not row.send_count or row.last_sent_at is None:
        return ""
    values = {
        "counter": row.send_count,
        "last": format_day(row.last_sent_at),
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
        return reason_not_to_send(row)

    def line(self, row: ClientLink) -> str:
        before = sent_before(row)
        return name_and_address(row) + (f" ({before})" if before else "")

    def details(self, row: ClientLink) -> Iterable[Words]:
        return [purpose_of_mail(row.organization)] if row.is_connected and row.organization else []

    def __call__(
        self, modeladmin: ConfirmingAdmin, request: HttpRequest, queryset: QuerySet[ClientLink]
    ) -> HttpResponse | None:
        """From the list: the selection becomes a batch. It may be the whole list, so it is not held in memory."""
        rows = confirmed_rows(request, queryset)
        if is_confirmed(request):
            return _send_batch(request, rows)
        batch_id = uuid.uuid4()  # of this confirmation: however often it is sent, it makes one batch
        # Rows that were ticked one by one are named one by one in the form, and are as many as a form may have.
        found = list(rows[: MOST_JUDGED + 1] if is_across(request) else rows)
        if len(found) <= MOST_JUDGED or not is_across(request):
            return self.ask(modeladmin, request, found, batch_id=batch_id)
        return self.ask(modeladmin, request, found, batch_id=batch_id, **_describe_many(rows, found))

    def run(self, request: HttpRequest, rows: list[ClientLink]) -> None:
        """From the row's own page: without a batch."""
        affected, _skipped = self.sort_out(rows)
        requested = send(request, affected, asked_at(request))
        report_sending(request, requested)
        report_skipped_merchants(request, len(rows) - len(requested))


def _describe_many(rows: QuerySet[ClientLink], found: list[ClientLink]) -> dict[str, Any]:
    """What the confirmation says of more rows than it can judge: how many, and some names."""
    numbers = rows.order_by().aggregate(
        count=Count("pk"), mailed=Count("last_sent_at"), last=Max("last_sent_at")
    )
    count = numbers["count"]
    notes: list[Words] = [_("Who can get no mail is skipped. The next page says who, and why.")]
    if numbers["mailed"]:
        before = ngettext(
            "%(counter)s of them got a mail before, the last one on %(last)s.",
            "%(counter)s of them got a mail before, the last one on %(last)s.",
            numbers["mailed"],
        )
        notes.insert(0, before % {"counter": numbers["mailed"], "last": format_moment(numbers["last"])})
    text = ngettext("%(counter)s merchant is selected", "%(counter)s merchants are selected", count)
    return {
        "heading": text % {"counter": count},
        "notes": notes,
        "affected": [(name_and_address(row), ()) for row in found[:SHOWN_ON_CONFIRMATION]],
        "affected_count": count,
        "more_affected": count - SHOWN_ON_CONFIRMATION,
        "skipped": [],
        "skipped_count": 0,
        "names_all": False,
    }


def _send_batch(request: HttpRequest, rows: QuerySet[ClientLink]) -> HttpResponse | None:
    """Make a batch of the rows and start it, once. Leads to its page, where the operator may see that."""
    at = asked_at(request)
    # Whoever came into the list since was not asked about.
    batch = services.create_batch(
        rows.filter(created_at__lte=at), pk=_batch_id(request), actor=request.user, asked_at=at
    )
    if services.start_batch(batch, request.user):
        report_missing(request, batch.count)
        report_batch(request, batch)
    if not request.user.has_perm("mollie_onboarding.view_batch"):
        return None
    return HttpResponseRedirect(reverse("admin:mollie_onboarding_batch_change", args=[batch.pk]))


def _batch_id(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("batch", ""))
    except ValueError:
        return uuid.uuid4()


def report_batch(request: HttpRequest, batch: Batch, before: services.Progress = NOTHING_DONE) -> None:
    """Say how far it came since `before`: with the default backend the first mails have gone out already."""
    progress = services.count_outcomes([batch])[batch.pk]
    report_counts(request, progress.sent - before.sent, progress.waiting)
    if progress.failed > before.failed:
        failed = ClientLink.objects.filter(
            batch_items__batch=batch, batch_items__outcome=BatchItem.Outcome.FAILED
        )
        report_failed(request, failed.select_related("organization"))
    report_skipped_merchants(request, progress.skipped - before.skipped)


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
