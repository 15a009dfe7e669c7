"""A token when one is needed: handed out, refreshed once, never lost, and lost only where Mollie says so."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import (
    DecryptionError,
    MollieConnectionError,
    MollieError,
    MollieResponseError,
    NotConnectedError,
)
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import CallBudget, Event, Organization
from mollie_onboarding.mollie_api import MollieAPI, Tokens, api
from mollie_onboarding.sandbox.models import Token as SandboxToken
from mollie_onboarding.services import detached, tokens
from mollie_onboarding.signals import connection_lost
from tests.conftest import NOON, authorization_url
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

OTHER_KEY = "l1bhfb2dxa3P3D5kT2Zx6gDmtwRj6AUbN7jYuVGsBkI="


@pytest.fixture(autouse=True)
def _no_tokens_of_another_test():
    yield
    tokens._unwritten.clear()


@pytest.fixture
def organization(sandbox, browser, make_client_link) -> Organization:
    """A merchant's organization, connected the way that merchants connect."""
    row = make_client_link()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    return Organization.objects.get()


@pytest.fixture
def expired(organization) -> Organization:
    return expire(organization)


def expire(organization: Organization, left: timedelta = timedelta(0)) -> Organization:
    """The access token has this much of its life left, and Mollie knows it too."""
    at = timezone.now() + left
    Organization.objects.filter(pk=organization.pk).update(access_token_expires_at=at)
    SandboxToken.objects.filter(kind="access_token").update(expires_at=at)
    organization.refresh_from_db()
    return organization


def refreshes(sandbox: Any) -> list[Any]:
    return list(sandbox.calls("refresh"))


def live_tokens() -> Any:
    """The tokens that Mollie takes right now."""
    return SandboxToken.objects.valid()


def works(sandbox: Any, token: str) -> bool:
    return live_tokens().filter(kind="access_token", value=token).exists()


def wait_for_writers() -> None:
    """Until what waits for the end of a transaction on SQLite is written."""
    for thread in threading.enumerate():
        if thread.name == "mollie_onboarding":
            thread.join(timeout=10)


# Handing out.


def test_token_that_lives_is_handed_out_with_one_statement(organization, sandbox):
    token = organization.access_token.reveal()
    for asked in (organization, organization.organization_id):
        with CaptureQueriesContext(connection) as statements:
            assert services.get_access_token(asked) == token
        assert len(statements) == 1
    assert works(sandbox, token)
    assert not refreshes(sandbox)


def test_token_is_read_from_the_database_not_from_a_stale_instance(organization):
    Organization.objects.update(access_token=Secret("access_newer"))
    assert services.get_access_token(organization) == "access_newer"


@pytest.mark.parametrize(
    ("left", "is_refreshed"),
    [(timedelta(seconds=-1), True), (timedelta(0), True), (timedelta(seconds=59), True), (timedelta(minutes=4, seconds=59), True),
     (timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False), (timedelta(minutes=59), False)],
)  # fmt: skip
def test_lessons_26_refreshed_five_minutes_before_expiry_and_not_earlier(
    organization, sandbox, clock, left, is_refreshed
):
    expire(organization, left)
    token = services.get_access_token(organization)
    assert len(refreshes(sandbox)) == is_refreshed
    assert works(sandbox, token) or not is_refreshed


def test_unknown_organization_is_named_by_the_error(db):
    with pytest.raises(Organization.DoesNotExist):
        services.get_access_token("org_unknown")


def test_refresh_writes_the_new_tokens_and_a_new_key(expired, sandbox, clock):
    expire(expired)
    old = expired
    token = services.get_access_token(expired)
    new = Organization.objects.get()
    assert token == new.access_token.reveal() != old.access_token.reveal()
    assert new.refresh_token.reveal() == old.refresh_token.reveal()
    assert new.token_version == old.token_version + 1
    assert new.access_token_expires_at == NOON + timedelta(hours=1)
    assert (new.refresh_claimed_until, new.refresh_started_at) == (None, None)
    assert new.refresh_key not in ("", old.refresh_key)
    assert [call.idempotency_key for call in refreshes(sandbox)] == [old.refresh_key]
    assert works(sandbox, token)


def test_rotated_refresh_token_replaces_the_old_one(expired, sandbox):
    sandbox.set_switch("rotate_refresh_tokens", True)
    for _ in range(3):
        old = Organization.objects.get().refresh_token.reveal()
        assert works(sandbox, services.get_access_token(expired))
        assert Organization.objects.get().refresh_token.reveal() != old
        expire(expired)


def test_refresh_token_that_does_not_come_is_kept(expired, monkeypatch):
    old = expired.refresh_token.reveal()
    answer = Tokens("access_new", "", timezone.now() + timedelta(hours=1), "")
    monkeypatch.setattr(MollieAPI, "refresh", lambda *args, **kwargs: answer)
    assert services.get_access_token(expired) == "access_new"
    expired.refresh_from_db()
    assert expired.refresh_token.reveal() == old
    assert expired.scope  # no scope in the answer changes none


def test_scope_of_a_refresh_is_kept(expired, monkeypatch):
    answer = Tokens("access_new", "", timezone.now() + timedelta(hours=1), "onboarding.read")
    monkeypatch.setattr(MollieAPI, "refresh", lambda *args, **kwargs: answer)
    services.get_access_token(expired)
    expired.refresh_from_db()
    assert expired.scope == "onboarding.read"


