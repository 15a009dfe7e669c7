from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from example_project.shop.models import Shop

pytest_plugins = ["mollie_onboarding.testing.fixtures"]


@pytest.fixture
def shop(db: None) -> Shop:
    """A shop of the platform, whose owner has a login."""
    owner = get_user_model().objects.create_user("jan", "jan@bakkerij-jansen.example", "secret")
    shop: Shop = Shop.objects.create(
        name="Bakkerij Jansen", owner=owner, contact_email="jan@bakkerij-jansen.example"
    )
    return shop
