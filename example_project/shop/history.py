"""The demo's past: merchants of the last twelve weeks, without a story of their own, so that the funnel has something to show.

Only importable where `mollie_onboarding.sandbox` is installed. Written into the tables at once, here and at "Mollie": seventy
walks through every service would take the demo's start seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import accumulate, product

from django.urls import reverse
from django.utils import timezone

from mollie_onboarding.conf import conf
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import ClientLink, DeliveryStatus, Organization, Stage, Status
from mollie_onboarding.mollie_api import CLIENT_LINK_LIFETIME
from mollie_onboarding.sandbox import service as sandbox
from mollie_onboarding.sandbox.models import Authorization, SandboxClientLink, SandboxOrganization, Token

TRADES = ("Bakkerij", "Bloemen", "Kaashandel", "Koffiebranderij", "Speelgoed", "Wijnhuis")
CITIES = (
    "Alkmaar", "Breda", "Delft", "Enschede", "Gouda", "Hoorn", "Kampen", "Leiden", "Nijmegen", "Roermond", "Tilburg",
    "Zwolle",
)  # fmt: skip
# How far each of twelve comes, and after how many days each stage follows the one before.
STAGES = [Stage(word) for word in """
    completed started opened completed invited connected completed opened completed invited payments completed
""".split()]  # fmt: skip
GAPS = [(2, 0, 0, 1, 3), (0, 0, 0, 4, 6), (5, 1, 0, 2, 9), (1, 0, 0, 0, 5), (9, 3, 1, 3, 14)]
SIGNS_UP = 8  # one of as many comes by the sign-up page
FIRST_REFERENCE = "past-1"


def add_past_merchants() -> int:
    """Make the merchants, if they are not there. Gives how many are new."""
    if ClientLink.objects.filter(reference=FIRST_REFERENCE).exists():
        return 0
    names = [f"{trade} {city}" for city, trade in product(CITIES, TRADES)]
    rows = [_make_row(number, name) for number, name in enumerate(names, start=1)]
    _connect([row for row in rows if row.connected_at])
    _invite([row for row in rows if not row.connected_at])
    made = {row.pk: row.created_at for row in rows}
    ClientLink.objects.bulk_create(rows)  # which dates them today
    for row in rows:
        row.created_at = row.updated_at = made[row.pk]
    ClientLink.objects.bulk_update(rows, ["created_at", "updated_at"])
    return len(rows)


def _make_row(number: int, name: str) -> ClientLink:
    begin = timezone.now() - timedelta(days=1 + number * 1.1, hours=number % 7)
    at = _days_of(number, begin)
    signs_up = number % SIGNS_UP == 0 and len(at) > 1
    slug = name.lower().replace(" ", "-")
    row = ClientLink(
        organization_name=name,
        country="NL",
        owner_given_name="Noa",
        owner_family_name="de Vries",
        owner_email=f"hello@{slug}.example",
        owner_locale="nl_NL",
        reference=f"past-{number}",
        opened_at=begin if signs_up else at.get(Stage.OPENED),
        started_at=at.get(Stage.STARTED),
        connected_at=at.get(Stage.CONNECTED),
        status=_status_of(at),
    )
    row.created_at = row.updated_at = begin
    if not signs_up:
        row.first_sent_at = row.invited_at = row.last_sent_at = begin
        row.link_expires_at = begin + conf.MOLLIE_ONBOARDING_LINK_LIFETIME
        row.send_count, row.delivery_status = 1, DeliveryStatus.SENT
    if row.connected_at:
        row.organization = _make_organization(row, at)
    return row


def _days_of(number: int, begin: datetime) -> dict[Stage, datetime]:
    """When a merchant reached each stage: as far as theirs goes, and as far as there was time for."""
    furthest = STAGES[number % len(STAGES)]
    gaps = GAPS[number % len(GAPS)]
    days = dict(zip(Stage, accumulate((0, *gaps)), strict=True))
    at = {stage: begin + timedelta(days=day, hours=hour) for hour, (stage, day) in enumerate(days.items())}
    reached = list(Stage)[: list(Stage).index(furthest) + 1]
    return {stage: at[stage] for stage in reached if at[stage] < timezone.now()}


def _status_of(at: dict[Stage, datetime]) -> Status:
    if Stage.CONNECTED in at:
        return Status.CONNECTED
    return Status.STARTED if Stage.STARTED in at else Status.READY


def _invite(rows: list[ClientLink]) -> None:
    """Give each a client link at "Mollie", from the day on which their way began."""
    links = []
    for row in rows:
        link = SandboxClientLink(
            id=f"cl_{row.pk.hex[:21]}",
            data={
                "owner": {
                    "email": row.owner_email,
                    "givenName": row.owner_given_name,
                    "familyName": row.owner_family_name,
                    "locale": row.owner_locale,
                },
                "name": row.organization_name,
                "address": {"country": row.country},
            },
            created_at=row.created_at,
        )
        row.mollie_id, row.issued_at = link.id, row.created_at
        row.url = conf.MOLLIE_ONBOARDING_BASE_URL + reverse("mollie_sandbox:client_link", args=[link.id])
        row.expires_at = row.created_at + CLIENT_LINK_LIFETIME
        links.append(link)
    SandboxClientLink.objects.bulk_create(links)


def _make_organization(row: ClientLink, at: dict[Stage, datetime]) -> Organization:
    is_completed = Stage.COMPLETED in at
    word = (
        Organization.OnboardingStatus.COMPLETED if is_completed else Organization.OnboardingStatus.IN_REVIEW
    )
    return Organization(
        name=row.organization_name,
        country=row.country,
        client_id=conf.MOLLIE_ONBOARDING_CLIENT_ID,
        scope=" ".join(conf.MOLLIE_ONBOARDING_SCOPES),
        authorized_at=row.connected_at,
        access_token_expires_at=timezone.now() + timedelta(hours=1),
        onboarding_status=word,
        can_receive_payments=Stage.PAYMENTS in at,
        can_receive_settlements=is_completed,
        payments_enabled_at=at.get(Stage.PAYMENTS),
        completed_at=at.get(Stage.COMPLETED),
        synced_at=timezone.now(),
    )


def _connect(rows: list[ClientLink]) -> None:
    """Give each an account at "Mollie" that says what ours say, and both the same tokens."""
    organizations = [row.organization for row in rows if row.organization]
    authorizations = []
    for organization, organization_id in zip(organizations, sandbox.add_clients(len(rows)), strict=True):
        organization.organization_id = organization_id
        organization.access_token = Secret(f"access_{organization_id}")
        organization.refresh_token = Secret(f"refresh_{organization_id}")
        code = f"code_{organization_id}"
        authorizations.append(
            Authorization(organization_id=organization_id, scope=organization.scope, code=code)
        )
    _tell_mollie(organizations)
    Authorization.objects.bulk_create(authorizations)
    for kind in Token.Kind:
        prefix = kind.value.removesuffix("_token")
        Token.objects.bulk_create(
            Token(authorization=row, kind=kind, value=f"{prefix}_{row.organization_id}")
            for row in authorizations
        )
    Organization.objects.bulk_create(organizations)
    keys = dict(
        Organization.objects.values_list("organization_id", "pk")
    )  # not every database gives them back
    for row, organization in zip(rows, organizations, strict=True):
        organization.pk = keys[organization.organization_id]
        row.organization = organization


def _tell_mollie(organizations: list[Organization]) -> None:
    ours = {organization.organization_id: organization for organization in organizations}
    accounts = list(SandboxOrganization.objects.filter(pk__in=ours))
    columns = ("name", "can_receive_payments", "can_receive_settlements")
    for account in accounts:
        account.status = ours[account.pk].onboarding_status
        for column in columns:
            setattr(account, column, getattr(ours[account.pk], column))
    SandboxOrganization.objects.bulk_update(accounts, ["status", *columns])
