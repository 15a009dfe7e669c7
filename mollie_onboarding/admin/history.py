"""The history of a merchant and of an organization, as people read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import ClientLink, Event, Organization, label_of

from .confirming import Words
from .labels import EMPTY, EVENT_LABELS

SHOWN_EVENTS = 100

DATA_LABELS = {
    "mollie_id": _("id at Mollie"),
    "organization_id": _("organization id"),
    "identity_check": _("identity check"),
    "problem": _("problem"),
    "error": _("error"),
    "reason": _("reason"),
    "delivery_status": _("mail"),
    "columns": _("changed"),
    "client_links": _("merchants"),
    "old": _("before"),
    "new": _("now"),
    "onboarding_status": _("onboarding status"),
    "can_receive_payments": _("can receive payments"),
    "can_receive_settlements": _("can receive settlements"),
}


def show_history(events: QuerySet[Event], *, with_merchants: bool = False) -> str | SafeString:
    """The newest events, one line each: when, what, the particulars, who."""
    newest = events.select_related("actor", "client_link").order_by("-at", "-pk")[:SHOWN_EVENTS]
    rows = (
        (
            timezone.localtime(event.at).strftime("%Y-%m-%d %H:%M:%S"),
            EVENT_LABELS.get(event.kind, event.kind),
            f"({particulars})" if (particulars := "; ".join(_particulars(event, with_merchants))) else "",
            _("by %s") % event.actor if event.actor else "",
        )
        for event in newest
    )
    return format_html_join("", "<div>{} {} {} {}</div>", rows) or EMPTY


def _particulars(event: Event, with_merchants: bool) -> Iterator[str]:
    if with_merchants and event.client_link:
        yield str(event.client_link)
    for key, value in _in_order(event.data):
        yield f"{DATA_LABELS.get(key, key)}: {_readable(key, value)}"


def _in_order(data: dict[str, Any]) -> list[tuple[str, Any]]:
    """As the labels above are; some databases keep no order of their own."""
    places = list(DATA_LABELS)
    return sorted(data.items(), key=lambda item: places.index(item[0]) if item[0] in places else len(places))


def _readable(key: str, value: Any) -> Words:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return ", ".join(
            f"{DATA_LABELS.get(name, name)}: {_readable(name, one)}" for name, one in _in_order(value)
        )
    if isinstance(value, list):
        return ", ".join(_column(str(item)) for item in value)
    in_words = WORDS.get(key)
    return in_words(str(value)) if in_words else str(value)


def _column(name: str) -> str:
    try:
        return label_of(name.removesuffix("_id"))
    except FieldDoesNotExist:
        return name


def _choice(choices: Any) -> Callable[[str], str]:
    return lambda value: str(dict(choices.choices).get(value, value))


WORDS = {
    "delivery_status": _choice(ClientLink.DeliveryStatus),
    "identity_check": _choice(ClientLink.IdentityCheck),
    "problem": _choice(ClientLink.Problem),
    "onboarding_status": _choice(Organization.OnboardingStatus),
}
