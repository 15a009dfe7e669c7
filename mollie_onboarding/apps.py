from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class MollieOnboardingConfig(AppConfig):
    name = "mollie_onboarding"
    verbose_name = _("Mollie onboarding")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401 (registers them)

        if apps.is_installed("anymail"):
            _listen_to_mail_provider()


def _listen_to_mail_provider() -> None:
    from anymail.signals import tracking

    from .services.delivery import heed_tracking

    tracking.connect(heed_tracking, dispatch_uid="mollie_onboarding")
