"""The public sign-up page: one row and one client link per form, and never somebody else's row."""

from __future__ import annotations

import html
import logging
import re
import threading
import uuid
from datetime import timedelta
from html import unescape
from typing import Any

import django
import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connections
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.links import sign_link, sign_reference
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization, Status
from mollie_onboarding.services import signing_up
from mollie_onboarding.services.signing_up import store_submission
from tests.conftest import MERCHANT, Browser, authorization_url, page_status
from tests.pages import Page

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

SIGNUP = "/onboarding/signup/"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "X-Frame-Options": "DENY",
}


def hidden_fields(response: Any) -> dict[str, str]:
    pattern = r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?'
    return dict(re.findall(pattern, response.content.decode()))


def field_html(response: Any, name: str) -> str:
    """The part of the page around one visible field: label, errors, input."""
    parts = response.content.decode().split('<div class="field')
    [part] = [part for part in parts if re.search(rf'\sname="{name}"', part.split("</div>")[0])]
    return html.unescape(part.split("</div>")[0])


def assert_headers(response: Any) -> None:
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


# The form.


def test_page_shows_the_form_and_creates_nothing(browser):
    response = browser.get(SIGNUP)

    assert response.status_code == 200
    assert page_status(response) == "ready"
    assert_headers(response)
    assert reverse("mollie_onboarding:signup") == SIGNUP
    assert len(hidden_fields(response)["nonce"]) == 43
    assert hidden_fields(response)["nonce"] != hidden_fields(browser.get(SIGNUP))["nonce"]


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_at_the_page_calls_nobody_and_writes_nothing(sandbox, browser, method):
    """Lessons row 12, and 1.1: scanners."""
    for path in (SIGNUP, f"{SIGNUP}?for={sign_reference('shop-7')}", f"{SIGNUP}?country=de"):
        assert getattr(browser, method)(path).status_code == 200

    assert sandbox.calls() == []
    assert not ClientLink.objects.exists()
    assert not Event.objects.exists()
    assert not AuthorizationRequest.objects.exists()
    assert mail.outbox == []


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(browser, method):
    assert getattr(browser, method)(SIGNUP).status_code == 405


def test_page_may_come_with_a_country(browser):
    page = browser.get(f"{SIGNUP}?country=de")

    assert '<option value="DE" selected>' in field_html(page, "country")
    assert "de-gmbh" in field_html(page, "legal_entity")
    assert "nl-bv" not in field_html(page, "legal_entity")


@pytest.mark.parametrize(
    ("query", "accepted", "country"),
    [
        ("", "nl-NL,nl;q=0.9", "NL"),
        ("", "de", ""),
        ("?country=fr", "nl-NL", "FR"),
        ("?country=ZZ", "nl-NL", "NL"),
    ],
)
def test_page_begins_with_a_country(browser, query, accepted, country):
    page = browser.get(f"{SIGNUP}{query}", headers={"Accept-Language": accepted, "User-Agent": "Chromium"})

    assert f'<option value="{country}" selected>' in field_html(page, "country")


@pytest.mark.parametrize(
    ("country", "first"), [("NL", "Registration number (KvK-nummer)"), ("GB", "Company number")]
)
def test_page_says_once_what_to_have_at_hand(browser, country, first):
    page = Page(browser.get(f"{SIGNUP}?country={country}"))

    at_hand = page.find("ul", class_="checklist")
    assert at_hand.find_all("li")[0].text.startswith(first)
    assert page.find("div", id="by-country").find("ul", class_="checklist").text == at_hand.text


def test_page_says_what_to_have_at_hand_for_the_legal_form(browser):
    values = {**MERCHANT, "legal_entity": "nl-stichting", "owner_email": ""}

    for extra in ({}, {"choose_country": "1"}):
        page = Page(browser.submit(SIGNUP, **values, **extra))
        assert "Your statutes" in page.find("ul", class_="checklist").text
    page = Page(browser.submit(SIGNUP, **{**values, "country": "DE"}, choose_country="1"))
    assert "Your statutes" not in page.find("ul", class_="checklist").text


@pytest.mark.parametrize("country", ["", "%00", "ZZ", "<script>", "🙈"])
def test_odd_countries_in_the_address_do_no_harm(browser, country):
    page = browser.get(f"{SIGNUP}?country={country}")

    assert page.status_code == 200
    assert b"<script>" not in page.content


