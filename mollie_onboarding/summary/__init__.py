"""How far a merchant is, in words: for the merchant page, for the platform's own pages, and as JSON.

Nothing here calls Mollie or writes. What Mollie says is as old as `read_at`.
"""

from __future__ import annotations

from .checklist import ChecklistItem, checklist
from .overview import OnboardingSummary, onboarding_summary, summarize
from .requirements import RequirementSummary
from .standing import find_answered_request, find_standing, page_status

__all__ = [
    "ChecklistItem",
    "OnboardingSummary",
    "RequirementSummary",
    "checklist",
    "find_answered_request",
    "find_standing",
    "onboarding_summary",
    "page_status",
    "summarize",
]
