from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from tests.conftest import authorization_url

from .description import NEWEST, OLDER_PAGE, Description, MissingDescriptionError, load, load_json
from .exchanges import Recorder


def or_skip(load: Any, name: str) -> Any:
    """What is loaded. Where it is not there the test is skipped, and where it has to be there it fails."""
    try:
        return load(name)
    except MissingDescriptionError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def description() -> Description:
    """Of all that we use."""
    return or_skip(load, NEWEST)


@pytest.fixture(scope="session")
def older_page() -> Description:
    """Of the one operation that makes client links."""
    return or_skip(load, OLDER_PAGE)


@pytest.fixture(scope="session")
def mollies_list() -> Any:
    """Loads one of the lists that lie beside the descriptions."""
    return lambda name: or_skip(load_json, f"{name}.json")


@pytest.fixture
def wire(sandbox: Any) -> Iterator[Recorder]:
    """Whatever is said between us and the sandbox."""
    recorder = Recorder()
    with mock.patch("mollie_onboarding.testing.transport.send", recorder):
        yield recorder


@pytest.fixture
def connect(sandbox: Any, browser: Any, make_client_link: Any) -> Any:
    """A merchant goes the whole way; returns the client link's row."""

    def connect(**columns: Any) -> Any:
        row = make_client_link(**columns)
        browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
        row.refresh_from_db()
        return row

    return connect
