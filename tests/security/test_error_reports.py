"""What Django mails to the ADMINS when a merchant page breaks, with the request and every local variable."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

import django
import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.signals import got_request_exception
from django.test import Client
from django.utils import timezone
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding import services
from mollie_onboarding.models import NO_CLIENT_LINK, ClientLink, Organization, Status
from mollie_onboarding.mollie_api import wire
from mollie_onboarding.pkce import code_verifier
from mollie_onboarding.sandbox.models import Token
from mollie_onboarding.services import authorizing, completing, creation, mailing
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, authorization_url, state_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

client_link = import_module("mollie_onboarding.views.client_link")  # whose view has its name

# Not the organization's name, by which a row is known in a report.
PERSON = {
    "owner_email": "canary@person.example",
    "owner_given_name": "Canaryjan",
    "owner_family_name": "Canaryson",
    "street_and_number": "Canary Lane 7",
}
CALLBACK = "/onboarding/callback/"
ADMINS = ["ops@platform.example"] if django.VERSION >= (6, 0) else [("Ops", "ops@platform.example")]


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
    return dict.fromkeys(["RAW_URI", "REQUEST_URI", "HTTP_X_ORIGINAL_URI", "UNENCODED_URL"], path) | {
        "HTTP_REFERER": url,
        "SCRIPT_URI": url.partition("?")[0],
        "SCRIPT_URL": path.partition("?")[0],
        "PATH_TRANSLATED": f"/srv{path}",
    }


def code_of(url: str) -> str:
    return url.split("code=")[1].split("&")[0]


def token_of(row: ClientLink) -> str:
    return row.merchant_path().rstrip("/").rpartition("/")[2]


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
        (completing, "code_verifier"),
        (wire, "_read"),
        (completing, "_commit_tokens"),
        (completing, "connect"),
        (completing, "_read_status"),
    ],
)
def test_report_of_the_callback_holds_no_secret(
    sandbox, make_client_link, reports, settings, monkeypatch, module, name
):
    settings.MOLLIE_ONBOARDING_PKCE = True
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    callback = sandbox.visit(authorization_url(browser.press(make_client_link(**PERSON))))
    break_after(monkeypatch, module, name)
    browser.defaults |= copies_of(callback)
    assert browser.come_back(callback).status_code == 500
    code = code_of(callback)
    tokens = set(Token.objects.values_list("value", flat=True))
    cookie = browser.cookies[cookie_name()].value
    verifier = code_verifier(state_of(callback), cookie)
    assert_absent(reports, {state_of(callback), code, cookie, verifier, *tokens, *PERSON.values()})


def test_report_of_the_form_on_a_refused_callback_holds_no_secret(
    sandbox, make_client_link, reports, monkeypatch
):
    """It is sent from the callback's page: whose address, with a code that nobody took, is its referrer."""
    callback = sandbox.visit(authorization_url(Browser().press(make_client_link(**PERSON))))
    stranger = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    assert stranger.come_back(callback).status_code == 400
    break_after(monkeypatch, services, "request_sending_by_merchant")
    stranger.defaults["HTTP_REFERER"] = callback
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
    assert_absent(reports, {browser.cookies[cookie_name()].value, token_of(row), *PERSON.values()})


@pytest.mark.parametrize("name", ["read_link", "find_standing", "show", "show_merchant_page"])
@pytest.mark.parametrize("include_html", [True, False])
def test_mail_to_admins_and_log_name_no_link(
    make_client_link, reports, settings, monkeypatch, caplog, name, include_html
):
    settings.ADMINS = ADMINS
    row = make_client_link(**PERSON)
    break_after(monkeypatch, client_link, name)
    handler = AdminEmailHandler(include_html=include_html)
    monkeypatch.setattr(logging.getLogger("django.request"), "handlers", [handler])
    browser = Browser(raise_request_exception=False)
    browser.defaults |= copies_of(f"https://platform.example{row.merchant_path()}")
    assert browser.get(f"{row.merchant_path()}?language=nl").status_code == 500
    assert_absent(reports, {token_of(row), *PERSON.values()})
    assert len(mail.outbox) == 2  # this handler's, and that of Django's own logging
    for message in mail.outbox:
        assert message.subject.endswith("Internal Server Error: /onboarding/link/***/")
        bodies = [message.body, *(body for body, _ in message.alternatives)]
        assert token_of(row) not in f"{message.subject} {bodies} {caplog.text}"
    assert any(message.alternatives for message in mail.outbox) == include_html


