"""Leaving: unusable at once, revoked at Mollie now or later, and nobody else's connection touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, transaction
from django.test import TestCase
from django.utils import timezone

from mollie_onboarding import services, tasks
from mollie_onboarding.exceptions import MollieConnectionError, NotConnectedError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import AuthorizationRequest, CallBudget, ClientLink, Event, Organization, Status
from mollie_onboarding.mollie_api import MollieAPI
from mollie_onboarding.services import disconnecting
from mollie_onboarding.signals import organization_disconnected
from tests.conftest import Browser, authorization_url, page_status, reread
from tests.test_tokens import RollbackError, expire, live_tokens
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)


@pytest.fixture
def connect(sandbox, make_client_link):
    """Connect a merchant, the way that merchants connect."""

    def run(
        row: ClientLink | None = None, *, organization_id: str | None = None, browser: Browser | None = None
    ):
        row = row or make_client_link()
        browser = browser or Browser()
        url = authorization_url(browser.press(row))
        browser.come_back(sandbox.visit(url, organization_id=organization_id))
        row = reread(row)
        assert row.is_connected
        return row

    return run


def disconnect(organization: Organization, **arguments: object) -> bool:
    with TestCase.captureOnCommitCallbacks(execute=True):
        return services.disconnect(organization, **arguments)


def test_disconnect_ends_everything_at_once_and_revokes_with_one_call(connect, sandbox, operator):
    heard = []

    def receive(**arguments: object) -> None:
        heard.append(arguments)

    organization_disconnected.connect(receive)
    row = connect()
    organization = row.organization
    assert disconnect(organization, actor=operator)
    assert organization.connection_status == "disconnected"
    assert (organization.access_token, organization.refresh_token) == (None, None)
    assert organization.ended_at is not None
    with pytest.raises(NotConnectedError) as raised:
        services.get_access_token(organization)
    assert raised.value.connection_status == "disconnected"
    assert len(sandbox.calls("revoke")) == 1
    assert not live_tokens()
    organization.refresh_from_db()
    assert organization.pending_revocation is None
    event = Event.objects.get(kind="disconnected")
    assert (event.organization, event.actor, event.data) == (organization, operator, {"client_links": 1})
    assert event.announced_at is not None
    assert Event.objects.filter(kind="revoked", organization=organization).count() == 1
    assert [(a["sender"], a["organization"], a["event"]) for a in heard] == [
        (Organization, organization, event)
    ]


def test_disconnect_twice_is_one_event(connect, sandbox):
    organization = connect().organization
    assert disconnect(organization)
    assert not disconnect(organization)
    assert Event.objects.filter(kind="disconnected").count() == 1
    assert len(sandbox.calls("revoke")) == 1


@pytest.mark.parametrize(
    "kind", ["server_error", "unavailable_html", "drop_before", "rate_limited", "lose_answer"]
)
def test_revocation_that_fails_is_kept_for_later(connect, sandbox, kind):
    organization = connect().organization
    sandbox.add_fault("revoke", kind, times=10)
    assert disconnect(organization)
    organization.refresh_from_db()
    assert organization.pending_revocation is not None
    assert organization.last_error == "revocation_failed"
    with pytest.raises(NotConnectedError):
        services.get_access_token(organization)
    assert services.revoke_pending() == (0, 1)
    sandbox.clear_faults()
    CallBudget.objects.update(paused_until=None)  # the 429 asked for one
    assert services.revoke_pending() == (1, 0)
    assert services.revoke_pending() == (0, 0)
    assert not live_tokens()
    organization.refresh_from_db()
    assert (organization.pending_revocation, organization.last_error) == (None, "")


def test_revocation_waits_while_mollie_wants_no_calls(connect, sandbox, monkeypatch):
    organization = connect().organization
    nudged: list[Any] = []
    monkeypatch.setattr(
        disconnecting, "nudge_after_commit", lambda *args, **more: nudged.append((args, more))
    )
    until = timezone.now() + timedelta(seconds=30)
    CallBudget.objects.create(paused_until=until)
    services.disconnect(organization)
    assert services.revoke_tokens(organization.pk) is False
    [_, (arguments, more)] = nudged
    assert arguments == ("revoke_tokens", organization.pk)
    assert abs(more["run_after"] - until) < timedelta(seconds=1)
    assert not sandbox.calls("revoke")
    organization.refresh_from_db()
    assert organization.pending_revocation is not None
    assert organization.last_error == ""
    CallBudget.objects.update(paused_until=timezone.now())
    assert services.revoke_tokens(organization.pk) is True


def test_sync_takes_up_a_revocation_that_was_left(connect, sandbox):
    organization = connect().organization
    with TestCase.captureOnCommitCallbacks():  # and the process dies before they run
        services.disconnect(organization)
    call_command("sync_onboarding_status")
    assert not live_tokens()


def test_revocation_of_a_token_that_is_void_already_is_done(connect, sandbox):
    organization = connect().organization
    sandbox.revoke_authorizations(organization.organization_id)
    disconnect(organization)
    organization.refresh_from_db()
    assert organization.pending_revocation is None


def test_revocation_with_a_wrong_key_is_kept(connect, settings):
    organization = connect().organization
    with TestCase.captureOnCommitCallbacks():
        services.disconnect(organization)
    keys = settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = ["l1bhfb2dxa3P3D5kT2Zx6gDmtwRj6AUbN7jYuVGsBkI="]
    assert services.revoke_tokens(organization.pk) is False
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = keys
    assert services.revoke_tokens(organization.pk) is True
    assert services.revoke_tokens(organization.pk) is None


def test_lost_connection_can_be_disconnected(connect, sandbox):
    organization = expire(connect().organization)
    sandbox.revoke_authorizations(organization.organization_id)
    with pytest.raises(NotConnectedError):
        services.get_access_token(organization)
    assert disconnect(organization)
    organization.refresh_from_db()
    assert (organization.connection_status, organization.pending_revocation) == ("disconnected", None)


def test_task_carries_an_id_and_nothing_else(connect, sandbox, monkeypatch):
    sent = []
    monkeypatch.setattr(
        type(tasks.revoke_tokens), "enqueue", lambda self, *args: sent.append((self.name, args))
    )
    organization = connect().organization
    sent.clear()
    disconnect(organization)
    assert sent == [("revoke_tokens", (str(organization.pk),))]


def test_roll_back_of_the_caller_leaves_the_connection_as_it_was(connect, sandbox):
    organization = connect().organization
    with pytest.raises(RollbackError), transaction.atomic():  # noqa: PT012
        services.disconnect(organization)
        raise RollbackError
    organization.refresh_from_db()
    assert organization.connection_status == "connected"
    assert services.get_access_token(organization)
    assert not sandbox.calls("revoke")


def test_other_organizations_are_not_touched(connect, sandbox, make_client_link):
    one = connect().organization
    other = connect(make_client_link()).organization
    assert one != other
    disconnect(one)
    other.refresh_from_db()
    assert other.connection_status == "connected"
    assert live_tokens().filter(value=services.get_access_token(other)).exists()


def test_shared_organization_ends_for_all_its_merchants(connect, sandbox, settings, make_client_link):
    settings.MOLLIE_ONBOARDING_ALLOW_SHARED_ORGANIZATIONS = True
    one = connect()
    two = connect(make_client_link(), organization_id=one.organization.organization_id)
    assert one.organization == two.organization
    disconnect(one.organization)
    assert Event.objects.get(kind="disconnected").data == {"client_links": 2}
    for row in (one, two):
        assert page_status(Browser().get(row.merchant_path())) == "lost"


def test_merchant_on_the_way_comes_back_to_nothing(connect, sandbox):
    """They were asked to connect again, and the operator disconnects while they are at Mollie."""
    row = connect()
    Organization.objects.update(connection_status="lost")
    browser = Browser()
    callback = sandbox.visit(
        authorization_url(browser.press(row)), organization_id=row.organization.organization_id
    )
    row.organization.refresh_from_db()
    disconnect(row.organization)
    assert browser.come_back(callback).status_code == 400
    row.organization.refresh_from_db()
    assert row.organization.connection_status == "disconnected"
    assert AuthorizationRequest.objects.order_by("pk").last().outcome == "cancelled"


def test_reconnecting_cancels_a_revocation_that_waits(connect, sandbox):
    row = connect()
    sandbox.add_fault("revoke", "server_error", times=10)
    disconnect(row.organization)
    sandbox.clear_faults()
    row = connect(row, organization_id=row.organization.organization_id)
    organization = row.organization
    assert organization.connection_status == "connected"
    assert (organization.pending_revocation, organization.ended_at) == (None, None)
    assert services.revoke_pending() == (0, 0)
    assert live_tokens().filter(value=services.get_access_token(organization)).exists()


def test_reconnecting_during_the_call_keeps_its_own_tokens(connect, monkeypatch):
    organization = connect().organization
    with TestCase.captureOnCommitCallbacks():
        services.disconnect(organization)

    def revoke(self: MollieAPI, token: str) -> None:
        Organization.objects.update(
            pending_revocation=Secret("another"), token_version=organization.token_version + 1
        )

    monkeypatch.setattr(MollieAPI, "revoke", revoke)
    services.revoke_tokens(organization.pk)
    organization.refresh_from_db()
    assert organization.pending_revocation.reveal() == "another"


@committing
def test_ten_disconnects_at_once_are_one(connect, sandbox):
    organization = connect().organization
    results = in_threads(10, lambda: services.disconnect(Organization.objects.get(pk=organization.pk)))
    assert sorted(results) == [False] * 9 + [True]
    assert Event.objects.filter(kind="disconnected").count() == 1
    assert not live_tokens()


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What each action gave or raised, all started together."""
    waiting = iter(actions)
    return in_threads(len(actions), lambda: next(waiting)())


