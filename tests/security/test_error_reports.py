"""What Django mails to the ADMINS when a merchant page breaks, with the request and every local variable."""

from __future__ import annotations

import sys
from typing import Any

import django
import pytest
from django.core import mail
from django.core.signals import got_request_exception
from django.views.debug import ExceptionReporter
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding import services
from mollie_onboarding.models import NO_CLIENT_LINK, ClientLink
from mollie_onboarding.sandbox.models import Token
from mollie_onboarding.services import authorizing, completing, creation
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, authorization_url, state_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

# Not the organization's name, by which a row is known in a report.
PERSON = {
    "owner_email": "canary@person.example",
    "owner_given_name": "Canaryjan",
    "owner_family_name": "Canaryson",
    "street_and_number": "Canary Lane 7",
}


@pytest.fixture
def reports():
    """The reports of what breaks, as text and as HTML: made while the exception is on its way, as Django does."""
    made: list[str] = []

    def report(request: Any, **kwargs: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        made.extend([reporter.get_traceback_text(), reporter.get_traceback_html()])

    got_request_exception.connect(report)
    yield made
    got_request_exception.disconnect(report)


def copies_of(url: str) -> dict[str, str]:
    """Where a request has an address, or that of the page before, besides the query: as web servers write it."""
    path = url.removeprefix("https://platform.example")
    return {"RAW_URI": path, "REQUEST_URI": path, "HTTP_REFERER": url}


def code_of(url: str) -> str:
    return url.split("code=")[1].split("&")[0]


def break_after(monkeypatch: Any, module: Any, name: str) -> None:
    original = getattr(module, name)

    @sensitive_variables()  # this frame is the test's
    def broken(*args: Any, **kwargs: Any) -> Any:
        original(*args, **kwargs)
        raise ZeroDivisionError

    monkeypatch.setattr(module, name, broken)


def assert_absent(reports: list[str], secrets: set[str]) -> None:
    assert len(reports) == 2
    for report in reports:
        assert "ZeroDivisionError" in report
        assert [secret for secret in secrets if secret in report] == []


def assert_absent_from(reporter: ExceptionReporter, secrets: set[str]) -> None:
    for report in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert [secret for secret in secrets if secret in report] == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (services, "complete_authorization"),
        (completing, "find_request"),
        (completing, "_commit_tokens"),
        (completing, "connect"),
        (completing, "_read_status"),
    ],
)
def test_report_of_the_callback_holds_no_secret(
    sandbox, make_client_link, reports, monkeypatch, module, name
):
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    callback = sandbox.visit(authorization_url(browser.press(make_client_link(**PERSON))))
    break_after(monkeypatch, module, name)
    browser.defaults |= copies_of(callback)
    assert browser.come_back(callback).status_code == 500
    code = code_of(callback)
    tokens = set(Token.objects.values_list("value", flat=True))
    assert_absent(
        reports, {state_of(callback), code, browser.cookies[cookie_name()].value, *tokens, *PERSON.values()}
    )


def test_report_of_the_form_on_a_refused_callback_holds_no_secret(
    sandbox, make_client_link, reports, monkeypatch
):
    """It is sent from the callback's page: whose address, with a code that nobody took, is its referrer."""
    callback = sandbox.visit(authorization_url(Browser().press(make_client_link(**PERSON))))
    stranger = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    assert stranger.come_back(callback).status_code == 400
    break_after(monkeypatch, services, "request_sending_by_merchant")
    stranger.defaults |= copies_of(callback)
    form = {"state": state_of(callback), "csrfmiddlewaretoken": stranger.cookies["csrftoken"].value}
    assert stranger.post("/onboarding/recover/", form).status_code == 500
    assert_absent(reports, {state_of(callback), code_of(callback), *PERSON.values()})


@pytest.mark.parametrize(
    ("module", "name"),
    [(services, "start_authorization"), (authorizing, "issue_state"), (creation, "_data_of")],
)
def test_report_of_the_button_holds_no_secret(sandbox, make_client_link, reports, monkeypatch, module, name):
    row = make_client_link(**PERSON)
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    browser.press(row)
    ClientLink.objects.update(**NO_CLIENT_LINK, status="draft")  # so that the next press makes another
    break_after(monkeypatch, module, name)
    assert browser.press(row).status_code == 500
    assert_absent(reports, {browser.cookies[cookie_name()].value, *PERSON.values()})


def test_report_of_the_sign_up_holds_no_person(sandbox, reports, monkeypatch):
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    break_after(monkeypatch, services, "store_submission")
    assert browser.submit("/onboarding/signup/", **{**MERCHANT, **PERSON}).status_code == 500
    assert_absent(reports, set(PERSON.values()))


@pytest.mark.parametrize(("fault", "status"), [(503, 503), (403, 502)])
def test_mollie_down_sends_nobody_a_report(sandbox, make_client_link, settings, fault, status):
    """Django mails one for each answer from 500 on: with the cookie in it, and the merchant's link as its subject."""
    settings.ADMINS = (
        ["ops@platform.example"] if django.VERSION >= (6, 0) else [("Ops", "ops@platform.example")]
    )
    row = make_client_link()
    browser = Browser(enforce_csrf_checks=True)
    browser.press(row)
    ClientLink.objects.update(**NO_CLIENT_LINK, status="draft")
    sandbox.add_fault("client_links", "status", status=fault, times=None)

    response = browser.press(row)

    assert response.status_code == status
    assert mail.outbox == []
    # Nor does anybody who reports answers in another way.
    report = ExceptionReporter(response.wsgi_request, None, None, None)
    assert_absent_from(report, {browser.cookies[cookie_name()].value})


def test_answer_below_500_keeps_its_request(sandbox, make_client_link):
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    browser.press(row)
    response = browser.get(f"{row.merchant_path()}?language=nl")
    assert response.wsgi_request.GET["language"] == "nl"
    assert cookie_name() in response.wsgi_request.COOKIES
