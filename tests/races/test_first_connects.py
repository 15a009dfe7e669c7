"""Two merchants come back with the same organization, which was unknown until now."""

from __future__ import annotations

import pytest

from mollie_onboarding.models import Organization, Status
from tests.conftest import reread
from tests.races.platform import job
from tests.test_tokens import live_tokens

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def test_one_of_two_merchants_gets_the_organization(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions(fewer=True):
        rows = [make_client_link(reference=reference) for reference in ("one", "another")]
        organization_id = sandbox.sign_up("Bakkerij Jansen").pk
        backs = [leave(row, organization_id=organization_id) for row in rows]

        race = platform.race(*[job("come_back", **back) for back in backs])

        assert not race.errors, race
        assert sorted(seen["pages"][-1] for seen in race.results) == ["connected", "error"], race
        assert {seen["last"] for seen in race.results} == {200}, race
        winner, loser = sorted(map(reread, rows), key=lambda row: row.status != Status.CONNECTED)
        assert winner.organization.organization_id == organization_id, race
        assert (loser.status, loser.organization) == (Status.STARTED, None), race
        assert loser.problem == "organization_taken", race
        assert loser.refused_organization_id == organization_id, race
        assert race.signals.count("connected") == 1, race
        assert Organization.objects.filter(organization_id=organization_id).count() == 1, race


def test_both_rows_of_one_merchant_get_it(platform, sandbox, make_client_link, leave):
    for luck in platform.repetitions(fewer=True):
        rows = [make_client_link(reference=f"merchant {luck.random()}") for _ in range(1)]
        rows.append(make_client_link(reference=rows[0].reference))
        organization_id = sandbox.sign_up("Bakkerij Jansen").pk
        backs = [leave(row, organization_id=organization_id) for row in rows]

        race = platform.race(*[job("come_back", **back) for back in backs])

        assert not race.errors, race
        assert [seen["pages"][-1] for seen in race.results] == ["connected"] * 2, race
        organization = Organization.objects.get(organization_id=organization_id)
        assert [reread(row).organization for row in rows] == [organization] * 2, race
        assert race.signals.count("connected") == 2, race
        # One of the two authorizations, wholly.
        assert live_tokens().filter(value=organization.access_token.reveal()).exists(), race
        assert live_tokens().filter(value=organization.refresh_token.reveal()).exists(), race
