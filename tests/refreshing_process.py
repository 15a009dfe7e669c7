"""A process of the platform in which many threads need a token at the same moment.

python -m tests.refreshing_process <threads>

For each line of its input, an organization id, it prints one line: a JSON list of what each thread got.
"""

from __future__ import annotations

import json
import sys

import django


def main(count: int) -> None:
    django.setup()
    from mollie_onboarding import services
    from tests.threads import in_threads

    def ask_at_once(organization_id: str) -> list[str]:
        results = in_threads(count, lambda: services.get_access_token(organization_id))
        return [result if isinstance(result, str) else repr(result) for result in results]

    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(ask_at_once(line.strip())), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
