"""Client link requests: the list, the row, and the actions on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mollie_onboarding import services
from mollie_onboarding.forms import LegalEntityInput, country_choices, locale_choices
from mollie_onboarding.models import ATTENTION_AFTER, BODY_COLUMNS, ClientLink, Event, Organization, Status
from mollie_onboarding.mollie_api import column_of

from .filters import AttentionFilter, ExpiredFilter
from .labels import EMPTY, EVENT_LABELS, format_day

if TYPE_CHECKING:
    ClientLinkAdminBase = admin.ModelAdmin[ClientLink]
    ClientLinkModelForm = forms.ModelForm[ClientLink]
else:
    ClientLinkAdminBase = admin.ModelAdmin
    ClientLinkModelForm = forms.ModelForm

SHOWN_ON_CONFIRMATION = 100  # rows by name; the others are counted
SHOWN_EVENTS = 100


def _asked_at(request: HttpRequest) -> datetime:
    """When the confirmation was shown; now, where it does not say so.

    What was mailed since then was mailed by the same press, made twice, or by a colleague's.
    """
    try:
        asked_at = parse_datetime(request.POST.get("asked_at", ""))
    except ValueError:
        asked_at = None
    return asked_at if asked_at and timezone.is_aware(asked_at) else timezone.now()


class ClientLinkForm(ClientLinkModelForm):
    """The body of the request, with Mollie's last refusal at the field that it is about."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._replace_by_choices("country", country_choices)
        self._replace_by_choices("owner_locale", locale_choices)
        if "legal_entity" in self.fields:
            self.fields["legal_entity"].widget = LegalEntityInput(attrs={"class": "vTextField"})
        if self.instance.error_status and (column := column_of(self.instance.error_field)) in self.fields:
            self.fields[column].help_text = format_html(
                '<strong class="errornote">{}</strong>',
                _("Mollie says: %(sentence)s") % {"sentence": self.instance.error_detail},
            )

    def _replace_by_choices(self, name: str, choices: Callable[[], Any]) -> None:
        # A row that may only be viewed has no form fields.
        if field := self.fields.get(name):
            self.fields[name] = forms.ChoiceField(label=field.label, choices=choices, required=field.required)


