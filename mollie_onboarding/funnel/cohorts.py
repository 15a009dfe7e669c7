"""Merchants who entered together: in one week, or by one batch. One grouped query each."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from itertools import dropwhile
from typing import Any

from django.db.models import BooleanField, Case, Count, IntegerField, Value, When
from django.db.models.expressions import Combinable

from mollie_onboarding.models import Batch, ClientLink, Stage
from mollie_onboarding.models.client_link_queries import HAS_LEFT, ClientLinkQuerySet
from mollie_onboarding.models.stages import stage_reached_since

from .counts import Counts
from .selection import Selection, mailed_by
from .weeks import begin_of, mondays

MOST_WEEKS = 52  # one by one; what was before them is one cohort
SHOWN_BATCHES = 20


@dataclass(frozen=True)
class WeekCohort:
    """Who entered in the week that begins on `monday`; None: in any week before the others."""

    monday: date | None
    counts: Counts

    @property
    def name(self) -> str:
        """As ISO 8601 names it, `2026-W31`; '' for the weeks before the others."""
        if self.monday is None:
            return ""
        year, week, _day = self.monday.isocalendar()
        return f"{year}-W{week:02}"

    @property
    def short_name(self) -> str:
        """Without the year; `…` for the weeks before the others."""
        return self.name.partition("-")[2] or "…"


@dataclass(frozen=True)
class BatchCohort:
    """Whom one batch mailed, and how far they came since."""

    batch: Batch
    counts: Counts


def count_weeks(selection: Selection, now: datetime) -> list[WeekCohort]:
    """The weeks of the selection, oldest first. Without a period they begin with the first that anybody entered in."""
    days = mondays(selection.weeks or MOST_WEEKS, now)
    rows = selection.find(now).annotate(
        begun=_count_begun([begin_of(day) for day in days], 0, len(days)),
    )
    by_week: dict[int, Counts] = _group(rows, "begun", selection.stage_reached)
    cohorts = [WeekCohort(monday, by_week.get(begun, Counts())) for begun, monday in enumerate([None, *days])]
    if selection.weeks is None:
        return list(dropwhile(lambda cohort: not cohort.counts.total, cohorts))
    return cohorts[1:]  # nobody entered before the period


def _count_begun(begins: list[datetime], low: int, high: int) -> Combinable:
    """How many of these weeks had begun as the merchant entered, between `low` and `high`.

    By halves, and by moments: not every database knows the time zone, and each row is compared six times, not fifty.
    """
    if low == high:
        return Value(low)
    middle = (low + high) // 2
    return Case(
        When(entered_at__lt=begins[middle], then=_count_begun(begins, low, middle)),
        default=_count_begun(begins, middle + 1, high),
        output_field=IntegerField(),
    )


def count_batches() -> list[BatchCohort]:
    """The last batches that were started, newest first."""
    batches = Batch.objects.filter(started_at__isnull=False).select_related("created_by")
    shown = list(batches.order_by("-started_at")[:SHOWN_BATCHES])
    rows = mailed_by(ClientLink.objects.all(), [batch.pk for batch in shown])
    by_batch: dict[uuid.UUID, Counts] = _group(rows, "batch_items__batch", stage_reached_since("entered_at"))
    return [BatchCohort(batch, by_batch.get(batch.pk, Counts())) for batch in shown]


def _group(rows: ClientLinkQuerySet, key: str, reached: Combinable) -> dict[Any, Counts]:
    """Counts by the values of a column or annotation. Rows without a stage are not in the funnel yet."""
    has_left = Case(When(HAS_LEFT, then=Value(True)), default=Value(False), output_field=BooleanField())
    found = rows.annotate(reached=reached, has_left=has_left).order_by().values(key, "reached", "has_left")
    grouped: dict[Any, list[tuple[Stage, bool, int]]] = defaultdict(list)
    for line in found.annotate(count=Count("pk")):
        if line["reached"]:
            grouped[line[key]].append((Stage(line["reached"]), bool(line["has_left"]), line["count"]))
    return {value: Counts.of(counts) for value, counts in grouped.items()}
