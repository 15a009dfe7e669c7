"""One sign-up form that is sent many times: one merchant, one client link."""

from __future__ import annotations

import pytest

from mollie_onboarding.models import ClientLink
from mollie_onboarding.sandbox.models import SandboxClientLink
from tests.conftest import MERCHANT, kinds
from tests.races.platform import job
from tests.races.test_merchant_page import check_pages

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

COPIES = 20


def test_twenty_copies_of_one_form_make_one_merchant(platform, sandbox):
    for number, luck in enumerate(platform.repetitions(fewer=True), start=1):
        # Each time another family, so that the limits of sign-ups do not come in between.
        fields = MERCHANT | {
            "owner_email": f"{number}@merchant.example",
            "nonce": f"{luck.getrandbits(256):064x}",
        }

        race = platform.race(*[job("sign_up", f"10.0.{number}.1", **fields)] * COPIES)

        left = check_pages(race)
        row = ClientLink.objects.get(owner_email=fields["owner_email"])
        assert ClientLink.objects.count() == SandboxClientLink.objects.count() == number, race
        assert all(seen["leads_to"].startswith(row.url + "?") for seen in left), race
        assert sorted(kinds(row)) == ["ready", "signed_up", "started"], race
