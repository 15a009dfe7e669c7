"""What operators do to connected organizations."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable
from typing import cast

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mollie_onboarding import services
from mollie_onboarding.exceptions import DecryptionError, MollieError
from mollie_onboarding.models import ClientLink, Organization

from .client_link_actions import name_and_address, purpose_of_mail, report_sending, send, sent_before
from .confirming import ConfirmedAction, Skipped, Words, asked_at, report_skipped
from .health import explain_failure
from .labels import reason_not_to_send

TIME_BUDGET = 20.0  # seconds that calls to Mollie may take in one request
MOST_READINGS = 25  # in one request
SHOWN_MERCHANTS = 50  # of one organization

NO_MERCHANT = _("No merchant is connected to it.")

FAILURES = (MollieError, DecryptionError, ImproperlyConfigured, DatabaseError)


def merchants_of(row: Organization) -> list[ClientLink]:
    """Its client links, newest first, as the admin has read them with the organization."""
    return cast("list[ClientLink]", row.current_client_links)  # type: ignore[attr-defined]  # prefetched


def recipients(row: Organization) -> list[ClientLink]:
    """Whom a mail goes to: the newest connected merchant, as one consent connects the organization for all of them."""
    return [merchant for merchant in merchants_of(row) if merchant.is_connected][:1]


class OneByOne(ConfirmedAction):
    """An action that goes on after a row that fails, and says of each row that was not done why not."""

    has_time_budget = False

    @abstractmethod
    def act(self, request: HttpRequest, row: Organization) -> Words:
        """Act on one row. Gives why nothing was done, '' when something was; raises one of `FAILURES`."""

    @abstractmethod
    def done(self, count: int) -> str:
        """The success, in words."""

    def run(self, request: HttpRequest, rows: list[Organization]) -> None:
        affected, skipped = self.sort_out(rows)
        give_up_at = time.monotonic() + TIME_BUDGET
        count = 0
        for number, row in enumerate(affected):
            if self.has_time_budget and time.monotonic() > give_up_at:
                reason = _("Mollie took so long that there was no time left. Press again.")
                skipped += [(left, reason) for left in affected[number:]]
                break
            count += self._try(request, row, skipped)
        if count:
            messages.success(request, self.done(count))
        report_skipped(request, skipped)

    def _try(self, request: HttpRequest, row: Organization, skipped: Skipped) -> bool:
        try:
            reason = self.act(request, row)
        except FAILURES as exc:
            messages.error(request, f"{row}: {explain_failure(exc)}")
            return False
        if reason:
            skipped.append((row, reason))
        return not reason


class Disconnect(OneByOne):
    name = path = "disconnect"
    title = button = _("Disconnect")
    permission = "disconnect"
    is_dangerous = True
    notes = (
        _("Payments through the platform stop at once for all merchants that are named here."),
        _("You cannot undo this. Only the merchant can, by connecting again."),
    )

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s organization will be disconnected",
            "%(counter)s organizations will be disconnected",
            count,
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: Organization) -> Words:
        is_ended = row.connection_status == Organization.ConnectionStatus.DISCONNECTED
        return _("It is disconnected already.") if is_ended else ""

    def details(self, row: Organization) -> Iterable[Words]:
        merchants = merchants_of(row)
        if not merchants:
            yield NO_MERCHANT
        if len(merchants) > 1:
            text = ngettext(
                "%(counter)s merchant shares it. The connection ends for all of them:",
                "%(counter)s merchants share it. The connection ends for all of them:",
                len(merchants),
            )
            yield text % {"counter": len(merchants)}
        for merchant in merchants[:SHOWN_MERCHANTS]:
            yield name_and_address(merchant)
        if more := len(merchants[SHOWN_MERCHANTS:]):
            yield _("and %(more_affected)s more") % {"more_affected": more}

    def act(self, request: HttpRequest, row: Organization) -> Words:
        if row.authorized_at and row.authorized_at > asked_at(request):
            return _("The merchant has connected again since you were asked.")
        return "" if services.disconnect(row, actor=request.user) else _("It is disconnected already.")

    def done(self, count: int) -> str:
        text = ngettext("%d organization was disconnected.", "%d organizations were disconnected.", count)
        return text % count

    def run(self, request: HttpRequest, rows: list[Organization]) -> None:
        super().run(request, rows)
        waiting = Organization.objects.filter(
            pk__in=[row.pk for row in rows], pending_revocation__isnull=False
        ).count()
        if waiting:
            text = ngettext(
                "Mollie has not yet been told of %d organization; that is tried again by itself.",
                "Mollie has not yet been told of %d organizations; that is tried again by itself.",
                waiting,
            )
            messages.info(request, text % waiting)


class SendAgain(ConfirmedAction):
    """The mail that asks to connect again, or to agree to more, to the newest merchant of each organization."""

    name = "send_link_again"
    path = "send"
    title = button = _("Send a link to connect again")
    permission = "send"
    notes = (
        _("One mail for each organization, to the merchant that was added last: one consent serves all merchants that share it."),
    )  # fmt: skip

    @property
    def limit(self) -> int | None:  # type: ignore[override]  # it depends on the settings
        """The mails go out within the request, where tasks run inline."""
        return services.INLINE_LIMIT if services.tasks_run_inline() else None

    def heading(self, count: int) -> str:
        text = ngettext(
            "%(counter)s merchant will get a mail", "%(counter)s merchants will get a mail", count
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: Organization) -> Words:
        if row.connection_status == Organization.ConnectionStatus.DISCONNECTED:
            return _("It was disconnected on purpose. To connect it again, send the link from the merchant's own page.")  # fmt: skip
        merchants = recipients(row)
        return reason_not_to_send(merchants[0]) if merchants else NO_MERCHANT

    def details(self, row: Organization) -> Iterable[Words]:
        for merchant in recipients(row):
            before = sent_before(merchant)
            yield name_and_address(merchant) + (f" ({before})" if before else "")
        yield purpose_of_mail(row)

    def run(self, request: HttpRequest, rows: list[Organization]) -> None:
        affected, skipped = self.sort_out(rows)
        merchants = {row: merchant for row in affected for merchant in recipients(row)}
        requested = send(request, list(merchants.values()), asked_at(request))
        report_sending(request, requested)
        mailed = _("A mail went out since you were asked.")
        skipped += [(row, mailed) for row, merchant in merchants.items() if merchant.pk not in requested]
        report_skipped(request, skipped)


class ReadStatus(OneByOne):
    name = "read_status"
    path = "read"
    title = button = _("Read the status now")
    # To look at rows does not entitle anybody to call Mollie, whose calls are counted.
    permission = "send"
    limit = MOST_READINGS
    has_time_budget = True

    def heading(self, count: int) -> str:
        text = ngettext(
            "Mollie will be asked about %(counter)s organization",
            "Mollie will be asked about %(counter)s organizations",
            count,
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: Organization) -> Words:
        return "" if row.is_connected else _("It is not connected, so Mollie cannot be asked about it.")

    def act(self, request: HttpRequest, row: Organization) -> Words:
        is_read = services.check_onboarding_status(row)
        return "" if is_read else _("It was read less than a minute ago.")

    def done(self, count: int) -> str:
        text = ngettext("%d organization was read.", "%d organizations were read.", count)
        return text % count


class RevokeAgain(OneByOne):
    name = "revoke_again"
    path = "revoke"
    title = button = _("Revoke again")
    permission = "disconnect"
    limit = MOST_READINGS
    has_time_budget = True
    notes = (_("These organizations are disconnected here, but Mollie has not confirmed it yet."),)

    def heading(self, count: int) -> str:
        text = ngettext(
            "Mollie will be asked to revoke the tokens of %(counter)s organization",
            "Mollie will be asked to revoke the tokens of %(counter)s organizations",
            count,
        )
        return text % {"counter": count}

    def reason_to_skip(self, row: Organization) -> Words:
        return _("Nothing is waiting to be revoked.") if row.pending_revocation is None else ""

    def act(self, request: HttpRequest, row: Organization) -> Words:
        outcome = services.revoke_tokens(row.pk)
        if outcome is None:
            return _("Nothing is waiting to be revoked.")
        return "" if outcome else _("Mollie did not confirm it. It is tried again by itself.")

    def done(self, count: int) -> str:
        text = ngettext(
            "The tokens of %d organization were revoked.",
            "The tokens of %d organizations were revoked.",
            count,
        )
        return text % count
