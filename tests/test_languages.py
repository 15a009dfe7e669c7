"""In which language a page is: the merchant's choice, the browser's, the owner's."""

from __future__ import annotations

import re

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.test import RequestFactory
from django.urls import include, path
from django.utils import translation

from mollie_onboarding.languages import language_of_page, offer_languages, supported_language
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Status
from tests.conftest import MERCHANT, authorization_url

SIGN_UP = "/onboarding/signup/"

# The pages under a prefix that names the language.
urlpatterns = i18n_patterns(path("onboarding/", include("mollie_onboarding.urls")))


def language_of(response) -> str:
    [language] = re.findall(r'<html lang="([^"]+)">', response.content.decode())
    assert response.headers["Content-Language"] == language
    return language


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("de", "de"),
        ("de_AT", "de"),
        ("pt-BR", "pt"),
        ("EN-gb", "en"),
        ("no", "nb"),
        ("nn-NO", "nb"),
        ("ja", ""),
        ("", ""),
        ("*", ""),
        ("../de", ""),
    ],
)
def test_supported_language(code, language):
    assert supported_language(code) == language


def test_language_that_the_site_does_not_speak_is_not_supported(settings):
    settings.LANGUAGES = [("en-gb", "English"), ("nl", "Nederlands")]
    assert [supported_language(code) for code in ("nl", "en", "de")] == ["nl", "en", ""]
    request = RequestFactory().get("/", headers={"accept-language": "de,nl;q=0.5"})
    assert language_of_page(request) == "nl"
    assert [offer.code for offer in offer_languages(request)] == ["en", "nl"]


@pytest.mark.parametrize(
    ("query", "accepted", "owner_locale", "language"),
    [
        ("?language=fi", "de", "nl_NL", "fi"),
        ("?language=xx", "de", "nl_NL", "de"),
        ("", "ja,de-AT;q=0.8,en;q=0.5", "nl_NL", "de"),
        ("", "ja", "nl_NL", "nl"),
        ("", "", "nl_NL", "nl"),
        ("", "*", "", "en"),
        ("", "", "", "en"),
    ],
)
def test_choice_then_browser_then_owner_then_site(query, accepted, owner_locale, language):
    request = RequestFactory().get(f"/{query}", headers={"accept-language": accepted})
    assert language_of_page(request, owner_locale) == language


def test_site_that_knows_its_visitor_is_followed():
    request = RequestFactory().get("/", headers={"accept-language": "de"})
    with translation.override("sv"):  # by a cookie, or a profile
        assert language_of_page(request, "nl_NL") == "sv"
    with translation.override("ja"):  # which we do not speak
        assert language_of_page(request, "nl_NL") == "de"


def test_cookie_may_choose_the_default(browser, db, settings):
    browser.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    assert language_of(browser.get(SIGN_UP, headers={"accept-language": "de"})) == "en"


def test_site_without_translation_offers_no_language(settings, browser, db):
    settings.USE_I18N = False
    page = browser.get(SIGN_UP, headers={"accept-language": "de"})
    assert "hreflang" not in page.content.decode()


@pytest.mark.parametrize("code", ["no", "nn"])
def test_norwegian_by_its_other_names(settings, code):
    settings.LANGUAGES = [(code, "Norsk"), ("en", "English")]
    assert supported_language("nb-NO") == "nb"


@pytest.mark.urls("tests.test_languages")
def test_prefix_of_the_path_is_followed(browser, db):
    assert language_of(browser.get("/fr/onboarding/signup/", headers={"accept-language": "de"})) == "fr"
    assert language_of(browser.get("/en/onboarding/signup/", headers={"accept-language": "de"})) == "en"


def test_path_that_only_looks_like_a_prefix_is_not_followed():
    request = RequestFactory().get("/it/onboarding/signup/", headers={"accept-language": "de"})
    assert language_of_page(request) == "de"


def test_site_whose_own_language_is_not_ours_gets_english(settings):
    settings.LANGUAGE_CODE = "ja"
    with translation.override("ja"):
        assert language_of_page(RequestFactory().get("/")) == "en"


def test_pages_need_no_locale_middleware(settings, browser, db):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "LocaleMiddleware" not in name]
    assert language_of(browser.get(SIGN_UP, headers={"accept-language": "de"})) == "de"
    assert translation.get_language() == "en"  # the next request in this thread is another visitor's


