"""Client link requests: the list, the row, and the actions on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import services
from mollie_onboarding.forms import LegalEntityInput, country_choices, locale_choices
from mollie_onboarding.models import BODY_COLUMNS, ClientLink, Event, Organization, label_of
from mollie_onboarding.models.client_links import SEARCHED_COLUMNS
from mollie_onboarding.mollie_api import column_of
from mollie_onboarding.spreadsheets.availability import are_spreadsheets_available

from .client_link_actions import AllowSharing, Cancel, MarkReviewed, SendOnboardingLink
from .filters import AttentionFilter, ExpiredFilter
from .funnel import FunnelPages, StageFilter
from .history import show_history
from .labels import (
    EMPTY,
    as_moment,
    describe_reminders,
    format_day,
    format_moment,
    join_scopes,
    missing_scopes,
    mollie_answer,
    reasons_for_attention,
)
from .large_lists import DistinctValuesFilter, LargeListAdmin
from .mail_preview import MailPreview, address_of_preview, send_me_a_test
from .reminder_actions import ExcludeFromReminders, IncludeInReminders

if TYPE_CHECKING:
    ClientLinkModelForm = forms.ModelForm[ClientLink]
else:
    ClientLinkModelForm = forms.ModelForm
if TYPE_CHECKING or are_spreadsheets_available():
    from .spreadsheets import SpreadsheetAdmin as ClientLinkAdminBase
else:  # pragma: no cover (a test shows it in a process of its own)
    ClientLinkAdminBase = LargeListAdmin

SEND, CANCEL, MARK_REVIEWED, ALLOW_SHARING = SendOnboardingLink(), Cancel(), MarkReviewed(), AllowSharing()
SHOWN_BATCHES = 10  # of a merchant
EXCLUDE, INCLUDE = ExcludeFromReminders(), IncludeInReminders()


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
    change_list_template = "admin/mollie_onboarding/clientlink/change_list.html"
    pk_converter = "uuid"
    list_display = (
        "organization_name",
        "status",
        "attention",
        "expiry",
        "last_sent",
        "connected_to",
    )
    # What is filtered, searched and sorted by has an index (see the model's Meta).
    list_filter = (
        AttentionFilter,
        "status",
        StageFilter,
        ExpiredFilter,
        "delivery_status",
        "problem",
        ("country", DistinctValuesFilter),
        "created_at",
    )
    sortable_by = ("organization_name",)
    list_select_related = ("organization",)
    searched_columns = SEARCHED_COLUMNS
    searched_id = "mollie_id"
    search_fields = (*SEARCHED_COLUMNS, "=mollie_id")
    ordering = ("-created_at",)
    actions = (SEND, send_me_a_test, EXCLUDE, INCLUDE, MARK_REVIEWED, CANCEL)
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
        "last_mail",
        "reminders",
        "batches",
        "organization_at_mollie",
        "identity_check",
        "scopes",
        "history",
    )

    last_mail = as_moment(ClientLink, "last_sent_at")

    # What may be seen and done.

    def get_fieldsets(self, request: HttpRequest, obj: ClientLink | None = None) -> Any:
        owner = ("owner_given_name", "owner_family_name", "owner_email", "owner_locale")
        organization = tuple(name for name in BODY_COLUMNS if not name.startswith("owner_"))
        fieldsets: list[tuple[Any, dict[str, Any]]] = [
            (_("Organization"), {"fields": organization}),
            (_("Owner"), {"fields": owner}),
            (_("On this platform"), {"fields": ("reference", "user", "reminders_excluded")}),
        ]
        if obj is None:
            return fieldsets
        batches = ("batches",) if request.user.has_perm("mollie_onboarding.view_batch") else ()
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
                    "last_mail",
                    "reminders",
                    *batches,
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
        return [*FunnelPages(self).urls(), *MailPreview(self).urls(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientLink]:
        return super().get_queryset(request).select_related("organization")

    @transaction.non_atomic_requests
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # An action sends mails: what was sent stays sent, whatever fails after it.
        return super().changelist_view(request, extra_context)

    def has_change_permission(self, request: HttpRequest, obj: ClientLink | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.is_cancelled)

    def has_delete_permission(self, request: HttpRequest, obj: ClientLink | None = None) -> bool:
        # Rows are cancelled, so that their history stays. A single one that never connected may be deleted; many at
        # once, which is asked for without an object, may not.
        return obj is not None and not obj.organization_id and super().has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: ClientLink) -> None:
        if not services.delete_client_link(obj):
            raise PermissionDenied  # its merchant came back in this very moment; what Django has logged is rolled back

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
            label = label_of(column)
            for sentence in sentences:
                messages.warning(request, f"{label}: {sentence}")

    # Columns and read-only fields.

    @admin.display(description=_("attention"))
    def attention(self, obj: ClientLink) -> str:
        return ", ".join(map(str, reasons_for_attention(obj))) or EMPTY

    @admin.display(description=_("expires"))
    def expiry(self, obj: ClientLink) -> str | SafeString:
        if obj.expires_at is None or obj.is_connected:
            return EMPTY
        day = format_day(obj.expires_at)
        return format_html("<s>{}</s> {}", day, _("expired")) if obj.is_expired else day

    @admin.display(description=_("at Mollie"))
    def connected_to(self, obj: ClientLink) -> str | SafeString:
        """The id only: its name is mostly the merchant's, and the list has to fit on a screen."""
        return _link(obj.organization, obj.organization.organization_id) if obj.organization else EMPTY

    @admin.display(description=_("last sent"))
    def last_sent(self, obj: ClientLink) -> str | SafeString:
        return format_day(obj.last_sent_at) if obj.last_sent_at else EMPTY

    @admin.display(description=_("mail"))
    def delivery(self, obj: ClientLink) -> str:
        return str(obj.get_delivery_status_display())

    @admin.display(description=_("reminders"))
    def reminders(self, obj: ClientLink) -> str:
        return describe_reminders(obj)

    @admin.display(description=_("batches"))
    def batches(self, obj: ClientLink) -> str | SafeString:
        """Those that had this merchant, newest first, and what became of the mail."""
        items = obj.batch_items.select_related("batch").order_by("-batch__created_at")[:SHOWN_BATCHES]
        lines = (
            (
                reverse("admin:mollie_onboarding_batch_change", args=[item.batch_id]),
                " ".join(filter(None, (format_moment(item.batch.created_at), item.batch.description))),
                " ".join(filter(None, (item.get_outcome_display(), item.get_reason_display()))),
            )
            for item in items
        )
        return format_html_join("", '<div><a href="{}">{}</a>: {}</div>', lines) or EMPTY

    @admin.display(description=_("Mollie's last answer"))
    def mollie_answer(self, obj: ClientLink) -> str:
        return mollie_answer(obj)

    @admin.display(description=_("possible mistakes"))
    def warnings(self, obj: ClientLink) -> str | SafeString:
        lines = [
            (label_of(column), sentence)
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
