"""A process of the platform that takes part in races, until it is killed.

python -m tests.races.platform_process

It is told by lines: what its threads are to do, as JSON, which it answers with "ready" when they all stand at the start;
then "go", which it answers with what they gave, who was mailed meanwhile, and which signals the platform heard.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

THREADS = 10
SWITCH_INTERVAL = (
    0.001  # seconds for which a thread keeps the interpreter; the usual five are long for a race
)


def main() -> None:
    django.setup()
    sys.setswitchinterval(SWITCH_INTERVAL)
    heard = listen()
    with ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin:
            print(json.dumps(race(json.loads(line), threads, heard)), flush=True)  # noqa: T201


def listen() -> list[str]:
    """The names of the signals that the platform hears from now on."""
    from mollie_onboarding.services.announcing import SIGNALS

    heard: list[str] = []

    def listen_to(kind: str) -> None:
        signal, sender = SIGNALS[kind]
        signal.connect(
            lambda event, **kwargs: heard.append(event.kind), sender=sender, weak=False, dispatch_uid=kind
        )

    # One signal may stand for several kinds of events: each is heard once.
    for kind in {signal: kind for kind, (signal, _) in SIGNALS.items()}.values():
        listen_to(kind)
    return heard


def race(jobs: list[dict[str, Any]], threads: ThreadPoolExecutor, heard: list[str]) -> dict[str, Any]:
    from django.core import mail

    mail.outbox = []  # type: ignore[attr-defined]  # as the backend does
    heard.clear()
    start = threading.Barrier(len(jobs) + 1)
    futures = [threads.submit(run, job, start) for job in jobs]
    while start.n_waiting < len(jobs):
        time.sleep(0.0005)
    print("ready", flush=True)  # noqa: T201
    assert sys.stdin.readline() == "go\n"
    start.wait()
    results = [future.result() for future in futures]
    wait_for_writers()
    return {"results": results, "mails": [message.to[0] for message in mail.outbox], "signals": [*heard]}


def run(job: dict[str, Any], start: threading.Barrier) -> Any:
    """What the job gives, or the name of what it raises."""
    from tests.races import jobs

    work = getattr(jobs, job["name"])
    start.wait()
    time.sleep(job["delay"])
    try:
        return work(*job["args"], **job["kwargs"])
    except Exception as exc:
        return {"raised": type(exc).__name__, "traceback": traceback.format_exc()}


def wait_for_writers() -> None:
    """Until what waits for the end of somebody's transaction is written."""
    for thread in threading.enumerate():
        if thread.name == "mollie_onboarding":
            thread.join(timeout=60)


if __name__ == "__main__":
    main()
