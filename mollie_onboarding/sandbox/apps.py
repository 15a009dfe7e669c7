"""The Mollie in the box: an app that plays Mollie, for demos and tests that stay offline."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class SandboxConfig(AppConfig):
    name = "mollie_onboarding.sandbox"
    label = "mollie_sandbox"
    verbose_name = "Mollie sandbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .checks import check_sandbox

        checks.register(check_sandbox, self.label)
