from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from mollie_onboarding import services
from mollie_onboarding.management.reporting import ReportingCommand


class Command(ReportingCommand):
    help = "Re-encrypt every stored token with the newest key, so that older keys can be taken out of the settings."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Count, and write nothing.")

    def handle(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        rotation = services.rotate_token_keys(dry_run=dry_run)
        self.report(
            f"{rotation.rotated} {'to re-encrypt' if dry_run else 're-encrypted'}, "
            f"{rotation.current} already on the newest key, {rotation.unreadable} unreadable"
            f"{', nothing done (dry run)' if dry_run else ''}.",
            {**asdict(rotation), "dry_run": dry_run},
            as_json=json,
            failure=_failure(rotation),
        )


def _failure(rotation: services.Rotation) -> str:
    if not rotation.unreadable:
        return ""
    names = ", ".join(rotation.unreadable_rows)
    return f"No key of MOLLIE_ONBOARDING_ENCRYPTION_KEYS fits tokens of: {names}. They were left as they are."
