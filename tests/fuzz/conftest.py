from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mollie_onboarding.models import ClientLink
from mollie_onboarding.state import cookie_name
from tests.conftest import authorization_url


@dataclass(frozen=True)
class Visit:
    """A merchant who has consented at Mollie, and is on the way back."""

    row: ClientLink
    cookie: str
    state: str
    code: str


@pytest.fixture
def visit(sandbox: Any, browser: Any, make_client_link: Any) -> Visit:
    row = make_client_link()
    callback = sandbox.visit(authorization_url(browser.press(row)))
    [state], [code] = map(parse_qs(urlsplit(callback).query).get, ("state", "code"))
    return Visit(row, browser.cookies[cookie_name()].value, state, code)


def pytest_itemcollected(item: pytest.Item) -> None:
    # Django reads an address in the charset that its visitor names, before any view is asked, and Python warns of some.
    item.add_marker(pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"))
