"""The platform disconnects while others need a token: afterwards no token works, of those either."""

from __future__ import annotations

import pytest

from mollie_onboarding import services
from mollie_onboarding.models import Event, Organization
from tests.races.platform import job
from tests.test_tokens import expire, live_tokens

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def test_disconnect_against_refresh_leaves_nothing_that_works(platform, sandbox, make_client_link, connect):
    for repetition, _ in enumerate(platform.repetitions()):
        sandbox.set_switch("rotate_refresh_tokens", repetition % 2 == 1)
        organization = expire(connect(make_client_link()))

        race = platform.race(
            job("get_access_token", organization.organization_id),
            job("disconnect", organization.organization_id),
            job("get_access_token", organization.organization_id),
            job("disconnect", organization.organization_id),
            job("get_access_token", organization.organization_id),
        )

        assert sorted([race.results[1], race.results[3]]) == [False, True], race
        # Who came first has a token that worked until the revocation; who came later is told.
        assert {error["raised"] for error in race.errors} <= {"NotConnectedError"}, race
        assert race.signals.count("disconnected") == 1, race
        services.revoke_pending()  # what a return of Mollie's brought in late
        organization = Organization.objects.get(pk=organization.pk)
        assert organization.connection_status == Organization.ConnectionStatus.DISCONNECTED, race
        assert organization.access_token is organization.refresh_token is None, race
        assert organization.pending_revocation is None, race
        assert Event.objects.filter(organization=organization, kind="disconnected").count() == 1, race
        assert not live_tokens().filter(authorization__organization=organization.organization_id), race
