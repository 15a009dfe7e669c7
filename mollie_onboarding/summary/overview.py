"""The summary itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.conf import conf
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Organization, Status
from mollie_onboarding.mollie_api.addresses import is_dashboard_url

from .requirements import RequirementSummary, find_requirements
from .standing import find_standing, page_status
from .words import DOCUMENTED, HEADLINES, NEW_CONSENT, WORDS, Onboarding


@dataclass(frozen=True, kw_only=True)
class OnboardingSummary:
    """How far a merchant is, in the language that was active; `dataclasses.asdict` makes JSON of it.

    `status` is the word of the merchant page's `data-status`, or `none` where there is no client link. `action_url` may
    be the merchant page, and is a secret then: whoever has it can connect. It is '' where there is nothing to press.
    """

    status: str
    headline: str
    sentences: tuple[str, ...]
    can_receive_payments: bool = False
    can_receive_settlements: bool = False
    is_done: bool = False
    requirements: tuple[RequirementSummary, ...] = ()
    dashboard_url: str = ""
    read_at: datetime | None = None
    is_stale: bool = False
    needs_new_consent: bool = False
    action_label: str = ""
    action_url: str = field(default="", repr=False)


def onboarding_summary(client_link: ClientLink | None, *, signup_url: str = "") -> OnboardingSummary:
    """Where a merchant stands, what that means, and what the button of the platform's page should say and lead to.

    Takes None for a merchant without a client link; their button leads to `signup_url`, if there is one. At most one
    query for a row whose organization was selected with it, none once it is connected.
    """
    if client_link is None:
        words = WORDS["none"]
        return OnboardingSummary(
            status="none",
            headline=str(words.headline),
            sentences=(_in_full(words.sentence),),
            action_label=str(words.action_label) if signup_url else "",
            action_url=signup_url,
        )
    if _is_settled(client_link):
        return summarize(client_link, None)
    return summarize(*find_standing(client_link))


def summarize(row: ClientLink, answered: AuthorizationRequest | None) -> OnboardingSummary:
    """The summary of what `find_standing` gave."""
    status = page_status(row, answered)
    if status == "connected" and row.organization:
        return _summarize_connected(row, row.organization)
    words = WORDS[_state(row, status, answered)]
    # Only where there is something to press: the page would ask for a new link first.
    if words.action_label and row.has_expired_link(timezone.now()):
        words = WORDS["expired"]
        status = status if row.is_connected else "expired"
    return OnboardingSummary(
        status=status,
        headline=str(words.headline),
        sentences=(_in_full(words.sentence),),
        action_label=str(words.action_label),
        action_url=row.merchant_path() if words.action_label else "",
    )


def _is_settled(row: ClientLink) -> bool:
    """Whether no return from Mollie changes what is said of the row."""
    return row.is_cancelled or (row.is_connected and not row.needs_reconnecting)


def _state(row: ClientLink, status: str, answered: AuthorizationRequest | None) -> str:
    """The key of `WORDS`: the status, and where two states share one, which of them it is."""
    if status == "finishing" and answered and answered.is_interrupted(timezone.now()):
        return "interrupted"
    if status == "lost" and row.organization:
        return row.organization.connection_status
    if status == "error":
        return "rejected" if row.status == Status.REJECTED else "organization_taken"
    return status


def _in_full(sentence: str | Promise) -> str:
    return str(sentence) % {"platform_name": conf.MOLLIE_ONBOARDING_PLATFORM_NAME}


def _summarize_connected(row: ClientLink, organization: Organization) -> OnboardingSummary:
    now = timezone.now()
    requirements = find_requirements(organization.capabilities, now)
    is_done = _facts(organization) == (Onboarding.COMPLETED, True, True)
    summary = OnboardingSummary(
        status="connected",
        headline=_headline(organization, requirements, is_done),
        sentences=tuple(_sentences(organization, requirements)),
        can_receive_payments=organization.can_receive_payments,
        can_receive_settlements=organization.can_receive_settlements,
        is_done=is_done,
        requirements=requirements,
        dashboard_url=organization.dashboard_url if is_dashboard_url(organization.dashboard_url) else "",
        read_at=organization.synced_at,
        is_stale=organization.is_stale(now),
        needs_new_consent=organization.needs_new_consent,
    )
    action_label, action_url = _next_step(row, organization, summary)
    return replace(summary, action_label=action_label, action_url=action_url)


def _facts(organization: Organization) -> tuple[str, bool, bool]:
    return (
        organization.onboarding_status,
        organization.can_receive_payments,
        organization.can_receive_settlements,
    )


def _headline(organization: Organization, requirements: Iterable[RequirementSummary], is_done: bool) -> str:
    if is_done:
        return gettext("Mollie asks for something more") if requirements else gettext("Everything is done")
    return str(HEADLINES.get(organization.onboarding_status, _("Connected with Mollie")))


def _sentences(organization: Organization, requirements: Iterable[RequirementSummary]) -> list[str]:
    meaning = _meaning(organization)
    if organization.needs_new_consent:
        return [_in_full(NEW_CONSENT), *meaning]
    if organization.onboarding_status == Onboarding.IN_REVIEW and not requirements:
        return [*meaning, gettext("You need not do anything now.")]
    return meaning


def _meaning(organization: Organization) -> list[str]:
    """What Mollie says: in one sentence where it documents the combination, else value by value."""
    status = organization.onboarding_status
    if documented := DOCUMENTED.get(_facts(organization)):
        return [str(documented)]
    if not status and organization.synced_at is None:
        return [gettext("Your consent has arrived. Mollie's dashboard shows what is next.")]
    payments = (
        gettext("You can receive payments.")
        if organization.can_receive_payments
        else gettext("You cannot receive payments yet.")
    )
    settlements = (
        gettext("Mollie can pay out to your bank account.")
        if organization.can_receive_settlements
        else gettext("Mollie cannot pay out to your bank account yet.")
    )
    if not status or status in HEADLINES:  # the headline says it
        return [payments, settlements]
    return [gettext("Mollie calls your status “%(status)s”.") % {"status": status}, payments, settlements]


def _next_step(row: ClientLink, organization: Organization, summary: OnboardingSummary) -> tuple[str, str]:
    """What the button of a connected row says and where it leads; two empty texts where there is nothing to do."""
    has_expired_link = row.has_expired_link(timezone.now())
    if summary.needs_new_consent and has_expired_link:
        return str(WORDS["expired"].action_label), row.merchant_path()
    if summary.needs_new_consent:
        return gettext("Agree to more permissions at Mollie"), row.merchant_path()
    url = next((requirement.url for requirement in summary.requirements if requirement.url), "")
    is_waiting = organization.onboarding_status == Onboarding.IN_REVIEW and not summary.requirements
    if not url and (summary.is_done or is_waiting):
        return "", ""
    if url or summary.dashboard_url:
        return gettext("Continue at Mollie"), url or summary.dashboard_url
    # Nobody is mailed a new link who has nothing to agree to: an expired page would be a dead end.
    return ("", "") if has_expired_link else (gettext("See what is next"), row.merchant_path())