def test_refresh_sends_the_redirect_uri_of_the_authorization(expired, monkeypatch):
    Organization.objects.update(redirect_uri="https://platform.example/onboarding/callback/")
    sent = {}

    def refresh(self: MollieAPI, refresh_token: str, **kwargs: Any) -> Tokens:
        sent.update(kwargs)
        return Tokens("access_new", "", timezone.now() + timedelta(hours=1), "")

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    services.get_access_token(expired)
    assert sent["redirect_uri"] == "https://platform.example/onboarding/callback/"


def test_token_that_mollie_rejected_is_not_handed_out_again(organization, sandbox):
    rejected = services.get_access_token(organization)
    token = services.get_access_token(organization, rejected=rejected)
    assert token != rejected
    assert works(sandbox, token)
    # A second caller with the same 401 gets what the first one's refresh brought.
    assert services.get_access_token(organization, rejected=rejected) == token
    assert len(refreshes(sandbox)) == 1


# Lost, ended, misconfigured.


def test_merchant_who_revoked_at_mollie_is_found_lost(expired, sandbox):
    heard = []

    def receive(**arguments: Any) -> None:
        heard.append(arguments)

    connection_lost.connect(receive)
    sandbox.revoke_authorizations(expired.organization_id)
    for _ in range(2):
        with pytest.raises(NotConnectedError) as raised:
            services.get_access_token(expired)
        assert raised.value.connection_status == "lost"
    assert len(refreshes(sandbox)) == 1
    expired.refresh_from_db()
    assert (expired.connection_status, expired.last_error) == ("lost", "invalid_grant")
    assert expired.ended_at is not None
    event = Event.objects.get(kind="connection_lost")
    assert event.organization == expired
    assert event.announced_at is not None
    assert [(a["sender"], a["organization"], a["event"]) for a in heard] == [(Organization, expired, event)]
    assert heard[0]["organization"].connection_status == "lost"
    assert "access_" not in str(heard)


def test_merchant_who_revoked_is_found_by_a_401_too(organization, sandbox):
    rejected = services.get_access_token(organization)
    sandbox.revoke_authorizations(organization.organization_id)
    with pytest.raises(NotConnectedError):
        services.get_access_token(organization, rejected=rejected)


def test_organization_without_a_refresh_token_is_lost_when_its_token_expires(expired, sandbox):
    Organization.objects.update(refresh_token=None)
    with pytest.raises(NotConnectedError):
        services.get_access_token(expired)
    assert not refreshes(sandbox)
    expired.refresh_from_db()
    # Not a word of Mollie's, who was not asked.
    assert (expired.connection_status, expired.last_error) == ("lost", "no_refresh_token")


@pytest.mark.parametrize("status", ["lost", "disconnected"])
def test_no_token_without_a_connection(organization, sandbox, status):
    Organization.objects.update(connection_status=status)
    with pytest.raises(NotConnectedError) as raised:
        services.get_access_token(organization)
    assert (raised.value.organization_id, raised.value.connection_status) == (
        organization.organization_id,
        status,
    )
    assert isinstance(raised.value, MollieError)


FAULTS = [
    ("rate_limited", {"retry_after": 120}),
    ("server_error", {}),
    ("unavailable_html", {}),
    ("drop_before", {}),
    ("lose_answer", {}),
    ("not_json", {}),
    ("conflict", {}),
    ("replayed_error", {}),
    ("status", {"status": 401, "body": {"error": "invalid_client"}}),
    ("status", {"status": 400, "body": {"error": "invalid_request"}}),
    ("status", {"status": 400, "body": {"error": "unauthorized_client"}}),
    ("status", {"status": 200, "body": {}}),
    ("status", {"status": 403, "body": {"status": 403, "title": "Forbidden", "detail": "No."}}),
]


@pytest.mark.parametrize(("kind", "options"), FAULTS)
def test_lessons_27_only_invalid_grant_loses_a_connection(expired, sandbox, kind, options):
    sandbox.add_fault("refresh", kind, **options)
    with pytest.raises(MollieError) as raised:
        services.get_access_token(expired)
    assert not isinstance(raised.value, NotConnectedError)
    before = expired.refresh_token.reveal()
    expired.refresh_from_db()
    assert expired.connection_status == "connected"
    assert expired.refresh_token.reveal() == before
    assert expired.last_error
    assert not Event.objects.filter(kind="connection_lost").exists()
    sandbox.clear_faults()
    if kind == "replayed_error":  # once more from Mollie's memory; then a new key is used
        with pytest.raises(MollieConnectionError):
            services.get_access_token(expired)
    assert works(sandbox, services.get_access_token(expired))
    expired.refresh_from_db()
    assert expired.last_error == ""


def test_refresh_whose_answer_was_spoilt_on_the_way_loses_no_rotated_token(expired, sandbox, monkeypatch):
    sandbox.set_switch("rotate_refresh_tokens", True)

    def spoil(answer: object, key: str, size: int) -> str:
        monkeypatch.undo()
        return ""

    # Mollie has replaced the refresh token by now; what it says instead does not get through.
    monkeypatch.setattr(api, "get_text", spoil)
    with pytest.raises(MollieConnectionError, match="holds no access token"):
        services.get_access_token(expired)
    assert works(sandbox, services.get_access_token(expired))


