"""A real process, killed with SIGKILL at a given place; then what the merchant or a worker does next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core import mail
from django.db import connections
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization, Status
from mollie_onboarding.sandbox.models import SandboxClientLink
from mollie_onboarding.signals import merchant_connected
from mollie_onboarding.state import cookie_name
from tests.conftest import authorization_url, page_status

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

COMPLETING = "mollie_onboarding.services.completing"
CREATION = "mollie_onboarding.services.creation"
SENDING = "mollie_onboarding.services.sending"


def run_killed(module: str, attribute: str, moment: str, *arguments: str) -> None:
    """Run tests/killed_process.py on the databases of this test, and see it die."""
    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in ("default", "mollie_sandbox")}
    process = subprocess.run(
        [sys.executable, "-m", "tests.killed_process", module, attribute, moment, *arguments],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.process_settings",
            "TEST_DATABASE_NAMES": json.dumps(names),
        },
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


def kill_in_callback(browser, callback: str, attribute: str, moment: str) -> None:
    run_killed(COMPLETING, attribute, moment, "callback", callback, browser.cookies[cookie_name()].value)


@pytest.fixture
def consented(sandbox, browser, make_client_link):
    row = make_client_link()
    return row, sandbox.visit(authorization_url(browser.press(row)))


@pytest.mark.parametrize(
    ("attribute", "moment"),
    [
        ("_commit_tokens", "after"),
        ("MollieAPI.get_current_organization", "before"),
        ("MollieAPI.get_current_organization", "after"),
        ("_store_organization", "after"),
        ("_store_connection", "after"),
    ],
)
def test_process_killed_between_exchange_and_connection_ends_connected_after_one_click(
    sandbox, browser, consented, attribute, moment
):
    row, callback = consented
    kill_in_callback(browser, callback, attribute, moment)
    assert not Organization.objects.exists()
    assert page_status(browser.get(row.merchant_path())) == "finishing"

    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        browser.press(row)

    assert page_status(browser.get(row.merchant_path())) == "connected"
    assert len(sandbox.calls("exchange")) == 1
    assert Organization.objects.get().access_token.reveal().startswith("access_")
    assert AuthorizationRequest.objects.get().tokens is None


@pytest.mark.parametrize(
    ("attribute", "moment"),
    [
        ("MollieAPI.exchange_code", "before"),
        ("MollieAPI.exchange_code", "after"),
        ("_commit_tokens", "before"),
    ],
)
def test_process_killed_around_the_exchange_lets_the_merchant_start_again(
    sandbox, browser, consented, attribute, moment
):
    row, callback = consented
    kill_in_callback(browser, callback, attribute, moment)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        # The code may have been used: it is not tried a second time.
        exchanges = len(sandbox.calls("exchange"))
        browser.come_back(callback)
        assert len(sandbox.calls("exchange")) == exchanges
        assert page_status(browser.get(row.merchant_path())) == "started"
        browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    assert page_status(browser.get(row.merchant_path())) == "connected"


@pytest.mark.parametrize(
    ("attribute", "moment"),
    [("_connect", "after"), ("apply_onboarding_status", "after"), ("announce", "before")],
)
def test_process_killed_after_the_connection_loses_no_signal_and_no_mail(
    sandbox, browser, consented, attribute, moment
):
    row, callback = consented
    kill_in_callback(browser, callback, attribute, moment)
    assert page_status(browser.get(row.merchant_path())) == "connected"
    heard = []
    merchant_connected.connect(receiver := lambda **kwargs: heard.append(kwargs["client_link"].pk))
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert services.announce_overdue() >= 1
        assert services.send_queued() == (1, 0)
        assert services.announce_overdue() == 0
    merchant_connected.disconnect(receiver)
    assert heard == [row.pk]
    assert [message.to for message in mail.outbox] == [[row.owner_email]]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_process_killed_around_the_creation_leaves_one_client_link(sandbox, make_client_link, moment):
    row = make_client_link()
    run_killed(CREATION, "MollieAPI.create_client_link", moment, "create", str(row.pk))
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        row = services.create_client_link(ClientLink.objects.get())
    assert row.status == Status.READY
    assert SandboxClientLink.objects.get().pk == row.mollie_id
    assert Event.objects.filter(kind="ready").count() == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_worker_killed_around_the_mail_sends_at_least_one(sandbox, make_client_link, moment):
    row = make_client_link()
    ClientLink.objects.update(send_requested_at=timezone.now())
    run_killed(SENDING, "_deliver", moment, "send", str(row.pk))
    assert services.send_queued() == (0, 0)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert services.send_queued() == (1, 0)
    row.refresh_from_db()
    assert (row.send_count, row.send_requested_at) == (1, None)
    assert len(SandboxClientLink.objects.all()) == 1
