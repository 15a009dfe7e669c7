"""Many presses of one merchant's button: one client link at Mollie, which lives, and nobody sees an error."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mollie_onboarding.models import AuthorizationRequest, Status
from mollie_onboarding.sandbox.models import SandboxClientLink
from mollie_onboarding.services import Flow
from mollie_onboarding.state import cookie_name, issue_state
from tests.conftest import Browser, kinds, reread
from tests.races.platform import COPIES, Race, job

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def check_pages(race: Race) -> list[dict[str, str]]:
    """The pages that lead to Mollie: at least one. All others ask for a moment's patience."""
    assert not race.errors, race
    left = [seen for seen in race.results if seen["status"] == 200]
    assert left, race
    assert {seen["page"] for seen in left} == {"started"}, race
    assert {seen["status"] for seen in race.results} <= {200, 503}, race
    return left


def test_fifty_presses_make_one_client_link(platform, sandbox, make_client_link):
    other_tab = make_client_link()
    for repetition, luck in enumerate(platform.repetitions()):
        row = make_client_link()
        secret = ""
        is_one_browser = repetition % 2 == 1
        if is_one_browser:  # known from another tab
            issued = issue_state(
                other_tab,
                flow=Flow.CLIENT_LINK,
                browser_secret="",
                now=timezone.now(),
                approval_prompt="auto",
            )
            secret = issued.browser_secret
        before = SandboxClientLink.objects.count()

        race = platform.race(*[job("press", row.merchant_path(), secret=secret)] * COPIES)

        left = check_pages(race)
        assert SandboxClientLink.objects.count() == before + 1, race
        row = reread(row)
        assert (row.status, row.issuing_until) == (Status.STARTED, None), race
        assert all(seen["leads_to"].startswith(row.url + "?") for seen in left), race
        assert sorted(kinds(row)) == ["ready", "started"], race
        assert AuthorizationRequest.objects.filter(client_link=row).count() == len(left), race
        secrets = {seen["secret"] for seen in left}
        assert secrets == {secret} if is_one_browser else len(secrets) == len(left), race

        # Any of them leads to a connection.
        chosen = luck.choice(left)
        browser = Browser()
        browser.cookies[cookie_name()] = chosen["secret"]
        assert browser.come_back(sandbox.visit(chosen["leads_to"])).status_code == 303
        assert reread(row).is_connected, race
