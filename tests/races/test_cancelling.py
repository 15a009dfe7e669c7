"""An operator cancels while the merchant comes back: one of the two happened, wholly, and both are told which."""

from __future__ import annotations

import pytest

from mollie_onboarding.models import AuthorizationRequest, Organization, Status
from tests.conftest import kinds, reread
from tests.races.platform import job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def test_cancel_against_callback_is_one_of_the_two(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions():
        row = make_client_link()
        back = leave(row)
        before = Organization.objects.count()

        race = platform.race(job("come_back", **back), job("cancel", str(row.pk)), job("come_back", **back))

        assert not race.errors, race
        row = reread(row)
        was_cancelled = race.results[1]
        pages = {seen["pages"][-1] for seen in (race.results[0], race.results[2])}
        request = AuthorizationRequest.objects.get(client_link=row)
        assert request.tokens is None, race
        if was_cancelled:
            assert row.status == Status.CANCELLED, race
            assert row.organization is None, race
            assert Organization.objects.count() == before, race
            assert pages == {"cancelled"}, race
            assert request.outcome in ("cancelled", ""), race  # '' only where nobody had come back
            assert "connected" not in race.signals + kinds(row), race
        else:
            assert row.status == Status.CONNECTED, race
            assert row.organization is not None, race
            assert pages == {"connected"}, race
            assert request.outcome == "connected", race
            assert race.signals.count("connected") == 1, race
            assert "cancelled" not in kinds(row), race