def test_report_of_the_sign_up_holds_no_person(sandbox, reports, monkeypatch):
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    break_after(monkeypatch, services, "store_submission")
    assert browser.submit("/onboarding/signup/", **{**MERCHANT, **PERSON}).status_code == 500
    assert_absent(reports, set(PERSON.values()))


@pytest.mark.parametrize(("fault", "status"), [(503, 503), (403, 502)])
def test_mollie_down_sends_nobody_a_report(sandbox, make_client_link, settings, fault, status):
    """Django mails one for each answer from 500 on: with the cookie in it, and the merchant's link as its subject."""
    settings.ADMINS = ADMINS
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
    assert_absent_from(report, {browser.cookies[cookie_name()].value, token_of(row)})


@pytest.mark.parametrize("name", ["onboarding_link", "notice"])
def test_report_of_a_mail_that_breaks_holds_no_link(sandbox, make_client_link, monkeypatch, name):
    """Whoever sends it: workers and cron jobs run in no view of ours."""
    now = timezone.now()
    if name == "onboarding_link":
        row, send = make_client_link(send_requested_at=now), services.send_onboarding_link
    else:
        organization = Organization.objects.create(organization_id="org_1")
        row = make_client_link(status=Status.CONNECTED, organization=organization, notice_requested_at=now)
        send = services.send_connected_notice
    break_after(monkeypatch, mailing, "render_to_string")
    with pytest.raises(ZeroDivisionError) as caught:
        send(row.pk)
    reporter = ExceptionReporter(None, caught.type, caught.value, caught.tb)
    assert_absent_from(reporter, {token_of(row), row.owner_email})


def test_log_of_what_is_refused_names_no_link(make_client_link, settings, caplog):
    """Django writes the path of each answer from 400 on."""
    row = make_client_link()
    path = row.merchant_path()
    browser = Browser(enforce_csrf_checks=True)
    assert browser.put(path).status_code == 405
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    assert browser.get(path.removesuffix("/") + "./").status_code == 404
    row.user = get_user_model().objects.create_user("owner")
    row.save()
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    assert Browser().post(path).status_code == 403
    ClientLink.objects.update(link_expires_at=row.created_at)
    assert browser.get(path).status_code == 410
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("django.")]
    assert len(lines) == 6
    assert [line for line in lines if token_of(row) in line] == []
    assert all("/onboarding/link/***" in line for line in lines)


def test_report_keeps_what_only_looks_like_a_secret(db, monkeypatch):
    """Who is asked, and how: a state of one letter is in all of it."""
    browser = Browser(raise_request_exception=False)
    monkeypatch.setattr(completing, "find_request", lambda *args: 1 / 0)
    before = dict(browser.get("/onboarding/theme.css").wsgi_request.META)
    response = browser.get(CALLBACK, {"state": "t", "code": "e"})
    assert response.status_code == 500
    after = response.wsgi_request.META
    kept = ("SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "REQUEST_METHOD", "HTTP_ACCEPT_LANGUAGE")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert not after["QUERY_STRING"]


def test_answer_below_500_keeps_its_request(sandbox, make_client_link):
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    browser.press(row)
    response = browser.get(f"{row.merchant_path()}?language=nl")
    assert response.wsgi_request.GET["language"] == "nl"
    assert cookie_name() in response.wsgi_request.COOKIES
