"""What a platform makes its own: the form, the way on, the look, the templates. README, "Making it yours"."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.test import RequestFactory
from django.utils.http import urlencode

from mollie_onboarding import services
from mollie_onboarding.forms import SignupForm
from mollie_onboarding.links import sign_reference
from mollie_onboarding.models import ClientLink, Status
from tests.conftest import MERCHANT, Browser, authorization_url, page_status
from tests.pages import Page
from tests.test_links import EVIL_URLS
from tests.test_signup import SIGNUP, field_html, hidden_fields

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = {**MERCHANT, "website": "https://bakkerij-jansen.example/"}


@pytest.fixture
def use_form(settings: Any) -> Any:
    def use(name: str) -> None:
        settings.MOLLIE_ONBOARDING_SIGNUP_FORM = f"tests.platform_forms.{name}"

    return use


def website_of(row: ClientLink) -> str:
    return str(get_user_model().objects.get(username=str(row.pk)).last_name)


def connect(sandbox: Any, browser: Browser, path: str, **fields: Any) -> Any:
    """Sign up, agree at Mollie, and give the merchant page that comes then."""
    leaving = browser.submit(path, **{**MERCHANT, **fields})
    answer = browser.come_back(sandbox.visit(authorization_url(leaving)))
    return browser.get(answer.headers["Location"])


# What the form begins with.


def test_form_begins_with_the_logged_in_user(browser):
    user = get_user_model().objects.create_user(
        "jan", "jan@bakkerij-jansen.example", first_name="Jan", last_name="O'Jansen"
    )
    browser.force_login(user)

    page = browser.get(SIGNUP)

    assert 'value="Jan"' in field_html(page, "owner_given_name")
    assert 'value="O\'Jansen"' in field_html(page, "owner_family_name")
    assert 'value="jan@bakkerij-jansen.example"' in field_html(page, "owner_email")
    assert len(hidden_fields(page)["nonce"]) == 43


def test_form_of_a_stranger_begins_empty(browser):
    get_user_model().objects.create_user("jan", "jan@bakkerij-jansen.example", first_name="Jan")

    page = browser.get(SIGNUP)

    for name in ("owner_given_name", "owner_family_name", "owner_email"):
        assert "value=" not in field_html(page, name)


def test_form_never_begins_with_what_the_address_says(browser):
    query = urlencode({**MERCHANT, "nonce": "of-the-attackers-choice", "reference": "shop-7"})

    page = browser.get(f"{SIGNUP}?{query}")

    assert 'value="Bakkerij Jansen"' not in page.content.decode()
    assert "value=" not in field_html(page, "owner_email")
    assert hidden_fields(page)["nonce"] != "of-the-attackers-choice"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (SimpleNamespace(is_authenticated=True), {}),
        (
            SimpleNamespace(is_authenticated=True, email="jan@shop.example"),
            {"owner_email": "jan@shop.example"},
        ),
        (AnonymousUser(), {}),
    ],
)
def test_user_model_of_the_platforms_own_may_lack_the_fields(user, expected):
    request = RequestFactory().get(SIGNUP)
    request.user = user

    initial = SignupForm.initial_for(request, "")

    assert {name: value for name, value in initial.items() if value} == expected


def test_platform_fills_in_more(browser, use_form):
    use_form("AsksForTheWebsite")
    browser.force_login(get_user_model().objects.create_user("jan", first_name="Jan"))

    page = browser.get(f"{SIGNUP}?for={sign_reference('shop-7')}")

    assert '<option value="BE" selected>' in field_html(page, "country")
    assert 'value="Jan"' in field_html(page, "owner_given_name")
    assert hidden_fields(page)["campaign"] == "for shop-7"
    assert '<option value="DE" selected>' in field_html(browser.get(f"{SIGNUP}?country=de"), "country")


def test_platform_cannot_choose_the_nonce(browser, use_form, monkeypatch):
    # One that is the same for everybody would give every merchant the first one's row.
    monkeypatch.setattr(SignupForm, "initial_for", lambda request, reference: {"nonce": "fixed"})

    assert len(hidden_fields(browser.get(SIGNUP))["nonce"]) == 43


# What it asks more.


def test_fields_of_the_platforms_own_are_shown_without_a_template(browser, use_form):
    assert SignupForm().extra_fields() == []
    use_form("AsksForTheWebsite")

    page = browser.get(SIGNUP)

    assert "Website" in field_html(page, "website")
    assert "Where customers find you." in field_html(page, "website")
    assert "optional" not in field_html(page, "website")
    assert "I accept the terms" in field_html(page, "accept_terms")
    assert page.content.decode().count('name="campaign"') == 1


def test_fields_of_the_platforms_own_are_checked_and_nothing_is_stored(sandbox, browser, use_form):
    use_form("AsksForTheWebsite")

    response = browser.submit(SIGNUP, **{**ANSWERS, "website": "javascript:alert(1)"})

    assert page_status(response) == "error"
    assert "errorlist" in field_html(response, "website")
    assert 'href="#id_website"' in response.content.decode()
    assert not ClientLink.objects.exists()
    assert not get_user_model().objects.exists()


def test_fields_of_the_platforms_own_survive_the_country_button(browser, use_form):
    use_form("AsksForTheWebsite")

    page = browser.submit(SIGNUP, **ANSWERS, accept_terms="on", choose_country="1")

    assert 'value="https://bakkerij-jansen.example/"' in field_html(page, "website")
    assert "checked" in field_html(page, "accept_terms")


def test_platform_stores_its_fields_with_the_row(sandbox, browser, use_form):
    use_form("AsksForTheWebsite")

    response = browser.submit(SIGNUP, **ANSWERS)

    assert page_status(response) == "started"
    assert website_of(ClientLink.objects.get()) == "https://bakkerij-jansen.example/"


def test_platform_stores_its_fields_again_when_the_form_comes_again(sandbox, browser, use_form):
    use_form("AsksForTheWebsite")
    fields = hidden_fields(browser.get(SIGNUP)) | ANSWERS
    browser.post(SIGNUP, fields)

    browser.post(SIGNUP, {**fields, "website": "https://jansen.example/"})

    row = ClientLink.objects.get()
    assert website_of(row) == "https://jansen.example/"
    assert get_user_model().objects.count() == 1


def test_platform_stores_nothing_more_for_a_connected_row(sandbox, browser, use_form):
    use_form("AsksForTheWebsite")
    fields = hidden_fields(browser.get(SIGNUP)) | ANSWERS
    browser.come_back(sandbox.visit(authorization_url(browser.post(SIGNUP, fields))))

    browser.post(SIGNUP, {**fields, "website": "https://jansen.example/"})

    assert website_of(ClientLink.objects.get()) == "https://bakkerij-jansen.example/"


def test_row_is_not_stored_when_the_platform_cannot_store_its_own(sandbox, browser, use_form):
    use_form("CannotStore")

    with pytest.raises(IntegrityError, match="of the platform's"):
        browser.submit(SIGNUP, **MERCHANT)

    assert not ClientLink.objects.exists()
    assert sandbox.calls() == []


def test_correction_is_not_stored_when_the_platform_cannot_store_its_own(sandbox, browser, use_form):
    use_form("CannotStoreACorrection")
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    assert page_status(browser.post(SIGNUP, fields)) == "started"
    before = ClientLink.objects.values().get()

    with pytest.raises(IntegrityError, match="of the platform's"):
        browser.post(SIGNUP, {**fields, "city": "Utrecht"})

    assert ClientLink.objects.values().get() == before


def test_form_of_the_platform_writes_no_column_more(sandbox, browser, use_form, operator):
    use_form("SneaksInTheReference")

    browser.submit(
        SIGNUP,
        **MERCHANT,
        reference="shop-1",
        user=operator.pk,
        status="connected",
        return_url="https://evil.example/",
        url="https://evil.example/",
    )

    row = ClientLink.objects.get()
    assert (row.reference, row.user, row.created_by, row.return_url) == ("", None, None, "")
    assert (row.status, row.link_generation) == (Status.STARTED, 1)
    assert "evil" not in row.url


def test_form_is_loaded_when_it_is_used(browser, use_form):
    assert 'name="website"' not in browser.get(SIGNUP).content.decode()
    use_form("AsksForTheWebsite")
    assert 'name="website"' in browser.get(SIGNUP).content.decode()


def test_form_of_the_platform_may_ask_less(sandbox, browser, use_form):
    use_form("LeavesOutTheVatNumber")
    sandbox.add_fault("client_links", "validation", field="vatNumber", detail="It is needed")

    refused = browser.submit(SIGNUP, **{**MERCHANT, "vat_number": "NL815839091B01"})

    assert 'name="vat_number"' not in refused.content.decode()
    assert refused.content.decode().count("Mollie says: It is needed") == 1
    assert page_status(browser.post(SIGNUP, hidden_fields(refused) | MERCHANT)) == "started"
    assert ClientLink.objects.get().vat_number == ""


def test_form_of_the_platform_may_not_ask_for_what_an_address_needs(sandbox, browser, use_form):
    use_form("LeavesOutThePostalCode")

    response = browser.submit(SIGNUP, **MERCHANT)

    assert page_status(response) == "error"
    assert (
        Page(response).find(id="errors").text.count("Enter the postal code that goes with the street.") == 1
    )
    assert not ClientLink.objects.exists()


@pytest.mark.parametrize("name", ["LeavesOutTheOwner", "LeavesOutTheCountry"])
def test_form_that_a_check_refuses_is_no_server_error(sandbox, browser, use_form, name):
    use_form(name)

    assert page_status(browser.get(SIGNUP)) == "ready"
    response = browser.submit(SIGNUP, **MERCHANT)

    assert response.status_code == 200
    assert page_status(response) == "error"


# Several values, several parts, and files.


MUCH = {
    **{f"shop-{name}": value for name, value in MERCHANT.items()},
    "shop-sells": ["shoes", "coats"],
    "shop-opened_0": "2020-02-29",
    "shop-opened_1": "09:30",
}


def test_form_may_take_files(sandbox, browser, use_form):
    assert Page(browser.get(SIGNUP)).find("form", method="post")["enctype"] is None
    use_form("AsksForMuch")
    page = browser.get(SIGNUP)
    assert Page(page).find("form", method="post")["enctype"] == "multipart/form-data"

    passport = SimpleUploadedFile("passport.txt", b"Jan Jansen")
    response = browser.post(SIGNUP, {**hidden_fields(page), **MUCH, "shop-passport": passport})

    assert page_status(response) == "started"
    assert website_of(ClientLink.objects.get()) == "Jan Jansen"


@pytest.mark.parametrize("limit", ["9/h", "1/h"])
def test_form_that_is_shown_again_keeps_all_values(sandbox, browser, use_form, settings, limit):
    settings.MOLLIE_ONBOARDING_SIGNUP_LIMIT = limit
    use_form("AsksForMuch")
    fields = {**hidden_fields(browser.get(SIGNUP)), **MUCH}
    if limit == "1/h":
        browser.post(SIGNUP, fields)
    else:
        fields["choose_country"] = "1"

    passport = SimpleUploadedFile("passport.txt", b"Jan Jansen")
    page = Page(browser.post(SIGNUP, {**fields, "shop-passport": passport}))

    chosen = page.find("select", name="shop-sells").find_all("option")
    assert [tag["value"] for tag in chosen if "selected" in tag.attributes] == ["shoes", "coats"]
    kept = {tag["name"]: tag["value"] for tag in page.find_all("input")}
    assert (kept["shop-opened_0"], kept["shop-opened_1"]) == ("2020-02-29", "09:30")
    assert kept["shop-organization_name"] == "Bakkerij Jansen"
    assert kept["shop-source"] == "fair"
    assert "checked" not in page.find("input", name="shop-newsletter").attributes
    assert "passport.txt" not in page.text
    assert page.find("option", value="nl-bv").attributes.keys() >= {"selected"}


def test_form_may_begin_with_a_country_of_django_countries(browser, use_form):
    use_form("AsksForMuch")

    page = Page(browser.get(SIGNUP))

    assert "selected" in page.find("select", name="shop-country").find("option", value="BE").attributes


# Where the merchant goes on.


@pytest.mark.parametrize("url", EVIL_URLS)
def test_next_that_leads_elsewhere_counts_as_absent(sandbox, browser, url):
    """Lessons row 17."""
    response = browser.submit(f"{SIGNUP}?{urlencode({'next': url})}", **MERCHANT)

    assert page_status(response) == "started"
    assert ClientLink.objects.get().return_url == ""
    assert "evil.example" not in response.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "next=/dashboard/&next=/dashboard/",
        "next=/dashboard/&next=https://evil.example/",
        "next=https://evil.example/&next=/dashboard/",
        "next[]=/dashboard/",
    ],
)
def test_next_that_is_repeated_counts_as_absent(sandbox, browser, query):
    browser.submit(f"{SIGNUP}?{query}", **MERCHANT)

    assert ClientLink.objects.get().return_url == ""


def test_next_in_the_form_counts_for_nothing(sandbox, browser):
    browser.submit(SIGNUP, **MERCHANT, next="/dashboard/", return_url="/dashboard/")

    assert ClientLink.objects.get().return_url == ""


@pytest.mark.parametrize(
    "url", ["/dashboard/?shop=1&tab=a#top", "https://platform.example/", "https://shop.example/"]
)
def test_next_leads_the_connected_merchant_on(sandbox, browser, settings, url):
    settings.MOLLIE_ONBOARDING_RETURN_HOSTS = ["shop.example"]

    page = connect(sandbox, browser, f"{SIGNUP}?{urlencode({'next': url})}")

    assert page_status(page) == "connected"
    assert ClientLink.objects.get().return_url == url
    assert f'href="{url.replace("&", "&amp;")}"' in page.content.decode()


def test_next_is_checked_again_when_it_is_shown(sandbox, browser, settings):
    settings.MOLLIE_ONBOARDING_RETURN_HOSTS = ["shop.example"]
    connect(sandbox, browser, f"{SIGNUP}?next=https://shop.example/")

    settings.MOLLIE_ONBOARDING_RETURN_HOSTS = []
    page = browser.get(ClientLink.objects.get().merchant_path())

    assert "shop.example/" not in page.content.decode().replace("bakkerij", "")
    assert 'href="https://platform.example/"' in page.content.decode()


def test_next_survives_mistakes_and_the_country_button(sandbox, browser):
    path = f"{SIGNUP}?for={sign_reference('shop-7')}&next=/dashboard/"
    page = browser.submit(path, **{**MERCHANT, "country": "DE"}, choose_country="1")
    page = browser.post(path, {**hidden_fields(page), **MERCHANT, "owner_email": ""})
    # The form has no action: a browser posts it to the address of the page.
    assert re.search(r"<form [^>]*method=\"post\"(?![^>]*action)", page.content.decode())

    browser.post(path, {**hidden_fields(page), **MERCHANT})

    row = ClientLink.objects.get()
    assert (row.reference, row.return_url) == ("shop-7", "/dashboard/")


def test_next_survives_the_login(browser, settings):
    settings.MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED = True

    response = browser.get(f"{SIGNUP}?next=/dashboard/")

    assert response.headers["Location"] == "/admin/login/?next=/onboarding/signup/%3Fnext%3D/dashboard/"


def test_form_that_comes_again_keeps_the_first_next(sandbox, browser):
    fields = hidden_fields(browser.get(SIGNUP)) | MERCHANT
    browser.post(f"{SIGNUP}?next=/first/", fields)

    browser.post(f"{SIGNUP}?next=/second/", {**fields, "city": "Utrecht"})

    row = ClientLink.objects.get()
    assert (row.city, row.return_url) == ("Utrecht", "/first/")


def test_service_stores_a_return_url_and_nothing_else_by_default(make_client_link):
    row = services.store_submission(ClientLink(**MERCHANT), nonce="", return_url="/dashboard/")

    row.refresh_from_db()
    assert (row.return_url, row.reference, row.user) == ("/dashboard/", "", None)


# The look, and the templates.


def test_page_shows_what_the_platform_set(browser, settings):
    settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = "shop/logo.svg"
    settings.MOLLIE_ONBOARDING_STYLESHEETS = ["mollie_onboarding/merchant.css", "shop/onboarding.css"]
    settings.MOLLIE_ONBOARDING_PRIVACY_URL = "/privacy/"

    page = browser.get(SIGNUP).content.decode()

    ours, own = (page.index(f'href="/static/{path}"') for path in settings.MOLLIE_ONBOARDING_STYLESHEETS)
    assert ours < own
    assert 'src="/static/shop/logo.svg"' in page
    assert 'href="/privacy/"' in page
    assert "style=" not in page
    assert "<style" not in page


def test_template_of_the_platform_comes_first(browser, settings, tmp_path):
    folder = tmp_path / "mollie_onboarding"
    folder.mkdir()
    (folder / "base.html").write_text(
        '{% extends "mollie_onboarding/base.html" %}'
        "{% block footer %}{{ block.super }}<p>Shopwise, Utrecht</p>{% endblock %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    page = browser.get(f"{SIGNUP}?language=en").content.decode()

    assert "<p>Shopwise, Utrecht</p>" in page
    assert "Payments are handled by Mollie." in page
    assert page_status(browser.get(SIGNUP)) == "ready"


# The README.


def readme_blocks() -> dict[str, str]:
    """The blocks of "Making it yours", by the file that their first line names."""
    section = (ROOT / "README.md").read_text().split("\n## Making it yours\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```(?:python|django)\n(?:# |{# )(\S+)(?: #})?\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == section.count("```") // 2
    return dict(blocks)


def test_readme_shows_the_code_of_the_example_project():
    blocks = readme_blocks()
    del blocks["settings.py"]  # compared in tests/test_example_project.py

    assert list(blocks) == ["shop/forms.py", "shop/models.py", "templates/mollie_onboarding/base.html"]
    for path, code in blocks.items():
        assert code in (ROOT / "example_project" / path).read_text()