@committing
@pytest.mark.parametrize("attempt", range(3))
@pytest.mark.parametrize("is_rotated", [True, False])
def test_disconnect_against_refresh_ends_with_nothing_that_works(connect, sandbox, is_rotated, attempt):
    sandbox.set_switch("rotate_refresh_tokens", is_rotated)
    organization = expire(connect().organization)
    results = at_once(
        lambda: services.disconnect(organization),
        *[lambda: services.get_access_token(organization.organization_id)] * 3,
    )
    failures = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(failure, NotConnectedError) for failure in failures), results
    services.revoke_pending()
    organization.refresh_from_db()
    assert organization.connection_status == "disconnected"
    assert (organization.access_token, organization.pending_revocation) == (None, None)
    assert not live_tokens()


@committing
@pytest.mark.parametrize("attempt", range(4))
def test_disconnect_against_a_return_leaves_one_of_the_two(connect, sandbox, attempt):
    row = connect()
    Organization.objects.update(connection_status="lost")
    browser = Browser()
    url = authorization_url(browser.press(row))
    callback = sandbox.visit(url, organization_id=row.organization.organization_id)
    results = at_once(lambda: services.disconnect(row.organization), lambda: browser.come_back(callback))
    assert not [result for result in results if isinstance(result, Exception)], results
    row = reread(row)
    assert row.status == Status.CONNECTED
    if row.organization.is_connected:
        assert services.get_access_token(row.organization)
    else:
        assert row.organization.access_token is None


