"""The fixtures, a pytest plugin: `pytest_plugins = ["mollie_onboarding.testing.fixtures"]` in your conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from .box import play_mollie
from .merchants import Merchant
from .merchants import make_merchant as make

# Where `databases` stands among the arguments of `django_db`, which may come without their names.
DATABASES_AT = 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that use the sandbox use its database too, without having to say so."""
    for item in items:
        if "mollie_sandbox" not in getattr(item, "fixturenames", ()):
            continue
        marker = item.get_closest_marker("django_db") or pytest.mark.django_db.mark
        if len(marker.args) <= DATABASES_AT and "databases" not in marker.kwargs:
            options = {**marker.kwargs, "databases": "__all__"}
            item.add_marker(pytest.mark.django_db(*marker.args, **options), append=False)


@pytest.fixture
def mollie_sandbox(db: None) -> Iterator[ModuleType]:
    """Mollie's sandbox in place of the network, and its controls: `mollie_onboarding.sandbox.service`."""
    with play_mollie() as sandbox:
        yield sandbox


@pytest.fixture
def make_merchant(mollie_sandbox: ModuleType) -> Callable[..., Merchant]:
    """Makes merchants: `make_merchant("connected", reference="17")`. See `mollie_onboarding.testing.make_merchant`."""
    return make
