"""`purge_onboarding_data`: what the retention settings no longer keep goes, and nothing else, at no moment."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import ProtectedError, RestrictedError
from django.db.models.signals import pre_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import ClientLinkUnusableError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import (
    BODY_COLUMNS,
    AuthorizationRequest,
    ClientLink,
    Event,
    MailQuota,
    Organization,
    Status,
)
from mollie_onboarding.services import batching, purging
from mollie_onboarding.services.purging import Purge
from tests.conftest import MERCHANT, authorization_url, page_status

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

Connection = Organization.ConnectionStatus
Outcome = AuthorizationRequest.Outcome

YEAR = timedelta(days=365)
AGES_AGO = timedelta(days=4000)
NOTHING = Purge(0, 0, 0)


@pytest.fixture
def _retention(settings):
    """All three are set."""
    settings.MOLLIE_ONBOARDING_REQUEST_RETENTION = timedelta(days=90)
    settings.MOLLIE_ONBOARDING_UNCONNECTED_RETENTION = YEAR
    settings.MOLLIE_ONBOARDING_DISCONNECTED_RETENTION = YEAR


retention = pytest.mark.usefixtures("_retention")


@pytest.fixture
def make_old(make_client_link):
    """A client link as it was ages ago; keywords replace columns."""

    def make(**columns: Any) -> ClientLink:
        with time_machine.travel(timezone.now() - AGES_AGO, tick=False):
            row = make_client_link(**columns)
            Event.objects.record("signed_up", client_link_id=row.pk)
        return row

    return make


@pytest.fixture
def make_request():
    def make(row: ClientLink, *, age: timedelta = AGES_AGO, **columns: Any) -> AuthorizationRequest:
        """A request whose state is over for `age`."""
        expires_at = timezone.now() - age
        with time_machine.travel(expires_at - timedelta(days=1), tick=False):
            number = AuthorizationRequest.objects.count()
            return AuthorizationRequest.objects.create(
                client_link=row,
                state_digest=f"state {number}",
                browser_digest="browser",
                **{"expires_at": expires_at, **columns},
            )

    return make


@pytest.fixture
def make_ended(make_old):
    """A client link whose organization was disconnected ages ago."""

    def make(
        organization: Organization | None = None, status: str = Connection.DISCONNECTED, **columns: Any
    ) -> ClientLink:
        if organization is None:
            organization = make_organization(connection_status=status)
        return make_old(status=Status.CONNECTED, organization=organization, **columns)

    return make


def make_organization(**columns: Any) -> Organization:
    with time_machine.travel(timezone.now() - AGES_AGO, tick=False):
        number = Organization.objects.count() + 1
        return Organization.objects.create(
            **{
                "organization_id": f"org_{number}",
                "name": "Bakkerij Jansen B.V.",
                "country": "NL",
                "registration_number": "30204462",
                "vat_number": "NL815839091B01",
                "capabilities": [{"name": "payments"}],
                "dashboard_url": "https://my.mollie.com/dashboard/org_1",
                "last_error": "invalid_grant",
                "connection_status": Connection.DISCONNECTED,
                "ended_at": timezone.now(),
                **columns,
            }
        )


def snapshot() -> list[Any]:
    models = (ClientLink, AuthorizationRequest, Organization, Event)
    return [repr(list(model.objects.order_by("pk").values())) for model in models]


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("purge_onboarding_data", *arguments, stdout=output)
    return output.getvalue()


def before_hold(monkeypatch, act):
    """Do something between the selection of a row and its lock."""
    original = purging._hold

    def acted_before(pk):
        act()
        original(pk)

    monkeypatch.setattr(purging, "_hold", acted_before)


# The command


@retention
def test_summary_and_json(make_old, make_ended, make_request):
    make_old()
    make_ended()
    make_request(make_ended())
    MailQuota.objects.create(recipient="a", window_started_at=timezone.now() - timedelta(days=1))
    MailQuota.objects.create(recipient="b", window_started_at=timezone.now() - timedelta(hours=23))

    dry = "1 unconnected client links to be deleted, 2 disconnected ones to be anonymized, 1 authorization requests and 1 mail quotas to be deleted"
    figures = {"deleted": 1, "anonymized": 2, "requests": 1, "kept": 0, "mail_quotas": 1, "ok": True}
    assert run("--dry-run") == f"{dry}, nothing done (dry run).\n"
    assert json.loads(run("--dry-run", "--json")) == {**figures, "dry_run": True}
    assert json.loads(run("--json")) == {**figures, "dry_run": False}
    assert run() == (
        "0 unconnected client links deleted, 0 disconnected ones anonymized, "
        "0 authorization requests and 0 mail quotas deleted.\n"
    )
    assert MailQuota.objects.get().recipient == "b"


@retention
def test_dry_run_changes_nothing(make_old, make_ended, make_request):
    make_request(make_old())
    make_request(make_ended())
    before = snapshot()

    with CaptureQueriesContext(connection) as captured:
        counted = services.purge_onboarding_data(dry_run=True)

    assert counted == Purge(1, 1, 1)
    assert snapshot() == before
    assert all(query["sql"].startswith("SELECT") for query in captured.captured_queries)
    assert services.purge_onboarding_data() == counted


@retention
def test_second_run_changes_nothing(make_old, make_ended, make_request):
    make_request(make_old())
    make_request(make_ended())
    services.purge_onboarding_data()
    before = snapshot()

    assert services.purge_onboarding_data() == NOTHING
    assert snapshot() == before


def test_without_settings_only_old_requests_go(make_old, make_ended, make_request):
    make_request(make_old())
    make_ended()

    assert services.purge_onboarding_data(dry_run=True) == Purge(0, 0, 1)
    assert services.purge_onboarding_data() == Purge(0, 0, 1)
    assert ClientLink.objects.exclude(organization_name=MERCHANT["organization_name"]).count() == 0
    assert Organization.objects.get().name


@pytest.mark.parametrize("name", ["REQUEST_RETENTION", "UNCONNECTED_RETENTION", "DISCONNECTED_RETENTION"])
def test_setting_that_is_no_duration(settings, make_ended, make_old, make_request, name):
    setattr(settings, f"MOLLIE_ONBOARDING_{name}", "a year")
    make_request(make_old())
    make_ended()

    with pytest.raises(ImproperlyConfigured, match=name):
        run()


@retention
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_batches(make_old, make_ended, make_request, monkeypatch, count):
    monkeypatch.setattr(batching, "BATCH_SIZE", 2)
    for _ in range(count):
        make_old()
        make_request(make_ended())

    assert services.purge_onboarding_data() == Purge(count, count, count)
    assert not Organization.objects.exclude(name="").exists()


@pytest.mark.django_db(transaction=True, databases=["default", "mollie_sandbox"])
@retention
def test_interrupted_run_is_finished_by_the_next(make_old, make_ended, monkeypatch):
    for _ in range(3):
        make_old()
        make_ended()
    original = purging._hold
    held = []

    def interrupt(pk):
        held.append(pk)
        original(pk)
        if len(held) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(purging, "_hold", interrupt)
        with pytest.raises(KeyboardInterrupt):
            services.purge_onboarding_data()

    assert not ClientLink.objects.filter(organization=None).exists()
    assert ClientLink.objects.filter(anonymized_at=None).count() == 2
    assert services.purge_onboarding_data() == Purge(0, 2, 0)
    assert not Organization.objects.exclude(name="").exists()


# Never a live connection


@retention
@pytest.mark.parametrize("status", [Connection.CONNECTED, Connection.LOST])
def test_living_connection_is_never_touched(make_old, make_ended, make_request, status):
    tokens = {"access_token": Secret("access_1"), "refresh_token": Secret("refresh_1")}
    row = make_ended(make_organization(connection_status=status, **tokens))
    make_request(row, tokens=Secret("{}"))
    before = snapshot()

    assert services.purge_onboarding_data(dry_run=True) == NOTHING
    assert services.purge_onboarding_data() == NOTHING

    assert snapshot() == before


@retention
def test_old_requests_of_a_living_connection_go(make_ended, make_request):
    row = make_ended(status=Connection.CONNECTED)
    make_request(row, outcome=Outcome.CONNECTED)

    assert services.purge_onboarding_data() == Purge(0, 0, 1)

    row.refresh_from_db()
    assert row.organization.name
    assert row.owner_email


# Authorization requests


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"outcome": Outcome.CONNECTED},
        {"outcome": Outcome.DECLINED},
        {"outcome": Outcome.CANCELLED, "answered_at": timezone.now()},
        # A process that died before the exchange: its claim is over.
        {"answered_at": timezone.now() - AGES_AGO, "claimed_until": timezone.now() - AGES_AGO},
        # A claim that nobody took back counts for nothing once there is an outcome.
        {"outcome": Outcome.CONNECTED, "claimed_until": timezone.now() + YEAR},
    ],
    ids=range(6),
)
def test_request_that_is_finished_or_expired_goes(make_client_link, make_request, columns):
    make_request(make_client_link(), **columns)

    assert services.purge_onboarding_data() == Purge(0, 0, 1)
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.parametrize(
    "columns",
    [
        {"expires_at": timezone.now() + timedelta(hours=1)},
        {"claimed_until": timezone.now() + timedelta(hours=1), "answered_at": timezone.now()},
        {"tokens": Secret("{}"), "claimed_until": timezone.now() - AGES_AGO},
        {"tokens": Secret("{}"), "claimed_until": timezone.now() + timedelta(hours=1)},
    ],
    ids=["live", "in progress", "interrupted", "in progress with tokens"],
)
@retention
def test_request_that_is_unfinished_stays_and_keeps_its_row(make_old, make_request, columns):
    make_request(make_old(), **columns)

    assert services.purge_onboarding_data().requests == 0
    assert AuthorizationRequest.objects.exists()
    assert ClientLink.objects.exists()


@pytest.mark.parametrize(("age", "is_kept"), [(89, True), (90, False)])
def test_request_retention_counts_from_the_end_of_the_state(make_client_link, make_request, age, is_kept):
    make_request(make_client_link(), age=timedelta(days=age, minutes=1))

    services.purge_onboarding_data()

    assert AuthorizationRequest.objects.exists() == is_kept


def test_request_retention_is_a_setting(make_client_link, make_request, settings):
    settings.MOLLIE_ONBOARDING_REQUEST_RETENTION = timedelta(days=10)
    row = make_client_link()
    make_request(row, age=timedelta(days=9))
    make_request(row, age=timedelta(days=11))

    assert services.purge_onboarding_data() == Purge(0, 0, 1)


# Client links that never connected


@retention
@pytest.mark.parametrize("status", sorted(set(Status) - {Status.CONNECTED}))
def test_unconnected_row_goes_with_its_history(make_old, make_request, status):
    row = make_old(status=status)
    make_request(row)
    make_old(updated_at=None)

    assert services.purge_onboarding_data() == Purge(2, 0, 0)

    assert not ClientLink.objects.exists()
    assert not Event.objects.exists()
    assert not AuthorizationRequest.objects.exists()


@retention
@pytest.mark.parametrize(("days", "is_kept"), [(364, True), (366, False)])
def test_unconnected_row_counts_from_its_last_change(make_client_link, days, is_kept):
    with time_machine.travel(timezone.now() - timedelta(days=days)):
        make_client_link()

    services.purge_onboarding_data()

    assert ClientLink.objects.exists() == is_kept


@retention
@pytest.mark.parametrize(
    ("column", "from_now"),
    [
        ("send_requested_at", -AGES_AGO),
        ("sending_until", timedelta(minutes=5)),
        ("issuing_until", timedelta(minutes=5)),
    ],
)
def test_unconnected_row_that_is_worked_on_stays(make_old, column, from_now):
    make_old(**{column: timezone.now() + from_now})

    assert services.purge_onboarding_data() == NOTHING


@retention
def test_unconnected_row_whose_claims_are_over_goes(make_old):
    past = timezone.now() - timedelta(minutes=1)
    make_old(sending_until=past, issuing_until=past)

    assert services.purge_onboarding_data() == Purge(1, 0, 0)


@retention
def test_unconnected_row_that_was_mailed_of_late_stays(sandbox, make_old):
    row = make_old()
    with time_machine.travel(timezone.now() - timedelta(days=100)):
        services.request_sending(row)
        assert services.send_queued() == (1, 0)

    assert services.purge_onboarding_data() == Purge(0, 0, 0, mail_quotas=1)
    assert ClientLink.objects.exists()


@retention
def test_unconnected_row_that_was_clicked_of_late_stays(make_old, make_request):
    make_request(make_old(), age=timedelta(days=300))

    # The request is too old to be kept itself; the click is still known when its row is looked at.
    assert services.purge_onboarding_data(dry_run=True) == Purge(0, 0, 1)
    assert services.purge_onboarding_data() == Purge(0, 0, 1)
    assert ClientLink.objects.exists()


@retention
def test_unconnected_row_with_a_signal_to_send_stays(make_old):
    row = make_old()
    with time_machine.travel(timezone.now() - AGES_AGO):
        Event.objects.record("declined", client_link_id=row.pk, needs_signal=True)

    assert services.purge_onboarding_data() == NOTHING
    assert services.announce_overdue() == 1
    assert services.purge_onboarding_data() == Purge(1, 0, 0)


@retention
def test_unconnected_row_beside_others_goes_alone(make_old, make_client_link, make_ended, make_request):
    gone = make_old()
    kept = [
        make_client_link(),
        make_ended(status=Connection.CONNECTED),
        make_old(send_requested_at=timezone.now()),
    ]
    make_request(kept[0], age=timedelta(days=1))

    assert services.purge_onboarding_data() == Purge(1, 0, 0)
    assert not ClientLink.objects.filter(pk=gone.pk).exists()
    assert ClientLink.objects.count() == 3
    assert AuthorizationRequest.objects.count() == 1


def click(row: ClientLink) -> None:
    AuthorizationRequest.objects.create(
        client_link=row, state_digest="clicked", expires_at=timezone.now() + timedelta(days=1)
    )


@retention
@pytest.mark.parametrize(
    "act",
    [
        lambda row: click(row),
        lambda row: services.request_sending(row),
        lambda row: ClientLink.objects.filter(pk=row.pk).update(updated_at=timezone.now()),
        lambda row: ClientLink.objects.claim_issuing(row.pk, timezone.now()),
        lambda row: ClientLink.objects.filter(pk=row.pk).update(
            organization=make_organization(connection_status=Connection.CONNECTED)
        ),
    ],
    ids=["clicked", "queued", "edited", "issuing", "connected"],
)
def test_unconnected_row_that_is_used_between_selection_and_lock_stays(make_old, monkeypatch, act):
    row = make_old()
    before_hold(monkeypatch, lambda: act(row))

    assert services.purge_onboarding_data() == NOTHING

    row.refresh_from_db()
    assert row.owner_email
    assert row.events.filter(kind="signed_up").exists()


@retention
def test_unconnected_row_that_is_deleted_meanwhile(make_old, monkeypatch):
    row = make_old()
    before_hold(monkeypatch, lambda: ClientLink.objects.filter(pk=row.pk).delete())

    assert services.purge_onboarding_data() == NOTHING


@pytest.mark.django_db(transaction=True, databases=["default", "mollie_sandbox"])
@retention
def test_click_in_another_process_never_leaves_half_a_row(make_old, monkeypatch):
    """Whoever takes the lock first wins: the click then finds no row, and no state without one is left."""
    row = make_old()
    results = []

    def click_elsewhere() -> None:
        try:
            click(row)
            results.append("clicked")
        except IntegrityError:
            results.append("gone")
        finally:
            connections.close_all()

    thread = threading.Thread(target=click_elsewhere)
    original = purging._abandoned

    def held_and_clicked(now):
        if connection.in_atomic_block and not thread.ident:  # the row is locked
            thread.start()
            thread.join(timeout=0.3)
        return original(now)

    monkeypatch.setattr(purging, "_abandoned", held_and_clicked)
    purge = services.purge_onboarding_data()
    thread.join()

    assert purge == Purge(1, 0, 0)
    assert results == ["gone"]
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.django_db(transaction=True, databases=["default", "mollie_sandbox"])
@retention
def test_click_that_is_not_yet_committed_keeps_the_row(make_old):
    row = make_old(status=Status.READY)
    has_clicked = threading.Event()

    def click_slowly() -> None:
        try:
            with transaction.atomic():
                ClientLink.objects.move(row.pk, Status.STARTED)
                click(row)
                has_clicked.set()
                time.sleep(0.3)  # the purge selects the row, and waits for its lock
        finally:
            connections.close_all()

    thread = threading.Thread(target=click_slowly)
    thread.start()
    has_clicked.wait()
    purge = services.purge_onboarding_data()
    thread.join()

    assert purge == NOTHING
    assert ClientLink.objects.get().owner_email
    assert AuthorizationRequest.objects.count() == 1


@retention
@pytest.mark.parametrize("refusal", [ProtectedError, RestrictedError])
def test_row_that_the_platform_protects_keeps_back_no_other(make_old, caplog, refusal):
    protected, _ = sorted([make_old(), make_old()], key=lambda row: row.pk)

    def protect(instance: ClientLink, **kwargs: Any) -> None:
        if instance.pk == protected.pk:
            raise refusal("A shop of the platform refers to it.", {instance})

    pre_delete.connect(protect, sender=ClientLink)
    output = StringIO()
    try:
        with pytest.raises(CommandError, match="protected by rows of the platform") as caught:
            call_command("purge_onboarding_data", "--json", stdout=output)
    finally:
        pre_delete.disconnect(protect, sender=ClientLink)

    assert caught.value.returncode == 1
    assert json.loads(output.getvalue()) == {
        **{"deleted": 1, "anonymized": 0, "requests": 0, "kept": 1, "mail_quotas": 0},
        **{"dry_run": False, "ok": False},
    }
    assert ClientLink.objects.get() == protected
    assert f"{protected.pk} could not be deleted" in caplog.text


# Client links whose organization is disconnected


@retention
def test_disconnected_row_is_anonymized(make_ended, make_request):
    row = make_ended(
        reference="shop-7",
        registration_office="aachen",
        incorporation_date="2020-02-29",
        submission_digest="digest",
        error_detail="jan@bakkerij-jansen.example is taken",
        mollie_id="cl_1",
        url="https://my.mollie.com/dashboard/client-link/cl_1",
        attempt_digest="digest",
        problem=ClientLink.Problem.MAIL_FAILED,
        identity_check=ClientLink.IdentityCheck.DIFFERS,
        refused_organization_id="org_9",
        send_count=2,
    )
    make_request(row, age=timedelta(days=1), outcome=Outcome.CONNECTED)

    assert services.purge_onboarding_data() == Purge(0, 1, 0)

    row.refresh_from_db()
    assert row.anonymized_at is not None
    assert {name: value for name, value in row.body_values().items() if value} == {"country": "NL"}
    assert all(getattr(row, name) is not None for name in BODY_COLUMNS if name != "incorporation_date")
    assert (row.submission_digest, row.error_detail, row.user) == (None, "", None)
    assert (row.mollie_id, row.url, row.attempt_digest) == (None, "", "")
    assert (row.problem, row.identity_check, row.refused_organization_id) == ("", "unknown", "")
    assert (row.reference, row.status, row.send_count) == ("shop-7", Status.CONNECTED, 2)
    assert row.link_generation == 2
    assert row.updated_at == row.anonymized_at
    assert list(row.events.values_list("kind", "data")) == [("signed_up", {}), ("anonymized", {})]
    assert row.authorization_requests.get().browser_digest == ""
    assert str(row) == str(row.pk)
    assert not ClientLink.objects.needing_attention(timezone.now()).exists()


@retention
def test_disconnected_organization_is_emptied(make_ended):
    tokens = {"access_token": Secret("access_1"), "refresh_token": Secret("refresh_1")}
    organization = make_organization(scope="organizations.read", **tokens)
    make_ended(organization)

    services.purge_onboarding_data()

    organization.refresh_from_db()
    assert (organization.name, organization.country, organization.capabilities) == ("", "", [])
    assert (organization.registration_number, organization.vat_number) == ("", "")
    assert (organization.dashboard_url, organization.last_error) == ("", "")
    assert (organization.access_token, organization.refresh_token) == (None, None)
    assert (organization.organization_id, organization.scope) == ("org_1", "organizations.read")
    assert organization.connection_status == Connection.DISCONNECTED


@retention
@pytest.mark.parametrize(("days", "is_kept"), [(364, True), (366, False)])
def test_disconnected_row_counts_from_the_end(make_ended, days, is_kept):
    row = make_ended(make_organization(ended_at=timezone.now() - timedelta(days=days)))

    services.purge_onboarding_data()

    row.refresh_from_db()
    assert bool(row.owner_email) == is_kept
    assert bool(row.organization.name) == is_kept


@retention
def test_disconnected_row_without_a_date_stays(make_ended):
    make_ended(make_organization(ended_at=None))

    assert services.purge_onboarding_data() == NOTHING


@retention
def test_disconnected_row_waits_for_the_revocation(make_ended):
    make_ended(make_organization(pending_revocation=Secret("refresh_1")))
    before = snapshot()

    assert services.purge_onboarding_data() == NOTHING
    assert snapshot() == before

    Organization.objects.update(pending_revocation=None)
    assert services.purge_onboarding_data() == Purge(0, 1, 0)


@retention
@pytest.mark.parametrize("column", ["send_requested_at", "notice_requested_at"])
def test_disconnected_row_with_a_mail_to_send_stays_and_needs_its_organization(make_ended, column):
    waiting = make_ended(**{column: timezone.now()})
    make_ended(waiting.organization)

    assert services.purge_onboarding_data() == Purge(0, 1, 0)

    waiting.refresh_from_db()
    assert waiting.owner_email
    assert waiting.organization.name
    ClientLink.objects.filter(pk=waiting.pk).update(**{column: None})
    assert services.purge_onboarding_data() == Purge(0, 1, 0)
    assert Organization.objects.get().name == ""


@retention
def test_disconnected_row_whose_merchant_is_at_mollie_stays(make_ended):
    click(make_ended())

    assert services.purge_onboarding_data() == NOTHING


@retention
def test_disconnected_organization_without_client_links_is_emptied():
    organization = make_organization()
    other = make_organization(connection_status=Connection.LOST)

    services.purge_onboarding_data()

    organization.refresh_from_db()
    other.refresh_from_db()
    assert (organization.name, bool(other.name)) == ("", True)


@retention
@pytest.mark.parametrize("column", ["access_token", "refresh_token"])
def test_disconnected_organization_with_no_more_than_a_token_is_emptied(column):
    organization = make_organization(**purging.NO_TEXTS, **{column: Secret("access_1")})

    services.purge_onboarding_data()

    organization.refresh_from_db()
    assert getattr(organization, column) is None


@retention
def test_merchants_user_goes_and_operators_stay(make_ended, operator):
    merchant = get_user_model().objects.create_user("jan")
    theirs = make_ended(user=merchant, created_by=merchant)
    imported = make_ended(user=merchant, created_by=operator)
    alone = make_ended(created_by=merchant)
    for row, actor in ((theirs, merchant), (theirs, operator), (alone, merchant)):
        with time_machine.travel(timezone.now() - AGES_AGO):
            Event.objects.record("edited", client_link_id=row.pk, actor=actor)
    with time_machine.travel(timezone.now() - AGES_AGO):
        Event.objects.record("disconnected", organization=theirs.organization, actor=merchant)

    services.purge_onboarding_data()

    theirs.refresh_from_db()
    imported.refresh_from_db()
    alone.refresh_from_db()
    assert (theirs.user, theirs.created_by) == (None, None)
    assert (imported.user, imported.created_by) == (None, operator)
    # Whose user it is that made a row without a user is not known: as for an operator, it stays.
    assert alone.created_by == merchant
    assert [event.actor for event in theirs.events.filter(kind="edited").order_by("pk")] == [None, operator]
    assert Event.objects.get(kind="disconnected").actor is None


@retention
@pytest.mark.parametrize("status", [Connection.CONNECTED, Connection.LOST])
def test_row_that_reconnects_between_selection_and_lock_stays(make_ended, monkeypatch, status):
    row = make_ended()
    before_hold(monkeypatch, lambda: Organization.objects.update(connection_status=status))

    assert services.purge_onboarding_data() == NOTHING

    row.refresh_from_db()
    assert row.owner_email
    assert row.organization.name
    assert row.link_generation == 1


@retention
def test_row_that_is_clicked_between_selection_and_lock_stays(make_ended, monkeypatch):
    row = make_ended()
    before_hold(monkeypatch, lambda: click(row))

    assert services.purge_onboarding_data() == NOTHING
    row.refresh_from_db()
    assert row.organization.name


@retention
def test_organization_that_reconnects_between_selection_and_update_stays(make_ended, monkeypatch):
    make_ended()
    original = purging.keys_in_batches

    def reconnected_before(rows):
        for keys in original(rows):
            if rows.model is Organization:
                Organization.objects.update(connection_status=Connection.CONNECTED)
            yield keys

    monkeypatch.setattr(purging, "keys_in_batches", reconnected_before)
    services.purge_onboarding_data()

    assert Organization.objects.get().name


# From sign-up to forgotten


@retention
def test_whole_life(sandbox, browser, make_client_link, settings):
    settings.MOLLIE_ONBOARDING_SCOPES = ["organizations.read", "onboarding.read"]
    row = make_client_link(reference="shop-7")
    path = row.merchant_path()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    assert services.announce_overdue() == 0
    ClientLink.objects.update(notice_requested_at=None)
    organization = Organization.objects.get()
    with time_machine.travel(timezone.now() + 5 * YEAR):
        assert services.purge_onboarding_data() == Purge(0, 0, 1)
    services.disconnect(organization)
    assert services.purge_onboarding_data() == NOTHING
    with time_machine.travel(timezone.now() + 2 * YEAR):
        assert services.purge_onboarding_data() == NOTHING
    services.revoke_pending()
    with time_machine.travel(timezone.now() + 2 * YEAR):
        assert services.purge_onboarding_data() == Purge(0, 1, 0)
        assert browser.get(path).status_code == 410

    row.refresh_from_db()
    organization.refresh_from_db()
    kept = f"{vars(row)} {vars(organization)}"
    for value in MERCHANT.values():
        assert not re.search(rf"'{re.escape(value)}'", kept) or value == "NL"

    # Should an operator open the page again, the merchant may come back. What is stored then ends as before.
    ClientLink.objects.update(link_expires_at=timezone.now() + 4 * YEAR)
    row.refresh_from_db()
    with time_machine.travel(timezone.now() + 3 * YEAR):
        callback = sandbox.visit(
            authorization_url(browser.press(row)), organization_id=organization.organization_id
        )
        browser.come_back(callback)
        assert page_status(browser.get(row.merchant_path())) == "connected"
        ClientLink.objects.update(notice_requested_at=None)
        organization.refresh_from_db()
        assert organization.name
        services.disconnect(organization)
        services.revoke_pending()
    with time_machine.travel(timezone.now() + 5 * YEAR):
        assert services.purge_onboarding_data() == Purge(0, 1, 1)
    organization.refresh_from_db()
    assert organization.name == ""


@retention
def test_admin_shows_an_anonymized_row(make_ended, operator, client):
    row = make_ended()
    services.purge_onboarding_data()
    client.force_login(operator)

    page = client.get(f"/admin/mollie_onboarding/clientlink/{row.pk}/change/", secure=True)

    assert page.status_code == 200
    assert client.get("/admin/mollie_onboarding/clientlink/", secure=True).status_code == 200


def test_click_during_a_purge_is_told_and_makes_no_state(make_client_link, sandbox):
    """Read before the purge, pressed after it."""
    deleted, anonymized = make_client_link(), make_client_link(status="started")
    ClientLink.objects.filter(pk=deleted.pk).delete()
    ClientLink.objects.filter(pk=anonymized.pk).update(anonymized_at=timezone.now())
    for row in (deleted, anonymized):
        with pytest.raises(ClientLinkUnusableError):
            services.start_authorization(row, browser_secret="", flow=services.Flow.AUTHORIZE)
    assert not AuthorizationRequest.objects.exists()


def test_anonymized_merchant_gets_no_mail(make_client_link):
    row = make_client_link()
    ClientLink.objects.filter(pk=row.pk).update(anonymized_at=timezone.now())
    row.refresh_from_db()
    assert services.reason_not_to_send(row)
