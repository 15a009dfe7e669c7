from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    url: str  # of the platform
    mollie: str  # of the sandbox, which is another site
    output: Path

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""
