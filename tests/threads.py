"""Many callers at one moment."""

from __future__ import annotations

import threading
from typing import Any

from django.db import connections


def in_threads(count: int, work: Any) -> list[Any]:
    """What `work` gave or raised, in that many threads that start together."""
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        try:
            barrier.wait()
            results.append(work())
        except Exception as exc:
            results.append(exc)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
