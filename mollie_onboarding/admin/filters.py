"""What operators can narrow a list to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.conf import conf
from mollie_onboarding.models import ClientLink, Organization, Status, distinct_values

from .health import FLAWS
from .large_lists import MOST_VALUES


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
            lacking = Organization.objects.needing_consent(conf.MOLLIE_ONBOARDING_SCOPES)
            return queryset.filter(status=Status.CONNECTED, organization__in=lacking.values("pk"))
        return queryset


class HealthFilter(admin.SimpleListFilter):
    title = _("health")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(state.key, state.label) for state in FLAWS]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        for state in FLAWS:
            if state.key == self.value():
                return state.among(queryset, timezone.now())
        return queryset


class OnboardingStatusFilter(admin.SimpleListFilter):
    """The statuses that there are, also those that Mollie adds, in words where there are any."""

    title = _("onboarding status")
    parameter_name = "onboarding_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found = distinct_values(Organization.objects.all(), "onboarding_status", MOST_VALUES)
        labels = dict(Organization.OnboardingStatus.choices)
        return [(status, labels.get(status, status)) for status in found if status]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(onboarding_status=self.value()) if self.value() else queryset
