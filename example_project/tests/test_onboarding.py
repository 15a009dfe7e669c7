"""What a platform tests of its onboarding: its own code, with a merchant who really went to Mollie and came back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from django.test import Client

from example_project.shop.models import Shop
from mollie_onboarding.exceptions import NotConnectedError
from mollie_onboarding.services import get_access_token
from mollie_onboarding.testing import STATES, Merchant, later

MakeMerchant = Callable[..., Merchant]


def test_shop_remembers_its_organization(shop: Shop, make_merchant: MakeMerchant) -> None:
    merchant = make_merchant("started", reference=str(shop.pk))
    merchant.come_back(merchant.decide("allow"))

    shop.refresh_from_db()
    assert shop.mollie_organization_id == merchant.organization.organization_id


def test_shop_of_a_merchant_who_says_no_has_none(shop: Shop, make_merchant: MakeMerchant) -> None:
    make_merchant("declined", reference=str(shop.pk))

    shop.refresh_from_db()
    assert shop.mollie_organization_id == ""


@pytest.mark.parametrize("state", STATES)
def test_dashboard_has_words_for_every_state(shop: Shop, make_merchant: MakeMerchant, state: str) -> None:
    make_merchant(state, reference=str(shop.pk))
    client = Client()
    client.force_login(shop.owner)

    assert "Bakkerij Jansen" in client.get("/").content.decode()


def test_merchant_presses_again_when_mollie_is_back(
    shop: Shop, mollie_sandbox: ModuleType, make_merchant: MakeMerchant
) -> None:
    merchant = make_merchant("invited", reference=str(shop.pk))
    with later(days=31):  # the client link is over, so Mollie is asked for a new one
        mollie_sandbox.add_fault("client_links", "server_error")
        assert merchant.press().status_code == 503

        merchant.connect()

    assert merchant.page_status == "connected"
    assert len(mollie_sandbox.calls("exchange")) == 1


def test_access_that_was_taken_back_is_found_out(
    shop: Shop, mollie_sandbox: ModuleType, make_merchant: MakeMerchant
) -> None:
    merchant = make_merchant("completed", reference=str(shop.pk))
    mollie_sandbox.revoke_authorizations(merchant.organization.organization_id)

    with later(hours=1), pytest.raises(NotConnectedError):
        get_access_token(merchant.organization)
    assert merchant.page_status == "lost"
