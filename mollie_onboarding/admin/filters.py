"""What operators can narrow a list to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import ClientLink, Organization, Status

from .health import FLAWS, needing_consent


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
        return [
            ("yes", _("Needs attention")),
            ("identity", _("Check identity")),
            ("consent", _("Needs new consent")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "yes":
            return queryset.needing_attention(timezone.now())
        if self.value() == "identity":
            return queryset.filter(identity_check=ClientLink.IdentityCheck.DIFFERS)
        if self.value() == "consent":
            return queryset.filter(status=Status.CONNECTED, organization__in=needing_consent().values("pk"))
        return queryset


class HealthFilter(admin.SimpleListFilter):
    title = _("health")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(state.key, state.label) for state in FLAWS]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        for state in FLAWS:
            if state.key == self.value():
                return queryset.filter(pk__in=state.find(timezone.now()).values("pk"))
        return queryset


class OnboardingStatusFilter(admin.SimpleListFilter):
    """The statuses that there are, also those that Mollie adds, in words where there are any."""

    title = _("onboarding status")
    parameter_name = "onboarding_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found = Organization.objects.exclude(onboarding_status="").order_by("onboarding_status")
        labels = dict(Organization.OnboardingStatus.choices)
        return [
            (status, labels.get(status, status))
            for status in found.values_list("onboarding_status", flat=True).distinct()
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(onboarding_status=self.value()) if self.value() else queryset
