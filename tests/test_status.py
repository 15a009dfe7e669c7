"""One organization's status: written where it is news, announced once, asked for once a minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from mollie_onboarding import services, signals
from mollie_onboarding.exceptions import MollieConnectionError, MollieResponseError, NotConnectedError
from mollie_onboarding.models import Event, Organization
from mollie_onboarding.mollie_api import Capability, MollieAPI, OnboardingStatus, OrganizationInfo
from mollie_onboarding.mollie_api.data import Requirement
from mollie_onboarding.services import status as status_service
from tests.conftest import NOON
from tests.connected import connect

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

ConnectionStatus = Organization.ConnectionStatus


@pytest.fixture
def make_organization(db: None) -> Any:
    def make(**columns: Any) -> Organization:
        defaults = {"organization_id": "org_1", "onboarding_status": "needs-data", "synced_at": NOON}
        row = Organization.objects.create(**{**defaults, **columns})
        return Organization.objects.get(pk=row.pk)

    return make


@pytest.fixture
def merchant(sandbox, clock) -> Organization:
    """Connected at the sandbox, with tokens, and never read."""
    [organization] = connect(sandbox, 1)
    return organization


def status_of(
    word: str = "needs-data", payments: bool = False, settlements: bool = False
) -> OnboardingStatus:
    return OnboardingStatus(word, payments, settlements, None, "")


def facts(word: str = "needs-data", payments: bool = False, settlements: bool = False) -> dict[str, Any]:
    return {
        "onboarding_status": word,
        "can_receive_payments": payments,
        "can_receive_settlements": settlements,
    }


# Writing


def test_everything_that_mollie_says_is_written(make_organization, clock, told):
    organization = make_organization(onboarding_status="", synced_at=None)
    requirement = Requirement(
        "needs-data", "requested", "2027-04-01T00:00:00+00:00", "https://my.mollie.com/x"
    )
    capabilities = (
        Capability("payments", "enabled"),
        Capability("settlements", "disabled", "past-due", (requirement,)),
    )
    status = OnboardingStatus("in-review", True, False, NOON - timedelta(days=9), "https://my.mollie.com/d")
    info = OrganizationInfo("org_1", "Bakkerij Jansen", "NL", "30204462", "NL815839091B01")

    assert services.apply_onboarding_status(organization, status, info=info, capabilities=capabilities)

    stored = Organization.objects.get()
    for row in (organization, stored):
        assert status_service.find_status_change(row, facts()) == {
            "old": facts("in-review", True),
            "new": facts(),
        }
        assert row.signed_up_at == NOON - timedelta(days=9)
        assert row.dashboard_url == "https://my.mollie.com/d"
        assert (row.name, row.country) == ("Bakkerij Jansen", "NL")
        assert (row.registration_number, row.vat_number) == ("30204462", "NL815839091B01")
        assert row.synced_at == row.updated_at == NOON
        payments, settlements = row.capabilities
        assert payments == {"name": "payments", "status": "enabled", "status_reason": "", "requirements": []}
        assert settlements["requirements"] == [
            {
                "id": "needs-data",
                "status": "requested",
                "due_at": "2027-04-01T00:00:00+00:00",
                "url": "https://my.mollie.com/x",
            }
        ]
    assert told == []  # the first reading is no change
    assert not Event.objects.exists()
    again = services.apply_onboarding_status(stored, status, info=info, capabilities=capabilities)
    assert not again


def test_what_is_empty_in_the_answer_stays_as_it_is(make_organization, clock):
    known = {
        "name": "Bakkerij Jansen",
        "country": "NL",
        "registration_number": "30204462",
        "vat_number": "NL815839091B01",
        "signed_up_at": NOON - timedelta(days=9),
        "dashboard_url": "https://my.mollie.com/d",
        "capabilities": [{"name": "payments"}],
    }
    organization = make_organization(**known)

    assert not services.apply_onboarding_status(organization, status_of(), info=OrganizationInfo("org_1"))

    organization.refresh_from_db()
    assert {column: getattr(organization, column) for column in known} == known


def test_answer_without_a_status_is_no_reading(make_organization, clock, told):
    organization = make_organization(onboarding_status="completed", can_receive_payments=True)
    clock.shift(60)

    assert not services.apply_onboarding_status(organization, status_of(""))

    organization.refresh_from_db()
    assert status_service.find_status_change(organization, {"onboarding_status": "x"})["old"] == facts(
        "completed", True
    )
    assert organization.synced_at == NOON
    assert told == []


def test_unchanged_reading_writes_only_when_it_was(make_organization, clock, told):
    organization = make_organization()
    updated_at = organization.updated_at
    clock.shift(3600)

    assert not services.apply_onboarding_status(organization, status_of())

    organization.refresh_from_db()
    assert organization.synced_at == NOON + timedelta(hours=1)
    assert organization.updated_at == updated_at
    assert told == []
    assert not Event.objects.exists()


@pytest.mark.parametrize("new", [("in-review",), ("needs-data", True), ("needs-data", False, True)])
def test_change_of_each_fact_is_announced_with_old_and_new(make_organization, clock, told, new):
    organization = make_organization()

    assert services.apply_onboarding_status(organization, status_of(*new))

    [arguments] = told
    event = Event.objects.get()
    assert arguments == {
        "signal": signals.onboarding_status_changed,
        "sender": Organization,
        "organization": organization,
        "event": event,
        "old": facts(),
        "new": facts(*new),
    }
    assert event.data == {"old": facts(), "new": facts(*new)}
    assert event.announced_at == NOON


def test_new_name_is_written_and_not_announced(make_organization, clock, told):
    organization = make_organization(name="Bakkerij Jansen")

    info = OrganizationInfo("org_1", "Bakkerij Jansen & Zoon")
    assert services.apply_onboarding_status(organization, status_of(), info=info)

    assert Organization.objects.get().name == "Bakkerij Jansen & Zoon"
    assert told == []


def test_unknown_status_is_kept(make_organization, clock, told):
    organization = make_organization()

    services.apply_onboarding_status(organization, status_of("under-investigation"))

    assert Organization.objects.get().onboarding_status == "under-investigation"
    assert told[0]["new"] == facts("under-investigation")


def test_disconnected_organization_is_left_alone(make_organization, clock, told):
    organization = make_organization()
    Organization.objects.update(connection_status=ConnectionStatus.DISCONNECTED)  # after it was read

    assert not services.apply_onboarding_status(organization, status_of("completed", True, True))

    assert organization.connection_status == ConnectionStatus.DISCONNECTED
    assert Organization.objects.get().onboarding_status == "needs-data"
    assert told == []


def test_lost_organization_is_written_too(make_organization, clock):
    organization = make_organization(connection_status=ConnectionStatus.LOST)

    assert services.apply_onboarding_status(organization, status_of("completed", True, True))

    assert Organization.objects.get().onboarding_status == "completed"


def test_two_who_read_the_same_change_announce_it_once(make_organization, clock, told):
    first = make_organization()
    second = Organization.objects.get()
    new = status_of("completed", True, True)

    assert services.apply_onboarding_status(first, new)
    assert not services.apply_onboarding_status(second, new)

    assert len(told) == 1
    assert second.onboarding_status == "completed"


def test_whoever_asked_earlier_writes_nothing_over_what_was_asked_later(make_organization, clock, told):
    organization = make_organization()
    clock.shift(60)
    asked_at = NOON + timedelta(seconds=60)
    clock.shift(1)
    services.apply_onboarding_status(Organization.objects.get(), status_of("completed", True, True))
    clock.shift(1)

    assert not services.apply_onboarding_status(organization, status_of("in-review"), asked_at=asked_at)

    assert organization.onboarding_status == "completed"
    assert Organization.objects.get().onboarding_status == "completed"
    assert len(told) == 1


def test_wrong_clock_of_another_machine_keeps_no_reading_out(make_organization, clock):
    organization = make_organization(synced_at=NOON + timedelta(days=400))

    assert services.apply_onboarding_status(organization, status_of("completed"))

    assert Organization.objects.get().synced_at == NOON


@committing
def test_status_is_not_written_inside_a_transaction(make_organization):
    organization = make_organization()
    with transaction.atomic(), pytest.raises(RuntimeError):
        services.apply_onboarding_status(organization, status_of("completed"))


# Checking again


def test_check_reads_status_and_capabilities_with_the_merchants_token(merchant, sandbox):
    sandbox.move_onboarding(merchant.organization_id, "in-review", True, False)

    assert services.check_onboarding_status(merchant)

    assert [call.operation for call in sandbox.calls()] == ["onboarding", "capabilities"]
    assert merchant.onboarding_status == "in-review"
    assert [item["name"] for item in merchant.capabilities] == ["payments", "settlements"]
    assert merchant.synced_at == NOON


def test_check_is_made_once_a_minute(merchant, sandbox, clock):
    assert services.check_onboarding_status(merchant)
    clock.shift(59)
    assert not services.check_onboarding_status(merchant)
    assert len(sandbox.calls("onboarding")) == 1
    clock.shift(1)
    assert services.check_onboarding_status(merchant)
    assert len(sandbox.calls("onboarding")) == 2


@pytest.mark.parametrize(
    "fault", [("status", {"status": 403}), ("status", {"status": 404}), ("server_error", {})]
)
def test_capabilities_that_cannot_be_read_fail_nothing(merchant, sandbox, fault):
    kind, options = fault
    sandbox.add_fault("capabilities", kind, **options)

    assert services.check_onboarding_status(merchant)

    assert merchant.onboarding_status == "needs-data"
    assert merchant.capabilities == []


def test_check_with_a_token_that_mollie_no_longer_takes_is_made_with_a_new_one(merchant, sandbox):
    sandbox.add_fault("onboarding", "unauthorized")

    assert services.check_onboarding_status(merchant)

    operations = [call.operation for call in sandbox.calls()]
    assert operations == ["onboarding", "refresh", "onboarding", "capabilities"]
    assert merchant.onboarding_status == "needs-data"


def test_check_whose_answer_names_no_status_is_no_answer(merchant, sandbox):
    before = merchant.synced_at
    sandbox.add_fault("onboarding", "status", status=200, body={"resource": "something else"})

    with pytest.raises(MollieConnectionError, match="holds no onboarding status"):
        services.check_onboarding_status(merchant)

    merchant.refresh_from_db()
    assert merchant.synced_at == before
    assert len(sandbox.calls()) == 1


def test_check_asks_no_third_time(merchant, sandbox):
    sandbox.add_fault("onboarding", "unauthorized", times=None)

    with pytest.raises(MollieResponseError) as excinfo:
        services.check_onboarding_status(merchant)

    assert excinfo.value.status == 401
    assert len(sandbox.calls("onboarding")) == 2


def test_check_of_an_authorization_that_was_revoked_finds_it_lost(merchant, sandbox):
    sandbox.revoke_authorizations(merchant.organization_id)

    with pytest.raises(NotConnectedError):
        services.check_onboarding_status(merchant)

    merchant.refresh_from_db()
    assert merchant.connection_status == ConnectionStatus.LOST
    assert not services.check_onboarding_status(merchant)


@pytest.mark.parametrize(
    ("fault", "error"),
    [(("unavailable_html", {}), MollieConnectionError), (("status", {"status": 403}), MollieResponseError)],
)
def test_check_that_fails_changes_nothing(merchant, sandbox, fault, error):
    kind, options = fault
    sandbox.add_fault("onboarding", kind, **options)

    with pytest.raises(error):
        services.check_onboarding_status(merchant)

    merchant.refresh_from_db()
    assert merchant.is_connected
    assert merchant.synced_at is None


@committing
def test_check_calls_outside_of_every_transaction(sandbox, monkeypatch):
    [merchant] = connect(sandbox, 1)
    original = MollieAPI.get_onboarding_status
    states = []

    def look(self: MollieAPI, access_token: str) -> OnboardingStatus:
        states.append(transaction.get_connection().in_atomic_block)
        return original(self, access_token)

    monkeypatch.setattr(MollieAPI, "get_onboarding_status", look)

    assert services.check_onboarding_status(merchant)
    assert states == [False]
    merchant.refresh_from_db()
    with transaction.atomic(), pytest.raises(RuntimeError):
        services.check_onboarding_status(merchant)
