"""Connected organizations: their health, and what mends it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import ClientLink, Organization, Status
from mollie_onboarding.models.organizations import SEARCHED_COLUMNS

from .confirming import ConfirmedAction, Words
from .filters import HealthFilter, OnboardingStatusFilter
from .health import count_states, explain_error, flaws_of, health_in_words
from .history import show_history
from .labels import EMPTY, as_moment, format_day, format_link, join_scopes, missing_scopes
from .large_lists import LargeListAdmin
from .organization_actions import Disconnect, ReadStatus, RevokeAgain, SendAgain, merchants_of
from .requirements import show_requirements

SHOWN_MERCHANTS = 3  # of one row of the list

SEND_AGAIN, READ_STATUS, REVOKE_AGAIN, DISCONNECT = SendAgain(), ReadStatus(), RevokeAgain(), Disconnect()


@admin.register(Organization)
class OrganizationAdmin(LargeListAdmin):
    list_display = (
        "name_and_id",
        "merchants",
        "health",
        "onboarding",
        "payments",
        "settlements",
        "last_read",
    )
    # What is filtered, searched and sorted by has an index (see the model's Meta).
    list_filter = (
        "connection_status",
        HealthFilter,
        OnboardingStatusFilter,
        "can_receive_payments",
        "can_receive_settlements",
    )
    sortable_by = ("name_and_id",)
    searched_columns = SEARCHED_COLUMNS
    searched_id = "organization_id"
    search_fields = (*SEARCHED_COLUMNS, "=organization_id")
    ordering = ("-created_at",)
    actions = (SEND_AGAIN, READ_STATUS, REVOKE_AGAIN, DISCONNECT)
    # By name, and nothing else: no token, whatever columns come.
    fieldsets = (
        (
            _("Connection"),
            {
                "fields": (
                    "health",
                    "error",
                    "authorized",
                    "ended",
                    "missing",
                    "scope",
                    "lacking",
                    "all_merchants",
                )
            },
        ),
        (
            _("Onboarding"),
            {
                "fields": (
                    "onboarding",
                    "can_receive_payments",
                    "can_receive_settlements",
                    "requirements",
                    "dashboard",
                    "synced",
                )
            },
        ),
        (
            _("Register data at Mollie"),
            {
                "fields": (
                    "organization_id",
                    "name",
                    "country",
                    "registration_number",
                    "vat_number",
                    "signed_up",
                    "created",
                )
            },
        ),
        (_("History"), {"fields": ("history",)}),
    )
    readonly_fields = (
        "health",
        "error",
        "lacking",
        "all_merchants",
        "onboarding",
        "requirements",
        "dashboard",
        "authorized",
        "ended",
        "missing",
        "synced",
        "signed_up",
        "created",
        "history",
    )
    authorized = as_moment(Organization, "authorized_at")
    ended = as_moment(Organization, "ended_at")
    missing = as_moment(Organization, "missing_since")
    synced = as_moment(Organization, "synced_at")
    signed_up = as_moment(Organization, "signed_up_at")
    created = as_moment(Organization, "created_at")

    # What may be seen and done.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mollie_onboarding.send_clientlink")

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mollie_onboarding.disconnect_organization")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        merchants = ClientLink.objects.exclude(status=Status.CANCELLED).order_by("-created_at", "pk")
        return super().get_queryset(request).prefetch_related(
            Prefetch("client_links", merchants, to_attr="current_client_links")
        )  # fmt: skip

    # The actions call Mollie, and what was done to one row stays done when the next one fails.
    @transaction.non_atomic_requests
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # The template calls it: an action pays nothing for it.
        return super().changelist_view(request, {**(extra_context or {}), "count_states": count_states})

    # Columns and read-only fields.

    @admin.display(description=_("organization"), ordering="name")
    def name_and_id(self, obj: Organization) -> SafeString:
        return format_html("{} <small>{}</small>", obj.name, obj.organization_id)

    @admin.display(description=_("merchants"))
    def merchants(self, obj: Organization) -> str | SafeString:
        rows = merchants_of(obj)
        more = len(rows) - SHOWN_MERCHANTS
        rest = _("and %(more_affected)s more") % {"more_affected": more} if more > 0 else ""
        return format_html("{} {}", _link(rows[:SHOWN_MERCHANTS]), rest) if rows else EMPTY

    @admin.display(description=_("merchants"))
    def all_merchants(self, obj: Organization) -> str | SafeString:
        return _link(merchants_of(obj)) or EMPTY

    @admin.display(description=_("health"))
    def health(self, obj: Organization) -> str:
        return health_in_words(obj)

    @admin.display(description=_("last error"))
    def error(self, obj: Organization) -> Words:
        return explain_error(obj.last_error) if obj.last_error else EMPTY

    @admin.display(description=_("missing scopes"))
    def lacking(self, obj: Organization) -> str:
        return join_scopes(missing_scopes(obj)) or EMPTY

    @admin.display(description=_("onboarding"))
    def onboarding(self, obj: Organization) -> str:
        return obj.onboarding_status_label or EMPTY

    @admin.display(description=_("payments"), boolean=True)
    def payments(self, obj: Organization) -> bool:
        return obj.can_receive_payments

    @admin.display(description=_("payouts"), boolean=True)
    def settlements(self, obj: Organization) -> bool:
        return obj.can_receive_settlements

    @admin.display(description=_("last read"))
    def last_read(self, obj: Organization) -> str:
        return format_day(obj.synced_at) if obj.synced_at else EMPTY

    @admin.display(description=_("Mollie asks for"))
    def requirements(self, obj: Organization) -> str | SafeString:
        return show_requirements(obj.capabilities) or EMPTY

    @admin.display(description=_("dashboard"))
    def dashboard(self, obj: Organization) -> str | SafeString:
        return format_link(obj.dashboard_url) or EMPTY

    @admin.display(description=_("history"))
    def history(self, obj: Organization) -> str | SafeString:
        return show_history(obj.events.all(), with_merchants=True)

    # What mends it.

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj: Organization = kwargs["obj"]
        context["remedies"] = [
            {"sentence": sentence, "button": self.button(request, action, obj) if action else None}
            for sentence, action in _remedies(obj)
        ]
        return super().render_change_form(request, context, *args, **kwargs)


def _link(rows: list[ClientLink]) -> SafeString:
    addresses = (
        (reverse("admin:mollie_onboarding_clientlink_change", args=[row.pk]), row.organization_name)
        for row in rows
    )
    return format_html_join(", ", '<a href="{}">{}</a>', addresses)


# What is wrong with an organization, what mends it, and the action that does.
REMEDIES: tuple[tuple[str, Words, ConfirmedAction | None], ...] = (
    ("lost", _("The merchant must agree again at Mollie before the platform can act for it."), SEND_AGAIN),
    ("consent", _("The platform asks for more than the merchant agreed to. What was granted keeps working; the merchant must agree to the rest."), SEND_AGAIN),
    ("missing", _("Mollie's list of the platform's merchants no longer has it, so the merchant may have ended the connection. Reading the status shows whether it still works."), READ_STATUS),
    ("stale", _("What is shown here may be old. Where many are, sync_onboarding_status does not run: a developer must look."), READ_STATUS),
    ("error", _("The last attempt to get a token from Mollie failed, for the reason below. Reading the status tries again."), READ_STATUS),
    ("disconnected", _("The platform has ended this connection. The merchant can connect again: send the link from the merchant's own page, which is named below."), None),
    ("revocation", _("Mollie has not confirmed yet that the tokens are revoked. That is tried again by itself."), REVOKE_AGAIN),
)  # fmt: skip


def _remedies(row: Organization) -> list[tuple[Words, ConfirmedAction | None]]:
    states = {row.connection_status, *(flaw.key for flaw in flaws_of(row, timezone.now()))}
    return [(sentence, action) for key, sentence, action in REMEDIES if key in states]
