"""The funnel: how many merchants came how far, when, in how many days, and who waits longest.

Nothing here writes, calls Mollie, or knows of the admin.
"""

from __future__ import annotations

from .cohorts import SHOWN_BATCHES, BatchCohort, WeekCohort, count_batches, count_weeks
from .counts import Counts
from .plots import draw_steps, draw_weeks
from .report import Funnel, Step, build_funnel
from .selection import PERIODS, Selection, Source
from .waiting import MerchantWaiting

__all__ = [
    "PERIODS",
    "SHOWN_BATCHES",
    "BatchCohort",
    "Counts",
    "Funnel",
    "MerchantWaiting",
    "Selection",
    "Source",
    "Step",
    "WeekCohort",
    "build_funnel",
    "count_batches",
    "count_weeks",
    "draw_steps",
    "draw_weeks",
]