# Returns that were under way, and calls that cross.


def come_back_and_stop(sandbox, row: ClientLink, organization_id: str) -> None:
    """The merchant agrees, the code is exchanged, and Mollie does not say whose the tokens are."""
    browser = Browser()
    callback = sandbox.visit(authorization_url(browser.press(row)), organization_id=organization_id)
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    assert AuthorizationRequest.objects.filter(client_link=row, tokens__isnull=False, outcome="").exists()


@pytest.mark.parametrize("is_pending", [True, False])
def test_return_that_was_under_way_revives_nothing_and_is_revoked(connect, sandbox, settings, is_pending):
    row = connect()
    settings.MOLLIE_ONBOARDING_SCOPES = [*row.organization.scope.split(), "payments.read"]
    come_back_and_stop(sandbox, row, row.organization.organization_id)
    row.organization.refresh_from_db()
    if is_pending:
        sandbox.add_fault("revoke", "server_error", times=9)
    disconnect(row.organization)
    sandbox.clear_faults()
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert services.resume_interrupted() == 0
    if is_pending:  # one at a time: the return waits until the first is revoked
        assert services.revoke_pending() == (1, 0)
        with TestCase.captureOnCommitCallbacks(execute=True):
            assert services.resume_interrupted() == 0
    row.organization.refresh_from_db()
    assert row.organization.connection_status == "disconnected"
    assert row.organization.pending_revocation is None
    assert not live_tokens()
    assert not AuthorizationRequest.objects.filter(tokens__isnull=False).exists()


