"""A real process, killed with SIGKILL at a given place; then what the merchant or a worker does next."""

from __future__ import annotations

import signal
import subprocess
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import AuthorizationRequest, Batch, ClientLink, Event, Organization, Status
from mollie_onboarding.sandbox.models import SandboxClientLink
from mollie_onboarding.signals import connection_lost, merchant_connected
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, authorization_url, page_status
from tests.processes import arguments_of
from tests.test_tokens import expire, live_tokens, refreshes

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

COMPLETING = "mollie_onboarding.services.completing"
CONNECTING = "mollie_onboarding.services.connecting"
CREATION = "mollie_onboarding.services.creation"
SENDING = "mollie_onboarding.services.sending"
TOKENS = "mollie_onboarding.services.tokens"
REFRESHING = "mollie_onboarding.services.refreshing"
FEEDING = "mollie_onboarding.services.feeding"
DISCONNECTING = "mollie_onboarding.services.disconnecting"


def run_killed(module: str, attribute: str, moment: str, *arguments: str) -> None:
    """Run tests/killed_process.py on the databases of this test, and see it die."""
    process = subprocess.run(
        **arguments_of("tests.killed_process", module, attribute, moment, *arguments),
        capture_output=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


def kill_in_callback(browser, callback: str, attribute: str, moment: str) -> None:
    module = CONNECTING if attribute.startswith("_store") else COMPLETING
    run_killed(module, attribute, moment, "callback", callback, browser.cookies[cookie_name()].value)


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
    [("connect", "after"), ("apply_onboarding_status", "after"), ("announce", "before")],
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
    run_killed(SENDING, "deliver", moment, "send", str(row.pk))
    assert services.send_queued() == (0, 0)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert services.send_queued() == (1, 0)
    row.refresh_from_db()
    assert (row.send_count, row.send_requested_at) == (1, None)
    assert len(SandboxClientLink.objects.all()) == 1


@pytest.mark.parametrize(
    ("attribute", "moment", "kept"),
    [("_queue_chunk", "before", 0), ("_queue", "after", 0), ("_queue_chunk", "after", 500)],
)
def test_process_killed_between_the_chunks_of_a_batch_leaves_nobody_out(sandbox, attribute, moment, kept):
    ClientLink.objects.bulk_create(ClientLink(**MERCHANT) for _ in range(510))
    batch = services.create_batch(ClientLink.objects.all(), pk=uuid.uuid4())
    Batch.objects.update(started_at=timezone.now())
    run_killed(FEEDING, attribute, moment, "feed", str(batch.pk))
    queued = ClientLink.objects.filter(send_requested_at__isnull=False)
    assert (queued.count(), Event.objects.filter(kind="send_requested").count()) == (kept, kept)
    assert services.queue_started_batches() == 510 - kept
    assert queued.count() == Event.objects.filter(kind="send_requested").count() == 510
    assert services.count_outcomes([batch])[batch.pk].queued == 510


# Tokens.


@pytest.fixture
def organization(consented, browser):
    browser.come_back(consented[1])
    return Organization.objects.get()


@pytest.mark.parametrize("is_rotated", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("attribute", ["call_mollie", "store_tokens"])
def test_killed_during_a_refresh_loses_no_tokens(organization, sandbox, attribute, moment, is_rotated):
    sandbox.set_switch("rotate_refresh_tokens", is_rotated)
    expire(organization)
    run_killed(TOKENS, attribute, moment, "token", organization.organization_id)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        token = services.get_access_token(organization)
        assert live_tokens().filter(value=token).exists()
        # At Mollie it was made once: the second asking, where there was one, had the first one's answer.
        assert [call.replayed for call in refreshes(sandbox)].count(False) == 1
        expire(organization)
        assert live_tokens().filter(value=services.get_access_token(organization)).exists()


def test_killed_after_the_loss_was_written_announces_it_later(organization, sandbox):
    expire(organization)
    sandbox.revoke_authorizations(organization.organization_id)
    run_killed(REFRESHING, "announce", "before", "token", organization.organization_id)
    heard = []

    def receive(**arguments):
        heard.append(arguments["organization"])

    connection_lost.connect(receive)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        services.announce_overdue()
    assert heard == [organization]
    assert heard[0].connection_status == "lost"


@pytest.mark.parametrize(
    ("attribute", "moment"),
    [("nudge_revocation", "after"), ("revoke_tokens", "before"), ("MollieAPI.revoke", "after")],
)
def test_killed_during_a_disconnection_revokes_later_or_not_at_all(organization, sandbox, attribute, moment):
    job = "disconnect" if attribute == "nudge_revocation" else "revoke"
    if job == "revoke":
        sandbox.add_fault("revoke", "server_error")
        services.disconnect(organization)
        sandbox.clear_faults()
    run_killed(DISCONNECTING, attribute, moment, job, organization.organization_id)
    services.revoke_pending()
    organization.refresh_from_db()
    if job == "disconnect":  # nothing was committed, so nothing has happened
        assert organization.connection_status == "connected"
        assert services.get_access_token(organization)
    else:
        assert (organization.connection_status, organization.pending_revocation) == ("disconnected", None)
        assert not live_tokens()
