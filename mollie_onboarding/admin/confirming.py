"""Actions that ask first: a page says whom they concern and whom not, and posts again with `post=yes`.

The same action is in the list's menu and a button on the row's own page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

if TYPE_CHECKING:
    ModelAdminBase = admin.ModelAdmin[Any]
else:
    ModelAdminBase = admin.ModelAdmin

SHOWN_ON_CONFIRMATION = 100  # rows by name; the others are counted
MOST_ROWS = 1000  # at once, of an action that holds them all

Words = str | Promise
Skipped = list[tuple[Any, Words]]


def asked_at(request: HttpRequest) -> datetime:
    """When the confirmation was shown; now, where it does not say so.

    What was done since then was done by the same press, made twice, or by a colleague's.
    """
    try:
        at = parse_datetime(request.POST.get("asked_at", ""))
        return at.astimezone(UTC) if at and timezone.is_aware(at) else timezone.now()
    except (ValueError, OverflowError):  # a year that is none in UTC
        return timezone.now()


class ConfirmedAction(ABC):
    """One thing that operators do to rows. An instance is an admin action, as Django calls them."""

    name: str  # in the menu of the list
    path: str  # of the button's address
    title: Words
    button: Words
    permission: str  # of the admin's `has_<permission>_permission`
    is_dangerous = False
    notes: Sequence[Words] = ()  # what to know before
    limit: int | None = None  # rows at once
    do_not_call_in_templates = True

    @abstractmethod
    def heading(self, count: int) -> str:
        """How many rows are concerned, in words."""

    @abstractmethod
    def reason_to_skip(self, row: Any) -> Words:
        """Why nothing is done to this row; '' when something is."""

    def line(self, row: Any) -> Words:
        """The row on the confirmation."""
        return str(row)

    def details(self, row: Any) -> Iterable[Words]:
        """What else is to be said of a row that is concerned."""
        return ()

    @abstractmethod
    def run(self, request: HttpRequest, rows: list[Any]) -> None:
        """Act, and report in messages."""

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def short_description(self) -> Words:
        return self.title

    @property
    def allowed_permissions(self) -> list[str]:
        return [self.permission]

    def __call__(
        self, modeladmin: ConfirmingAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Of the list, as Django calls it."""
        return self.ask_or_run(modeladmin, request, queryset)

    def ask_or_run(
        self, modeladmin: ConfirmingAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        rows = list(confirmed_rows(request, queryset)[: MOST_ROWS + 1])
        if len(rows) > MOST_ROWS:
            text = _("This works for at most %(most)d rows at once: narrow the list down first.")
            messages.error(request, text % {"most": MOST_ROWS})
            return None
        if not is_confirmed(request):
            return self.ask(modeladmin, request, rows)
        report_missing(request, len(rows))
        self.run(request, rows)
        return None

    def sort_out(self, rows: list[Any]) -> tuple[list[Any], Skipped]:
        """The rows that are concerned, and the others with the reason."""
        affected: list[Any] = []
        skipped: Skipped = []
        for row in rows:
            reason = self.reason_to_skip(row)
            if not reason and self.limit and len(affected) == self.limit:
                reason = ngettext("Only %d at once.", "Only %d at once.", self.limit) % self.limit
            if reason:
                skipped.append((row, reason))
            else:
                affected.append(row)
        return affected, skipped

    def ask(
        self, modeladmin: ConfirmingAdmin, request: HttpRequest, rows: list[Any], **more: Any
    ) -> HttpResponse:
        """The confirmation page. It changes nothing. `more` goes into its context."""
        affected, skipped = self.sort_out(rows)
        opts = modeladmin.opts
        changelist = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        context = {
            **modeladmin.admin_site.each_context(request),
            "title": self.title,
            "opts": opts,
            "media": modeladmin.media,
            "action": self,
            "heading": self.heading(len(affected)),
            "back_url": modeladmin.address_of(rows[0]) if len(rows) == 1 else changelist,
            # A form may have 1,000 fields only (DATA_UPLOAD_MAX_NUMBER_FIELDS), a selection across pages more rows.
            "is_across": is_across(request),
            "asked_at": timezone.now().isoformat(),
            "rows": rows,
            "names_all": True,
            "notes": self.notes,
            "affected": [(self.line(row), self.details(row)) for row in affected[:SHOWN_ON_CONFIRMATION]],
            "affected_count": len(affected),
            "more_affected": max(0, len(affected) - SHOWN_ON_CONFIRMATION),
            "skipped": skipped[:SHOWN_ON_CONFIRMATION],
            "skipped_count": len(skipped),
            "more_skipped": max(0, len(skipped) - SHOWN_ON_CONFIRMATION),
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            **more,
        }
        return TemplateResponse(request, "admin/mollie_onboarding/confirmation.html", context)


def is_confirmed(request: HttpRequest) -> bool:
    return request.POST.get("post") == "yes"


def is_across(request: HttpRequest) -> bool:
    """Whether all rows of the list are meant, on whatever page."""
    return request.POST.get("select_across") == "1"


def confirmed_rows(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    """The rows of an action. Of a selection across pages the confirmation names them all in one field."""
    confirmed = request.POST.get("confirmed", "").split()
    try:
        return rows.filter(pk__in=confirmed) if confirmed else rows
    except (ValidationError, ValueError):
        return rows.none()  # no keys: tampered with


def report_missing(request: HttpRequest, found: int) -> None:
    """A row that was chosen may be deleted by now, or have left the list through its filters."""
    selected = [] if is_across(request) else request.POST.getlist(ACTION_CHECKBOX_NAME)
    chosen = set(request.POST.get("confirmed", "").split() or selected)
    if (missing := len(chosen) - found) > 0:
        text = ngettext(
            "%d row is no longer in this list; nothing was done to it.",
            "%d rows are no longer in this list; nothing was done to them.",
            missing,
        )
        messages.warning(request, text % missing)


def report_skipped(request: HttpRequest, skipped: Skipped) -> None:
    """Each row with the reason, as far as they fit."""
    for row, reason in skipped[:SHOWN_ON_CONFIRMATION]:
        messages.warning(request, f"{row}: {reason}")
    if more := len(skipped[SHOWN_ON_CONFIRMATION:]):
        text = ngettext("%d more was skipped.", "%d more were skipped.", more)
        messages.warning(request, text % more)


class AnyQueryAdmin(ModelAdminBase):
    """An admin without the query to which Django's own answers 500."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # `?_to_field=` names no field, and Django looks for one of that name.
        return super().get_object(request, object_id, from_field or None)


class ConfirmingAdmin(AnyQueryAdmin):
    """An admin whose actions are buttons too: GET asks, POST acts."""

    page_actions: Sequence[ConfirmedAction] = ()  # buttons only
    pk_converter = "int"  # of Django's path()

    class Media:
        css = {"all": ["mollie_onboarding/admin.css"]}  # noqa: RUF012 (as Django reads it)

    def confirmed_actions(self) -> list[ConfirmedAction]:
        listed = [action for action in self.actions or () if isinstance(action, ConfirmedAction)]
        return [*listed, *self.page_actions]

    def get_urls(self) -> list[URLPattern]:
        return [*(self._url_of(action) for action in self.confirmed_actions()), *super().get_urls()]

    def _url_of(self, action: ConfirmedAction) -> URLPattern:
        def view(request: HttpRequest, object_id: Any) -> HttpResponse:
            if not self.may_act(request, action):
                raise PermissionDenied
            rows = self.get_queryset(request).filter(pk=object_id)
            return action.ask_or_run(self, request, rows) or HttpResponseRedirect(self._address(object_id))

        # What was done stays done, whatever fails after it; and some actions call Mollie.
        return path(
            f"<{self.pk_converter}:object_id>/{action.path}/",
            transaction.non_atomic_requests(self.admin_site.admin_view(view)),
            name=f"{self.opts.app_label}_{self.opts.model_name}_{action.path}",
        )

    def may_act(self, request: HttpRequest, action: ConfirmedAction) -> bool:
        has_permission = getattr(self, f"has_{action.permission}_permission")
        return has_permission(request) and self.has_view_permission(request)

    def button(self, request: HttpRequest, action: ConfirmedAction, row: Any) -> dict[str, Any] | None:
        """The action as a link to its confirmation; None where it may not be done, or does nothing."""
        if not self.may_act(request, action) or action.reason_to_skip(row):
            return None
        return {"title": action.button, "url": self._address(row.pk, action.path)}

    def address_of(self, row: Any) -> str:
        return self._address(row.pk)

    def _address(self, pk: Any, name: str = "change") -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=[pk])

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if obj := kwargs.get("obj"):
            listed = [action for action in self.confirmed_actions() if action not in self.page_actions]
            buttons = [self.button(request, action, obj) for action in listed]
            context["buttons"] = [button for button in buttons if button]
        return super().render_change_form(request, context, *args, **kwargs)