@pytest.mark.parametrize(("kind", "options"), FAULTS)
def test_token_that_still_works_is_handed_out_through_a_fault(organization, sandbox, clock, kind, options):
    expire(organization, timedelta(minutes=4))
    old = organization.access_token.reveal()
    sandbox.add_fault("refresh", kind, times=10, **options)
    assert services.get_access_token(organization) == old
    calls = len(refreshes(sandbox))
    # Not asked again at once: the token works, and Mollie has enough to do.
    assert services.get_access_token(organization) == old
    assert len(refreshes(sandbox)) == calls
    clock.shift(31)
    assert services.get_access_token(organization) == old
    # After a 429 as late as Mollie said, two minutes here.
    is_limited = kind == "rate_limited"
    assert len(refreshes(sandbox)) == calls + (not is_limited)
    sandbox.clear_faults()
    clock.shift(90 if is_limited else 31)
    assert services.get_access_token(organization) != old


def test_a_day_of_html_503_leaves_every_connection_as_it_was(expired, sandbox, clock):
    expire(expired)
    sandbox.add_fault("refresh", "unavailable_html", times=1000)
    for _ in range(24):
        with pytest.raises(MollieConnectionError):
            services.get_access_token(expired)
        clock.shift(3600)
    sandbox.clear_faults()
    assert works(sandbox, services.get_access_token(expired))


def test_retry_after_is_told(expired, sandbox):
    sandbox.add_fault("refresh", "rate_limited", retry_after=120)
    with pytest.raises(MollieConnectionError) as raised:
        services.get_access_token(expired)
    assert raised.value.retry_after == 120


@pytest.mark.parametrize(
    ("kind", "options", "is_same"),
    [("lose_answer", {}, True), ("drop_before", {}, True), ("conflict", {}, True), ("rate_limited", {}, True),
     ("status", {"status": 401, "body": {"error": "invalid_client"}}, False), ("status", {"status": 200, "body": {}}, True)],
)  # fmt: skip
def test_key_is_kept_while_its_answer_is_open(expired, sandbox, kind, options, is_same):
    sandbox.add_fault("refresh", kind, **options)
    with pytest.raises(MollieError):
        services.get_access_token(expired)
    services.get_access_token(expired)
    first, second = [call.idempotency_key for call in refreshes(sandbox)]
    assert (first == second) is is_same


def test_answer_that_was_lost_is_repeated_not_made_again(expired, sandbox):
    sandbox.set_switch("rotate_refresh_tokens", True)
    sandbox.add_fault("refresh", "lose_answer")
    with pytest.raises(MollieConnectionError):
        services.get_access_token(expired)
    token = services.get_access_token(expired)
    assert works(sandbox, token)
    assert [call.replayed for call in refreshes(sandbox)] == [False, True]
    expire(expired)
    assert works(sandbox, services.get_access_token(expired))


@pytest.mark.parametrize(("minutes", "calls"), [(20, 2), (53, 2), (56, 3), (59, 3)])
def test_repeated_answer_is_as_old_as_its_first_sending(expired, sandbox, clock, minutes, calls):
    """Mollie says 3600 seconds again, of tokens that it gave `minutes` ago."""
    expire(expired)
    sandbox.set_switch("rotate_refresh_tokens", True)
    sandbox.add_fault("refresh", "lose_answer")
    with pytest.raises(MollieConnectionError):
        services.get_access_token(expired)
    clock.shift(minutes * 60)
    token = services.get_access_token(expired)
    assert len(refreshes(sandbox)) == calls
    assert works(sandbox, token)
    expired.refresh_from_db()
    expected = timedelta(minutes=60) if calls == 3 else timedelta(minutes=60 - minutes)
    assert expired.access_token_expires_at == timezone.now() + expected


def test_tokens_of_another_app_are_a_configuration_error(expired, sandbox, settings):
    settings.MOLLIE_ONBOARDING_CLIENT_ID = "app_other"
    with pytest.raises(ImproperlyConfigured, match="another OAuth app"):
        services.get_access_token(expired)
    assert not refreshes(sandbox)
    expired.refresh_from_db()
    assert expired.connection_status == "connected"
    Organization.objects.update(client_id="")  # issued before the column was written
    settings.MOLLIE_ONBOARDING_CLIENT_ID = "app_test"
    assert services.get_access_token(expired)


def test_missing_secret_is_a_configuration_error_and_frees_the_claim(expired, sandbox, settings):
    settings.MOLLIE_ONBOARDING_CLIENT_SECRET = ""
    with pytest.raises(ImproperlyConfigured):
        services.get_access_token(expired)
    expired.refresh_from_db()
    assert expired.refresh_claimed_until is None


def test_wrong_encryption_key_is_a_clear_error_and_changes_no_token(organization, settings):
    key = settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY]
    for left in (timedelta(hours=1), timedelta(0)):
        expire(organization, left)
        with pytest.raises(DecryptionError, match="MOLLIE_ONBOARDING_ENCRYPTION_KEYS"):
            services.get_access_token(organization)
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = key
    assert services.get_access_token(organization)


# Others at the same moment.


def test_while_another_refreshes_the_current_token_is_handed_out(organization, sandbox, clock):
    expire(organization, timedelta(minutes=4))
    Organization.objects.update(refresh_claimed_until=NOON + timedelta(seconds=60))
    assert services.get_access_token(organization) == organization.access_token.reveal()
    assert not refreshes(sandbox)


def test_whoever_waits_gets_the_token_of_the_other(expired, sandbox, monkeypatch):
    Organization.objects.update(refresh_claimed_until=timezone.now() + timedelta(seconds=60))

    def finish(seconds: float) -> None:
        Organization.objects.update(
            access_token=Secret("access_of_the_other"),
            access_token_expires_at=timezone.now() + timedelta(hours=1),
        )

    monkeypatch.setattr(tokens.time, "sleep", finish)
    assert services.get_access_token(expired) == "access_of_the_other"
    assert not refreshes(sandbox)


