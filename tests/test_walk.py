"""The whole way, from both doors: sign-up or mail → Mollie → callback → connected."""

from __future__ import annotations

import re

import pytest
from django.core import mail

from mollie_onboarding import services
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization
from tests.conftest import MERCHANT, authorization_url, page_status

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def test_walk_from_sign_up_to_connected(sandbox, browser):
    response = browser.submit("/onboarding/signup/", **MERCHANT)

    assert response.status_code == 200
    row = ClientLink.objects.get()
    assert row.status == ClientLink.Status.STARTED
    callback = sandbox.visit(authorization_url(response))

    response = browser.come_back(callback)

    assert response.status_code == 303
    assert response.headers["Location"] == row.merchant_path()
    page = browser.get(response.headers["Location"])
    assert page_status(page) == "connected"
    organization = Organization.objects.get()
    row.refresh_from_db()
    assert row.status == ClientLink.Status.CONNECTED
    assert row.organization == organization
    assert organization.access_token.reveal().startswith("access_")
    assert organization.onboarding_status == "needs-data"
    assert organization.name == "Bakkerij Jansen"
    assert AuthorizationRequest.objects.get().tokens is None
    assert [event.kind for event in Event.objects.order_by("pk")] == [
        "signed_up",
        "ready",
        "started",
        "connected",
    ]
    assert [message.subject for message in mail.outbox] == [
        "Shopwise: Bakkerij Jansen is aan Mollie gekoppeld"
    ]


def test_walk_from_the_mail_to_connected(sandbox, browser, make_client_link):
    row = make_client_link()
    services.request_sending(row)

    [message] = mail.outbox
    address = re.search(r"https://platform\.example(/onboarding/link/\S+)", message.body)[1]
    page = browser.get(address)
    assert page_status(page) == "ready"
    response = browser.submit(address)
    response = browser.come_back(sandbox.visit(authorization_url(response)))

    assert page_status(browser.get(response.headers["Location"])) == "connected"
    assert len(sandbox.calls("client_links")) == 1
    assert len(sandbox.calls("tokens")) == 1


def test_walk_to_a_denial_and_again(sandbox, browser, make_client_link):
    row = make_client_link()
    response = browser.press(row)
    response = browser.come_back(sandbox.visit(authorization_url(response), decision="deny"))

    assert page_status(browser.get(response.headers["Location"])) == "declined"
    row.refresh_from_db()
    assert row.status == ClientLink.Status.DECLINED

    response = browser.press(row)
    browser.come_back(sandbox.visit(authorization_url(response)))

    row.refresh_from_db()
    assert row.status == ClientLink.Status.CONNECTED
