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

    `work` raises nothing. Each thread calls `at_end` before it ends; this thread calls `meanwhile` twice a second.
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
    try:
        for job in jobs:
            _put(waiting, [job], meanwhile)
    finally:
        for _ in workers:
            _put(waiting, [], meanwhile)
        for worker in workers:
            while worker.is_alive():
                meanwhile()
                worker.join(SLICE)


def _put(waiting: Queue[list[J]], item: list[J], meanwhile: Callable[[], object]) -> None:
    while True:
        try:
            waiting.put(item, timeout=SLICE)
            return
        except Full:
            meanwhile()
