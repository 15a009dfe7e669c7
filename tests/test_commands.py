"""The commands: one summary line, nothing changed by a dry run, exit code 1 when something failed."""

from __future__ import annotations

import json
import re
import uuid
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

from mollie_onboarding import services, signals
from mollie_onboarding.exceptions import MollieResponseError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization, Status
from mollie_onboarding.services import draining, feeding, sending
from tests.conftest import authorization_url, page_status
from tests.connected import connect

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

    summary, error = run_and_fail("send_onboarding_links")

    assert summary == "0 sent, 1 not sent. 1 in the queue will be tried again.\n"
    assert "will be tried again; the admin says which, why and when" in error


def test_send_says_of_some_that_they_will_be_tried_again(sandbox, queued, make_notice, monkeypatch):
    queued()
    make_notice()
    sandbox.add_fault("client_links", "validation")
    monkeypatch.setattr(EmailBackend, "send_messages", lambda self, messages: 1 / 0)

    summary, error = run_and_fail("send_onboarding_links")

    assert summary == "0 sent, 2 not sent. 1 in the queue will be tried again.\n"
    assert error == "Some mails were not sent; the admin says which and why."


def test_send_accounts_for_the_mails_of_a_batch_that_is_cancelled_meanwhile(
    sandbox, make_client_link, monkeypatch
):
    monkeypatch.setattr(draining, "PAGE_SIZE", 2)
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 0)
    for number in range(6):
        make_client_link(owner_email=f"{number}@m.example")
    batch = services.create_batch(ClientLink.objects.all(), pk=uuid.uuid4())
    services.start_batch(batch)
    deliver = sending.deliver

    def cancel(message: Any) -> Any:
        services.cancel_batch(batch)
        return deliver(message)

    monkeypatch.setattr(sending, "deliver", cancel)

    # One in hand; of the others one had been read already.
    assert (
        run("send_onboarding_links", "--concurrency=1") == "1 sent, 0 not sent. 5 left the queue meanwhile.\n"
    )
    batch.refresh_from_db()
    assert batch.finished_at


def test_send_counts_what_waits_for_its_recipient_as_still_queued(sandbox, queued, settings):
    settings.MOLLIE_ONBOARDING_MAIL_LIMIT = "1/d"
    queued()
    queued()

    assert run("send_onboarding_links") == "1 sent, 0 not sent.\n"
    assert ClientLink.objects.filter(send_requested_at__isnull=False).count() == 1


def test_send_does_not_fail_for_a_merchant_who_connected_meanwhile(sandbox, queued):
    organization = Organization.objects.create(organization_id="org_1")
    queued(status=Status.CONNECTED, organization=organization)

    assert run("send_onboarding_links") == "0 sent, 0 not sent. 1 left the queue meanwhile.\n"


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
    assert "1 of 1 interrupted connection finished." in run("sync_onboarding_status")

    interrupted.refresh_from_db()
    assert interrupted.status == Status.CONNECTED
    assert page_status(browser.get(interrupted.merchant_path())) == "connected"
    assert len([call for call in sandbox.calls("tokens") if call.operation == "exchange"]) == 1
    assert "0 of 0 interrupted connections finished." in run("sync_onboarding_status")


def test_sync_resumes_after_the_access_token_is_over(sandbox, interrupted):
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        summary = run("sync_onboarding_status")

    assert "1 of 1 interrupted connection finished." in summary
    interrupted.refresh_from_db()
    assert interrupted.status == Status.CONNECTED


@pytest.fixture
def organizations(sandbox):
    def make(count: int, **columns: Any) -> list[Organization]:
        return connect(sandbox, count, **columns)

    return make


@pytest.fixture
def leaving():
    """A disconnected organization whose tokens are still to be revoked."""
    return Organization.objects.create(
        organization_id="org_leaving",
        connection_status=Organization.ConnectionStatus.DISCONNECTED,
        pending_revocation=Secret("refresh_of_who_left"),
    )


@pytest.fixture
def unsent(make_client_link):
    """An event whose process died before it sent the signal."""
    row = make_client_link()
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        return Event.objects.record("declined", client_link_id=row.pk, needs_signal=True)


def test_sync_dry_run_changes_nothing(sandbox, interrupted, leaving, unsent):
    Organization.objects.create(organization_id="org_1")
    before, calls = snapshot(), len(sandbox.calls())

    summary = run("sync_onboarding_status", "--dry-run")

    assert summary == (
        "1 signal to send, 1 connection to finish, 1 revocation to make, 1 organization to read. "
        "Nothing was done (dry run).\n"
    )
    figures = json.loads(run("sync_onboarding_status", "--dry-run", "--json"))
    work = {"signals": 1, "connections": 1, "revocations": 1, "organizations": 1}
    assert figures == {**work, "dry_run": True, "ok": True}
    assert snapshot() == before
    assert len(sandbox.calls()) == calls


def test_sync_fails_where_a_connection_could_not_be_finished(sandbox, interrupted):
    sandbox.add_fault("organization", "server_error")

    summary, error = run_and_fail("sync_onboarding_status")

    assert "0 of 1 interrupted connection finished." in summary
    assert "not finished" in error
    assert "1 of 1 interrupted connection finished." in run("sync_onboarding_status")


