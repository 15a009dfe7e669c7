"""What the funnel's page shows: the form, the steps with the lists behind them, and where its tables are."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.funnel import (
    PERIODS,
    SHOWN_BATCHES,
    Selection,
    Source,
    Step,
    build_funnel,
    draw_steps,
    draw_weeks,
)
from mollie_onboarding.models import Batch, Stage

from .funnel_csv import TABLES
from .labels import format_moment

CHANGE_LIST = "admin:mollie_onboarding_clientlink_changelist"


def period_label(period: str) -> str:
    if period == "all":
        return gettext("All weeks")
    return ngettext("Last %d week", "Last %d weeks", int(period)) % int(period)


def batch_label(batch: Batch) -> str:
    """When, from which file, how many merchants, and whose: without words, for the same in every language."""
    parts = [str(batch.count), *([str(batch.created_by)] if batch.created_by else [])]
    return " ".join(
        filter(None, (format_moment(batch.created_at), batch.description, f"({', '.join(parts)})"))
    )


class FunnelForm(forms.Form):
    """What is shown. A value that is missing or unknown is the default."""

    # None is required: "All batches" is the empty value, with which a browser would not send the form.
    weeks = forms.ChoiceField(label=_("Period"), required=False)
    source = forms.ChoiceField(label=_("Merchants"), choices=Source.choices, required=False)
    batch = forms.ChoiceField(label=_("Batch"), required=False)

    def __init__(self, selection: Selection) -> None:
        shown = {
            "weeks": selection.period,
            "source": selection.source.value,
            "batch": selection.batch_id.hex if selection.batch_id else "",
        }
        super().__init__(shown)
        self.query = urlencode(shown)
        periods = [*map(str, PERIODS), "all"]
        self.fields["weeks"].choices = [(period, period_label(period)) for period in periods]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["batch"].choices = [("", _("All batches")), *_batch_choices(selection)]  # type: ignore[attr-defined]  # a ChoiceField


def _batch_choices(selection: Selection) -> list[tuple[str, str]]:
    """The last batches, and the one that was chosen."""
    known = Batch.objects.select_related("created_by")
    started = known.filter(started_at__isnull=False).order_by("-started_at")
    batches = {batch.pk: batch for batch in started[:SHOWN_BATCHES]}
    if selection.batch_id and selection.batch_id not in batches:
        batches |= known.in_bulk([selection.batch_id])
    return [(pk.hex, batch_label(batch)) for pk, batch in batches.items()]


def build_page(selection: Selection) -> dict[str, Any]:
    """The context of the page."""
    funnel = build_funnel(selection, timezone.now())
    form = FunnelForm(selection)
    return {
        "form": form,
        "funnel": funnel,
        "steps": [(step, address_of_waiting(step, selection)) for step in funnel.steps],
        "batches": [(cohort, batch_label(cohort.batch)) for cohort in funnel.batches],
        "steps_plot": draw_steps(funnel.steps),
        "weeks_plot": "" if funnel.is_empty else draw_weeks(funnel.weeks),
        "csv_urls": addresses_of_tables(form.query),
    }


def addresses_of_tables(query: str) -> dict[str, str]:
    """Where each table is as CSV, of what the page shows."""
    address = reverse("admin:mollie_onboarding_clientlink_funnel_csv")
    return {name: f"{address}?table={name}&{query}" for name in TABLES}


def address_of_waiting(step: Step, selection: Selection) -> str:
    """The list of all who wait at a stage; '' where nobody does."""
    if step.is_last or not step.waiting:
        return ""
    return f"{reverse(CHANGE_LIST)}?{urlencode({'stage': f'{step.stage}.{selection.to_text()}'})}"


def describe(stage: Stage, selection: Selection) -> str:
    """The selection in words, and the stage that is looked at."""
    words = [stage.label, period_label(selection.period), selection.source.label]
    if selection.batch_id and (batch := Batch.objects.filter(pk=selection.batch_id).first()):
        words.append(batch_label(batch))
    return ", ".join(map(str, words))