def test_waiting_ends_after_ten_seconds(expired, monkeypatch):
    Organization.objects.update(refresh_claimed_until=timezone.now() + timedelta(seconds=60))
    slept = []
    monkeypatch.setattr(tokens, "WAIT_FOR_OTHERS", 0.05)
    monkeypatch.setattr(tokens.time, "sleep", slept.append)
    with pytest.raises(MollieConnectionError, match="being refreshed"):
        services.get_access_token(expired)
    assert slept


def test_claim_of_a_process_that_died_is_taken_over_with_its_key(expired, sandbox, clock):
    expire(expired)
    assert Organization.objects.claim_refresh(expired.pk, expired.token_version, NOON)
    assert not Organization.objects.claim_refresh(expired.pk, expired.token_version, NOON)
    clock.shift(60)
    assert services.get_access_token(expired)
    assert [call.idempotency_key for call in refreshes(sandbox)] == [expired.refresh_key]


def test_reconnected_during_a_refresh_keeps_the_newer_tokens(expired, monkeypatch):
    def refresh(*args: Any, **kwargs: Any) -> Tokens:
        Organization.objects.update(
            access_token=Secret("access_reconnected"),
            access_token_expires_at=timezone.now() + timedelta(hours=1),
            token_version=expired.token_version + 1,
        )
        return Tokens("access_refreshed", "refresh_refreshed", timezone.now() + timedelta(hours=1), "")

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    assert services.get_access_token(expired) == "access_reconnected"


def test_invalid_grant_of_tokens_that_were_replaced_loses_nothing(expired, sandbox, monkeypatch):
    original = MollieAPI.refresh

    def refresh(*args: Any, **kwargs: Any) -> Tokens:
        Organization.objects.update(
            access_token=Secret("access_reconnected"),
            access_token_expires_at=timezone.now() + timedelta(hours=1),
            token_version=expired.token_version + 1,
        )
        return original(*args, **kwargs)

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    sandbox.revoke_authorizations(expired.organization_id)
    assert services.get_access_token(expired) == "access_reconnected"
    assert not Event.objects.filter(kind="connection_lost").exists()


@pytest.mark.parametrize("is_rotated", [True, False])
def test_disconnected_during_a_refresh_revokes_what_came_of_it(expired, sandbox, monkeypatch, is_rotated):
    sandbox.set_switch("rotate_refresh_tokens", is_rotated)
    original = MollieAPI.refresh

    def refresh(*args: Any, **kwargs: Any) -> Tokens:
        answer = original(*args, **kwargs)
        services.disconnect(expired)
        return answer

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    with pytest.raises(NotConnectedError):
        services.get_access_token(expired)
    while services.revoke_pending() != (0, 0):
        pass
    assert not SandboxToken.objects.valid().exists()
    expired.refresh_from_db()
    assert expired.pending_revocation is None
    assert expired.access_token is None


def test_disconnected_during_a_refresh_without_a_new_refresh_token(expired, monkeypatch):
    def refresh(*args: Any, **kwargs: Any) -> Tokens:
        services.disconnect(expired)
        return Tokens("access_new", "", timezone.now() + timedelta(hours=1), "")

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    with pytest.raises(NotConnectedError):
        services.get_access_token(expired)
    expired.refresh_from_db()
    assert expired.pending_revocation is not None


def test_late_answer_revokes_nothing_of_a_newer_authorization(expired, monkeypatch):
    """Disconnected and connected again while an old refresh hung."""

    def refresh(*args: Any, **kwargs: Any) -> Tokens:
        Organization.objects.update(
            authorized_at=timezone.now() + timedelta(seconds=1),
            connection_status="disconnected",
            token_version=expired.token_version + 2,
        )
        return Tokens("access_new", "refresh_new", timezone.now() + timedelta(hours=1), "")

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    with pytest.raises(NotConnectedError):
        services.get_access_token(expired)
    expired.refresh_from_db()
    assert expired.pending_revocation is None


@committing
def test_lessons_25_ten_threads_at_expiry_make_one_refresh(expired, sandbox):
    sandbox.set_switch("rotate_refresh_tokens", True)
    results = in_threads(10, lambda: services.get_access_token(expired))
    assert len(set(results)) == 1, results
    assert works(sandbox, results[0])
    assert len(refreshes(sandbox)) == 1


@committing
def test_ten_threads_of_a_lost_connection_all_hear_it_and_one_event_is_written(expired, sandbox):
    sandbox.revoke_authorizations(expired.organization_id)
    results = in_threads(10, lambda: services.get_access_token(expired))
    assert [type(result) for result in results] == [NotConnectedError] * 10
    assert Event.objects.filter(kind="connection_lost").count() == 1


# Inside a transaction of the caller's.


class RollbackError(Exception):
    pass


def roll_back_after(work: Any) -> Any:
    result = None
    with pytest.raises(RollbackError), transaction.atomic():  # noqa: PT012
        result = work()
        raise RollbackError
    wait_for_writers()
    return result


@committing
def test_refresh_of_one_organization_does_not_wait_for_mollies_answer_about_another(expired, monkeypatch):
    other = Organization.objects.create(organization_id="org_other")
    heard = []

    def answer(row: Organization) -> Any:
        if row == expired:  # while Mollie takes its time, another thread would come by with the other one
            with pytest.raises(MollieConnectionError):
                tokens._refresh_unclaimed(other.pk, "")
        heard.append(row.organization_id)
        raise MollieConnectionError("no answer")

    monkeypatch.setattr(tokens, "call_mollie", answer)
    monkeypatch.setattr(tokens, "check_client_id", lambda row: None)
    with pytest.raises(MollieConnectionError):
        tokens._refresh_unclaimed(expired.pk, "")
    wait_for_writers()
    assert heard == ["org_other", expired.organization_id]


