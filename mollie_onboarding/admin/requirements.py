"""What Mollie still asks of an organization, from the JSON that was stored of it."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.mollie_api.reading import get_datetime, get_objects, get_text

from .labels import format_link

# docs.mollie.com/reference/list-capabilities; every list is open at Mollie, so a word that is missing is shown as it came.
WORDS = {
    "payments": _("Payments"),
    "settlements": _("Payouts"),
    "unrequested": _("not requested"),
    "enabled": _("enabled"),
    "disabled": _("disabled"),
    "pending": _("pending"),
    "requirement-past-due": _("a requirement is overdue"),
    "onboarding-information-needed": _("information is missing"),
    "needs-data": _("Mollie needs more data"),
    "process-first-payment": _("a first payment must be received"),
    "currently-due": _("due"),
    "past-due": _("overdue"),
    "requested": _("requested"),
}


def show_requirements(capabilities: Any) -> SafeString:
    """The capabilities with their requirements as nested lists. Whatever has another shape is left out."""
    items = format_html_join(
        "",
        "<li>{}{}</li>",
        (
            (_describe_capability(capability), _show_list(get_objects(capability, "requirements")))
            for capability in get_objects({"stored": capabilities}, "stored")
        ),
    )
    return format_html('<ul class="mollie-list">{}</ul>', items) if items else SafeString("")


def _describe_capability(capability: dict[str, Any]) -> str:
    status = _word(capability, "status")
    reason = _word(capability, "status_reason")
    return f"{_word(capability, 'name')}: {status}" + (f", {reason}" if reason else "")


def _show_list(requirements: list[dict[str, Any]]) -> SafeString:
    items = format_html_join(
        "",
        "<li>{} {}</li>",
        ((_describe_requirement(item), format_link(get_text(item, "url", 2000))) for item in requirements),
    )
    return format_html("<ul>{}</ul>", items) if items else SafeString("")


def _describe_requirement(item: dict[str, Any]) -> str:
    status = _word(item, "status")
    due_at = get_datetime(item, "due_at")
    due = _("until %s") % due_at.date() if due_at else ""
    details = ", ".join(str(detail) for detail in (status, due) if detail)
    return _word(item, "id") + (f" ({details})" if details else "")


def _word(item: dict[str, Any], key: str) -> str:
    word = get_text(item, key, 100)
    return str(WORDS.get(word, word))