@admin.register(ClientLink)
class ClientLinkAdmin(ClientLinkAdminBase):
    form = ClientLinkForm
    list_display = (
        "organization_name",
        "status",
        "attention",
        "country",
        "expiry",
        "last_sent",
        "organization",
    )
    list_filter = (AttentionFilter, "status", ExpiredFilter, "delivery_status", "problem", "country")
    list_select_related = ("organization",)
    search_fields = ("organization_name", "owner_email", "reference", "=mollie_id")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    show_full_result_count = False
    list_per_page = 100
    actions = ("send_onboarding_link", "cancel")
    raw_id_fields = ("user",)
    # Not editable; the lists above and below name them all the same.
    readonly_fields = (
        "status",
        "attention",
        "warnings",
        "expiry",
        "mollie_answer",
        "merchant_link",
        "delivery",
        "last_sent_at",
        "organization_at_mollie",
        "identity_check",
        "history",
    )

    # What may be seen and done.

    def get_fieldsets(self, request: HttpRequest, obj: ClientLink | None = None) -> Any:
        owner = ("owner_given_name", "owner_family_name", "owner_email", "owner_locale")
        organization = tuple(name for name in BODY_COLUMNS if not name.startswith("owner_"))
        fieldsets: list[tuple[Any, dict[str, Any]]] = [
            (_("Organization"), {"fields": organization}),
            (_("Owner"), {"fields": owner}),
            (_("On this platform"), {"fields": ("reference", "user")}),
        ]
        if obj is None:
            return fieldsets
        link = ("merchant_link",) if self.has_send_permission(request) else ()
        state = (
            _("Where it stands"),
            {
                "fields": (
                    "status",
                    "attention",
                    "mollie_answer",
                    "warnings",
                    "delivery",
                    "last_sent_at",
                    *link,
                    "expiry",
                    "organization_at_mollie",
                    "identity_check",
                )
            },
        )
        return [state, *fieldsets, (_("History"), {"fields": ("history",)})]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        # MariaDB and MySQL cannot tell the days apart before their time zone tables are filled (mysql_tzinfo_to_sql):
        # the list would be an error page.
        if not connections[changelist.queryset.db].features.has_zoneinfo_database:
            changelist.date_hierarchy = None
        return changelist

    def has_change_permission(self, request: HttpRequest, obj: ClientLink | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.is_cancelled)

    def has_delete_permission(self, request: HttpRequest, obj: ClientLink | None = None) -> bool:
        # Rows are cancelled, so that their history stays. A single one that never connected may be deleted; many at
        # once, which is asked for without an object, may not.
        return obj is not None and not obj.organization_id and super().has_delete_permission(request, obj)

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mollie_onboarding.send_clientlink")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mollie_onboarding.cancel_clientlink")

    def save_model(self, request: HttpRequest, obj: ClientLink, form: Any, change: bool) -> None:
        if change:
            obj.revise(actor=request.user)
        else:
            obj.created_by = request.user  # type: ignore[assignment]  # the admin lets nobody else in
            super().save_model(request, obj, form, change)
            Event.objects.record("created", client_link_id=obj.pk, actor=request.user)
        for column, sentences in obj.warnings().items():
            label = ClientLink._meta.get_field(column).verbose_name  # type: ignore[union-attr]
            for sentence in sentences:
                messages.warning(request, f"{label}: {sentence}")

    # Columns and read-only fields.

    @admin.display(description=_("attention"))
    def attention(self, obj: ClientLink) -> str:
        """What an operator must do something about, in words."""
        reasons: list[str | Promise] = []
        if obj.problem:
            reasons.append(obj.get_problem_display())
        if obj.status == Status.REJECTED:
            reasons.append(_("Correct the data"))
        if obj.identity_check == ClientLink.IdentityCheck.DIFFERS:
            reasons.append(_("Check identity"))
        if obj.organization and obj.organization.connection_status == Organization.ConnectionStatus.LOST:
            reasons.append(_("The connection is lost"))
        if obj.send_requested_at and obj.send_requested_at <= timezone.now() - ATTENTION_AFTER:
            reasons.append(_("The mail is waiting in the queue"))
        if obj.delivery_status == ClientLink.DeliveryStatus.FAILED and not reasons:
            reasons.append(_("The mail was not sent"))
        return ", ".join(map(str, reasons)) or EMPTY

    @admin.display(description=_("expires"), ordering="expires_at")
    def expiry(self, obj: ClientLink) -> str | SafeString:
        if obj.expires_at is None or obj.is_connected:
            return EMPTY
        day = format_day(obj.expires_at)
        return format_html("<s>{}</s> {}", day, _("expired")) if obj.is_expired else day

    @admin.display(description=_("last sent"), ordering="last_sent_at")
    def last_sent(self, obj: ClientLink) -> str | SafeString:
        return format_day(obj.last_sent_at) if obj.last_sent_at else EMPTY

    @admin.display(description=_("mail"))
    def delivery(self, obj: ClientLink) -> str:
        return str(obj.get_delivery_status_display())

    @admin.display(description=_("Mollie's last answer"))
    def mollie_answer(self, obj: ClientLink) -> str:
        if not obj.error_detail:
            return EMPTY
        return f"{obj.error_status or ''} {obj.error_field} {obj.error_detail}".strip()

    @admin.display(description=_("possible mistakes"))
    def warnings(self, obj: ClientLink) -> str | SafeString:
        lines = [
            (ClientLink._meta.get_field(column).verbose_name, sentence)  # type: ignore[union-attr]
            for column, sentences in obj.warnings().items()
            for sentence in sentences
        ]
        return format_html_join(SafeString("<br>"), "{}: {}", lines) or EMPTY

    @admin.display(description=_("merchant's link"))
    def merchant_link(self, obj: ClientLink) -> str | SafeString:
        if obj.is_cancelled:
            return EMPTY
        return format_html(
            '<input class="vLargeTextField" type="text" readonly value="{}" aria-label="{}"><div class="help">{}</div>',
            obj.merchant_url(),
            _("merchant's link"),
            _("Whoever has it can connect an organization in this merchant's name."),
        )

    @admin.display(description=_("organization at Mollie"))
    def organization_at_mollie(self, obj: ClientLink) -> str | SafeString:
        if obj.organization is None:
            return EMPTY
        address = reverse("admin:mollie_onboarding_organization_change", args=[obj.organization.pk])
        return format_html('<a href="{}">{}</a>', address, obj.organization)

    @admin.display(description=_("history"))
    def history(self, obj: ClientLink) -> str | SafeString:
        events = obj.events.select_related("actor").order_by("-at", "-pk")[:SHOWN_EVENTS]
        rows = (
            (
                timezone.localtime(event.at).strftime("%Y-%m-%d %H:%M:%S"),
                EVENT_LABELS.get(event.kind, event.kind),
                f"({', '.join(f'{key}: {value}' for key, value in event.data.items())})"
                if event.data
                else "",
                _("by %s") % event.actor if event.actor else "",
            )
            for event in events
        )
        return format_html_join("", "<div>{} {} {} {}</div>", rows) or EMPTY

    # Actions, on the list and on the row's own page.

    @admin.action(description=_("Send onboarding link"), permissions=["send"])
    def send_onboarding_link(
        self, request: HttpRequest, queryset: QuerySet[ClientLink]
    ) -> HttpResponse | None:
        rows = self._chosen(request, queryset)
        if request.POST.get("post") != "yes":
            return self._confirm(request, "send_onboarding_link", rows)
        asked_at = _asked_at(request)
        sent = [
            row.pk
            for row in rows
            if not services.reason_not_to_send(row) and self._send(request, row, asked_at)
        ]
        self._report_sending(request, rows, sent)
        return None

    def _chosen(self, request: HttpRequest, queryset: QuerySet[ClientLink]) -> list[ClientLink]:
        """The rows of an action. Of a selection across pages the confirmation names them all in one field."""
        rows = list(queryset.select_related("organization"))
        confirmed = set(request.POST.get("confirmed", "").split())
        return [row for row in rows if str(row.pk) in confirmed] if confirmed else rows

    def _send(self, request: HttpRequest, row: ClientLink, asked_at: datetime) -> bool:
        if row.status == Status.REJECTED:
            row = services.retry_rejected(row, actor=request.user)
        return (
            services.request_sending(row, actor=request.user, unless_sent_since=asked_at)
            or row.send_requested_at is not None
        )

    def _report_sending(self, request: HttpRequest, rows: list[ClientLink], requested: list[Any]) -> None:
        """Say what the rows say now: with the default backend the mails have gone out already."""
        now = ClientLink.objects.filter(pk__in=requested)
        sent = now.filter(send_requested_at=None, delivery_status=ClientLink.DeliveryStatus.SENT).count()
        failed = now.filter(delivery_status=ClientLink.DeliveryStatus.FAILED)
        queued = now.filter(send_requested_at__isnull=False).count()
        if sent:
            text = ngettext("%d onboarding link was sent.", "%d onboarding links were sent.", sent) % sent
            messages.success(request, text)
        if queued:
            text = ngettext("%d mail is queued.", "%d mails are queued.", queued) % queued
            messages.info(request, text)
        for row in failed[:SHOWN_ON_CONFIRMATION]:
            messages.error(
                request, f"{row.organization_name}: {self.attention(row)}, {self.mollie_answer(row)}"
            )
        if skipped := len(rows) - len(requested):
            text = ngettext("%d merchant was skipped.", "%d merchants were skipped.", skipped) % skipped
            messages.warning(request, text)

    @admin.action(description=_("Cancel client links"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[ClientLink]) -> HttpResponse | None:
        rows = self._chosen(request, queryset)
        if request.POST.get("post") != "yes":
            return self._confirm(request, "cancel", rows)
        done = sum(services.cancel_client_link(row, actor=request.user) for row in rows)
        if done:
            text = ngettext("%d client link was cancelled.", "%d client links were cancelled.", done) % done
            messages.success(request, text)
        if skipped := len(rows) - done:
            text = ngettext("%d merchant was skipped.", "%d merchants were skipped.", skipped) % skipped
            messages.warning(request, text)
        return None

    def _confirm(self, request: HttpRequest, action: str, rows: list[ClientLink]) -> HttpResponse:
        """The page that says whom an action concerns and whom not, and why. It posts again with `post=yes`."""
        reasons = [(row, self._reason_to_skip(action, row)) for row in rows]
        affected = [row for row, reason in reasons if not reason]
        skipped = [(row, reason) for row, reason in reasons if reason]
        is_sending = action == "send_onboarding_link"
        context = {
            **self.admin_site.each_context(request),
            "title": _("Send onboarding link") if is_sending else _("Cancel client links"),
            "opts": self.opts,
            "media": self.media,
            "action": action,
            "is_sending": is_sending,
            "back_url": self._address_of(rows[0].pk)
            if len(rows) == 1
            else reverse("admin:mollie_onboarding_clientlink_changelist"),
            # A form may have 1,000 fields only (DATA_UPLOAD_MAX_NUMBER_FIELDS), a selection across pages more rows.
            "is_across": request.POST.get("select_across") == "1",
            "asked_at": timezone.now().isoformat(),
            "rows": rows,
            "affected": affected[:SHOWN_ON_CONFIRMATION],
            "affected_count": len(affected),
            "more_affected": max(0, len(affected) - SHOWN_ON_CONFIRMATION),
            "skipped": skipped[:SHOWN_ON_CONFIRMATION],
            "skipped_count": len(skipped),
            "more_skipped": max(0, len(skipped) - SHOWN_ON_CONFIRMATION),
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/mollie_onboarding/clientlink/confirmation.html", context)

    def _reason_to_skip(self, action: str, row: ClientLink) -> str | Promise:
        if action == "send_onboarding_link":
            return services.reason_not_to_send(row)
        if row.is_connected:
            return _("The merchant is connected.")
        return _("The client link is cancelled.") if row.is_cancelled else ""

    def get_urls(self) -> list[URLPattern]:
        def address(action: str, name: str) -> URLPattern:
            def view(request: HttpRequest, object_id: str) -> HttpResponse:
                return self._act_on_one(request, object_id, action)

            return path(
                f"<uuid:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"mollie_onboarding_clientlink_{name}",
            )

        return [address("send_onboarding_link", "send"), address("cancel", "cancel"), *super().get_urls()]

    def _act_on_one(self, request: HttpRequest, object_id: str, action: str) -> HttpResponse:
        """An action as a button of the row's own page: GET asks, POST acts."""
        may = self.has_send_permission if action == "send_onboarding_link" else self.has_cancel_permission
        if not (may(request) and self.has_view_permission(request)):
            raise PermissionDenied
        response: HttpResponse | None = getattr(self, action)(
            request, ClientLink.objects.filter(pk=object_id)
        )
        return response or HttpResponseRedirect(self._address_of(object_id))

    def _address_of(self, pk: Any) -> str:
        return reverse("admin:mollie_onboarding_clientlink_change", args=[pk])

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj: ClientLink | None = kwargs.get("obj")
        context["can_send"] = (
            obj and self.has_send_permission(request) and not services.reason_not_to_send(obj)
        )
        context["can_cancel"] = (
            obj and self.has_cancel_permission(request) and not self._reason_to_skip("cancel", obj)
        )
        return super().render_change_form(request, context, *args, **kwargs)
