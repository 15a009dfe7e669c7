"""Many copies of one return: its code is exchanged once, and everybody in that browser sees the success."""

from __future__ import annotations

import pytest

from mollie_onboarding import services
from mollie_onboarding.models import AuthorizationRequest, Organization
from tests.conftest import kinds, reread
from tests.races.platform import COPIES, job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def test_fifty_copies_of_one_callback_are_one_connection(platform, sandbox, make_client_link, leave):
    for _ in platform.repetitions():
        row = make_client_link()
        back = leave(row)
        before = len(sandbox.calls("exchange")), Organization.objects.count()

        race = platform.race(*[job("come_back", **back)] * COPIES)

        assert not race.errors, race
        assert (len(sandbox.calls("exchange")), Organization.objects.count()) == (
            before[0] + 1,
            before[1] + 1,
        ), race
        assert {seen["first"] for seen in race.results} == {303}, race
        assert {seen["last"] for seen in race.results} == {200}, race
        assert {seen["pages"][-1] for seen in race.results} == {"connected"}, race
        assert {page for seen in race.results for page in seen["pages"]} <= {"finishing", "connected"}, race
        assert race.signals.count("connected") == 1, race
        row = reread(row)
        assert kinds(row).count("connected") == 1, race
        assert race.mails == [row.owner_email], race  # the notice
        request = AuthorizationRequest.objects.get(client_link=row)
        assert (request.outcome, request.tokens) == ("connected", None), race
        assert services.get_access_token(row.organization), race
