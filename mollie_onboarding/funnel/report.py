"""All of a funnel, as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import Stage

from .cohorts import BatchCohort, WeekCohort, count_batches, count_weeks
from .counts import STAGES, Counts, percentage
from .durations import median_days
from .selection import Selection, Source
from .waiting import MerchantWaiting, find_waiting

# What the first stage is called: who signed up was invited by nobody.
ENTRY_LABELS = {
    Source.ALL: _("Invited or signed up"),
    Source.INVITED: Stage.INVITED.label,
    Source.SIGNED_UP: _("Signed up"),
}


@dataclass(frozen=True)
class Step:
    """One stage: how many reached it, which shares they are in percent, and what became of who came no further."""

    stage: Stage
    label: str | Promise
    count: int
    share: int | None  # of all
    share_of_previous: int | None
    median_days: float | None  # since the stage before
    waiting: int
    left: int
    longest: tuple[MerchantWaiting, ...]

    @property
    def is_last(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.stage == STAGES[-1]


@dataclass(frozen=True)
class Funnel:
    selection: Selection
    steps: tuple[Step, ...]
    weeks: tuple[WeekCohort, ...]
    batches: tuple[BatchCohort, ...]

    @property
    def is_empty(self) -> bool:
        return not self.steps[0].count


def build_funnel(selection: Selection, now: datetime) -> Funnel:
    """The funnel of a selection, with a number of statements that does not depend on what is in it."""
    weeks = count_weeks(selection, now)
    counts = sum((week.counts for week in weeks), Counts())
    return Funnel(selection, _steps(selection, counts, now), tuple(weeks), tuple(count_batches()))


def _steps(selection: Selection, counts: Counts, now: datetime) -> tuple[Step, ...]:
    rows = selection.find(now)
    medians = median_days(selection, rows)
    reached = counts.reached
    return tuple(
        Step(
            stage=stage,
            label=stage.label if number or selection.batch_id else ENTRY_LABELS[selection.source],
            count=reached[number],
            share=percentage(reached[number], counts.total),
            share_of_previous=percentage(reached[number], reached[number - 1]) if number else None,
            median_days=medians.get(stage),
            waiting=counts.waiting[number],
            left=counts.left[number],
            longest=() if stage == STAGES[-1] else tuple(find_waiting(selection, rows, stage)),
        )
        for number, stage in enumerate(STAGES)
    )
