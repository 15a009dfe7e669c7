"""Run everything, and write the README's table: python -m tests.faults

With names of flows nothing is written: their rows are printed.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.test.utils import setup_databases, setup_test_environment, teardown_databases

from .flows import FLOWS
from .matrix import FlowMatrix, running_matrix
from .table import make_rows, write_rows


def main(names: list[str]) -> None:
    logging.disable()
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    rows: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as directory, running_matrix(Path(directory)) as matrix:
            for flow in FLOWS.values():
                if names and flow.name not in names:
                    continue
                started = time.perf_counter()
                runs = FlowMatrix(matrix, flow)
                kills, strikes = runs.kill(), runs.strike()
                rows += (made := make_rows(flow.name, runs.steps, kills, strikes))
                seconds = time.perf_counter() - started
                print(f"\n{len(kills)} kills and {len(strikes)} faults in {seconds:.0f} s")
                print(*made, sep="\n", flush=True)
    finally:
        teardown_databases(databases, verbosity=0)
    if not names:
        write_rows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
