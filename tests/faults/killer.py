"""A process that runs flows in forks of itself, and lets them be killed.

It has Django set up, no thread and no connection: each fork begins as a fresh process of the platform would, in
milliseconds. The test's own process is no such one.

python -m tests.faults.killer

Each line of its input is a job (see `Killer.run`), each line of its output how the fork ended.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import time_machine
from django.utils import timezone

from tests.processes import start, stop

from .steps import Step, watched


class Killer:
    """The process, as the test talks to it."""

    def __init__(self, directory: Path) -> None:
        self._count = directory / "steps.json"
        self._process = start("tests.faults.killer", TEST_MAIL_DIRECTORY=str(directory / "mails"))

    def close(self) -> None:
        stop(self._process)

    def count(self, flow: str, scene: dict[str, Any]) -> list[Step]:
        """Run a flow to its end, and give its steps."""
        ended = self._ask({"flow": flow, "scene": scene, "count": str(self._count)})
        assert ended == 0, f"The flow {flow} ended with {ended}."
        return [Step(*step) for step in json.loads(self._count.read_text())]

    def kill(self, flow: str, scene: dict[str, Any], index: int, moment: str) -> None:
        """Run a flow and kill it before or after its step of that number."""
        ended = self._ask({"flow": flow, "scene": scene, "index": index, "moment": moment})
        assert ended == -signal.SIGKILL, f"The flow {flow} was not killed {moment} step {index}: {ended}."

    def _ask(self, job: dict[str, Any]) -> int:
        """The exit status of the fork; the negative number of a signal that ended it."""
        assert self._process.stdin
        assert self._process.stdout
        job["now"] = timezone.now().isoformat()  # also where the test has moved the time
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def running_killer(directory: Path) -> Iterator[Killer]:
    killer = Killer(directory)
    try:
        yield killer
    finally:
        killer.close()


def serve() -> None:
    django.setup()
    logging.disable()
    from . import flows  # noqa: F401 (imported once, not in each fork)

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _run_and_exit(json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _run_and_exit(job: dict[str, Any]) -> None:
    try:
        _run(job)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _run(job: dict[str, Any]) -> None:
    from mollie_onboarding.testing import sandbox_mollie

    from .flows import FLOWS
    from .scene import Scene, listening

    flow = FLOWS[job["flow"]]
    seen: list[Step] = []

    def tell(moment: str, step: Step) -> None:
        if (len(seen), moment) == (job.get("index"), job.get("moment")):
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "after":
            seen.append(step)

    scene = Scene.load(job["scene"])
    with time_machine.travel(job["now"]), listening(scene.heard), sandbox_mollie(), watched(tell):
        flow.run(scene)
    if "count" in job:
        Path(job["count"]).write_text(json.dumps([(step.kind, step.name) for step in seen]))


if __name__ == "__main__":
    serve()
