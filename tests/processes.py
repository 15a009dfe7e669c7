"""Starting processes of a test: on its databases, each with the settings of `tests.process_settings`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