@committing
@pytest.mark.parametrize("is_rotated", [True, False])
def test_refresh_survives_the_roll_back_of_its_caller(expired, sandbox, is_rotated):
    sandbox.set_switch("rotate_refresh_tokens", is_rotated)

    def work() -> list[str]:
        Event.objects.record("touched", organization=expired)
        return [services.get_access_token(expired) for _ in range(3)]

    given = roll_back_after(work)
    assert len(set(given)) == 1
    assert not Event.objects.filter(kind="touched").exists()
    assert Organization.objects.get().access_token.reveal() == given[0]
    assert services.get_access_token(expired) == given[0]
    assert works(sandbox, given[0])
    assert len(refreshes(sandbox)) == 1
    assert tokens._unwritten == {}


@committing
def test_refresh_is_there_when_its_caller_commits(expired, sandbox):
    with transaction.atomic():
        Event.objects.record("touched", organization=expired)
        token = services.get_access_token(expired)
    assert Organization.objects.get().access_token.reveal() == token
    wait_for_writers()
    assert Organization.objects.get().access_token.reveal() == token
    assert len(refreshes(sandbox)) == 1
    assert Event.objects.filter(kind="touched").exists()


@committing
def test_loss_survives_the_roll_back_of_its_caller(expired, sandbox):
    sandbox.revoke_authorizations(expired.organization_id)

    def work() -> None:
        with pytest.raises(NotConnectedError):
            services.get_access_token(expired)

    roll_back_after(work)
    expired.refresh_from_db()
    assert expired.connection_status == "lost"
    assert Event.objects.get(kind="connection_lost").announced_at


@committing
def test_fault_inside_a_transaction_is_told_and_loses_nothing(expired, sandbox):
    sandbox.add_fault("refresh", "status", status=401, body={"error": "invalid_client"})

    def work() -> None:
        with pytest.raises(MollieResponseError):
            services.get_access_token(expired)

    roll_back_after(work)
    key = expired.refresh_key
    expired.refresh_from_db()
    assert (expired.connection_status, expired.last_error) == ("connected", "invalid_client")
    assert expired.refresh_key != key
    assert works(sandbox, services.get_access_token(expired))


@committing
def test_fault_inside_a_transaction_with_a_token_that_still_works(organization, sandbox):
    expire(organization, timedelta(minutes=4))
    sandbox.add_fault("refresh", "server_error")
    given = roll_back_after(lambda: services.get_access_token(organization))
    assert given == organization.access_token.reveal()


@committing
def test_rejected_token_inside_a_transaction(organization, sandbox):
    def work() -> tuple[str, str]:
        first = services.get_access_token(organization)
        return first, services.get_access_token(organization, rejected=first)

    first, second = roll_back_after(work)
    assert first != second
    assert services.get_access_token(organization) == second


@committing
def test_misconfiguration_inside_a_transaction(expired, settings):
    settings.MOLLIE_ONBOARDING_CLIENT_ID = "app_other"
    with pytest.raises(ImproperlyConfigured), transaction.atomic():
        services.get_access_token(expired)


@committing
def test_savepoint_that_is_rolled_back_takes_no_tokens_along(expired, sandbox):
    with transaction.atomic():
        with pytest.raises(RollbackError), transaction.atomic():  # noqa: PT012
            token = services.get_access_token(expired)
            raise RollbackError
        assert services.get_access_token(expired) == token
    wait_for_writers()
    assert Organization.objects.get().access_token.reveal() == token
    assert len(refreshes(sandbox)) == 1


@committing
def test_callers_without_autocommit_are_inside_a_transaction(expired, sandbox):
    transaction.set_autocommit(False)
    try:
        token = services.get_access_token(expired)
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    wait_for_writers()
    assert Organization.objects.get().access_token.reveal() == token


@committing
def test_caller_that_has_locked_the_row_itself_gets_a_token_all_the_same(expired, sandbox):
    sandbox.set_switch("rotate_refresh_tokens", True)

    def work() -> str:
        Organization.objects.select_for_update().get(pk=expired.pk)
        Organization.objects.update(name="Renamed, and rolled back")
        return services.get_access_token(expired)

    token = roll_back_after(work)
    assert services.get_access_token(expired) == token
    assert Organization.objects.get().name == expired.name
    assert len(refreshes(sandbox)) == 1


@pytest.fixture
def beside(monkeypatch):
    """As inside a transaction of a caller's, on a database with row locks; here without a second connection."""
    monkeypatch.setattr(connection, "vendor", "other")
    monkeypatch.setattr(tokens, "is_in_transaction", lambda: True)
    monkeypatch.setattr(tokens, "run_on_own_connection", lambda work: work())
    monkeypatch.setattr(tokens, "run_after_transaction", lambda work: work())
    monkeypatch.setattr(connection.features, "has_select_for_update", True)
    queryset = type(Organization.objects.all())
    monkeypatch.setattr(queryset, "select_for_update", lambda self, **options: self)


def lock(monkeypatch: Any, times: int) -> None:
    """That many times somebody else has the row locked."""
    answers = iter([True] * times)

    def select_for_update(self: Any, **kwargs: Any) -> Any:
        if next(answers, False):
            raise OperationalError("could not obtain lock")
        return self

    monkeypatch.setattr(type(Organization.objects.all()), "select_for_update", select_for_update)
    monkeypatch.setattr(tokens, "LONGEST_LOCK", 0.05)
    monkeypatch.setattr(tokens, "WAIT_FOR_OTHERS", 0.1)
    monkeypatch.setattr(tokens, "POLL_INTERVAL", 0.01)


