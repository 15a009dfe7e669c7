"""What the platform's own tests use: the sandbox without a server, merchants in any state, faults, time travel."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.core import mail
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.test import Client, TestCase
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import MollieConnectionError, NotConnectedError
from mollie_onboarding.models import DeliveryStatus, Organization, Status
from mollie_onboarding.testing import MERCHANT, STATES, later, make_merchant, play_mollie, sandbox_mollie
from mollie_onboarding.testing.fixtures import pytest_collection_modifyitems

# What is true of a merchant in each state: the row's status, what the page says to machines, whose turn it is.
TRUTHS = {
    "draft": (Status.DRAFT, "ready"),
    "invited": (Status.READY, "ready"),
    "bounced": (Status.READY, "ready"),
    "expired": (Status.READY, "expired"),
    "cancelled": (Status.CANCELLED, "cancelled"),
    "rejected": (Status.REJECTED, "error"),
    "started": (Status.STARTED, "started"),
    "declined": (Status.DECLINED, "declined"),
    "interrupted": (Status.STARTED, "finishing"),
    "connected": (Status.CONNECTED, "connected"),
    "in_review": (Status.CONNECTED, "connected"),
    "payments_enabled": (Status.CONNECTED, "connected"),
    "completed": (Status.CONNECTED, "connected"),
    "needs_new_consent": (Status.CONNECTED, "connected"),
    "lost": (Status.CONNECTED, "lost"),
    "disconnected": (Status.CONNECTED, "lost"),
}

django_db = pytest.mark.django_db
pytestmark = django_db(databases=["default", "mollie_sandbox"])


def test_sandbox_answers_in_place_of_mollie(make_client_link):
    with sandbox_mollie():
        assert services.create_client_link(make_client_link()).url.startswith("https://my.mollie.com/")


def test_sandbox_answers_where_the_api_has_a_path(make_client_link, settings):
    settings.MOLLIE_ONBOARDING_API_URL = "https://my.mollie.com/elsewhere/mollie"
    with sandbox_mollie():
        assert services.create_client_link(make_client_link()).url


def test_nobody_but_mollie_can_be_reached():
    with sandbox_mollie(), pytest.raises(requests.ConnectionError):
        requests.get("https://shop.example/", timeout=1)


@pytest.mark.parametrize(
    "origin",
    [
        "https://api.mollie.com.evil.example",
        "https://api.mollie.com@evil.example",
        "https://api.mollie.com:8443",
        "http://api.mollie.com",
    ],
)
def test_host_that_only_begins_like_mollie_cannot_be_reached(mollie_sandbox, origin):
    headers = {"Authorization": f"Bearer {conf.MOLLIE_ONBOARDING_ACCESS_TOKEN}"}
    assert requests.get("https://api.mollie.com/v2/clients", headers=headers, timeout=1).ok
    with pytest.raises(requests.ConnectionError, match="Only Mollie"):
        requests.get(f"{origin}/v2/clients", headers=headers, timeout=1)


def test_unknown_address_of_mollie_is_a_dead_connection():
    with sandbox_mollie(), pytest.raises(requests.ConnectionError):
        requests.get("https://api.mollie.com/v2/nothing", timeout=1)


def test_sandbox_that_is_not_allowed_answers_nothing(make_client_link, settings):
    settings.MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG = False
    with sandbox_mollie(), pytest.raises(MollieConnectionError):
        services.create_client_link(make_client_link())


def test_everything_is_as_before_afterwards():
    before = requests.adapters.HTTPAdapter.send
    with sandbox_mollie():
        pass
    assert requests.adapters.HTTPAdapter.send is before


# Settings.


def test_whatever_the_site_has_set_fits_the_sandbox(db, settings):
    for name in ("CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN", "ENCRYPTION_KEYS", "BASE_URL"):
        delattr(settings, f"MOLLIE_ONBOARDING_{name}")
    settings.MOLLIE_ONBOARDING_API_URL = "http://127.0.0.1:8000/sandbox"
    settings.MOLLIE_SANDBOX_CLIENT_ID = "app_other"
    settings.MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG = False
    with play_mollie():
        merchant = make_merchant("connected")
        assert merchant.client_link.merchant_url().startswith("https://testserver/onboarding/link/")
        assert services.get_access_token(merchant.organization).startswith("access_")
    assert conf.MOLLIE_ONBOARDING_API_URL == "http://127.0.0.1:8000/sandbox"


def test_credentials_of_the_site_are_kept(mollie_sandbox):
    assert conf.MOLLIE_ONBOARDING_CLIENT_ID == "app_test"
    assert conf.MOLLIE_ONBOARDING_BASE_URL == "https://platform.example"


def test_site_on_plain_http_works_too(db, settings):
    settings.MOLLIE_ONBOARDING_BASE_URL = "http://localhost:8000"
    with play_mollie():
        assert make_merchant("connected").page_status == "connected"


def test_no_limit_of_the_site_ends_the_invitations_of_a_test(db, settings):
    """All merchants share one address, and all browsers one network."""
    settings.MOLLIE_ONBOARDING_MAIL_LIMIT = "2/d"
    with play_mollie():
        sent = [make_merchant("invited").client_link.send_count for _ in range(4)]
    assert sent == [1] * 4


def test_no_limit_of_the_site_ends_the_sign_ups_of_a_test(db, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "2/h"
    with play_mollie():
        statuses = [
            Client().post("/onboarding/signup/", MERCHANT | {"city": f"Dorp {number}"}).status_code
            for number in range(4)
        ]
    assert statuses == [200] * 4


def test_limit_that_a_test_sets_counts(db, settings):
    with play_mollie():
        settings.MOLLIE_ONBOARDING_MAIL_LIMIT = "1/d"
        sent = [make_merchant("invited").client_link.send_count for _ in range(2)]
    assert sent == [1, 0]


def test_sandbox_that_is_not_installed_is_named(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "mollie_onboarding.sandbox"]
    with pytest.raises(ImproperlyConfigured, match=r"'mollie_onboarding\.sandbox'"), play_mollie():
        pass


# Merchants.


@pytest.mark.parametrize("state", STATES)
def test_merchant_is_in_the_state(make_merchant, state):
    merchant = make_merchant(state, reference="17")
    assert (merchant.client_link.status, merchant.page_status) == TRUTHS[state]
    assert merchant.client_link.reference == "17"


def test_every_state_has_its_truth():
    assert list(TRUTHS) == list(STATES)


@pytest.mark.parametrize(
    ("state", "onboarding_status", "can_receive_payments"),
    [
        ("connected", "needs-data", False),
        ("in_review", "in-review", False),
        ("payments_enabled", "needs-data", True),
        ("completed", "completed", True),
    ],
)
def test_onboarding_status_is_what_mollie_says(make_merchant, state, onboarding_status, can_receive_payments):
    organization = make_merchant(state).organization
    assert organization.onboarding_status == onboarding_status
    assert organization.can_receive_payments is can_receive_payments


def test_states_that_the_row_alone_does_not_show(make_merchant):
    assert make_merchant("bounced").client_link.delivery_status == DeliveryStatus.BOUNCED
    assert make_merchant("needs_new_consent").client_link.needs_new_consent
    lost, disconnected = make_merchant("lost"), make_merchant("disconnected")
    assert lost.organization.connection_status == Organization.ConnectionStatus.LOST
    assert disconnected.organization.connection_status == Organization.ConnectionStatus.DISCONNECTED
    for merchant in (lost, disconnected):
        with pytest.raises(NotConnectedError):
            services.get_access_token(merchant.organization)


def test_merchant_with_a_login_is_logged_in(make_merchant, settings, operator):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    merchant = make_merchant("connected", user=operator)
    assert merchant.page_status == "connected"
    assert merchant.client_link.user == operator


def test_login_of_a_merchant_ends_with_the_session(make_merchant, settings, operator):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    merchant = make_merchant("invited", user=operator)
    with later(seconds=settings.SESSION_COOKIE_AGE + 1):
        assert merchant.press().status_code == 403
        merchant.browser.force_login(operator)
        merchant.connect()
        assert merchant.page_status == "connected"


def test_merchant_without_a_login_needs_none(make_merchant, settings):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    assert make_merchant("connected").page_status == "connected"


def test_merchants_of_one_test_are_different_people(make_merchant):
    first, second = make_merchant("connected"), make_merchant("connected")
    assert first.organization != second.organization


def test_merchant_goes_on_from_any_state(make_merchant):
    for state in ("invited", "started", "declined", "lost"):
        merchant = make_merchant(state)
        organization = merchant.client_link.organization
        merchant.connect(organization_id=organization.organization_id if organization else None)
        assert merchant.page_status == "connected", state


def test_interrupted_merchant_is_finished_by_the_platform_later(make_merchant):
    merchant = make_merchant("interrupted")
    with later(minutes=2):
        services.resume_interrupted()
    assert merchant.page_status == "connected"


def test_invitation_is_one_mail(make_merchant, workers):
    make_merchant("invited")
    assert [message.to for message in mail.outbox] == [["jan@bakkerij-jansen.example"]]


def test_deeds_that_are_not_possible_say_so(make_merchant):
    merchant = make_merchant("cancelled")
    merchant.press()
    with pytest.raises(LookupError, match="not at Mollie"):
        merchant.decide()
    with pytest.raises(LookupError, match="no organization"):
        merchant.organization.refresh_from_db()
    with pytest.raises(ValueError, match="'rich' is none of draft, invited"):
        make_merchant("rich")
    with pytest.raises(ValidationError):
        make_merchant(country="Netherlands")


def test_readme_shows_tests_of_the_example_and_names_every_state():
    root = Path(__file__).parent.parent
    section = (root / "README.md").read_text().split("\n## Your own tests\n")[1].split("\n## ")[0]
    [_, shown] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    for test in shown.strip().split("\n\n\n"):
        assert test in (root / "example_project" / "tests" / "test_onboarding.py").read_text()
    assert [word for word in re.findall(r"`(\w+)`", section) if word in STATES] == list(STATES)


# Time.


def test_later_moves_this_app_and_mollie(mollie_sandbox, make_merchant):
    before = timezone.now()
    merchant = make_merchant("invited")
    first = merchant.client_link.mollie_id
    with later(days=31):
        assert timezone.now() - before > timedelta(days=31)
        merchant.press()
        assert merchant.client_link.mollie_id != first  # renewed: a client link lives 30 days at Mollie
        callback_url = merchant.decide()
        with later(hours=25):
            assert merchant.come_back(callback_url).status_code == 400
    assert timezone.now() - before < timedelta(days=1)
    assert len(mollie_sandbox.calls("client_links")) == 2


# Without pytest.


class TestWithUnittest(TestCase):
    databases = "__all__"

    def test_merchant(self) -> None:
        with play_mollie() as mollie:
            mollie.add_fault("client_links", "server_error")
            merchant = make_merchant("draft")
            assert merchant.press().status_code == 503
            merchant.connect()
            assert merchant.page_status == "connected"


# The plugin.


class Item:
    def __init__(self, *fixtures: str, mark: pytest.MarkDecorator | None = None) -> None:
        self.fixturenames = fixtures
        self.mark = mark.mark if mark else None

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.mark

    def add_marker(self, marker: pytest.MarkDecorator, *, append: bool) -> None:
        assert not append  # before the others: the first one counts
        self.mark = marker.mark


@pytest.mark.parametrize(
    ("item", "mark"),
    [
        (Item("mollie_sandbox"), django_db(databases="__all__")),
        (
            Item("mollie_sandbox", mark=django_db(transaction=True)),
            django_db(transaction=True, databases="__all__"),
        ),
        (Item("mollie_sandbox", mark=django_db(True)), django_db(True, databases="__all__")),
        (Item("mollie_sandbox", mark=django_db(databases=["default"])), django_db(databases=["default"])),
        (Item("mollie_sandbox", mark=django_db(True, False, [])), django_db(True, False, [])),
        (Item("db"), None),
    ],
)
def test_tests_that_use_mollie_may_use_its_database(item, mark):
    pytest_collection_modifyitems([item])
    assert item.mark == (mark.mark if mark else None)
