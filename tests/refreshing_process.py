"""A process of the platform in which many threads need a token at the same moment.

python -m tests.refreshing_process <threads>

For each line of its input, an organization id, it prints one line: a JSON list of what each thread got.
"""

from __future__ import annotations

import json
import sys
import threading

import django


def main(count: int) -> None:
    django.setup()
    from django.db import connections

    from mollie_onboarding import services

    def ask_at_once(organization_id: str) -> list[str]:
        results: list[str] = []
        barrier = threading.Barrier(count)

        def ask() -> None:
            try:
                barrier.wait()
                results.append(services.get_access_token(organization_id))
            except Exception as exc:
                results.append(repr(exc))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(ask_at_once(line.strip())), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
