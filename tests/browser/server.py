"""The example project in a process of its own, as `make demo` runs it, with Mollie's sandbox under another host name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
FOREIGN = ("MOLLIE_", "DJANGO_", "EXAMPLE_", "DATABASE_URL", "EMAIL_URL", "CACHE_URL", "PORT", "COV")
START_TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class Server:
    url: str  # of the platform
    mollie: str  # of the sandbox, which is another site
    output: Path
    rows: dict[str, Any]  # what `prepare` printed

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""


@contextmanager
def run_server(
    directory: Path,
    *,
    port: int = 0,
    url: str = "",
    mollie: str = "",
    prepare: list[str] | None = None,
    **settings: str,
) -> Iterator[Server]:
    """Migrated and seeded, on a free port. `prepare` are the arguments of a Python that fills the database further.

    `url` and `mollie` are how a browser reaches it, where something stands before it.
    """
    port = port or find_free_port()
    url, mollie = url or f"http://127.0.0.1:{port}", mollie or f"http://localhost:{port}/sandbox"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "EXAMPLE_DIRECTORY": str(directory),
        "NO_PROXY": "127.0.0.1,localhost",
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **_atomic_requests(directory),
        **settings,
    }
    _run(["example_project/manage.py", "seed_demo"], environment)  # which also migrates
    rows = json.loads(_run(prepare, environment)) if prepare else {}
    server = Server(url, mollie, directory / "output.txt", rows)
    # Only where the sandbox is on the site's own host does it live its stories, so it moves after them.
    environment.setdefault("MOLLIE_ONBOARDING_API_URL", mollie)
    environment.setdefault("MOLLIE_ONBOARDING_AUTHORIZE_URL", f"{mollie}/oauth2/authorize")
    with server.output.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "example_project/manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_it_answers(server, port, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _atomic_requests(directory: Path) -> dict[str, str]:
    """The database that the example has anyway, with each request in one transaction, where the suite runs like that."""
    if not connection.settings_dict["ATOMIC_REQUESTS"]:
        return {}
    return {"DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}?atomic_requests=True"}


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_it_answers(server: Server, port: int, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/onboarding/signup/")
            connection.getresponse()  # of whatever status: a strict site wants https first
            return
        except (HTTPException, OSError):
            time.sleep(0.1)
        finally:
            connection.close()
    pytest.fail(f"The example project does not answer:\n{server.said()}")
