"""The tables of the funnel as CSV. Columns and words are the same in every language: spreadsheets and scripts read them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.utils import timezone

from mollie_onboarding.funnel import Selection, build_funnel, count_batches, count_weeks
from mollie_onboarding.models import Stage
from mollie_onboarding.spreadsheets.columns import neutralize

Lines = Iterator[list[Any]]

LATER_STAGES = [stage.value for stage in Stage][1:]


def list_weeks(selection: Selection, now: datetime) -> Lines:
    yield ["week", "monday", "entered", *LATER_STAGES]
    for week in count_weeks(selection, now):
        yield [week.name or "before", week.monday or "", *week.counts.reached]


def list_batches(selection: Selection, now: datetime) -> Lines:
    """The last batches, whatever is selected, as the page has them."""
    yield ["batch", "started_at", "description", "invited", *LATER_STAGES]
    for cohort in count_batches():
        batch = cohort.batch
        started_at = timezone.localtime(batch.started_at).isoformat(timespec="seconds")
        yield [batch.pk.hex, started_at, neutralize(batch.description), *cohort.counts.reached]


def list_steps(selection: Selection, now: datetime) -> Lines:
    """The stages, with the days between; percents as whole numbers."""
    yield ["stage", "merchants", "of_all", "of_previous", "median_days", "waiting", "left"]
    for number, step in enumerate(build_funnel(selection, now).steps):
        yield [
            step.stage.value if number else "entered",
            step.count,
            _number(step.share),
            _number(step.share_of_previous),
            _number(step.median_days and round(step.median_days, 2)),
            step.waiting,
            step.left,
        ]


def _number(value: float | None) -> float | str:
    return "" if value is None else value


TABLES: dict[str, Callable[[Selection, datetime], Lines]] = {
    "weeks": list_weeks,
    "batches": list_batches,
    "steps": list_steps,
}


def write_table(name: str, selection: Selection, now: datetime) -> HttpResponse:
    """One of the tables, as a file; for any other name the weeks."""
    known = name if name in TABLES else "weeks"
    file_name = "funnel.csv" if known == "weeks" else f"funnel-{known}.csv"
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"'},
    )
    csv.writer(response).writerows(TABLES[known](selection, now))
    return response