def test_refresh_beside_a_transaction_claims_the_row(expired, sandbox, beside):
    assert works(sandbox, services.get_access_token(expired))
    assert Organization.objects.get().token_version == expired.token_version + 1


@pytest.mark.parametrize("locked_for", [0, 2, 1000])
def test_refresh_beside_a_transaction_waits_for_a_moment_where_the_row_is_locked(
    expired, sandbox, beside, monkeypatch, locked_for
):
    lock(monkeypatch, locked_for)
    assert works(sandbox, services.get_access_token(expired))
    assert len(refreshes(sandbox)) == 1
    assert Organization.objects.get().token_version == expired.token_version + 1


def test_row_that_stays_locked_by_somebody_is_refreshed_without_a_claim(
    expired, sandbox, beside, monkeypatch
):
    monkeypatch.setattr(tokens, "is_in_transaction", lambda: False)
    lock(monkeypatch, 1000)
    assert works(sandbox, services.get_access_token(expired))
    assert Organization.objects.get().token_version == expired.token_version + 1


def test_old_token_serves_while_mollie_wants_no_calls(organization, sandbox):
    expire(organization, timedelta(minutes=4))
    CallBudget.objects.create(paused_until=timezone.now() + timedelta(seconds=30))
    assert services.get_access_token(organization) == organization.access_token.reveal()
    assert not refreshes(sandbox)
    expire(organization, timedelta(0))
    assert works(sandbox, services.get_access_token(organization))  # somebody waits for it


def test_pause_after_a_failure_holds_in_a_transaction_too(organization, sandbox, monkeypatch):
    expire(organization, timedelta(minutes=4))
    Organization.objects.update(refresh_not_before=timezone.now() + timedelta(seconds=30))
    monkeypatch.setattr(tokens, "is_in_transaction", lambda: True)
    monkeypatch.setattr(tokens, "run_on_own_connection", lambda work: "")  # it is locked
    assert services.get_access_token(organization) == organization.access_token.reveal()
    assert not refreshes(sandbox)


def test_what_the_platform_does_comes_after_the_result():
    order: list[str] = []

    def work() -> str:
        detached.run_when_nobody_waits(lambda: order.append("receiver"))
        order.append("work")
        return "result"

    assert detached.run_on_own_connection(work) == "result"
    wait_for_writers()
    assert order == ["work", "receiver"]
    assert work() == "result"
    assert order == ["work", "receiver", "receiver", "work"]


@committing
def test_work_on_another_connection_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(detached, "LONGEST_WORK", 0.01)
    going_on = threading.Event()
    with pytest.raises(MollieConnectionError, match="too long"):
        detached.run_on_own_connection(lambda: going_on.wait(5))
    going_on.set()
    wait_for_writers()


def test_work_that_times_out_itself_is_not_taken_for_a_lock():
    def work() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        detached.run_on_own_connection(work)


@committing
def test_write_after_a_transaction_waits_for_a_lock(expired, monkeypatch):
    tries = []

    def work() -> None:
        tries.append(None)
        if len(tries) < 3:
            raise OperationalError("database is locked")

    detached._watch(connection, work)
    assert len(tries) == 3


@committing
def test_write_after_a_transaction_is_given_up_in_the_end(monkeypatch):
    monkeypatch.setattr(detached, "LONGEST_TRANSACTION", 0.1)
    done = []
    with transaction.atomic():
        detached._watch(connection, lambda: done.append(None))
    assert not done


@pytest.mark.parametrize("kind", ["lost", "other"])
def test_errors_hold_no_token(expired, sandbox, kind, caplog):
    if kind == "lost":
        sandbox.revoke_authorizations(expired.organization_id)
    else:
        sandbox.add_fault("refresh", "server_error")
    with caplog.at_level("DEBUG"), pytest.raises(MollieError) as raised:
        services.get_access_token(expired)
    for text in (str(raised.value), repr(raised.value), caplog.text):
        assert "access_" not in text.replace("access_token", "")
        assert "refresh_" not in text.replace("refresh_token", "")


# Sequences that must not lose a token.


