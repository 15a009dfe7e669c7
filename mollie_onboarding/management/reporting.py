"""What the commands have in common: one summary line, or one JSON object, and exit code 1 when something failed."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class ReportingCommand(BaseCommand):
    """A command that ends with `report`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the result as one JSON object.")

    def report(self, summary: str, figures: dict[str, Any], *, as_json: bool, failure: str = "") -> None:
        """Print the summary, or with `--json` the figures. A `failure`, in words, makes the exit code 1."""
        if as_json:
            self.stdout.write(json.dumps({**figures, "ok": not failure}, default=str))
        else:
            self.stdout.write(summary)
        if failure:
            raise CommandError(failure)
