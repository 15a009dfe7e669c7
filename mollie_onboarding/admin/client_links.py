"""Client link requests: the list, the row, and the actions on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.forms import LegalEntityInput, country_choices, locale_choices
from mollie_onboarding.models import BODY_COLUMNS, ClientLink, Event, Organization
from mollie_onboarding.mollie_api import column_of

from .client_link_actions import AllowSharing, Cancel, MarkReviewed, SendOnboardingLink
from .confirming import ConfirmingAdmin
from .filters import AttentionFilter, ExpiredFilter
from .history import show_history
from .labels import EMPTY, format_day, join_scopes, missing_scopes, mollie_answer, reasons_for_attention
from .mail_preview import MailPreview, address_of_preview, send_me_a_test

if TYPE_CHECKING:
    ClientLinkModelForm = forms.ModelForm[ClientLink]
else:
    ClientLinkModelForm = forms.ModelForm

SEND, CANCEL, MARK_REVIEWED, ALLOW_SHARING = SendOnboardingLink(), Cancel(), MarkReviewed(), AllowSharing()


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
class ClientLinkAdmin(ConfirmingAdmin):
    form = ClientLinkForm
    pk_converter = "uuid"
    list_display = (
        "organization_name",
        "status",
        "attention",
        "expiry",
        "last_sent",
        "connected_to",
    )
    list_filter = (AttentionFilter, "status", ExpiredFilter, "delivery_status", "problem", "country")
    list_select_related = ("organization",)
    search_fields = ("organization_name", "owner_email", "reference", "=mollie_id")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    show_full_result_count = False
    list_per_page = 100
    actions = (SEND, send_me_a_test, MARK_REVIEWED, CANCEL)
    page_actions = (ALLOW_SHARING,)
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
        "scopes",
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
                    "scopes",
                )
            },
        )
        return [state, *fieldsets, (_("History"), {"fields": ("history",)})]

    def get_urls(self) -> list[URLPattern]:
        return [*MailPreview(self).urls(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientLink]:
        return super().get_queryset(request).select_related("organization")

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
        return ", ".join(map(str, reasons_for_attention(obj))) or EMPTY

    @admin.display(description=_("expires"), ordering="expires_at")
    def expiry(self, obj: ClientLink) -> str | SafeString:
        if obj.expires_at is None or obj.is_connected:
            return EMPTY
        day = format_day(obj.expires_at)
        return format_html("<s>{}</s> {}", day, _("expired")) if obj.is_expired else day

    @admin.display(description=_("at Mollie"))
    def connected_to(self, obj: ClientLink) -> str | SafeString:
        """The id only: its name is mostly the merchant's, and the list has to fit on a screen."""
        return _link(obj.organization, obj.organization.organization_id) if obj.organization else EMPTY

    @admin.display(description=_("last sent"), ordering="last_sent_at")
    def last_sent(self, obj: ClientLink) -> str | SafeString:
        return format_day(obj.last_sent_at) if obj.last_sent_at else EMPTY

    @admin.display(description=_("mail"))
    def delivery(self, obj: ClientLink) -> str:
        return str(obj.get_delivery_status_display())

    @admin.display(description=_("Mollie's last answer"))
    def mollie_answer(self, obj: ClientLink) -> str:
        return mollie_answer(obj)

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
        return _link(obj.organization, str(obj.organization)) if obj.organization else EMPTY

    @admin.display(description=_("scopes"))
    def scopes(self, obj: ClientLink) -> str | SafeString:
        if obj.organization is None or not obj.organization.scope:
            return EMPTY
        granted = _("Granted: %(scopes)s") % {"scopes": join_scopes(obj.organization.scope.split())}
        lacking = missing_scopes(obj.organization)
        missing = _("Missing: %(scopes)s") % {"scopes": join_scopes(lacking)} if lacking else ""
        return format_html_join("", "<div>{}</div>", ((line,) for line in (granted, missing) if line))

    @admin.display(description=_("history"))
    def history(self, obj: ClientLink) -> str | SafeString:
        of_organization = Q(client_link=None, organization=obj.organization) if obj.organization else Q()
        return show_history(Event.objects.filter(Q(client_link=obj) | of_organization))

    # What an operator has to decide.

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if obj := kwargs.get("obj"):
            context["preview_url"] = address_of_preview(obj)
            context["review_button"] = self.button(request, MARK_REVIEWED, obj)
            context["share_button"] = self.button(request, ALLOW_SHARING, obj)
            context["send_button"] = self.button(request, SEND, obj)
            context["refused"] = _find_refused(obj)
            context["identity"] = _compare(obj)
        return super().render_change_form(request, context, *args, **kwargs)


def _link(organization: Organization, text: str) -> SafeString:
    address = reverse("admin:mollie_onboarding_organization_change", args=[organization.pk])
    return format_html('<a href="{}">{}</a>', address, text)


def _find_refused(row: ClientLink) -> dict[str, Any] | None:
    """The organization that a merchant came back with and that was not connected, and whose it is."""
    if row.problem not in (ClientLink.Problem.ORGANIZATION_TAKEN, ClientLink.Problem.OTHER_ORGANIZATION):
        return None
    organization = Organization.objects.filter(organization_id=row.refused_organization_id).first()
    holders = organization.client_links.exclude(pk=row.pk) if organization else ClientLink.objects.none()
    return {
        "is_taken": row.problem == ClientLink.Problem.ORGANIZATION_TAKEN,
        "organization_id": row.refused_organization_id,
        "organization": organization,
        "holders": holders.order_by("created_at", "pk"),
    }


def _compare(row: ClientLink) -> list[tuple[Any, str, str]]:
    """What the platform knows of the merchant, and what the register at Mollie says. Empty where nothing differs."""
    if row.identity_check != ClientLink.IdentityCheck.DIFFERS or row.organization is None:
        return []
    theirs = row.organization
    return [
        (_("Name"), row.organization_name, theirs.name),
        (_("Country"), row.country, theirs.country),
        (_("Registration number"), row.registration_number, theirs.registration_number),
        (_("VAT number"), row.vat_number, theirs.vat_number),
    ]
