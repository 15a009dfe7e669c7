"""Benchmarks that need a process of their own: to begin with an empty one, or to be on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.workers.engines import is_listening

POSTGRES_URL = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


def run_alone(module: str, *arguments: str, **environment: str) -> None:
    """Run the module, which prints its figures."""
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, check=True, env=os.environ | environment)


def run_on_postgres(module: str, *arguments: str) -> None:
    """The same on `BENCH_DATABASE_URL`; prints a sentence where there is no PostgreSQL."""
    if is_listening(POSTGRES_URL):
        run_alone(module, *arguments, DATABASE_URL=POSTGRES_URL)
    else:
        print("Left out: nothing answers at BENCH_DATABASE_URL.")
