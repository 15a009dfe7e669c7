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
