from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mollie_onboarding import services
from mollie_onboarding.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """Exit code 1: something is wrong, or Mollie gave no answer. What Mollie answers without telling is no failure."""

    help = (
        "Ask Mollie whether every credential works, and print the redirect URI to register. Changes nothing."
    )
    # What the system checks would stop at is what this command is asked to explain.
    requires_system_checks = ()

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        findings = services.check_mollie()
        failures = sum(finding.is_failure for finding in findings)
        self.report(
            "\n".join(_lines(findings)),
            {"findings": [finding._asdict() for finding in findings]},
            as_json=json,
            failure=f"{failures} of {len(findings)} findings must be looked at." if failures else "",
        )


def _lines(findings: Sequence[services.Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.verdict:8} {finding.text}"
        if finding.hint:
            yield f"{'':8} {finding.hint}"
    counts = Counter(finding.verdict for finding in findings)
    yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in services.Verdict) + "."
