from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from .models import Shop

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Shop]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(Shop)
class ShopAdmin(ModelAdmin):
    list_display = ("name", "owner", "contact_email", "mollie_organization_id")
    search_fields = ("name", "contact_email", "mollie_organization_id")
    readonly_fields = ("mollie_organization_id",)
