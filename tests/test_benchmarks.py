"""The benchmarks beside the peers still run, and what does not depend on a clock holds: the statements and the calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.benchmarks import start_up

OURS = "mollie_onboarding"
CHECK_AND_TELL = """
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check"])
print(*sys.modules)
"""


def test_callback_beside_the_peers():
    # In a process of its own: the peers are apps that the suite does not install.
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "-m", "tests.benchmarks.peers", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)

    with_mail = figures[f"{OURS}, the mail sent in the request"]
    assert with_mail["callback"] <= 14
    assert figures[OURS]["callback"] < with_mail["callback"]
    for name, counted in figures.items():
        assert counted["calls"] == (4 if name.startswith(OURS) else 2)
        if name.endswith("signing up"):
            assert counted["callback"] > with_mail["callback"]


def test_start_up_imports_nothing_that_only_some_requests_need(tmp_path):
    project = start_up.make_project(tmp_path, "mollie_onboarding")
    (project / "manage.py").write_text(CHECK_AND_TELL)

    loaded = start_up.run(project, "manage.py").split()

    assert "mollie_onboarding.admin.client_links" in loaded
    assert "mollie_onboarding.services.completing" in loaded
    libraries = {"requests", "urllib3", "idna", "cryptography", "stdnum", "openpyxl", "import_export"}
    assert (libraries | {"mollie_onboarding.funnel", "mollie_onboarding.sandbox"}).isdisjoint(loaded)
