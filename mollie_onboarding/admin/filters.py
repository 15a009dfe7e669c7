"""What operators can narrow a list to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import ClientLink


class ExpiredFilter(admin.SimpleListFilter):
    title = _("client link at Mollie")
    parameter_name = "expired"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Expired")), ("no", _("Valid"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        if self.value() == "yes":
            return queryset.expired(now)
        return queryset.filter(expires_at__gt=now) if self.value() == "no" else queryset


class AttentionFilter(admin.SimpleListFilter):
    title = _("attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Needs attention")), ("identity", _("Check identity"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "yes":
            return queryset.needing_attention(timezone.now())
        if self.value() == "identity":
            return queryset.filter(identity_check=ClientLink.IdentityCheck.DIFFERS)
        return queryset