# Signing up.


def test_sign_up_leads_to_mollie(sandbox, browser):
    response = browser.submit(SIGNUP, **MERCHANT)

    row = ClientLink.objects.get()
    assert response.status_code == 200
    assert page_status(response) == "started"
    assert authorization_url(response).startswith(row.url)
    assert_headers(response)
    assert {name: getattr(row, name) for name in MERCHANT} == MERCHANT
    assert row.status == Status.STARTED
    assert (row.user, row.reference, row.created_by) == (None, "", None)
    assert mail.outbox == []


def test_double_submit_makes_one_row_and_one_client_link(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT

    answers = [browser.post(SIGNUP, fields) for _ in range(2)]

    assert [page_status(answer) for answer in answers] == ["started"] * 2
    assert ClientLink.objects.count() == 1
    assert len(sandbox.calls("client_links")) == 1
    # Each press has a state of its own, so both tabs lead home.
    assert AuthorizationRequest.objects.count() == 2


@committing
def test_double_click_at_once_makes_one_row_and_one_client_link(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    start = threading.Barrier(2)
    statuses = []

    def press() -> None:
        tab = Browser(enforce_csrf_checks=True)
        tab.cookies = browser.cookies.copy()
        start.wait()
        try:
            statuses.append(page_status(tab.post(SIGNUP, fields)))
        finally:
            connections.close_all()

    tabs = [threading.Thread(target=press) for _ in range(2)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()

    assert statuses == ["started"] * 2
    assert ClientLink.objects.count() == 1
    assert len(sandbox.calls("client_links")) == 1


def test_same_nonce_with_corrected_data_changes_the_same_row(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.post(SIGNUP, fields)
    first = ClientLink.objects.get()

    browser.post(SIGNUP, {**fields, "city": "Utrecht", "owner_email": "piet@bakkerij-jansen.example"})

    row = ClientLink.objects.get()
    assert row.pk == first.pk
    assert (row.city, row.owner_email) == ("Utrecht", "piet@bakkerij-jansen.example")
    assert row.mollie_id != first.mollie_id
    assert row.link_generation == first.link_generation + 1


def test_row_is_never_found_by_an_email_address(sandbox, browser):
    """Lessons row 7."""
    stranger = Browser(enforce_csrf_checks=True)
    browser.submit(SIGNUP, **MERCHANT)
    before = ClientLink.objects.values().get()

    response = stranger.submit(SIGNUP, **{**MERCHANT, "organization_name": "Evil Ltd"})

    assert ClientLink.objects.count() == 2
    assert ClientLink.objects.values().get(pk=before["id"]) == before
    assert b"Bakkerij" not in response.content


def test_nonce_of_a_connected_row_leads_to_its_page_and_changes_nothing(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.come_back(sandbox.visit(authorization_url(browser.post(SIGNUP, fields))))
    before = ClientLink.objects.values().get()

    response = browser.post(SIGNUP, {**fields, "city": "Utrecht"})

    assert response.status_code == 303
    assert page_status(browser.get(response.headers["Location"])) == "connected"
    assert ClientLink.objects.values().get() == before


def test_nonce_of_a_cancelled_row_connects_nobody(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.post(SIGNUP, fields)
    services.cancel_client_link(ClientLink.objects.get())

    response = browser.post(SIGNUP, fields)

    assert page_status(browser.get(response.headers["Location"])) == "cancelled"
    assert ClientLink.objects.get().is_cancelled
    assert len(sandbox.calls("client_links")) == 1


def test_nonce_ends_when_an_operator_corrects_the_address(sandbox, browser):
    """Whoever typed a wrong address has the form still: neither the correction nor the way to connect is theirs."""
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT | {"owner_email": "eve@evil.example"}
    browser.post(SIGNUP, fields)
    row = ClientLink.objects.get()
    row.owner_email = "jan@bakkerij-jansen.example"
    row.save()
    before = ClientLink.objects.values().get()

    response = browser.post(SIGNUP, fields)

    assert ClientLink.objects.values().get(pk=row.pk) == before
    assert AuthorizationRequest.objects.live(timezone.now()).filter(client_link=row).count() == 0
    another = ClientLink.objects.exclude(pk=row.pk).get()
    assert (page_status(response), another.owner_email) == ("started", "eve@evil.example")


def test_nonce_of_a_connected_row_ends_when_an_operator_corrects_the_address(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.come_back(sandbox.visit(authorization_url(browser.post(SIGNUP, fields))))
    row = ClientLink.objects.get()
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()

    response = browser.post(SIGNUP, fields)

    assert row.merchant_path() not in response.headers.get("Location", "") + response.content.decode()
    assert ClientLink.objects.count() == 2


def test_nonce_stays_when_the_merchant_corrects_the_address(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    for name in ("jan", "piet", "kees", "kees"):
        response = browser.post(SIGNUP, {**fields, "owner_email": f"{name}@bakkerij-jansen.example"})
        assert page_status(response) == "started"

    row = ClientLink.objects.get()
    assert (row.owner_email, row.link_generation) == ("kees@bakkerij-jansen.example", 3)
    assert sandbox.visit(authorization_url(response))


def test_nonce_of_a_row_whose_link_is_over_leads_to_the_page_that_says_so(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.post(SIGNUP, fields)
    ClientLink.objects.update(created_at=timezone.now() - conf.MOLLIE_ONBOARDING_LINK_LIFETIME)
    before = ClientLink.objects.values().get()

    response = browser.post(SIGNUP, {**fields, "city": "Utrecht"})

    assert (response.status_code, ClientLink.objects.values().get()) == (303, before)
    page = browser.get(response.headers["Location"])
    assert (page.status_code, page_status(page)) == (410, "expired")


@pytest.mark.parametrize("after", ["correction", "deletion"])
def test_nonce_that_an_operator_ends_at_the_same_moment_changes_nothing(sandbox, browser, monkeypatch, after):
    """Between the look for the nonce's row and its lock."""
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.post(SIGNUP, fields)
    find = signing_up._find_submitted

    def find_and_wait(submission_digest: str | None) -> ClientLink | None:
        found = find(submission_digest)
        row = ClientLink.objects.get()
        if after == "deletion":
            row.delete()
            return found
        row.owner_email = "piet@bakkerij-jansen.example"
        row.save()
        return found

    monkeypatch.setattr(signing_up, "_find_submitted", find_and_wait)
    response = browser.post(SIGNUP, {**fields, "city": "Utrecht"})

    assert response.status_code == 303
    page = browser.get(response.headers["Location"])
    assert page.status_code == (410 if after == "correction" else 404)
    assert not ClientLink.objects.filter(city="Utrecht").exists()


def test_nonce_of_a_refused_row_that_is_corrected_at_the_same_moment_gives_no_newer_link(
    sandbox, browser, monkeypatch
):
    sandbox.add_fault(
        "client_links", "status", status=422, body={"detail": "Unknown.", "field": "owner.email"}
    )
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.post(SIGNUP, fields)
    retry = signing_up.retry_rejected

    def correct_and_retry(row: ClientLink) -> ClientLink:
        current = ClientLink.objects.get()
        current.owner_email = "piet@bakkerij-jansen.example"
        current.save()
        return retry(row)

    monkeypatch.setattr(signing_up, "retry_rejected", correct_and_retry)
    response = browser.post(SIGNUP, fields)

    assert response.status_code == 303
    assert browser.get(response.headers["Location"]).status_code == 410


def test_form_without_a_nonce_makes_a_row_each_time(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT | {"nonce": ""}

    browser.post(SIGNUP, fields)
    browser.post(SIGNUP, fields)

    assert list(ClientLink.objects.values_list("submission_digest", flat=True)) == [None, None]


def test_nonce_is_not_in_the_database(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT

    browser.post(SIGNUP, fields)

    assert fields["nonce"] not in str(ClientLink.objects.values().get())


def test_row_that_cannot_be_stored_is_an_error_and_nobodys_row(make_client_link):
    existing = make_client_link()

    def submit(nonce: str) -> None:
        store_submission(ClientLink(**{**MERCHANT, "id": existing.pk}), nonce=nonce)

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        submit("")
    existing.refresh_from_db()
    assert existing.submission_digest is None


# What comes from the server, never from the form.


def test_reference_comes_by_a_signed_value(sandbox, browser):
    browser.submit(f"{SIGNUP}?for={sign_reference('shop-7')}", **MERCHANT)

    assert ClientLink.objects.get().reference == "shop-7"


def forged_references() -> list[str]:
    signed = sign_reference("shop-7")
    value, _, rest = signed.partition(".")
    return [
        "",
        "shop-7",
        signed[:-1],
        f"{value}x.{rest}",
        f"{sign_reference('shop-8').split('.')[0]}.{rest}",
        sign_link(uuid.uuid4(), 1),
        "eyJyZWZlcmVuY2UiOiJzaG9wLTcifQ==",
    ]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("method", ["get", "post"])
def test_forged_reference_is_refused(sandbox, browser, number, method):
    """Lessons rows 10 and 11: a value that is only encoded hands over somebody else's merchant."""
    path = f"{SIGNUP}?for={forged_references()[number]}"
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT

    response = browser.get(path) if method == "get" else browser.post(path, fields)

    assert response.status_code == 400
    assert page_status(response) == "error"
    assert_headers(response)
    assert not ClientLink.objects.exists()
    assert sandbox.calls() == []


def test_reference_that_is_too_old_is_refused(browser):
    path = f"{SIGNUP}?for={sign_reference('shop-7')}"
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        assert browser.get(path).status_code == 400


@pytest.mark.parametrize("method", ["get", "post"])
def test_reference_that_is_too_old_leads_back_to_the_platform(sandbox, browser, settings, method):
    settings.MOLLIE_ONBOARDING_RETURN_URL = "/dashboard/?tab=a&shop=1"
    path = f"{SIGNUP}?for={sign_reference('shop-7')}"
    fields = hidden_fields(browser.get(path)) | MERCHANT

    with time_machine.travel(timezone.now() + timedelta(days=91)):
        response = getattr(browser, method)(path, fields if method == "post" else {})

    page = Page(response)
    assert response.status_code == 400
    assert page_status(response) == "expired"
    assert page.find("title").text.startswith("This page is too old")
    assert page.find("h1").text == "This page is too old"
    assert "open it from there again" in page.find("div", role="alert").text
    assert "newest mail" not in page.text
    button = page.find("a", class_="button")
    assert (button.text, unescape(button["href"])) == (
        f"Back to {settings.MOLLIE_ONBOARDING_PLATFORM_NAME}",
        "/dashboard/?tab=a&shop=1",
    )
    assert sandbox.calls() == []
    assert not ClientLink.objects.exists()


def test_what_was_typed_is_remembered_for_the_next_address_of_the_same_merchant(browser):
    def key(reference: str) -> str | None:
        page = Page(browser.get(f"{SIGNUP}?for={sign_reference(reference)}"))
        return page.find("form", method="post")["data-remember"]

    with time_machine.travel(timezone.now() - timedelta(days=91)):
        before = key("shop-7")

    assert key("shop-7") == before
    assert key("shop-8") != before


def test_form_takes_no_column_more(sandbox, browser, operator, make_client_link):
    organization = Organization.objects.create(organization_id="org_1")
    other = make_client_link(reference="shop-1")
    browser.submit(
        f"{SIGNUP}?reference=shop-1&user={operator.pk}",
        **MERCHANT,
        id=str(other.pk),
        pk=str(other.pk),
        reference="shop-1",
        user=operator.pk,
        created_by=operator.pk,
        status="connected",
        organization=organization.pk,
        url="https://evil.example/",
        mollie_id="cl_evil",
        link_generation=99,
        identity_check="matches",
        send_requested_at="2027-01-01",
        submission_digest="f" * 64,
    )

    row = ClientLink.objects.exclude(pk=other.pk).get()
    assert (row.reference, row.user, row.created_by, row.organization) == ("", None, None, None)
    assert (row.status, row.link_generation) == (Status.STARTED, 1)
    assert row.identity_check == "unknown"
    assert row.send_requested_at is None
    assert "evil" not in row.url + row.mollie_id
    assert row.submission_digest != "f" * 64


def test_logged_in_user_owns_the_row(sandbox, browser, operator):
    browser.force_login(operator)

    browser.submit(SIGNUP, **MERCHANT)

    row = ClientLink.objects.get()
    assert row.user == row.created_by == operator


# What Mollie says of the data.


def test_bad_data_are_shown_at_the_field_and_never_sent(sandbox, browser):
    response = browser.submit(SIGNUP, **{**MERCHANT, "owner_email": "jan", "postal_code": ""})

    assert response.status_code == 200
    assert page_status(response) == "error"
    assert "errorlist" in field_html(response, "owner_email")
    assert "postal code that goes with the street" in field_html(response, "postal_code")
    assert 'value="Bakkerij Jansen"' in field_html(response, "organization_name")
    assert sandbox.calls() == []
    assert not ClientLink.objects.exists()


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("owner.email", "owner_email"),
        ("name", "organization_name"),
        ("address.postalCode", "postal_code"),
        ("registrationNumber", "registration_number"),
        ("vatNumber", "vat_number"),
        ("legalEntity", "legal_entity"),
    ],
)
def test_refusal_of_mollie_is_shown_at_its_field_and_the_values_stay(sandbox, browser, field, column):
    """Lessons 1.10."""
    sandbox.add_fault("client_links", "validation", field=field, detail="That's <not> it")

    response = browser.submit(SIGNUP, **MERCHANT)

    assert response.status_code == 200
    assert page_status(response) == "error"
    assert "Mollie says: That's <not> it" in field_html(response, column)
    assert b"<not>" not in response.content
    for name in ("organization_name", "owner_email", "vat_number"):
        assert f'value="{MERCHANT[name]}"' in field_html(response, name)
    assert ClientLink.objects.get().status == Status.REJECTED


def test_refusal_of_an_unknown_field_is_shown_at_the_top(sandbox, browser):
    sandbox.add_fault("client_links", "validation", field="shareholders.0.shoe", detail="Size unknown")

    response = browser.submit(SIGNUP, **MERCHANT)

    notice = response.content.decode().split('id="errors"')[1].split("</div>")[0]
    assert "Mollie says: Size unknown" in notice
    assert response.content.count(b"Size unknown") == 1


def test_refused_form_works_when_it_is_corrected(sandbox, browser):
    sandbox.add_fault("client_links", "validation", field="vatNumber")
    refused = browser.submit(SIGNUP, **MERCHANT)
    assert b"Mollie says" in refused.content

    response = browser.post(SIGNUP, hidden_fields(refused) | MERCHANT | {"vat_number": ""})

    assert page_status(response) == "started"
    row = ClientLink.objects.get()
    assert (row.status, row.vat_number, row.error_detail) == (Status.STARTED, "", "")


def test_refused_form_that_is_sent_again_unchanged_asks_mollie_again(sandbox, browser):
    sandbox.add_fault("client_links", "validation", field="vatNumber")
    refused = browser.submit(SIGNUP, **MERCHANT)

    response = browser.post(SIGNUP, hidden_fields(refused) | MERCHANT)

    assert page_status(response) == "started"
    assert len({call.idempotency_key for call in sandbox.calls("client_links")}) == 2
    assert ClientLink.objects.count() == 1


def test_legal_form_of_another_country_is_never_sent(sandbox, browser):
    response = browser.submit(SIGNUP, **{**MERCHANT, "country": "DE"})

    assert page_status(response) == "error"
    field = field_html(response, "legal_entity")
    assert "Choose a legal form of this country." in field
    assert "de-gmbh" in field
    assert "nl-bv" not in field
    assert 'href="#id_legal_entity"' in response.content.decode()
    assert sandbox.calls() == []
    assert not ClientLink.objects.exists()


# When Mollie does not answer.


def test_mollie_down_gives_a_page_whose_button_works_afterwards(sandbox, browser):
    sandbox.add_fault("client_links", "unavailable_html")

    response = browser.submit(SIGNUP, **MERCHANT)

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert_headers(response)
    row = ClientLink.objects.get()
    action = re.search(r'<form method="post" action="([^"]+)"', response.content.decode())[1]
    assert action == row.merchant_path()
    again = browser.post(action, hidden_fields(response))
    assert page_status(again) == "started"
    assert ClientLink.objects.count() == 1


def test_lost_answer_and_a_reload_make_one_client_link(sandbox, browser):
    """Lessons row 28."""
    sandbox.add_fault("client_links", "lose_answer")
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    assert browser.post(SIGNUP, fields).status_code == 503

    assert page_status(browser.post(SIGNUP, fields)) == "started"

    first, second = sandbox.calls("client_links")
    assert first.idempotency_key == second.idempotency_key
    assert second.replayed


def test_refused_partner_token_is_no_fault_of_the_merchants(sandbox, browser, settings):
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_wrong"

    response = browser.submit(SIGNUP, **MERCHANT)

    assert response.status_code == 502
    assert b"has been told" in response.content
    assert ClientLink.objects.get().problem == ClientLink.Problem.MOLLIE_REFUSED


# The limiter.


def test_limit_per_address(sandbox, browser, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "2/h"
    for number in range(2):
        browser.submit(SIGNUP, **{**MERCHANT, "owner_email": f"{number}@merchant.example"})

    response = browser.submit(SIGNUP, **MERCHANT)

    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert page_status(response) == "error"
    notice = Page(response).find("p", role="alert")
    assert "too many sign-ups" in notice.text
    assert "autofocus" in notice.attributes
    assert 'value="Bakkerij Jansen"' in field_html(response, "organization_name")
    assert_headers(response)
    assert ClientLink.objects.count() == 2
    elsewhere = Browser(enforce_csrf_checks=True, REMOTE_ADDR="203.0.113.7")
    assert page_status(elsewhere.submit(SIGNUP, **MERCHANT)) == "started"


def test_limit_ends_when_retry_after_says_so(sandbox, browser, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "1/m"
    with time_machine.travel("2027-03-01T12:00:10+00:00", tick=False) as clock:
        browser.submit(SIGNUP, **MERCHANT)
        response = browser.submit(SIGNUP, **MERCHANT)
        assert response.headers["Retry-After"] == "50"
        assert b"Try again in 1 minute." in response.content
        clock.shift(50)
        assert browser.submit(SIGNUP, **MERCHANT).status_code == 200


def test_lessons_19_limit_counts_an_owner_in_upper_and_lower_case_once(sandbox, settings):
    """Elsewhere `A@x` and `a@x` had a budget each."""
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "2/h"
    answers = [
        Browser(enforce_csrf_checks=True, REMOTE_ADDR=f"203.0.113.{number}").submit(
            SIGNUP, **{**MERCHANT, "owner_email": email}
        )
        for number, email in enumerate(["jan@shop.example", "JAN@shop.example", " Jan@Shop.Example "])
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Retry-After" in answers[2].headers
    assert ClientLink.objects.count() == 2
    assert len(sandbox.calls("client_links")) == 2


def test_lessons_18_limit_is_not_fooled_by_a_forwarded_header(sandbox, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "1/h"
    answers = [
        Browser(enforce_csrf_checks=True, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}").submit(
            SIGNUP, **{**MERCHANT, "owner_email": f"{number}@shop.example"}
        )
        for number in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 429]


def test_limit_counts_forms_that_are_not_valid(browser, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "1/h"

    answers = [browser.submit(SIGNUP, **{**MERCHANT, "owner_email": ""}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]


def test_limit_is_all_that_its_page_says(browser, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "1/h"
    values = {**MERCHANT, "owner_email": "jan", "city": "", "incorporation_date": "2020-02-30"}
    browser.submit(SIGNUP, **values)

    page = Page(browser.submit(SIGNUP, **values))

    assert page.find("title").text.startswith("Please try again later")
    assert [tag["role"] for tag in page.find_all() if "autofocus" in tag.attributes] == ["alert"]
    assert page.find_all(id="errors") + page.find_all(class_="has-errors") == []
    for name in ("organization_name", "owner_email", "incorporation_date"):
        assert page.find("input", name=name)["value"] == values[name]
    assert page.find("option", value="nl-bv").attributes.keys() >= {"selected"}


# Switches.


@pytest.mark.parametrize("method", ["get", "post", "head"])
def test_page_can_be_switched_off(browser, settings, method):
    hidden_fields(browser.get(SIGNUP))
    settings.MOLLIE_ONBOARDING_SIGNUP_ENABLED = False
    fields = {**MERCHANT, "csrfmiddlewaretoken": browser.cookies["csrftoken"].value}

    response = getattr(browser, method)(SIGNUP, fields if method == "post" else {})

    assert response.status_code == 404
    assert not ClientLink.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_page_can_ask_for_a_login(sandbox, browser, settings, operator, method):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    settings.MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED = True
    path = f"{SIGNUP}?for={sign_reference('shop-7')}"

    response = browser.get(path) if method == "get" else browser.post(path, fields)

    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/?next=/onboarding/signup/%3Ffor%3D")
    assert not ClientLink.objects.exists()
    browser.force_login(operator)
    assert page_status(browser.submit(path, **MERCHANT)) == "started"
    assert ClientLink.objects.get().user == operator


def test_page_is_public_under_the_login_required_middleware(sandbox, browser, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert browser.get(SIGNUP).status_code == 200
    assert page_status(browser.submit(SIGNUP, **MERCHANT)) == "started"


def test_page_works_without_sessions_and_users(sandbox, browser, settings):
    gone = ("sessions", "locale", "auth", "messages")
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not any(word in name for word in gone)]

    assert page_status(browser.submit(SIGNUP, **MERCHANT)) == "started"
    assert ClientLink.objects.get().user is None


@committing
def test_page_works_under_atomic_requests(sandbox, browser, atomic_requests):
    assert page_status(browser.submit(SIGNUP, **MERCHANT)) == "started"
    assert ClientLink.objects.get().status == Status.STARTED


# The country button.


def test_choose_country_shows_its_legal_forms_and_creates_nothing(sandbox, browser):
    values = {**MERCHANT, "country": "DE", "legal_entity": "", "owner_email": "not an address"}

    response = browser.submit(SIGNUP, **values, choose_country="1")

    assert response.status_code == 200
    assert page_status(response) == "ready"
    assert "de-gmbh" in field_html(response, "legal_entity")
    assert "nl-bv" not in field_html(response, "legal_entity")
    assert "registration_office" not in hidden_fields(response)
    assert 'value="Bakkerij Jansen"' in field_html(response, "organization_name")
    assert "errorlist" not in response.content.decode()
    assert not ClientLink.objects.exists()
    assert sandbox.calls() == []


def test_choose_country_keeps_the_nonce(sandbox, browser):
    page = browser.get(SIGNUP)

    response = browser.post(SIGNUP, {**hidden_fields(page), "country": "NL", "choose_country": "1"})

    assert hidden_fields(response)["nonce"] == hidden_fields(page)["nonce"]


def test_choose_country_keeps_what_was_typed_and_drops_the_legal_form_of_another_country(browser):
    values = {**MERCHANT, "country": "DE", "incorporation_date": "2020-02-29"}

    page = Page(browser.submit(SIGNUP, **values, choose_country="1"))

    kept = {tag["name"]: tag["value"] for tag in page.find_all("input")}
    for tag in page.find_all("select"):
        [kept[tag["name"]]] = [
            option["value"] for option in tag.find_all("option") if "selected" in option.attributes
        ]
    assert {name: kept[name] for name in values} == {**values, "legal_entity": ""}
    assert "data-sent-before" in page.find("form").attributes
    assert page.find_all(id="errors") == []


def test_choose_no_country_is_respected(browser):
    response = browser.submit(SIGNUP, country="", choose_country="1", headers={"Accept-Language": "nl-NL"})

    assert '<option value="" selected>' in field_html(response, "country")


def test_choose_country_is_not_limited(browser, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = "1/h"

    for _ in range(3):
        assert browser.submit(SIGNUP, **MERCHANT, choose_country="1").status_code == 200


# Browsers without cookies, and those that hold Strict ones back.


def test_missing_csrf_cookie_gets_a_page_that_helps(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.cookies.clear()

    response = browser.post(SIGNUP, fields)

    assert response.status_code == 403
    assert page_status(response) == "error"
    assert b"Please allow cookies" in response.content
    assert f'href="{SIGNUP}"'.encode() in response.content
    assert_headers(response)
    assert not ClientLink.objects.exists()
    assert sandbox.calls() == []


@pytest.mark.parametrize("extra", [{}, {"choose_country": "1"}])
def test_forged_form_of_another_site_is_refused(sandbox, browser, extra):
    browser.get(SIGNUP)

    response = browser.post(SIGNUP, {**MERCHANT, **extra}, HTTP_ORIGIN="https://evil.example")

    assert response.status_code == 403
    assert page_status(response) == "error"
    assert not ClientLink.objects.exists()


def test_page_settles_before_it_writes_where_cookies_are_strict(browser, settings):
    settings.CSRF_COOKIE_SAMESITE = "Strict"
    path = f"{SIGNUP}?country=DE"

    response = browser.get(path, HTTP_SEC_FETCH_SITE="cross-site")

    assert f'http-equiv="refresh" content="0; url={path}"' in response.content.decode()
    assert not response.cookies
    assert "nonce" not in hidden_fields(response)
    assert page_status(browser.get(path, HTTP_SEC_FETCH_SITE="same-origin")) == "ready"


# Secrets and people.


@pytest.mark.parametrize("kind", ["validation", "server_error", "unavailable_html", "drop_before"])
def test_lessons_21_logs_name_no_person_when_mollie_fails(sandbox, browser, caplog, kind):
    """Elsewhere the whole body was logged when the API failed."""
    caplog.set_level(logging.DEBUG)
    options = {"detail": "canary@person.example or Canaryson is odd"} if kind == "validation" else {}
    sandbox.add_fault("client_links", kind, **options)
    person = {
        "owner_email": "canary@person.example",
        "owner_given_name": "Canaryjan",
        "owner_family_name": "Canaryson",
        "organization_name": "Canary Bakery",
    }

    response = browser.submit(SIGNUP, **{**MERCHANT, **person})

    assert response.status_code == (200 if kind == "validation" else 503)
    assert caplog.records
    assert "canary" not in caplog.text.lower()


def test_answers_are_the_same_for_a_known_and_an_unknown_address(sandbox):
    texts = []
    for email in ("jan@bakkerij-jansen.example", "jan@bakkerij-jansen.example", "new@shop.example"):
        response = Browser(enforce_csrf_checks=True).submit(SIGNUP, **{**MERCHANT, "owner_email": email})
        text = response.content.decode().replace(html.escape(authorization_url(response)), "")
        texts.append(re.sub(r'(content="0; url=|href=")https://my[^"]+"', "", text))

    assert texts[0] == texts[1] == texts[2]


def test_form_is_not_kept_in_error_reports(browser, settings, monkeypatch):
    monkeypatch.setattr(services, "store_submission", lambda *args, **kwargs: 1 / 0)
    settings.DEBUG = True
    reporter = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    fields = hidden_fields(reporter.get(SIGNUP)) | MERCHANT
    settings.DEBUG = False
    settings.ADMINS = (
        ["ops@shopwise.example"] if django.VERSION >= (6, 0) else [("Ops", "ops@shopwise.example")]
    )

    response = reporter.post(SIGNUP, fields)

    assert response.status_code == 500
    assert "jan@bakkerij-jansen.example" not in str([message.body for message in mail.outbox])


def test_user_who_signs_up_is_a_user_of_the_platform(sandbox, client: Client):
    user = get_user_model().objects.create_user("jan")
    client.force_login(user)

    client.post(SIGNUP, MERCHANT, secure=True)

    assert ClientLink.objects.get().user == user


def test_form_of_one_user_gone_back_to_by_another_makes_another_row(sandbox, operator, settings):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    other = get_user_model().objects.create_user("other")
    browser = Browser(enforce_csrf_checks=True)
    rows = []
    for user in (operator, other):
        browser.force_login(user)
        browser.get("/onboarding/signup/")
        token = browser.cookies["csrftoken"].value
        browser.post("/onboarding/signup/", {**MERCHANT, "nonce": "n" * 43, "csrfmiddlewaretoken": token})
        rows.append(ClientLink.objects.get(user=user))
    assert rows[0] != rows[1]


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "utf-8", "x-unknown"])
def test_form_is_read_as_utf_8_whatever_the_request_says(sandbox, charset):
    """In some encodings half a character can be written, which no page and no database takes."""
    half, whole = {"utf-7": ("+2AA-", "+AOk-")}.get(charset, ("\\ud800", "\\xe9"))
    fields = {**MERCHANT, "street_and_number": half, "organization_name": whole, "city": "Zoë"}
    body = encode_multipart(BOUNDARY, fields)
    content_type = f"{MULTIPART_CONTENT}; charset={charset}"

    response = Browser().generic("POST", SIGNUP, body, content_type)

    assert response.status_code == 200
    row = ClientLink.objects.get()
    assert (row.street_and_number, row.organization_name, row.city) == (half, whole, "Zoë")
