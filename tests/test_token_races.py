"""Forty callers in four processes at the moment of expiry, with Mollie in a process of its own: one refresh."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import connection

from mollie_onboarding.models import Organization
from tests.conftest import Browser, authorization_url
from tests.processes import alone, start, stop
from tests.test_tokens import expire, live_tokens, refreshes

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

PROCESSES, THREADS = 4, 10
REPETITIONS = 10 if connection.vendor == "sqlite" else 100


@pytest.fixture
def mollie() -> Iterator[str]:
    with alone():
        process = start("tests.sandbox_process")
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/sandbox"
        stop(process)


def test_forty_callers_make_one_refresh(sandbox, make_client_link, mollie):
    browser = Browser()
    browser.come_back(sandbox.visit(authorization_url(browser.press(make_client_link()))))
    organization = Organization.objects.get()
    sandbox.set_switch("rotate_refresh_tokens", True)
    platform = [
        start("tests.refreshing_process", str(THREADS), TEST_API_URL=mollie) for _ in range(PROCESSES)
    ]
    try:
        for process in platform:
            assert process.stdout.readline() == "ready\n"
        for repetition in range(1, REPETITIONS + 1):
            expire(organization)
            for process in platform:
                process.stdin.write(f"{organization.organization_id}\n")
                process.stdin.flush()
            tokens = [token for process in platform for token in json.loads(process.stdout.readline())]
            assert len(tokens) == PROCESSES * THREADS
            assert len(set(tokens)) == 1, set(tokens)
            assert live_tokens().filter(value=tokens[0]).exists()
            assert len(refreshes(sandbox)) == repetition
    finally:
        for process in platform:
            stop(process)
