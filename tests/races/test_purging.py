"""What is old is deleted while its merchant comes: they have everything, or there is nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization
from tests.conftest import reread
from tests.races.platform import job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

AGES_AGO = timedelta(days=4000)


def age(row: ClientLink) -> None:
    """Nothing has happened with it for ages, but for a press whose merchant may still come back."""
    then = timezone.now() - AGES_AGO
    ClientLink.objects.filter(pk=row.pk).update(created_at=then, updated_at=then)
    Event.objects.filter(client_link=row).update(at=then, announced_at=then)
    AuthorizationRequest.objects.filter(client_link=row).update(created_at=then)


def test_purge_against_callback_keeps_everything(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions(fewer=True):
        row = make_client_link(link_expires_at=timezone.now() + timedelta(days=1))
        back = leave(row)
        age(row)

        race = platform.race(job("purge"), job("come_back", **back), job("purge"))

        assert not race.errors, race
        assert (race.results[0], race.results[2]) == (0, 0), race
        assert race.results[1]["pages"][-1] == "connected", race
        assert reread(row).is_connected, race


def test_purge_against_a_press_is_one_of_the_two(platform, sandbox, make_client_link):
    """Who opened the page of a row that is about to be deleted, and presses its button."""
    for _ in platform.repetitions(fewer=True):
        now = timezone.now()
        row = make_client_link(link_expires_at=now + timedelta(days=1), opened_at=now)
        age(row)
        press = job("press", row.merchant_path())

        race = platform.race(press, job("purge"), press, job("purge"))

        assert not race.errors, race
        seen = [race.results[0], race.results[2]]
        deleted = race.results[1] + race.results[3]
        assert deleted in (0, 1), race
        if deleted:
            assert not ClientLink.objects.filter(pk=row.pk).exists(), race
            assert not AuthorizationRequest.objects.filter(client_link=row.pk).exists(), race
            # Its page is unknown, at once or after a 303 to itself.
            assert {answer["status"] for answer in seen} <= {404, 303}, race
        else:
            assert reread(row).status == "started", race
            assert {answer["status"] for answer in seen} <= {200, 503}, race
            assert AuthorizationRequest.objects.filter(client_link=row.pk).exists(), race


def test_deletion_against_callback_is_one_of_the_two(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions(fewer=True):
        row = make_client_link()
        back = leave(row)
        before = Organization.objects.count()

        race = platform.race(job("come_back", **back), job("delete", str(row.pk)), job("come_back", **back))

        assert not race.errors, race
        pages = {seen["pages"][-1] for seen in (race.results[0], race.results[2])}
        if race.results[1]:
            assert not ClientLink.objects.filter(pk=row.pk).exists(), race
            assert Organization.objects.count() == before, race
            # Nobody knows the state, or the page, any more; or the row was read just before, and its return just after.
            assert pages <= {"error", "started"}, race
            assert "connected" not in race.signals, race
        else:
            assert reread(row).is_connected, race
            assert pages == {"connected"}, race