def test_switcher_offers_every_language_and_keeps_the_query(browser, db):
    text = browser.get(f"{SIGN_UP}?country=DE&language=fi").content.decode()
    links = dict(re.findall(r'<a href="([^"]+)" lang="(\w+)"', text))
    assert len(links) == 19
    assert links["?country=DE&amp;language=sv"] == "sv"
    assert re.findall(r'lang="(\w+)" hreflang="\w+" aria-current="true"', text) == ["fi"]


def test_switcher_repeats_only_what_the_page_knows(browser, db):
    text = browser.get(f"{SIGN_UP}?utm_source=mail&country=DE&next=/a&next=/b&for=").content.decode()
    assert '<a href="?country=DE&amp;language=fi" lang="fi"' in text


def test_switcher_is_left_out_where_there_is_one_language(settings, browser, db):
    settings.LANGUAGES = [("en", "English")]
    assert "hreflang" not in browser.get(SIGN_UP).content.decode()


@pytest.mark.django_db(databases=["default", "mollie_sandbox"])
def test_chosen_language_survives_the_way_to_mollie_and_back(sandbox, browser, make_client_link):
    row = make_client_link()
    page = browser.submit(f"{row.merchant_path()}?language=sv")
    assert language_of(page) == "sv"
    assert AuthorizationRequest.objects.get().language == "sv"
    answer = browser.come_back(sandbox.visit(authorization_url(page)))
    assert answer.headers["Location"] == f"{row.merchant_path()}?language=sv"
    assert language_of(browser.get(answer.headers["Location"])) == "sv"


@pytest.mark.django_db(databases=["default", "mollie_sandbox"])
def test_language_that_was_not_chosen_is_left_to_the_browser(sandbox, browser, make_client_link):
    row = make_client_link()
    page = browser.press(row)
    assert AuthorizationRequest.objects.get().language == ""
    answer = browser.come_back(sandbox.visit(authorization_url(page)))
    assert answer.headers["Location"] == row.merchant_path()


@pytest.mark.django_db(databases=["default", "mollie_sandbox"])
def test_page_of_an_error_is_in_the_chosen_language(sandbox, browser, make_client_link):
    url = authorization_url(browser.submit(f"{make_client_link().merchant_path()}?language=sv"))
    sandbox.visit(url)
    state = re.search(r"state=([^&]+)", url)[1]
    answer = browser.get(f"/onboarding/callback/?state={state}&error=server_error")
    assert answer.status_code == 400
    assert language_of(answer) == "sv"
    # It cannot be opened again in another: the address holds an answer that counts once.
    assert "hreflang" not in answer.content.decode()


@pytest.mark.django_db(databases=["default", "mollie_sandbox"])
def test_switcher_at_the_forms_address_leads_to_the_merchants_page(sandbox, browser):
    """Mollie did not answer: what was sent is stored, and another language must not begin anew."""
    sandbox.add_fault("client_links", "server_error")
    values = {**MERCHANT, "owner_locale": "", "legal_entity": ""}
    page = browser.submit(SIGN_UP, **values)
    assert page.status_code == 503
    [path] = re.findall(r'<a href="([^"?]*)\?language=fi" lang="fi"', page.content.decode())
    assert path == ClientLink.objects.get().merchant_path()


def test_every_form_and_link_of_a_page_keeps_the_choice(browser, make_client_link):
    row = make_client_link(status=Status.STARTED)
    text = browser.get(f"{row.merchant_path()}?language=sv").content.decode()
    assert f'<form method="post" action="{row.merchant_path()}?language=sv">' in text
    assert f'href="{row.merchant_path()}?language=sv">' in text


def test_owner_without_a_language_of_the_browser_reads_their_own(browser, make_client_link):
    row = make_client_link(owner_locale="fr_BE")
    assert language_of(browser.get(row.merchant_path(), headers={"accept-language": "ja"})) == "fr"


def test_old_link_does_not_tell_the_owners_language(browser, make_client_link):
    row = make_client_link(owner_locale="fr_BE")
    old = row.merchant_path()
    type(row).objects.update(link_generation=2)
    assert language_of(browser.get(old, headers={"accept-language": "ja"})) == "en"
