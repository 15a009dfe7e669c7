from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mollie_onboarding import services
from mollie_onboarding.management.sending import SendingCommand, count_due


class Command(SendingCommand):
    help = (
        "Send the onboarding links that are queued and due, also those that a worker left behind. SIGTERM and SIGINT end "
        "it when the rows in hand are done, a second signal at once; what is left stays queued."
    )
    dry_run_help = "Say how many would be sent, and send none."
    limit_help = "Send at most this many."

    def handle(self, *args: Any, dry_run: bool, limit: int | None, json: bool, **options: Any) -> None:
        if dry_run:
            due = count_due(limit)
            self.report(f"{due} due, none sent (dry run).", {"due": due, "dry_run": True}, as_json=json)
            return
        services.queue_started_batches()  # first, so that their mails are counted
        drained = self.drain(limit, **options)
        self.report_drained(
            f"{drained.sent} sent, {drained.failed} not sent.", drained, asdict(drained), as_json=json
        )
