"""Several workers, and a merchant, on one row: one mail, one client link."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, DeliveryStatus, Status
from mollie_onboarding.sandbox.models import SandboxClientLink
from tests.conftest import kinds, reread
from tests.races.platform import Race, job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


@pytest.fixture
def make_queued(make_client_link) -> Any:
    """A row in the queue that woke no task yet."""

    def make(**columns: Any) -> ClientLink:
        return make_client_link(
            send_requested_at=timezone.now(), delivery_status=DeliveryStatus.QUEUED, **columns
        )

    return make


def check_sent_once(row: ClientLink, race: Race) -> None:
    row = reread(row)
    assert (row.send_count, row.send_requested_at, row.sending_until) == (1, None, None), race
    assert row.delivery_status == DeliveryStatus.SENT, race
    assert (kinds(row).count("sent"), kinds(row).count("ready")) == (1, 1), race


def test_two_workers_a_task_and_a_cron_job_send_one_mail(platform, sandbox, make_queued):
    for _ in platform.repetitions():
        row = make_queued()
        before = SandboxClientLink.objects.count()

        race = platform.race(
            job("send", str(row.pk)), job("run_task", str(row.pk)), job("drain"), job("send", str(row.pk))
        )

        assert not race.errors, race
        assert race.mails == [row.owner_email], race
        assert SandboxClientLink.objects.count() == before + 1, race
        check_sent_once(row, race)
        assert race.signals.count("sent") == 1, race
        assert {race.results[0], race.results[3]} <= {True, None}, race
        assert reread(row).status == Status.READY, race


def test_workers_and_the_merchant_get_the_same_client_link(platform, sandbox, make_queued):
    for _ in platform.repetitions():
        row = make_queued()
        before = SandboxClientLink.objects.count()
        mail.outbox.clear()

        press = job("press", row.merchant_path())
        race = platform.race(job("send", str(row.pk)), press, press, job("send", str(row.pk)))

        assert not race.errors, race
        assert SandboxClientLink.objects.count() == before + 1, race
        # Left for the next worker where the merchant's press was in between each time.
        services.send_queued()
        assert [*race.mails, *[message.to[0] for message in mail.outbox]] == [row.owner_email], race
        row = reread(row)
        check_sent_once(row, race)
        for seen in (race.results[1], race.results[2]):
            assert seen["status"] in (200, 503), race
            assert seen["status"] == 503 or seen["leads_to"].startswith(row.url + "?"), race
