"""Compiles the message catalogues when a wheel, an sdist or an editable install is made.

The ``.mo`` files are not in git. Babel writes them, so nobody needs gettext to install or to run the demo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def compile_catalogues(root: Path) -> None:
    """Write a ``.mo`` file beside every ``.po`` file of the package."""
    for source in sorted((root / "mollie_onboarding" / "locale").glob("*/LC_MESSAGES/*.po")):
        with source.open("rb") as catalogue, source.with_suffix(".mo").open("wb") as compiled:
            write_mo(compiled, read_po(catalogue))


class CatalogueBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        compile_catalogues(Path(self.root))


if __name__ == "__main__":
    compile_catalogues(Path(__file__).parent)
