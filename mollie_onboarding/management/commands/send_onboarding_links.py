from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.management.reporting import ReportingCommand
from mollie_onboarding.models import ClientLink
from mollie_onboarding.services.sending import overdue_notices


class Command(ReportingCommand):
    help = "Send the onboarding links that are queued and due, also those that a worker left behind."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="Say how many would be sent, and send none."
        )
        parser.add_argument("--limit", type=int, help="Send at most this many.")

    def handle(self, *args: Any, dry_run: bool, limit: int | None, json: bool, **options: Any) -> None:
        if dry_run:
            now = timezone.now()
            due = ClientLink.objects.due_for_sending(now).count() + overdue_notices(now).count()
            due = due if limit is None else min(due, limit)
            self.report(f"{due} due, none sent (dry run).", {"due": due, "dry_run": True}, as_json=json)
            return
        sent, failed = services.send_queued(limit)
        self.report(
            f"{sent} sent, {failed} not sent.",
            {"sent": sent, "failed": failed, "dry_run": False},
            as_json=json,
            failure="Some mails were not sent; the admin says which and why." if failed else "",
        )
