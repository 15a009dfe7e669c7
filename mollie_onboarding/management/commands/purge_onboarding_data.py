from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from mollie_onboarding import services
from mollie_onboarding.management.reporting import ReportingCommand


class Command(ReportingCommand):
    help = "Delete and anonymize what the retention settings no longer keep. Never touches a connection that lives."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Count, and change nothing.")

    def handle(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        purge = services.purge_onboarding_data(dry_run=dry_run)
        to = "to be " if dry_run else ""
        self.report(
            f"{purge.deleted} unconnected client links {to}deleted, "
            f"{purge.anonymized} disconnected ones {to}anonymized, "
            f"{purge.requests} authorization requests and {purge.mail_quotas} mail quotas {to}deleted{', nothing done (dry run)' if dry_run else ''}.",
            {**asdict(purge), "dry_run": dry_run},
            as_json=json,
            failure="Some client links are protected by rows of the platform; the log says which."
            if purge.kept
            else "",
        )