def test_sync_sends_signals_that_a_dead_process_left(sandbox, unsent):
    heard = []

    def hear(event: Event, **arguments: Any) -> None:
        heard.append(event)

    signals.merchant_declined.connect(hear)
    try:
        assert run("sync_onboarding_status").startswith("1 signal sent again.")
        assert run("sync_onboarding_status").startswith("0 signals sent again.")
    finally:
        signals.merchant_declined.disconnect(hear)

    assert heard == [unsent]


def test_sync_sends_signals_also_where_the_key_of_a_connection_is_gone(interrupted, unsent, settings):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(CommandError, match="not finished"):
        run("sync_onboarding_status")

    unsent.refresh_from_db()
    assert unsent.announced_at is not None
    assert AuthorizationRequest.objects.filter(tokens__isnull=False).exists()


def test_sync_revokes_what_waits_for_it(sandbox, leaving):
    sandbox.add_fault("revoke", "server_error")

    summary, error = run_and_fail("sync_onboarding_status")

    assert "0 of 1 pending revocation made." in summary
    assert error == "Some tokens were not revoked; they are tried again with the next run."
    assert "1 of 1 pending revocation made." in run("sync_onboarding_status")
    assert "0 of 0 pending revocations made." in run("sync_onboarding_status")


def test_sync_says_what_it_read(sandbox, organizations):
    _, second, third = organizations(3)
    sandbox.move_onboarding(second.organization_id, "completed", True, True)
    sandbox.remove_client(third.organization_id)
    sandbox.add_clients(2)

    assert run("sync_onboarding_status") == (
        "0 signals sent again. 0 of 0 interrupted connections finished. 0 of 0 pending revocations made. "
        "2 organizations read in 1 call. 2 organizations changed. 1 organization no longer on Mollie's list.\n"
        "On Mollie's list, but not connected here: org_00000004, org_00000005.\n"
    )


def test_sync_as_json(sandbox, organizations):
    organizations(2)
    sandbox.add_clients(1)

    figures = json.loads(run("sync_onboarding_status", "--json"))

    assert figures == {
        "signals_sent": 0,
        "connections_finished": 0,
        "connections_unfinished": 0,
        "revocations_done": 0,
        "revocations_failed": 0,
        "pages": 1,
        "calls": 1,
        "read": 2,
        "changed": 2,
        "without_status": 0,
        "unknown": 1,
        "unknown_ids": ["org_00000003"],
        "missing": 0,
        "unreadable": 0,
        "lost": 0,
        "failed": 0,
        "fallback": False,
        "fallback_reason": "",
        "interrupted": "",
        "ok": True,
    }


def test_sync_names_twenty_unknown_organizations(sandbox):
    ids = sandbox.add_clients(120)

    summary = run("sync_onboarding_status")

    _, unknown, _ = summary.split("\n")
    assert unknown == f"On Mollie's list, but not connected here: {', '.join(ids[:20])} and 100 more."
    figures = json.loads(run("sync_onboarding_status", "--json"))
    assert figures["unknown_ids"] == ids[:100]
    assert figures["unknown"] == 120


def test_sync_fails_while_mollie_is_down_and_everybody_stays_connected(sandbox, organizations):
    organizations(2)
    sandbox.add_fault("clients", "unavailable_html")

    summary, error = run_and_fail("sync_onboarding_status", "--json")

    assert error == (
        "The status was not read to the end: Mollie answered 503. The next run goes on with what is left."
    )
    assert json.loads(summary)["ok"] is False
    assert Organization.objects.connected().count() == 2


def test_sync_says_that_the_list_is_not_open(sandbox, organizations):
    *_, last = organizations(3)
    sandbox.set_switch("partner_without_clients_read", True)
    sandbox.revoke_authorizations(last.organization_id)
    sandbox.add_fault("onboarding", "status", status=403)

    summary, error = run_and_fail("sync_onboarding_status")

    assert summary.endswith(
        "Mollie's list of clients is not open to MOLLIE_ONBOARDING_ACCESS_TOKEN (403): it needs clients.read. "
        "1 organization read one by one. 1 organization changed. 1 connection found lost.\n"
    )
    assert error == "Some organizations were not read; the log says which and why."


def test_sync_limits_what_is_read_one_by_one(sandbox, organizations):
    organizations(3)
    sandbox.set_switch("partner_without_clients_read", True)

    assert "2 organizations read one by one." in run("sync_onboarding_status", "--limit=2")


def test_sync_goes_on_where_one_part_cannot(sandbox, monkeypatch, organizations):
    organizations(1)

    def fail() -> None:
        raise MollieResponseError(418, "")

    monkeypatch.setattr("mollie_onboarding.services.revoke_pending", fail)

    summary, error = run_and_fail("sync_onboarding_status")

    assert "1 organization read in 1 call." in summary
    assert error == "Mollie answered 418."


@pytest.mark.parametrize("command", ["send_onboarding_links", "sync_onboarding_status"])
def test_every_command_writes_one_line(sandbox, command):
    assert re.fullmatch(r"[^\n]+\.\n", run(command))
