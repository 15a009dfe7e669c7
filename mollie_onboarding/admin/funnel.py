"""The funnel's page, its tables as CSV, and the filter of the list by stage. Looking changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
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

from .funnel_csv import TABLES, write_table
from .labels import format_moment

if TYPE_CHECKING:
    from .client_links import ClientLinkAdmin

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


class FunnelPages:
    """Two addresses of the client link admin, for who may look at client links."""

    def __init__(self, modeladmin: ClientLinkAdmin) -> None:
        self.modeladmin = modeladmin

    def urls(self) -> list[URLPattern]:
        protect = self.modeladmin.admin_site.admin_view
        return [
            path("funnel/", protect(self.page), name="mollie_onboarding_clientlink_funnel"),
            path("funnel.csv", protect(self.export), name="mollie_onboarding_clientlink_funnel_csv"),
        ]

    def read_selection(self, request: HttpRequest) -> Selection:
        if not self.modeladmin.has_view_permission(request):
            raise PermissionDenied
        asked_for = request.GET
        return Selection.parse(*(asked_for.get(name, "") for name in ("weeks", "source", "batch")))

    def page(self, request: HttpRequest) -> HttpResponse:
        selection = self.read_selection(request)
        funnel = build_funnel(selection, timezone.now())
        form = FunnelForm(selection)
        context = {
            **self.modeladmin.admin_site.each_context(request),
            "title": gettext("Funnel"),
            "opts": self.modeladmin.opts,
            "media": self.modeladmin.media,
            "form": form,
            "funnel": funnel,
            "steps": [(step, address_of_waiting(step, selection)) for step in funnel.steps],
            "batches": [(cohort, batch_label(cohort.batch)) for cohort in funnel.batches],
            "steps_plot": draw_steps(funnel.steps),
            "weeks_plot": "" if funnel.is_empty else draw_weeks(funnel.weeks),
            "csv_urls": addresses_of_tables(form.query),
        }
        return TemplateResponse(request, "admin/mollie_onboarding/clientlink/funnel.html", context)

    def export(self, request: HttpRequest) -> HttpResponse:
        """One of the tables."""
        return write_table(request.GET.get("table", ""), self.read_selection(request), timezone.now())


def addresses_of_tables(query: str) -> dict[str, str]:
    """Where each table is as CSV, of what the page shows."""
    address = reverse("admin:mollie_onboarding_clientlink_funnel_csv")
    return {name: f"{address}?table={name}&{query}" for name in TABLES}


def address_of_waiting(step: Step, selection: Selection) -> str:
    """The list of all who wait at a stage; '' where nobody does."""
    if step.is_last or not step.waiting:
        return ""
    return f"{reverse(CHANGE_LIST)}?{urlencode({'stage': f'{step.stage}.{selection.to_text()}'})}"


class StageFilter(admin.SimpleListFilter):
    """Who came as far as a stage and no further. From the funnel it comes with the funnel's selection in the same word."""

    title = _("stage")
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        stages: list[tuple[str, Any]] = list(Stage.choices)
        value = self.value() or ""
        stage, _dot, selection = value.partition(".")
        if selection and stage in Stage.values:
            stages.append((value, _name(Stage(stage), Selection.from_text(selection))))
        return stages

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        stage, _dot, selection = (self.value() or "").partition(".")
        if stage not in Stage.values:
            return queryset
        if selection:
            chosen = Selection.from_text(selection)
            return chosen.find_waiting(chosen.narrow(queryset, timezone.now()), Stage(stage))
        return queryset.waiting_at(Stage(stage))


def _name(stage: Stage, selection: Selection) -> str:
    words = [stage.label, period_label(selection.period), selection.source.label]
    if selection.batch_id and (batch := Batch.objects.filter(pk=selection.batch_id).first()):
        words.append(batch_label(batch))
    return ", ".join(map(str, words))
