"""Starting processes of a test: on its databases, each with the settings of `tests.process_settings`."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections


def arguments_of(module: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """What `subprocess.run` and `Popen` take to run a module on the databases of this test."""
    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in ("default", "mollie_sandbox")}
    return {
        "args": [sys.executable, "-m", module, *arguments],
        "env": {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.process_settings",
            "TEST_DATABASE_NAMES": json.dumps(names),
            **environment,
        },
        "cwd": Path(__file__).parent.parent,
        "text": True,
    }


def start(module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A process that is talked to by lines."""
    return subprocess.Popen(
        **arguments_of(module, *arguments, **environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@contextmanager
def alone() -> Iterator[None]:
    """Wait until nobody else on this machine does this, as other processes of a test run may.

    For tests of so many connections that two of them would take more than a database has.
    """
    with (Path(tempfile.gettempdir()) / f"mollie_onboarding_alone_{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield
