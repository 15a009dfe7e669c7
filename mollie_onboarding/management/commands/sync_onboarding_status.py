from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import DecryptionError, MollieError
from mollie_onboarding.management.reporting import ReportingCommand
from mollie_onboarding.models import AuthorizationRequest, Organization
from mollie_onboarding.services import SyncResult

T = TypeVar("T")

NAMED_IDS = 20  # of unknown organizations; the JSON has more


class Command(ReportingCommand):
    help = (
        "Read the onboarding status of all organizations from Mollie; before that, send signals again that a process "
        "which died left unsent, finish interrupted connections, and revoke what still waits for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Say what there is to do, and do nothing.")
        parser.add_argument(
            "--limit",
            type=int,
            help="Read at most this many organizations, where they must be read one by one.",
        )

    def handle(self, *args: Any, dry_run: bool, limit: int | None, json: bool, **options: Any) -> None:
        if dry_run:
            figures = _find_work()
            self.report(_describe_work(figures), figures, as_json=json)
            return
        if limit is not None and limit < 1:
            raise CommandError("--limit takes a number from 1.")
        failures: list[str] = []
        # The signals first: whatever goes wrong after them must not keep them back.
        announced = _attempt(services.announce_overdue, 0, failures)
        finished, interrupted = _attempt(_resume_interrupted, (0, 0), failures)
        revoked, unrevoked = _attempt(services.revoke_pending, (0, 0), failures)
        result = services.sync_onboarding_status(limit=limit)
        figures = {
            "signals_sent": announced,
            "connections_finished": finished,
            "connections_unfinished": interrupted - finished,
            "revocations_done": revoked,
            "revocations_failed": unrevoked,
            **asdict(result),
        }
        failures += _find_failures(figures)
        self.report(_describe(figures, result), figures, as_json=json, failure=" ".join(failures))


def _attempt(part: Callable[[], T], otherwise: T, failures: list[str]) -> T:
    """What a part gives. Where Mollie or a setting keeps it from its work, the others have their turn all the same."""
    try:
        return part()
    except (MollieError, DecryptionError, ImproperlyConfigured) as exc:
        failures.append(str(exc))
        return otherwise


def _resume_interrupted() -> tuple[int, int]:
    """How many interrupted connections were finished, and how many there were."""
    interrupted = AuthorizationRequest.objects.interrupted(timezone.now()).count()
    return services.resume_interrupted(), interrupted


def _find_work() -> dict[str, Any]:
    return {
        "dry_run": True,
        "signals": services.unannounced_events().count(),
        "connections": AuthorizationRequest.objects.interrupted(timezone.now()).count(),
        "revocations": Organization.objects.filter(pending_revocation__isnull=False).count(),
        "organizations": Organization.objects.connected().count(),
    }


def _describe_work(work: dict[str, Any]) -> str:
    return (
        f"{_count(work['signals'], 'signal')} to send, {_count(work['connections'], 'connection')} to finish, "
        f"{_count(work['revocations'], 'revocation')} to make, {_count(work['organizations'], 'organization')} to read. "
        "Nothing was done (dry run)."
    )


def _describe(figures: dict[str, Any], result: SyncResult) -> str:
    """The summary on one line, and on a second one the organizations that nobody knows."""
    interrupted = figures["connections_finished"] + figures["connections_unfinished"]
    revocations = figures["revocations_done"] + figures["revocations_failed"]
    sentences = [
        f"{_count(figures['signals_sent'], 'signal')} sent again.",
        f"{figures['connections_finished']} of {_count(interrupted, 'interrupted connection')} finished.",
        f"{figures['revocations_done']} of {_count(revocations, 'pending revocation')} made.",
        *_describe_status(result),
    ]
    return " ".join(sentences) + _name_unknown(result)


def _describe_status(result: SyncResult) -> list[str]:
    read = _count(result.read, "organization")
    if result.fallback:
        sentences = [result.fallback_reason, f"{read} read one by one."]
    else:
        sentences = [f"{read} read in {_count(result.calls, 'call')}."]
    sentences.append(f"{_count(result.changed, 'organization')} changed.")
    notes = {
        f"{_count(result.missing, 'organization')} no longer on Mollie's list.": result.missing,
        f"{_count(result.without_status, 'organization')} listed without a status.": result.without_status,
        f"{_count(result.unreadable, 'item')} of Mollie's list not readable.": result.unreadable,
        f"{_count(result.lost, 'connection')} found lost.": result.lost,
    }
    return sentences + [note for note, number in notes.items() if number]


def _name_unknown(result: SyncResult) -> str:
    if not result.unknown:
        return ""
    named = result.unknown_ids[:NAMED_IDS]
    others = result.unknown - len(named)
    return f"\nOn Mollie's list, but not connected here: {', '.join(named)}{f' and {others} more' if others else ''}."


def _find_failures(figures: dict[str, Any]) -> list[str]:
    failures = []
    if figures["connections_unfinished"] > 0:
        failures.append("Some connections were not finished; the admin says which and why.")
    if figures["revocations_failed"]:
        failures.append("Some tokens were not revoked; they are tried again with the next run.")
    if figures["failed"]:
        failures.append("Some organizations were not read; the log says which and why.")
    if figures["interrupted"]:
        failures.append(
            f"The status was not read to the end: {figures['interrupted']} The next run goes on with what is left."
        )
    return failures


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
