from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import AuthorizationRequest, Event


class Command(BaseCommand):
    help = "Finish connections that were interrupted, and send signals again that a process which died left unsent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what there is to do, and do nothing.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        interrupted = AuthorizationRequest.objects.interrupted(timezone.now()).count()
        if dry_run:
            unsent = Event.objects.filter(announced_at=None).count()
            self.stdout.write(f"{interrupted} interrupted, {unsent} signals unsent, nothing done (dry run).")
            return
        # The signals first: a connection that cannot be resumed, for want of a key say, must not keep them back.
        announced = services.announce_overdue()
        connected = services.resume_interrupted()
        self.stdout.write(
            f"{connected} of {interrupted} interrupted connections finished, {announced} signals sent."
        )
        if connected < interrupted:
            raise CommandError("Some connections were not finished; the admin says which and why.")
