"""A client link that is renewed because its 30 days are nearly over: once, for all who press."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from mollie_onboarding.conf import conf
from mollie_onboarding.models import ClientLink, Status
from mollie_onboarding.mollie_api import CLIENT_LINK_LIFETIME
from mollie_onboarding.sandbox.models import SandboxClientLink
from mollie_onboarding.services import create_client_link
from tests.conftest import kinds, reread
from tests.races.platform import job
from tests.races.test_merchant_page import check_pages

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

COPIES = 10
EDGE = timedelta(milliseconds=20)  # about as long as all need to get there


def test_link_at_its_edge_is_renewed_once(platform, sandbox, make_client_link):
    """Those who come before the edge are sent to the old link, which still lives as long as they may take."""
    for luck in platform.repetitions(fewer=True):
        left = luck.choice([-EDGE, EDGE])
        row = create_client_link(make_client_link())
        old = row.url
        expires_at = timezone.now() + conf.MOLLIE_ONBOARDING_STATE_LIFETIME + left
        ClientLink.objects.filter(pk=row.pk).update(expires_at=expires_at)
        before = SandboxClientLink.objects.count()

        race = platform.race(*[job("press", row.merchant_path())] * COPIES)

        leads_to = {seen["leads_to"].partition("?")[0] for seen in check_pages(race)}
        made = SandboxClientLink.objects.count() - before
        row = reread(row)
        assert row.status == Status.STARTED, race
        assert kinds(row).count("renewed") == made, race
        if left < timedelta(0):
            assert made == 1, race
            assert leads_to == {row.url}, race
        else:
            assert made in (0, 1), race
            assert leads_to <= {old, row.url}, race
        if made:
            assert row.url != old, race
            assert row.expires_at - timezone.now() > CLIENT_LINK_LIFETIME - timedelta(minutes=5), race
