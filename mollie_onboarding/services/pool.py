"""A bounded number of threads that work through many jobs, of which only a few are in memory at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import Full, Queue
from threading import Thread
from typing import TypeVar

J = TypeVar("J")

SLICE = 0.5  # seconds between two calls of `meanwhile`


def work_in_threads(
    jobs: Iterable[J],
    work: Callable[[J], object],
    *,
    threads: int,
    at_end: Callable[[], object],
    meanwhile: Callable[[], object],
) -> None:
    """Do `work` on each of the jobs, which are taken as threads become free. Comes back when all are done.

    `work` raises nothing; a thread in which it does ends, and with the last one RuntimeError is raised, for the jobs
    that are left have nobody. Each thread calls `at_end` before it ends; this thread calls `meanwhile` twice a second.
    """
    waiting: Queue[list[J]] = Queue(maxsize=threads)

    def run() -> None:
        try:
            while batch := waiting.get():
                work(batch[0])
        finally:
            at_end()

    # Daemons: whatever ends this thread ends the process, and what was in hand counts as left by a killed one.
    workers = [Thread(target=run, daemon=True, name=f"mollie_onboarding {n}") for n in range(threads)]
    for worker in workers:
        worker.start()

    def put(item: list[J]) -> bool:
        """Whether a thread will take it: False when there is none any more."""
        while any(worker.is_alive() for worker in workers):
            try:
                waiting.put(item, timeout=SLICE)
                return True
            except Full:
                meanwhile()
        return False

    try:
        for job in jobs:
            if not put([job]):
                raise RuntimeError("No thread is left to work on the jobs.")
    finally:
        for _ in workers:
            put([])
        for worker in workers:
            while worker.is_alive():
                meanwhile()
                worker.join(SLICE)
