"""The funnel's addresses, and the filter of the list by stage. Looking changes nothing.

What they show is imported when somebody looks: no other page needs it, and nor does a start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import Stage

if TYPE_CHECKING:
    from mollie_onboarding.funnel import Selection

    from .client_links import ClientLinkAdmin


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
        from mollie_onboarding.funnel import Selection

        if not self.modeladmin.has_view_permission(request):
            raise PermissionDenied
        asked_for = request.GET
        return Selection.parse(*(asked_for.get(name, "") for name in ("weeks", "source", "batch")))

    def page(self, request: HttpRequest) -> HttpResponse:
        from .funnel_page import build_page

        context = {
            **self.modeladmin.admin_site.each_context(request),
            "title": gettext("Funnel"),
            "opts": self.modeladmin.opts,
            "media": self.modeladmin.media,
            **build_page(self.read_selection(request)),
        }
        return TemplateResponse(request, "admin/mollie_onboarding/clientlink/funnel.html", context)

    def export(self, request: HttpRequest) -> HttpResponse:
        """One of the tables."""
        from .funnel_csv import write_table

        return write_table(request.GET.get("table", ""), self.read_selection(request), timezone.now())


class StageFilter(admin.SimpleListFilter):
    """Who came as far as a stage and no further. From the funnel it comes with the funnel's selection in the same word."""

    title = _("stage")
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        stages: list[tuple[str, Any]] = list(Stage.choices)
        value = self.value() or ""
        stage, _dot, selection = value.partition(".")
        if selection and stage in Stage.values:
            from mollie_onboarding.funnel import Selection

            from .funnel_page import describe

            stages.append((value, describe(Stage(stage), Selection.from_text(selection))))
        return stages

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        stage, _dot, selection = (self.value() or "").partition(".")
        if stage not in Stage.values:
            return queryset
        if selection:
            from mollie_onboarding.funnel import Selection

            chosen = Selection.from_text(selection)
            return chosen.find_waiting(chosen.narrow(queryset, timezone.now()), Stage(stage))
        return queryset.waiting_at(Stage(stage))