def test_return_of_another_row_of_the_merchant_revives_nothing(connect, sandbox, make_client_link):
    organization = connect(make_client_link(reference="shop-1")).organization
    second = make_client_link(reference="shop-1")
    come_back_and_stop(sandbox, second, organization.organization_id)
    disconnect(organization)
    services.resume_interrupted()
    organization.refresh_from_db()
    assert organization.connection_status == "disconnected"


def test_consent_after_the_end_connects_again(connect, sandbox):
    row = connect()
    disconnect(row.organization)
    row = connect(row, organization_id=row.organization.organization_id)
    assert row.organization.connection_status == "connected"


def test_second_disconnect_leaves_a_merchant_alone_who_connects_again(connect, sandbox):
    row = connect()
    disconnect(row.organization)
    browser = Browser()
    row = ClientLink.objects.select_related("organization").get()
    callback = sandbox.visit(
        authorization_url(browser.press(row)), organization_id=row.organization.organization_id
    )
    assert not disconnect(row.organization)
    browser.come_back(callback)
    row.organization.refresh_from_db()
    assert row.organization.connection_status == "connected"


def test_two_revocations_at_once_are_one_event_and_no_error(connect, sandbox, monkeypatch):
    for is_answered in (True, False):
        organization = connect().organization
        Event.objects.all().delete()
        with TestCase.captureOnCommitCallbacks():
            services.disconnect(organization)
        original, calls = MollieAPI.revoke, []

        def revoke(
            self, token, *, original=original, calls=calls, pk=organization.pk, is_answered=is_answered
        ):
            calls.append(token)
            if len(calls) == 1:
                services.revoke_tokens(pk)  # the other process, with success
                if not is_answered:
                    raise MollieConnectionError("Mollie gave no answer.")
            return original(self, token)

        monkeypatch.setattr(MollieAPI, "revoke", revoke)
        services.revoke_tokens(organization.pk)
        monkeypatch.undo()
        organization.refresh_from_db()
        assert (organization.pending_revocation, organization.last_error) == (None, "")
        assert Event.objects.filter(kind="revoked").count() == 1


def test_tokens_of_another_app_are_not_taken_for_revoked(connect, sandbox, settings):
    organization = connect().organization
    with TestCase.captureOnCommitCallbacks():
        services.disconnect(organization)
    settings.MOLLIE_ONBOARDING_CLIENT_ID = "app_new"
    assert services.revoke_pending() == (0, 1)
    organization.refresh_from_db()
    assert organization.pending_revocation is not None
    assert not sandbox.calls("revoke")


def test_disconnecting_an_organization_that_was_deleted_is_no_error(connect):
    row = connect()
    organization = row.organization
    ClientLink.objects.update(organization=None, status="started")
    Organization.objects.filter(pk=organization.pk).delete()
    assert not services.disconnect(organization)


@committing
def test_deadlock_is_tried_again(connect, monkeypatch):
    organization = connect().organization
    hold = type(Organization.objects.all()).hold
    victims = iter([True, True])

    def deadlock(*args):
        if next(victims, False):
            raise OperationalError("Deadlock found when trying to get lock")
        return hold(*args)

    monkeypatch.setattr(type(Organization.objects.all()), "hold", deadlock)
    assert services.disconnect(organization)
