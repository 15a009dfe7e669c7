"""How long merchants take from each stage to the next: true medians, on every database."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q

from mollie_onboarding.models import Stage
from mollie_onboarding.models.client_link_queries import ClientLinkQuerySet

from .counts import STAGES
from .selection import Selection

DAY = timedelta(days=1)


def median_days(selection: Selection, rows: ClientLinkQuerySet) -> dict[Stage, float | None]:
    """For each stage but the first, the median of the days since the one before; None where nobody is known to have both.

    `rows` are the selection's.
    """
    if selection.batch_id:
        rows = rows.annotate(entered_at=F("entered_at"))  # an alias cannot be counted by
    columns = selection.columns
    neighbours = {after: (columns[before], columns[after]) for before, after in pairwise(STAGES)}
    have_both = {stage: _has_both(*names, selection) for stage, names in neighbours.items()}
    known = rows.aggregate(**{stage.value: Count("pk", filter=both) for stage, both in have_both.items()})
    return {
        stage: _median(rows.filter(have_both[stage]), *names, known[stage.value])
        for stage, names in neighbours.items()
    }


def _has_both(before: str, after: str, selection: Selection) -> Q:
    """Who reached both, in this order: a mail that came after the sign-up invited nobody. Of a batch, since its mail."""
    begin = (
        Q(**{f"{before}__gte": F("entered_at")}) if selection.batch_id else Q(**{f"{before}__isnull": False})
    )
    return begin & Q(**{f"{after}__gte": F(before)})


def _median(rows: ClientLinkQuerySet, before: str, after: str, count: int) -> float | None:
    """By the one or two in the middle, which the database finds: no more than two values come over."""
    taken = ExpressionWrapper(F(after) - F(before), output_field=DurationField())
    ordered = rows.annotate(taken=taken).order_by("taken").values_list("taken", flat=True)
    middle = ordered[max(0, count - 1) // 2 : count // 2 + 1]
    days = [duration / DAY for duration in middle]
    return sum(days) / len(days) if days else None
