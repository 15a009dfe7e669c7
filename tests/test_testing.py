"""The sandbox without a server, as the platform's own tests use it."""

from __future__ import annotations

import pytest
import requests

from mollie_onboarding import services
from mollie_onboarding.exceptions import MollieConnectionError
from mollie_onboarding.testing import sandbox_mollie

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def test_sandbox_answers_in_place_of_mollie(make_client_link):
    with sandbox_mollie():
        assert services.create_client_link(make_client_link()).url.startswith("https://my.mollie.com/")


def test_sandbox_answers_where_the_api_has_a_path(make_client_link, settings):
    settings.MOLLIE_ONBOARDING_API_URL = "https://my.mollie.com/elsewhere/mollie"
    with sandbox_mollie():
        assert services.create_client_link(make_client_link()).url


def test_nobody_but_mollie_can_be_reached():
    with sandbox_mollie(), pytest.raises(requests.ConnectionError):
        requests.get("https://shop.example/", timeout=1)


def test_unknown_address_of_mollie_is_a_dead_connection():
    with sandbox_mollie(), pytest.raises(requests.ConnectionError):
        requests.get("https://api.mollie.com/v2/nothing", timeout=1)


def test_sandbox_that_is_not_allowed_answers_nothing(make_client_link, settings):
    settings.MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG = False
    with sandbox_mollie(), pytest.raises(MollieConnectionError):
        services.create_client_link(make_client_link())


def test_everything_is_as_before_afterwards():
    before = requests.adapters.HTTPAdapter.send
    with sandbox_mollie():
        pass
    assert requests.adapters.HTTPAdapter.send is before
