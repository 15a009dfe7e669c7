"""Keeps the sandbox's memory in a database of its own, where the site has one for it.

A roll-back at the platform must never undo what "Mollie" did: that would hide the very accidents the sandbox is for.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Model

APP_LABEL = "mollie_sandbox"
ALIAS = "mollie_sandbox"


def _has_own_database() -> bool:
    return ALIAS in settings.DATABASES


class SandboxRouter:
    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return ALIAS if model._meta.app_label == APP_LABEL and _has_own_database() else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return self.db_for_read(model, **hints)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        if app_label == APP_LABEL and _has_own_database():
            return db == ALIAS
        # Nobody else's tables belong into the sandbox's database.
        return False if db == ALIAS else None
