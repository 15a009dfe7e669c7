"""A worker in a process of its own that sends whatever is queued, until nothing is. Prints how many mails it sent.

python -m tests.sending_process
"""

from __future__ import annotations

import time

import django


def main() -> None:
    django.setup()
    from django.utils import timezone

    from mollie_onboarding import services
    from mollie_onboarding.models import ClientLink
    from mollie_onboarding.services import budget

    input()  # all start together
    queued = ClientLink.objects.filter(send_requested_at__isnull=False)
    sent = 0
    while queued.exists():
        time.sleep(min(budget.pause(), 1.0))
        due = ClientLink.objects.due_for_sending(timezone.now()).order_by("?").values_list("pk", flat=True)
        if row := due.first():
            sent += services.send_onboarding_link(row) is True
        else:
            time.sleep(0.05)
    print(sent, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
