"""A web process of the platform, in which an operator asks for mails. Prints how many seconds the slowest took.

python -m tests.workers.web_process

Reads ids of client links, one a line.
"""

from __future__ import annotations

import sys
import time

from django.core.wsgi import get_wsgi_application


def main() -> None:
    get_wsgi_application()  # as any server of the platform begins
    from mollie_onboarding import services
    from mollie_onboarding.models import ClientLink

    slowest = 0.0
    for line in sys.stdin:
        row = ClientLink.objects.get(pk=line.strip())
        started = time.monotonic()
        assert services.request_sending(row)
        slowest = max(slowest, time.monotonic() - started)
    print(slowest)  # noqa: T201


if __name__ == "__main__":
    main()
