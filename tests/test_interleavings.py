"""What somebody else does between two steps, one case each. `tests/races` has the same without an arranged order."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import ClientLinkUnusableError, MollieConnectionError
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Organization, Status
from mollie_onboarding.mollie_api import MollieAPI
from mollie_onboarding.services import purging
from mollie_onboarding.state import issue_state
from tests.conftest import MERCHANT, Browser, authorization_url, page_status, reread

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

merchant_page = import_module("mollie_onboarding.views.client_link")  # whose view has its name
Queries = type(AuthorizationRequest.objects.all())
NEW = "corrected@bakkerij-jansen.example"


@pytest.fixture
def before(monkeypatch) -> Any:
    """Has something happen once, just before a function is called."""

    def before(owner: Any, name: str, action: Callable[[], object]) -> None:
        original, actions = getattr(owner, name), [action]

        def call(*args: Any, **kwargs: Any) -> Any:
            if actions:
                actions.pop()()
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    return before


@pytest.fixture
def leave(sandbox, make_client_link) -> Any:
    """A merchant who agreed at Mollie: the row, the browser, and the callback that is about to arrive."""

    def leave() -> tuple[ClientLink, Browser, str]:
        row, browser = make_client_link(), Browser()
        return row, browser, sandbox.visit(authorization_url(browser.press(row)))

    return leave


def delete(row: ClientLink) -> Callable[[], object]:
    return ClientLink.objects.filter(pk=row.pk).delete


def correct(row: ClientLink) -> Callable[[], object]:
    def correct() -> None:
        current = ClientLink.objects.get(pk=row.pk)
        current.owner_email = NEW
        current.save()

    return correct


def assert_tells_nothing_of_the_new_link(browser: Browser, row: ClientLink, response: Any) -> None:
    """The page opens itself again, and is an old one."""
    assert (response.status_code, response["Location"]) == (303, row.merchant_path())
    page = browser.get(row.merchant_path())
    assert (page.status_code, page_status(page)) == (410, "expired")
    assert reread(row).merchant_path() not in page.content.decode()


# Deleted, by an operator or by a purge.


def test_deleted_row_gets_no_client_link(sandbox, make_client_link):
    row = make_client_link()
    delete(row)()
    with pytest.raises(ClientLinkUnusableError):
        services.create_client_link(row)
    assert sandbox.calls() == []


def test_press_on_a_row_that_is_just_deleted_leads_to_an_unknown_page(sandbox, make_client_link, before):
    row, browser = make_client_link(), Browser()
    before(services, "start_authorization", delete(row))
    response = browser.post(row.merchant_path())
    assert (response.status_code, response["Location"]) == (303, row.merchant_path())
    assert browser.get(row.merchant_path()).status_code == 404
    assert not AuthorizationRequest.objects.exists()


def test_press_that_would_finish_a_deleted_return_leads_to_an_unknown_page(sandbox, leave, before):
    row, browser, callback = leave()
    sandbox.add_fault("organization", "drop_before")
    browser.come_back(callback)
    before(Queries, "claim_resumption", delete(row))
    assert browser.post(row.merchant_path()).status_code == 303
    assert browser.get(row.merchant_path()).status_code == 404


def test_return_to_a_row_that_is_deleted_during_the_exchange_is_refused(leave, before, caplog):
    row, browser, callback = leave()
    before(MollieAPI, "exchange_code", delete(row))
    assert browser.come_back(callback).status_code == 400
    assert "Callback refused: unknown state." in caplog.text
    assert not Organization.objects.exists()


def test_deleted_return_keeps_no_other_from_being_finished(sandbox, leave, before):
    rows = []
    for _ in range(2):
        row, browser, callback = leave()
        sandbox.add_fault("organization", "drop_before")
        browser.come_back(callback)
        rows.append(row)
    before(Queries, "claim_resumption", delete(rows[0]))
    assert services.resume_interrupted() == 1
    assert reread(rows[1]).is_connected


def test_merchant_who_connects_while_an_operator_deletes_the_row_stays(make_client_link, staff, before):
    row = make_client_link()

    def connect() -> None:
        organization = Organization.objects.create(organization_id="org_1")
        ClientLink.objects.update(status=Status.CONNECTED, organization=organization)

    path = f"/admin/mollie_onboarding/clientlink/{row.pk}/delete/"
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', staff.get(path).content.decode())[1]
    before(purging, "_hold", connect)

    response = staff.post(path, {"post": "yes", "csrfmiddlewaretoken": token})

    assert response.status_code == 403
    assert ClientLink.objects.filter(pk=row.pk).exists()
    assert not LogEntry.objects.exists()


# Corrected: whoever has the old address's link gets nowhere with it, and does not learn the new one.


def test_page_that_is_read_during_a_correction_keeps_the_new_link_to_itself(leave, sandbox, before):
    row, browser, _ = leave()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row)), decision="deny"))
    before(merchant_page, "find_standing", correct(row))
    assert_tells_nothing_of_the_new_link(browser, row, browser.get(row.merchant_path()))


def test_press_during_a_correction_keeps_the_new_link_to_itself(leave, sandbox, before):
    row, browser, _ = leave()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row)), decision="deny"))
    before(merchant_page, "find_standing", correct(row))
    assert_tells_nothing_of_the_new_link(browser, row, browser.post(row.merchant_path()))


def test_correction_while_mollie_makes_the_link_keeps_the_new_link_to_itself(
    sandbox, make_client_link, before
):
    row, browser = make_client_link(), Browser()
    before(MollieAPI, "create_client_link", correct(row))
    assert_tells_nothing_of_the_new_link(browser, row, browser.post(row.merchant_path()))
    assert reread(row).status == Status.DRAFT


def test_correction_just_before_a_start_makes_no_state(sandbox, make_client_link):
    """Without a call to Mollie in between: the old client link seems to live."""
    as_read = services.create_client_link(make_client_link())
    correct(as_read)()
    with pytest.raises(ClientLinkUnusableError):
        services.start_authorization(as_read, browser_secret="")
    assert not AuthorizationRequest.objects.exists()


def test_start_during_a_correction_is_void_too(make_client_link, monkeypatch):
    """Committed after the requests were held, and before the row was."""
    row = make_client_link()
    hold, started = Queries.hold, []

    def hold_and_start(self: Any, pks: Any) -> None:
        hold(self, pks)
        if not started:
            started.append(
                issue_state(
                    row,
                    flow=services.Flow.CLIENT_LINK,
                    browser_secret="",
                    now=timezone.now(),
                    approval_prompt="auto",
                )
            )

    monkeypatch.setattr(Queries, "hold", hold_and_start)
    correct(row)()
    request = AuthorizationRequest.objects.get()
    assert (request.outcome, request.browser_digest) == (AuthorizationRequest.Outcome.CANCELLED, "")


# While somebody signs up.


def test_sign_up_that_an_operator_cancels_during_a_fault_of_mollie_leads_to_its_page(
    sandbox, browser, before
):
    def cancel() -> None:
        services.cancel_client_link(ClientLink.objects.get())
        raise MollieConnectionError("No answer.")

    before(MollieAPI, "create_client_link", cancel)
    response = browser.submit("/onboarding/signup/", **MERCHANT)
    assert response.status_code == 303
    assert browser.get(response["Location"]).status_code == 410


def test_sign_up_whose_row_is_deleted_meanwhile_leads_to_an_unknown_page(sandbox, browser, before):
    before(MollieAPI, "create_client_link", lambda: ClientLink.objects.all().delete())
    response = browser.submit("/onboarding/signup/", **MERCHANT)
    assert response.status_code == 303
    assert browser.get(response["Location"]).status_code == 404
