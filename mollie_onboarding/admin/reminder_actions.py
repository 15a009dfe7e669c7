"""What operators do about reminders."""

from __future__ import annotations

from abc import abstractmethod

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mollie_onboarding.models import ClientLink, Reason

from .client_link_actions import name_and_address, report_skipped_merchants
from .confirming import ConfirmedAction, Words


class _SetReminders(ConfirmedAction):
    permission = "send"
    is_excluded: bool

    @abstractmethod
    def reason_of_state(self) -> Words:
        """What to say of a row that is as this action would make it."""

    def reason_to_skip(self, row: ClientLink) -> Words:
        for is_so, reason in ((row.is_cancelled, Reason.CANCELLED), (row.is_connected, Reason.CONNECTED)):
            if is_so:
                return reason.label
        return self.reason_of_state() if row.reminders_excluded == self.is_excluded else ""

    def line(self, row: ClientLink) -> str:
        return name_and_address(row)

    def run(self, request: HttpRequest, rows: list[ClientLink]) -> None:
        affected, skipped = self.sort_out(rows)
        for row in affected:
            row.reminders_excluded = self.is_excluded
            row.revise(actor=request.user)
        if affected:
            text = ngettext("%d merchant was changed.", "%d merchants were changed.", len(affected))
            messages.success(request, text % len(affected))
        report_skipped_merchants(request, len(skipped))


class ExcludeFromReminders(_SetReminders):
    name = "exclude_from_reminders"
    path = "no-reminders"
    title = button = _("Send no reminders")
    is_excluded = True

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s merchant will get no reminders", "%(counter)s merchants will get no reminders", count
        )
        return text % {"counter": count}

    def reason_of_state(self) -> Words:
        return Reason.EXCLUDED.label


class IncludeInReminders(_SetReminders):
    name = "include_in_reminders"
    path = "reminders"
    title = button = _("Send reminders again")
    is_excluded = False

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s merchant will get reminders again",
            "%(counter)s merchants will get reminders again",
            count,
        )
        return text % {"counter": count}

    def reason_of_state(self) -> Words:
        return _("This merchant gets reminders.")
