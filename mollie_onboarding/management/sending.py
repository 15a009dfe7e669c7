"""What the commands have in common that send mails: how many at once, for how long, and showing how far they are."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.services import Drained
from mollie_onboarding.services.draining import CONCURRENCY, LONGEST_PAUSE

from .progress import Progress
from .reporting import ReportingCommand
from .stopping import stopping_on_signals


class SendingCommand(ReportingCommand):
    """A command that drains the queue."""

    dry_run_help: str
    limit_help: str
    gone = 0  # mails that were due as the run began, and were not its to send in the end

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help=self.dry_run_help)
        parser.add_argument("--limit", type=positive, help=self.limit_help)
        parser.add_argument(
            "--concurrency",
            type=positive,
            default=CONCURRENCY,
            help=f"Calls to Mollie at once ({CONCURRENCY}). Takes half as many database connections more.",
        )
        parser.add_argument(
            "--max-wait",
            type=float,
            default=LONGEST_PAUSE,
            metavar="SECONDS",
            help=f"Wait this long in all where Mollie asks for a pause ({LONGEST_PAUSE:.0f}), then leave the rest queued.",
        )
        parser.add_argument("--no-progress", action="store_true", help="Do not show how far it is.")

    def drain(
        self,
        limit: int | None = None,
        *,
        concurrency: int,
        max_wait: float,
        no_progress: bool,
        **options: Any,
    ) -> Drained:
        """Send what is due, `limit` mails at most, until it is done or a signal comes."""
        due = count_due(limit)
        progress = Progress(self.stderr, due)

        def show(drained: Drained) -> None:
            if not no_progress:
                progress.show(drained.done, drained.failed)

        with stopping_on_signals() as stop:
            drained = services.drain_queue(
                limit, concurrency=concurrency, longest_pause=max_wait, stop=stop, report=show
            )
        progress.finish()
        # What was skipped was put back for later, or had left the queue.
        put_back = drained.skipped and min(drained.skipped, services.count_held(timezone.now()))
        self.gone = max(0, due - drained.sent - drained.failed - drained.left - put_back)
        return drained

    def report_drained(
        self, summary: str, drained: Drained, figures: dict[str, Any], *, as_json: bool
    ) -> None:
        """Print the summary with what is left, or the figures. The exit code is 1 when a mail was not sent."""
        if drained.left:
            reason = "Mollie asks for a pause" if drained.was_paused else "stopped"
            summary += f" {drained.left} left in the queue: {reason}."
        if self.gone:  # with a batch that was cancelled, or with another run
            summary += f" {self.gone} left the queue meanwhile."
        failure = ""
        if drained.failed:
            postponed = services.count_postponed(timezone.now())
            failure = "Some mails were not sent; the admin says which and why."
            if postponed:
                summary += f" {postponed} in the queue will be tried again."
            if postponed >= drained.failed:
                failure = "Some mails were not sent yet and will be tried again; the admin says which, why and when."
        self.report(summary, {**figures, "dry_run": False}, as_json=as_json, failure=failure)


def count_due(limit: int | None) -> int:
    """How many mails are due now, `limit` at most."""
    due = services.count_due(timezone.now())
    return due if limit is None else min(due, limit)


def positive(text: str) -> int:
    """The type of an argument that is a number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number from 1.")
    return int(text)
