"""An operator corrects the owner's address while merchants are on the way, or back."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mollie_onboarding.models import AuthorizationRequest, Status
from tests.conftest import kinds, reread
from tests.races.platform import Race, job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

NEW = "corrected@bakkerij-jansen.example"


def check_corrected(row, race: Race) -> None:
    """The address is the new one, and no browser of the old one connects anything any more."""
    corrected = reread(row)
    assert corrected.owner_email == NEW, race
    assert corrected.link_generation == row.link_generation + 1, race
    assert kinds(corrected).count("edited") == 1, race
    if not corrected.is_connected:
        assert corrected.organization is None, race
        assert "connected" not in race.signals, race
        assert not AuthorizationRequest.objects.filter(client_link=row, tokens__isnull=False), race


def test_correction_against_several_returns_of_the_same_merchant(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions():
        row = make_client_link()
        organization_id = sandbox.sign_up("Bakkerij Jansen").pk
        backs = [leave(row, organization_id=organization_id) for _ in range(4)]

        race = platform.race(
            job("correct", str(row.pk), owner_email=NEW), *[job("come_back", **back) for back in backs]
        )

        assert not race.errors, race
        check_corrected(row, race)
        row = reread(row)
        outcomes = {*AuthorizationRequest.objects.filter(client_link=row).values_list("outcome", flat=True)}
        assert outcomes <= {"connected", "cancelled"}, race
        assert row.is_connected == ("connected" in outcomes), race
        # Unverified or void; connected; or connected, and by then the address of the page was an old one.
        pages = {seen["pages"][-1] for seen in race.results[1:]}
        assert pages <= {"error", "cancelled", "connected", "expired"}, race
        assert row.is_connected or "connected" not in pages, race


def test_correction_against_starts_and_a_return(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions():
        row = make_client_link()
        back = leave(row)
        press = job("press", row.merchant_path())

        race = platform.race(
            press, job("correct", str(row.pk), owner_email=NEW), press, job("come_back", **back), press
        )

        assert not race.errors, race
        check_corrected(row, race)
        row = reread(row)
        assert row.status in (Status.CONNECTED, Status.DRAFT, Status.READY, Status.STARTED), race
        for seen in (race.results[0], race.results[2], race.results[4]):
            # To Mollie; one moment; to the page that says it is connected; an old address.
            assert seen["status"] in (200, 503, 303, 410), race
        # All of them pressed on the page of the old address.
        live = AuthorizationRequest.objects.live(timezone.now()).filter(client_link=row)
        assert not live.exists(), race