class Held:
    """Another transaction that has locked the organization's row, or on MariaDB has only written a reference to it."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._held, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        try:
            with transaction.atomic():
                if connection.vendor == "mysql":
                    Event.objects.record("touched", organization=self._organization)
                else:
                    Organization.objects.filter(pk=self._organization.pk).update(name="Locked")
                self._held.set()
                self._done.wait(10)
        finally:
            connections.close_all()

    def __enter__(self) -> None:
        self._thread.start()
        self._held.wait()

    def __exit__(self, *args: object) -> None:
        self._done.set()
        self._thread.join()


needs_row_locks = pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="SQLite locks the whole file: everybody waits for everybody"
)


@committing
@needs_row_locks
def test_whoever_has_a_token_that_works_waits_for_no_lock(organization, sandbox):
    expire(organization, timedelta(minutes=4))
    with Held(organization):
        assert services.get_access_token(organization) == organization.access_token.reveal()
    assert not refreshes(sandbox)


@committing
@needs_row_locks
def test_whoever_needs_a_token_gets_one_in_spite_of_a_lock(expired, sandbox, monkeypatch):
    monkeypatch.setattr(tokens, "WAIT_FOR_OTHERS", 0.2)
    sandbox.set_switch("rotate_refresh_tokens", True)
    with Held(expired):
        token = services.get_access_token(expired)
        assert services.get_access_token(expired) == token
    wait_for_writers()
    assert Organization.objects.get().access_token.reveal() == token
    assert len(refreshes(sandbox)) == 1


@pytest.mark.parametrize("is_written_at_once", [True, False])
def test_answer_that_cannot_be_written_now_is_written_later(
    expired, sandbox, clock, monkeypatch, is_written_at_once
):
    sandbox.set_switch("rotate_refresh_tokens", True)
    later: list[Any] = []
    store = tokens.store_tokens
    locks = iter([True, True])

    def locked_at_first(*args: Any) -> bool:
        if next(locks, False):
            raise OperationalError("Lock wait timeout exceeded")
        return store(*args)

    monkeypatch.setattr(tokens, "store_tokens", locked_at_first)
    monkeypatch.setattr(tokens, "run_after_transaction", later.append)
    monkeypatch.setattr(tokens, "POLL_INTERVAL", 0.01)
    token = services.get_access_token(expired)
    assert works(sandbox, token)
    assert services.get_access_token(expired) == token
    if is_written_at_once:
        with pytest.raises(OperationalError):
            later[0]()  # still locked; tried again by whoever waits
        later[0]()
    # An hour later Mollie has forgotten the key, and the old refresh token is dead.
    clock.shift(3700)
    assert works(sandbox, services.get_access_token(expired))
    assert tokens._unwritten == {}


@committing
def test_fault_in_a_transaction_frees_nobody_elses_claim_afterwards(expired, sandbox, monkeypatch):
    """The watcher of an ended transaction comes late, while another process refreshes."""
    sandbox.set_switch("rotate_refresh_tokens", True)
    sandbox.add_fault("refresh", "status", status=401, body={"error": "invalid_client"})
    monkeypatch.setattr(detached, "POLL_INTERVAL", 0.3)
    monkeypatch.setattr(tokens, "WAIT_FOR_OTHERS", 0.5)

    def work() -> None:
        Organization.objects.filter(pk=expired.pk).update(name="Locked")
        with pytest.raises(MollieResponseError):
            services.get_access_token(expired)

    with transaction.atomic():
        work()
    original = MollieAPI.refresh
    others: list[Any] = []

    def refresh(*args: Any, **kwargs: Any) -> Tokens:
        answer = original(*args, **kwargs)
        if not others:
            others.append("asking")
            wait_for_writers()
            others.extend(in_threads(1, lambda: services.get_access_token(expired.organization_id)))
        return answer

    monkeypatch.setattr(MollieAPI, "refresh", refresh)
    token = services.get_access_token(expired)
    assert works(sandbox, token)
    assert isinstance(others[1], MollieConnectionError)
    assert Organization.objects.get().connection_status == "connected"


@committing
def test_claim_of_another_process_outlives_a_fault_in_a_transaction(expired, sandbox):
    sandbox.add_fault("refresh", "status", status=401, body={"error": "invalid_client"})
    key = expired.refresh_key

    def work() -> None:
        Organization.objects.filter(pk=expired.pk).update(name="Locked")
        with pytest.raises(MollieResponseError):
            services.get_access_token(expired)
        Organization.objects.filter(pk=expired.pk).update(name=expired.name)

    with transaction.atomic():
        work()
        Organization.objects.filter(pk=expired.pk).update(
            refresh_claimed_until=timezone.now() + timedelta(seconds=60)
        )
    wait_for_writers()
    assert Organization.objects.get().refresh_key == key


@committing
def test_replay_of_an_answer_that_was_lost_in_a_transaction_is_as_old_as_it_is(expired, sandbox, clock):
    expire(expired)
    sandbox.add_fault("refresh", "lose_answer")

    def work() -> None:
        Organization.objects.filter(pk=expired.pk).update(name="Locked")
        with pytest.raises(MollieConnectionError):
            services.get_access_token(expired)

    roll_back_after(work)
    clock.shift(50 * 60)
    services.get_access_token(expired)
    clock.shift(15 * 60)
    assert works(sandbox, services.get_access_token(expired))


def test_replay_of_an_answer_whose_first_use_nobody_knows_is_refreshed(expired, sandbox, clock):
    """The process died in a transaction, so the row does not tell when the key was used."""
    expire(expired)
    sandbox.set_switch("rotate_refresh_tokens", True)
    MollieAPI().refresh(expired.refresh_token.reveal(), redirect_uri="", idempotency_key=expired.refresh_key)
    clock.shift(50 * 60)
    token = services.get_access_token(expired)
    expired.refresh_from_db()
    assert [call.replayed for call in refreshes(sandbox)] == [False, True, False]
    assert expired.access_token_expires_at == timezone.now() + timedelta(hours=1)
    assert works(sandbox, token)


def test_same_replay_in_a_transaction_is_used_for_a_moment_and_then_refreshed(
    expired, sandbox, clock, monkeypatch
):
    expire(expired)
    monkeypatch.setattr(tokens, "is_in_transaction", lambda: True)
    monkeypatch.setattr(tokens, "run_on_own_connection", lambda work: "")  # it is locked
    later: list[Any] = []
    monkeypatch.setattr(tokens, "run_after_transaction", later.append)
    answer = MollieAPI().refresh(
        expired.refresh_token.reveal(), redirect_uri="", idempotency_key=expired.refresh_key
    )
    assert services.get_access_token(expired) == answer.access_token
    clock.shift(55)
    with pytest.raises(MollieConnectionError, match="when the transaction is over"):
        services.get_access_token(expired)
    later[0]()
    monkeypatch.setattr(tokens, "is_in_transaction", lambda: False)
    assert works(sandbox, services.get_access_token(expired))


@committing
def test_rejected_or_dead_tokens_are_not_handed_out_of_memory(expired, sandbox, clock):
    expire(expired)
    with transaction.atomic():
        Organization.objects.filter(pk=expired.pk).update(name="Locked")
        token = services.get_access_token(expired)
        with pytest.raises(MollieConnectionError, match="when the transaction is over"):
            services.get_access_token(expired, rejected=token)
        clock.shift(61 * 60)
        with pytest.raises(MollieConnectionError, match="when the transaction is over"):
            services.get_access_token(expired)
    wait_for_writers()
    assert works(sandbox, services.get_access_token(expired))


@committing
def test_tokens_of_a_caller_without_autocommit_are_written_when_it_commits(expired, sandbox):
    transaction.set_autocommit(False)
    try:
        if connection.vendor != "sqlite":
            Organization.objects.filter(pk=expired.pk).update(name="Locked")
        token = services.get_access_token(expired)
        transaction.commit()
        wait_for_writers()
        assert Organization.objects.get().access_token.reveal() == token
        transaction.commit()
    finally:
        transaction.set_autocommit(True)


def test_pause_after_a_failure_ends_with_the_token(organization, sandbox, clock):
    expire(organization, timedelta(seconds=20))
    sandbox.add_fault("refresh", "server_error")
    assert services.get_access_token(organization) == organization.access_token.reveal()
    clock.shift(12)
    assert works(sandbox, services.get_access_token(organization))


def test_pause_after_a_failure_does_not_hold_up_a_rejected_token(organization, sandbox, clock):
    expire(organization, timedelta(minutes=4))
    old = organization.access_token.reveal()
    sandbox.add_fault("refresh", "server_error")
    assert services.get_access_token(organization) == old
    assert services.get_access_token(organization, rejected=old) != old


@committing
@needs_row_locks
def test_receiver_of_a_loss_may_need_what_the_caller_has_locked(expired, sandbox, operator):
    def receive(**arguments: Any) -> None:
        type(operator).objects.filter(pk=operator.pk).update(first_name="told")

    connection_lost.connect(receive)
    sandbox.revoke_authorizations(expired.organization_id)
    with transaction.atomic():
        type(operator).objects.select_for_update().get(pk=operator.pk)
        with pytest.raises(NotConnectedError):
            services.get_access_token(expired)
    wait_for_writers()
    operator.refresh_from_db()
    assert operator.first_name == "told"


@pytest.mark.parametrize("is_inside", [True, False])
def test_consent_by_force_that_is_being_taken_in_is_no_loss(
    organization, sandbox, browser, settings, monkeypatch, is_inside
):
    """Mollie has revoked the tokens that we have, and whose are the new ones is not answered yet."""
    settings.MOLLIE_ONBOARDING_SCOPES = [*organization.scope.split(), "payments.read"]
    row = organization.client_links.get()
    url = authorization_url(browser.press(row))
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(sandbox.visit(url, organization_id=organization.organization_id))
    monkeypatch.setattr(tokens, "is_in_transaction", lambda: is_inside)
    monkeypatch.setattr(tokens, "run_on_own_connection", lambda work: "")  # it is locked
    with pytest.raises(MollieConnectionError, match="new consent"):
        services.get_access_token(organization, rejected=organization.access_token.reveal())
    assert Organization.objects.get().connection_status == "connected"
    monkeypatch.undo()
    assert services.resume_interrupted() == 1
    assert works(sandbox, services.get_access_token(organization))


def test_claim_that_meets_a_lock_is_none(expired, sandbox, monkeypatch):
    claim = type(Organization.objects.all()).claim_refresh
    locks = iter([True])

    def locked_at_first(*args: Any) -> bool:
        if next(locks, False):
            raise OperationalError("Deadlock found")
        return claim(*args)

    monkeypatch.setattr(type(Organization.objects.all()), "claim_refresh", locked_at_first)
    monkeypatch.setattr(tokens, "POLL_INTERVAL", 0.01)
    assert works(sandbox, services.get_access_token(expired))


def test_loss_of_tokens_that_were_replaced_meanwhile_is_none(expired):
    Organization.objects.update(token_version=expired.token_version + 1)
    assert tokens.mark_lost(expired)
    assert Organization.objects.get().connection_status == "connected"


def test_organization_that_was_deleted_during_the_call_is_no_error(expired):
    Organization.objects.filter(pk=expired.pk).update(token_version=99)
    answer = Tokens("access_new", "refresh_new", timezone.now() + timedelta(hours=1), "")
    expired.client_links.update(organization=None, status="started")
    Organization.objects.all().delete()
    assert not tokens.store_tokens(expired, answer)


def test_mollie_that_calls_every_answer_an_old_one_is_not_asked_for_ever(expired, monkeypatch):
    keys = []

    def refresh(self: Any, refresh_token: str, *, idempotency_key: str, **kwargs: Any) -> Tokens:
        keys.append(idempotency_key)
        assert len(keys) < 9
        expires_at = timezone.now() + timedelta(hours=1)
        return Tokens(f"access_{len(keys)}", "refresh_new", expires_at, "", was_replayed=True)

    monkeypatch.setattr(MollieAPI, "refresh", refresh)

    assert services.get_access_token(expired) == "access_2"

    assert len(set(keys)) == len(keys) == 2
