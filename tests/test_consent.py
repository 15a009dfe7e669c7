"""Consent again: connections that were lost, scopes that have grown, and one organization of several merchants."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail

from mollie_onboarding import services
from mollie_onboarding.exceptions import ClientLinkUnusableError
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization
from tests.conftest import Browser, authorization_url, page_status, reread
from tests.test_tokens import live_tokens

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

GROWN = ["organizations.read", "onboarding.read", "onboarding.write", "payments.read"]


@pytest.fixture
def visit(sandbox):
    """Press the button of a merchant page, decide at Mollie, come back; gives the address at Mollie."""

    def run(row: ClientLink, *, organization_id: str | None = None, decision: str = "allow") -> str:
        browser = Browser()
        url = authorization_url(browser.press(row))
        browser.come_back(sandbox.visit(url, organization_id=organization_id, decision=decision))
        return url

    return run


@pytest.fixture
def connected(visit, make_client_link) -> ClientLink:
    row = make_client_link()
    visit(row)
    return reread(row)


@pytest.fixture
def grown(connected, settings) -> ClientLink:
    settings.MOLLIE_ONBOARDING_SCOPES = GROWN
    return reread(connected)


def works(organization: Organization) -> bool:
    return live_tokens().filter(value=services.get_access_token(organization)).exists()


# Scopes that have grown.


def test_granted_scope_is_stored_and_nothing_is_asked_while_it_is_enough(connected):
    assert connected.organization.scope == "organizations.read onboarding.read onboarding.write"
    assert not connected.needs_new_consent
    assert services.reason_not_to_send(connected)
    with pytest.raises(ClientLinkUnusableError):
        services.start_authorization(connected, browser_secret="")


def test_grown_scopes_need_a_new_consent_and_the_connection_goes_on(grown):
    assert grown.needs_new_consent
    assert works(grown.organization)
    assert page_status(Browser().get(grown.merchant_path())) == "connected"


@pytest.mark.parametrize(
    ("granted", "asked", "expected"),
    [
        ("a.read b.read", "a.read", False),
        ("a.read b.read", "b.read a.read", False),
        ("a.read", "a.read b.read", True),
        ("a.read.more", "a.read", True),
        ("more.a.read", "a.read", True),
        ("axread", "a.read", True),
        ("", "a.read", False),
    ],
)
def test_rows_and_filter_agree_on_who_needs_a_new_consent(connected, settings, granted, asked, expected):
    settings.MOLLIE_ONBOARDING_SCOPES = asked.split()
    Organization.objects.update(scope=granted)
    assert reread(connected).needs_new_consent is expected
    assert Organization.objects.needing_consent(asked.split()).exists() is expected


def test_only_connected_organizations_need_a_new_consent(grown):
    for status in ("lost", "disconnected"):
        Organization.objects.update(connection_status=status)
        assert not reread(grown).needs_new_consent
        assert not Organization.objects.needing_consent(GROWN)


def test_new_consent_is_asked_by_force_at_the_plain_address(grown, visit, sandbox):
    sandbox.set_switch("auto_keeps_old_scope", True)
    old = grown.organization.refresh_token.reveal()
    created = len(sandbox.calls("client_links"))
    url = visit(grown, organization_id=grown.organization.organization_id)
    query = parse_qs(urlsplit(url).query)
    assert urlsplit(url).path == "/oauth2/authorize"
    assert (query["approval_prompt"], query["response_type"]) == (["force"], ["code"])
    assert query["scope"] == [" ".join(GROWN)]
    assert AuthorizationRequest.objects.order_by("pk").last().approval_prompt == "force"
    assert len(sandbox.calls("client_links")) == created
    row = reread(grown)
    assert row.organization_id == grown.organization_id
    assert set(row.organization.scope.split()) == set(GROWN)
    assert not row.needs_new_consent
    assert works(row.organization)
    # By force, Mollie revokes what was there before.
    assert not live_tokens().filter(value=old).exists()


def test_new_consent_that_is_declined_changes_nothing(grown, visit):
    visit(grown, decision="deny")
    row = reread(grown)
    assert row.is_connected
    assert row.needs_new_consent
    assert works(row.organization)


def test_new_consent_with_another_organization_changes_nothing(grown, visit):
    visit(grown)  # signs up a new organization
    row = reread(grown)
    assert row.organization_id == grown.organization_id
    assert row.problem == ClientLink.Problem.OTHER_ORGANIZATION
    assert row.refused_organization_id not in ("", row.organization.organization_id)
    assert works(row.organization)
    visit(row, organization_id=row.organization.organization_id)
    row = reread(row)
    assert (row.problem, row.refused_organization_id) == ("", "")


def test_mail_asks_for_the_new_consent(grown, settings):
    assert not services.reason_not_to_send(grown)
    services.request_sending(grown)
    assert services.send_onboarding_link(grown.pk)
    assert mail.outbox[-1].to == [grown.owner_email]
    assert grown.merchant_url() in mail.outbox[-1].body


# Lost connections.


@pytest.mark.parametrize("status", ["lost", "disconnected"])
def test_lost_connection_is_mended_at_the_plain_address_as_configured(connected, visit, status, sandbox):
    Organization.objects.update(connection_status=status, access_token=None, refresh_token=None)
    created = len(sandbox.calls("client_links"))
    row = reread(connected)
    url = visit(row, organization_id=row.organization.organization_id)
    assert parse_qs(urlsplit(url).query)["approval_prompt"] == ["auto"]
    assert len(sandbox.calls("client_links")) == created
    assert reread(row).organization.connection_status == "connected"
    assert works(reread(row).organization)


def test_lessons_9_reconnecting_after_a_rename_updates_the_same_row(connected, visit, sandbox):
    sandbox.rename(connected.organization.organization_id, "Bakkerij Jansen en Dochters")
    Organization.objects.update(connection_status="lost")
    visit(reread(connected), organization_id=connected.organization.organization_id)
    row = reread(connected)
    assert row.organization_id == connected.organization_id
    assert row.organization.name == "Bakkerij Jansen en Dochters"
    assert Organization.objects.count() == 1
    assert Event.objects.filter(kind="connected", client_link=row).count() == 2


def test_register_data_of_the_organization_are_kept(connected, sandbox):
    organization = connected.organization
    assert (organization.country, organization.registration_number, organization.vat_number) == (
        "NL", "30204462", "NL815839091B01",
    )  # fmt: skip


# One organization, two merchants.


@pytest.fixture
def second(make_client_link) -> ClientLink:
    return make_client_link(owner_email="piet@slagerij.example", organization_name="Slagerij Piet")


def test_organization_of_another_merchant_is_refused_and_named(connected, second, visit):
    visit(second, organization_id=connected.organization.organization_id)
    row = reread(second)
    assert not row.is_connected
    assert row.organization is None
    assert row.problem == ClientLink.Problem.ORGANIZATION_TAKEN
    assert row.refused_organization_id == connected.organization.organization_id
    assert works(connected.organization)


def test_setting_lets_merchants_share(connected, second, visit, settings):
    settings.MOLLIE_ONBOARDING_ALLOW_SHARED_ORGANIZATIONS = True
    visit(second, organization_id=connected.organization.organization_id)
    assert reread(second).organization_id == connected.organization_id
    assert Organization.objects.count() == 1
    assert works(reread(second).organization)
    assert works(reread(connected).organization)


def test_operator_lets_one_merchant_share(connected, second, visit, make_client_link, operator):
    organization_id = connected.organization.organization_id
    visit(second, organization_id=organization_id)
    assert services.allow_sharing(reread(second), actor=operator)
    row = reread(second)
    assert (row.may_share_organization, row.problem) == (True, "")
    visit(row, organization_id=organization_id)
    assert reread(second).organization_id == connected.organization_id
    # It stays so when the connection is lost, and when nobody may share any more.
    Organization.objects.update(connection_status="lost")
    ClientLink.objects.update(may_share_organization=False)
    visit(reread(second), organization_id=organization_id)
    assert works(reread(second).organization)
    # And nobody else may by that.
    third = make_client_link(owner_email="els@bloemen.example")
    visit(third, organization_id=organization_id)
    assert not reread(third).is_connected


def test_operator_who_allowed_one_organization_allowed_no_other(
    connected, second, visit, make_client_link, operator
):
    third = make_client_link(owner_email="els@bloemen.example", organization_name="Bloemen Els")
    visit(third)
    visit(second, organization_id=connected.organization.organization_id)
    assert services.allow_sharing(reread(second), actor=operator)
    visit(reread(second), organization_id=reread(third).organization.organization_id)
    row = reread(second)
    assert not row.is_connected
    assert row.problem == ClientLink.Problem.ORGANIZATION_TAKEN
    assert row.refused_organization_id == reread(third).organization.organization_id
    # Nor by coming back with it again.
    visit(row, organization_id=reread(third).organization.organization_id)
    assert not reread(second).is_connected
