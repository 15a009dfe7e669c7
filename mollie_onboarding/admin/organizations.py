"""Connected organizations: their health, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import Organization, Status

from .labels import EMPTY

if TYPE_CHECKING:
    OrganizationAdminBase = admin.ModelAdmin[Organization]
else:
    OrganizationAdminBase = admin.ModelAdmin


@admin.register(Organization)
class OrganizationAdmin(OrganizationAdminBase):
    list_display = (
        "name",
        "organization_id",
        "connection_status",
        "onboarding",
        "can_receive_payments",
        "can_receive_settlements",
        "synced_at",
    )
    list_filter = (
        "connection_status",
        "onboarding_status",
        "can_receive_payments",
        "can_receive_settlements",
    )
    search_fields = ("name", "=organization_id")
    ordering = ("-created_at",)
    show_full_result_count = False
    # By name, and nothing else: no token, whatever columns come.
    fields = (
        "organization_id",
        "name",
        "connection_status",
        "last_error",
        "onboarding",
        "can_receive_payments",
        "can_receive_settlements",
        "signed_up_at",
        "dashboard",
        "synced_at",
        "scope",
        "authorized_at",
        "client_links_of",
        "created_at",
    )
    readonly_fields = ("onboarding", "dashboard", "client_links_of", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False

    @admin.display(description=_("onboarding status"), ordering="onboarding_status")
    def onboarding(self, obj: Organization) -> str:
        return obj.onboarding_status_label or EMPTY

    @admin.display(description=_("dashboard"))
    def dashboard(self, obj: Organization) -> str | SafeString:
        return (
            format_html('<a href="{0}" rel="noreferrer">{0}</a>', obj.dashboard_url)
            if obj.dashboard_url
            else EMPTY
        )

    @admin.display(description=_("client links"))
    def client_links_of(self, obj: Organization) -> str | SafeString:
        rows = (
            (reverse("admin:mollie_onboarding_clientlink_change", args=[row.pk]), row)
            for row in obj.client_links.filter(~Q(status=Status.CANCELLED))
        )
        return format_html_join(SafeString("<br>"), '<a href="{}">{}</a>', rows) or EMPTY
