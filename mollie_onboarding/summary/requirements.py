"""What Mollie still asks of a merchant, from the JSON that was stored of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.mollie_api.addresses import is_dashboard_url
from mollie_onboarding.mollie_api.reading import get_datetime, get_objects, get_text

# Of a due date: a template cannot bring the two ends of the calendar into every time zone.
YEARS = range(2000, 9999)
NEVER = datetime.max.replace(tzinfo=UTC)

# docs.mollie.com/reference/list-capabilities; both lists are open at Mollie.
CAPABILITIES = {"payments": _("payments"), "settlements": _("payouts")}
REQUIREMENTS = {
    "needs-data": _("Give Mollie the data that it still needs"),
    "process-first-payment": _("Receive a first payment"),
}


@dataclass(frozen=True)
class RequirementSummary:
    """Something that Mollie still asks of the merchant, and where at Mollie it is done ('' where that is not known).

    `capability` is what it is needed for, in words: `payments and payouts`.
    """

    text: str
    capability: str
    due_at: datetime | None
    is_overdue: bool
    url: str


def find_requirements(capabilities: Any, now: datetime) -> tuple[RequirementSummary, ...]:
    """What is overdue first, then by due date. The column is JSON: whatever has another shape is left out."""
    found: dict[tuple[str, str], list[tuple[str, datetime | None, bool]]] = defaultdict(list)
    for capability in get_objects({"stored": capabilities}, "stored"):
        name = get_text(capability, "name", 50)
        for item in get_objects(capability, "requirements"):
            if requirement_id := get_text(item, "id", 100):
                url = get_text(item, "url", 2000)
                key = (requirement_id, url if is_dashboard_url(url) else "")
                due_at = _due_at(item)
                is_overdue = item.get("status") == "past-due" or (due_at is not None and due_at <= now)
                found[key].append((name, due_at, is_overdue))
    summaries = [
        RequirementSummary(
            text=str(REQUIREMENTS.get(requirement_id) or _readable(requirement_id)),
            capability=_all_of(name for name, _due, _late in uses),
            due_at=min((due_at for _name, due_at, _late in uses if due_at), default=None),
            is_overdue=any(is_overdue for _name, _due, is_overdue in uses),
            url=url,
        )
        for (requirement_id, url), uses in found.items()
    ]
    return tuple(sorted(summaries, key=lambda summary: (not summary.is_overdue, summary.due_at or NEVER)))


def _due_at(item: dict[str, Any]) -> datetime | None:
    due_at = get_datetime(item, "due_at")
    return due_at if due_at and due_at.year in YEARS else None


def _all_of(names: Iterable[str]) -> str:
    words = [str(CAPABILITIES.get(name) or name.replace("-", " ")) for name in dict.fromkeys(names) if name]
    return get_text_list(words, gettext("and"))


def _readable(word: str) -> str:
    """A word of Mollie's that is not known here: as it came, but with spaces and a capital."""
    return capfirst(" ".join(word.replace("-", " ").replace("_", " ").split())) or word
