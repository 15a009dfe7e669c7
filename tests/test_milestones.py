"""When merchants came how far, each written once: by what people do, and by what Mollie says first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.mollie_api import OnboardingStatus
from mollie_onboarding.services import syncing
from tests.conftest import MERCHANT, NOON, authorization_url
from tests.connected import connect

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

HOUR = timedelta(hours=1)
MILESTONES = ("opened_at", "started_at", "connected_at")


def milestones(row: ClientLink) -> tuple[Any, ...]:
    return ClientLink.objects.values_list(*MILESTONES).get(pk=row.pk)


def come_back(browser: Any, sandbox: Any, row: ClientLink, **decision: Any) -> None:
    browser.come_back(sandbox.visit(authorization_url(browser.press(row)), **decision))


def test_mail_scanner_that_fetches_fifty_times_opens_nothing(sandbox, browser, make_client_link, clock):
    row = make_client_link()

    for _ in range(50):
        assert browser.get(row.merchant_path()).status_code == 200
        assert browser.head(row.merchant_path()).status_code == 200

    assert milestones(row) == (None, None, None)
    assert ClientLink.objects.get(pk=row.pk).updated_at == row.updated_at


def test_scanner_that_posts_without_a_cookie_opens_nothing(sandbox, browser, make_client_link, clock):
    row = make_client_link()

    assert browser.post(row.merchant_path()).status_code == 403

    assert milestones(row) == (None, None, None)


@committing
def test_whole_way_is_written(sandbox, browser, make_client_link, clock):
    row = make_client_link()
    clock.shift(HOUR)
    response = browser.press(row)
    clock.shift(HOUR)
    browser.come_back(sandbox.visit(authorization_url(response)))

    assert milestones(row) == (NOON + HOUR, NOON + HOUR, NOON + 2 * HOUR)


@committing
def test_press_that_does_not_lead_to_mollie_opens(sandbox, browser, make_client_link, clock):
    row = make_client_link()
    sandbox.add_fault("client_links", "unavailable_html", times=None)

    assert browser.press(row).status_code == 503

    assert milestones(row) == (NOON, None, None)


@committing
def test_press_without_the_login_that_it_needs_opens(sandbox, browser, make_client_link, operator, clock):
    row = make_client_link(user=operator)

    with override_settings(MOLLIE_ONBOARDING_REQUIRE_LOGIN=True):
        assert browser.post(row.merchant_path(), csrf(browser, row)).status_code == 403

    assert milestones(row) == (NOON, None, None)


def csrf(browser: Any, row: ClientLink) -> dict[str, str]:
    browser.get("/onboarding/signup/")
    return {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value}


def test_who_asks_for_a_new_mail_has_opened(sandbox, browser, make_client_link, clock):
    row = make_client_link(link_expires_at=NOON - HOUR)

    browser.post(row.merchant_path(), {**csrf(browser, row), "action": "mail"})

    assert milestones(row)[0] == NOON


def test_link_that_went_to_another_address_opens_nothing(sandbox, browser, make_client_link, clock):
    row = make_client_link()
    old_path = row.merchant_path()
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()

    browser.post(old_path, {**csrf(browser, row), "action": "mail"})

    assert milestones(row) == (None, None, None)


@committing
def test_later_presses_move_nothing(sandbox, browser, make_client_link, clock):
    row = make_client_link()
    browser.press(row)
    clock.shift(HOUR)
    come_back(browser, sandbox, row, decision="deny")
    clock.shift(HOUR)
    browser.press(row)
    row.refresh_from_db()
    row.city = "Haarlem"
    row.save()

    assert milestones(row) == (NOON, NOON, None)


def test_two_tabs_that_open_at_once_write_once(make_client_link, clock):
    row = make_client_link()

    assert ClientLink.objects.note_opening(row.pk, NOON)
    assert not ClientLink.objects.note_opening(row.pk, NOON + HOUR)

    assert milestones(row)[0] == NOON


@committing
def test_sign_up_opens(sandbox, browser):
    # With a clock that goes on: the form is opened before its row is made.
    browser.submit("/onboarding/signup/", **{**MERCHANT, "owner_email": "noor@atelier-noor.example"})

    row = ClientLink.objects.get()
    assert row.opened_at is not None
    assert row.opened_at <= row.created_at
    assert row.started_at is not None
    assert row.connected_at is None


@committing
def test_connecting_again_moves_nothing(sandbox, browser, make_client_link, clock):
    row = make_client_link()
    come_back(browser, sandbox, row)
    first = milestones(row)
    Organization.objects.update(connection_status=Organization.ConnectionStatus.LOST)
    clock.shift(HOUR)
    come_back(browser, sandbox, row, organization_id=Organization.objects.get().organization_id)

    assert Organization.objects.get().connection_status == "connected"
    assert milestones(row) == first == (NOON, NOON, NOON)


@committing
def test_anonymizing_keeps_when_it_was(sandbox, browser, make_client_link, operator, clock, settings):
    settings.MOLLIE_ONBOARDING_DISCONNECTED_RETENTION = timedelta(days=30)
    row = make_client_link()
    come_back(browser, sandbox, row)
    Organization.objects.update(payments_enabled_at=NOON, completed_at=NOON)
    services.disconnect(Organization.objects.get(), actor=operator)
    services.revoke_pending()
    ClientLink.objects.update(notice_requested_at=None)
    clock.shift(timedelta(days=40))

    assert services.purge_onboarding_data().anonymized == 1
    assert milestones(row) == (NOON, NOON, NOON)
    assert firsts() == (NOON, NOON)


# What Mollie says first


def firsts() -> tuple[Any, ...]:
    return Organization.objects.values_list("payments_enabled_at", "completed_at").get()


def status_of(word: str, payments: bool) -> OnboardingStatus:
    return OnboardingStatus(word, payments, False, None, "")


def test_first_reading_as_true_is_kept(clock):
    organization = Organization.objects.create(organization_id="org_1")
    readings = [("needs-data", False), ("in-review", True), ("completed", True), ("needs-data", False)]
    readings.append(("completed", True))

    for hours, reading in enumerate(readings):
        services.apply_onboarding_status(organization, status_of(*reading), asked_at=NOON + hours * HOUR)
        clock.shift(HOUR)

    assert firsts() == (NOON + HOUR, NOON + 2 * HOUR)
    assert (organization.payments_enabled_at, organization.completed_at) == firsts()


def test_reading_by_an_old_instance_moves_nothing(clock):
    old = Organization.objects.create(organization_id="org_1")
    services.apply_onboarding_status(
        Organization.objects.get(), status_of("completed", True), asked_at=NOON - HOUR
    )

    services.apply_onboarding_status(old, status_of("completed", True), asked_at=NOON)

    assert firsts() == (NOON - HOUR, NOON - HOUR)


@committing
def test_list_writes_when_it_was_first_read(sandbox, clock):
    facts = {"onboarding_status": "needs-data", "synced_at": NOON - HOUR}
    ready, waiting, known = connect(sandbox, 3, **facts)
    Organization.objects.filter(pk=known.pk).update(payments_enabled_at=NOON - HOUR)
    for row in (ready, known):  # one of which could receive payments before
        sandbox.move_onboarding(row.organization_id, "completed", True, True)
    sandbox.move_onboarding(waiting.organization_id, "in-review", False, False)

    for _ in range(2):
        syncing.sync_onboarding_status()
        clock.shift(HOUR)

    found = Organization.objects.order_by("organization_id").values_list(
        "payments_enabled_at", "completed_at"
    )
    by_id = dict(zip(sorted(row.organization_id for row in (ready, waiting, known)), found, strict=True))
    assert by_id[ready.organization_id] == (NOON, NOON)
    assert by_id[waiting.organization_id] == (None, None)
    assert by_id[known.organization_id] == (NOON - HOUR, NOON)
