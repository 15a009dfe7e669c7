"""Two batches over the same merchants, and a cron job: one mail each, and nobody is left waiting."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from django.core import mail

from mollie_onboarding import services
from mollie_onboarding.models import BatchItem, ClientLink
from mollie_onboarding.sandbox.models import SandboxClientLink
from tests.races.platform import job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

ROWS = 3


def test_two_batches_over_the_same_rows_send_one_mail_each(platform, sandbox, make_client_link):
    for repetition, _ in enumerate(platform.repetitions(fewer=True), start=1):
        rows = [make_client_link(owner_email=f"{number}@merchant.example") for number in range(ROWS)]
        chosen = ClientLink.objects.filter(pk__in=[row.pk for row in rows])
        batches = [services.create_batch(chosen, pk=uuid.uuid4()) for _ in range(2)]
        mail.outbox.clear()

        race = platform.race(*[job("start_batch", str(batch.pk)) for batch in batches], job("drain"))

        assert not race.errors, race
        assert race.results[:2] == [True, True], race
        services.send_queued()  # what the limit of a request, or another worker's claim, left
        mails = [*race.mails, *[message.to[0] for message in mail.outbox]]
        assert Counter(mails) == Counter(row.owner_email for row in rows), race
        assert set(chosen.values_list("send_count", "status", "send_requested_at")) == {(1, "ready", None)}, (
            race
        )
        assert SandboxClientLink.objects.count() == repetition * ROWS, race
        items = BatchItem.objects.filter(batch__in=batches)
        # The mail counts for the batch that found the merchant in the queue; one that came later found them mailed.
        assert set(items.values_list("outcome", "reason")) <= {("sent", ""), ("skipped", "mailed")}, race
        sent = items.filter(outcome="sent")
        assert set(sent.values_list("client_link", flat=True)) == {row.pk for row in rows}, race
        for batch in batches:
            batch.refresh_from_db()
            assert batch.finished_at is not None, race
