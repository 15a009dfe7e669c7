from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.management.sending import SendingCommand
from mollie_onboarding.models import ClientLink


class Command(SendingCommand):
    help = (
        "Queue the reminders that are due, and send what is queued. For cron, once a day or more often: "
        "who was reminded is not reminded again before the next day of MOLLIE_ONBOARDING_REMINDER_DAYS. SIGTERM and "
        "SIGINT end it when the rows in hand are done; what is left stays queued."
    )
    dry_run_help = "Say how many are due, and queue and send none."
    limit_help = "Queue at most this many."

    def handle(self, *args: Any, dry_run: bool, limit: int | None, json: bool, **options: Any) -> None:
        if dry_run:
            due = ClientLink.objects.due_for_reminder(timezone.now()).count()
            due = due if limit is None else min(due, limit)
            self.report(
                f"{due} reminders due, none queued (dry run).", {"due": due, "dry_run": True}, as_json=json
            )
            return
        # No tasks are woken: the mails are sent right here.
        requested = services.request_reminders(limit, nudge=False)
        drained = self.drain(**options)
        self.report_drained(
            f"{requested} reminders queued. Of all mails in the queue, {drained.sent} sent, {drained.failed} not sent.",
            drained,
            {"requested": requested, **asdict(drained)},
            as_json=json,
        )
