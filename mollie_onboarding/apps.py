from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MollieOnboardingConfig(AppConfig):
    name = "mollie_onboarding"
    verbose_name = _("Mollie onboarding")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401 (registers them)
