"""The commands: one summary line, nothing changed by a dry run, exit code 1 when something failed."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.utils import timezone

from mollie_onboarding import signals
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization, Status
from tests.conftest import authorization_url, page_status

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def run(command: str, *arguments: str) -> str:
    output = StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue()


def run_and_fail(command: str, *arguments: str) -> tuple[str, str]:
    """The summary that was written all the same, and the message of the error: exit code 1 on a command line."""
    output = StringIO()
    with pytest.raises(CommandError) as excinfo:
        call_command(command, *arguments, stdout=output)
    assert excinfo.value.returncode == 1
    return output.getvalue(), str(excinfo.value)


def snapshot() -> list[Any]:
    models = (ClientLink, AuthorizationRequest, Organization, Event)
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.fixture
def queued(make_client_link):
    def make(**columns: Any) -> ClientLink:
        return make_client_link(send_requested_at=timezone.now(), **columns)

    return make


@pytest.fixture
def make_notice(make_client_link):
    """A connected row whose notice was never sent."""

    def make() -> ClientLink:
        organization = Organization.objects.create(organization_id="org_1")
        at = timezone.now() - timedelta(hours=1)
        return make_client_link(status=Status.CONNECTED, organization=organization, notice_requested_at=at)

    return make


# send_onboarding_links


def test_send_drains_the_queue(sandbox, queued, make_notice):
    queued()
    queued()
    make_notice()

    assert run("send_onboarding_links") == "3 sent, 0 not sent.\n"

    assert len(mail.outbox) == 3
    assert run("send_onboarding_links") == "0 sent, 0 not sent.\n"


def test_send_dry_run_changes_nothing(sandbox, queued, make_notice):
    queued()
    queued()
    queued(send_not_before=timezone.now() + timedelta(hours=1))
    make_notice()
    before = snapshot()

    assert run("send_onboarding_links", "--dry-run") == "3 due, none sent (dry run).\n"
    assert run("send_onboarding_links", "--dry-run", "--limit=2") == "2 due, none sent (dry run).\n"

    assert snapshot() == before
    assert mail.outbox == []
    assert sandbox.calls() == []


def test_send_limit(sandbox, queued):
    for _ in range(3):
        queued()

    assert run("send_onboarding_links", "--limit=2") == "2 sent, 0 not sent.\n"
    assert len(mail.outbox) == 2
    assert run("send_onboarding_links", "--limit=2") == "1 sent, 0 not sent.\n"


def test_send_says_how_many_failed_and_goes_on(sandbox, queued):
    queued()
    queued()
    sandbox.add_fault("client_links", "validation")

    summary, error = run_and_fail("send_onboarding_links")

    assert summary == "1 sent, 1 not sent.\n"
    assert "the admin says which" in error
    assert len(mail.outbox) == 1


def test_send_fails_where_the_mail_server_fails(sandbox, queued, monkeypatch):
    queued()
    monkeypatch.setattr(EmailBackend, "send_messages", lambda self, messages: 1 / 0)

    summary, _ = run_and_fail("send_onboarding_links")

    assert summary == "0 sent, 1 not sent.\n"


def test_send_does_not_fail_for_a_merchant_who_connected_meanwhile(sandbox, queued):
    organization = Organization.objects.create(organization_id="org_1")
    queued(status=Status.CONNECTED, organization=organization)

    assert run("send_onboarding_links") == "0 sent, 0 not sent.\n"


# sync_onboarding_status


@pytest.fixture
def interrupted(sandbox, browser, make_client_link):
    """A merchant who agreed at Mollie, and a process that lost Mollie right after the exchange of the code."""
    row = make_client_link()
    callback = sandbox.visit(authorization_url(browser.press(row)))
    sandbox.add_fault("organization", "server_error")
    browser.come_back(callback)
    row.refresh_from_db()
    assert row.status == Status.STARTED
    return row


def test_sync_resumes_an_interrupted_connection(sandbox, interrupted, browser):
    assert run("sync_onboarding_status") == "1 of 1 interrupted connections finished, 0 signals sent.\n"

    interrupted.refresh_from_db()
    assert interrupted.status == Status.CONNECTED
    assert page_status(browser.get(interrupted.merchant_path())) == "connected"
    assert len([call for call in sandbox.calls("tokens") if call.operation == "exchange"]) == 1
    assert run("sync_onboarding_status") == "0 of 0 interrupted connections finished, 0 signals sent.\n"


def test_sync_resumes_after_the_access_token_is_over(sandbox, interrupted):
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        summary = run("sync_onboarding_status")

    assert summary.startswith("1 of 1 ")
    interrupted.refresh_from_db()
    assert interrupted.status == Status.CONNECTED


def test_sync_dry_run_changes_nothing(sandbox, interrupted):
    Event.objects.record("ready", client_link_id=interrupted.pk, needs_signal=True)
    before, calls = snapshot(), len(sandbox.calls())

    summary = run("sync_onboarding_status", "--dry-run")

    assert summary == "1 interrupted, 1 signals unsent, nothing done (dry run).\n"
    assert snapshot() == before
    assert len(sandbox.calls()) == calls


def test_sync_fails_where_a_connection_could_not_be_finished(sandbox, interrupted):
    sandbox.add_fault("organization", "server_error")

    summary, error = run_and_fail("sync_onboarding_status")

    assert summary == "0 of 1 interrupted connections finished, 0 signals sent.\n"
    assert "not finished" in error
    assert run("sync_onboarding_status").startswith("1 of 1 ")


def test_sync_sends_signals_that_a_dead_process_left(make_client_link):
    heard = []
    row = make_client_link()
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        event = Event.objects.record("declined", client_link_id=row.pk, needs_signal=True)

    def hear(event: Event, **arguments: Any) -> None:
        heard.append(event)

    signals.merchant_declined.connect(hear)
    try:
        assert run("sync_onboarding_status") == "0 of 0 interrupted connections finished, 1 signals sent.\n"
        assert run("sync_onboarding_status") == "0 of 0 interrupted connections finished, 0 signals sent.\n"
    finally:
        signals.merchant_declined.disconnect(hear)

    assert heard == [event]


def test_sync_sends_signals_also_where_the_key_of_a_connection_is_gone(interrupted, settings):
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        event = Event.objects.record("declined", client_link_id=interrupted.pk, needs_signal=True)
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(CommandError, match="not finished"):
        run("sync_onboarding_status")

    event.refresh_from_db()
    assert event.announced_at is not None
    assert AuthorizationRequest.objects.filter(tokens__isnull=False).exists()


@pytest.mark.parametrize("command", ["send_onboarding_links", "sync_onboarding_status"])
def test_every_command_writes_one_line(command):
    assert re.fullmatch(r"[^\n]+\.\n", run(command))
