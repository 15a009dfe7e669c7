"""Makes batches that run, and prints their ids. Run by itself, with the example's settings, as `gallery_rows` is.

Of each, half of the merchants are mailed by the next press and the others wait for tomorrow: so the bar stops half way.
In one, the first half have waited for too long.
"""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import django

BATCHES = ("script", "plain", "late")
NUMBER = 6  # merchants of each


def main() -> None:
    django.setup()
    from mollie_onboarding import services
    from mollie_onboarding.models import ATTENTION_AFTER, Batch, BatchItem, ClientLink

    def make(name: str) -> str:
        from django.utils import timezone

        now = timezone.now()
        rows = ClientLink.objects.bulk_create(
            ClientLink(**_merchant(f"{name}-{number}"), send_not_before=now + timedelta(days=number % 2))
            for number in range(NUMBER)
        )
        # Asked for before: so they count for the batch, and keep their time.
        keys = [row.pk for row in rows]
        ClientLink.objects.filter(pk__in=keys).update(send_requested_at=now, delivery_status="queued")
        batch = services.create_batch(ClientLink.objects.filter(pk__in=keys), pk=uuid.uuid4())
        Batch.objects.filter(pk=batch.pk).update(started_at=now)
        services.queue_started_batches()
        ClientLink.objects.filter(pk__in=keys).update(batch=batch)
        if name == "late":
            due = BatchItem.objects.filter(batch=batch, client_link__send_not_before=now)
            due.update(at=now - ATTENTION_AFTER)
        return str(batch.pk)

    print(json.dumps({name: make(name) for name in BATCHES}))  # noqa: T201 (what the tests read)


def _merchant(name: str) -> dict[str, Any]:
    return {
        "owner_email": f"jan@winkel-{name}.example",
        "owner_given_name": "Jan",
        "owner_family_name": "Jansen",
        "organization_name": f"Winkel {name}",
        "country": "NL",
    }


if __name__ == "__main__":
    main()
