"""Where somebody cannot go on: every cause in its own words, with one button that works."""

from __future__ import annotations

import re

import pytest

from mollie_onboarding.models import ClientLink, Organization, Status
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, authorization_url, page_status, state_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

NORMAL = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
IN_APP = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 300.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UD1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36 [FBAN/EMA;FBLC/de_DE;FBAV/380.0]",
)
ELSEWHERE = (
    NORMAL,
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0 Mobile/15E148 Safari/604.1",
    "",
)


def heading(response) -> str:
    [text] = re.findall(r"<h1[^>]*>(.*?)</h1>", response.content.decode(), re.DOTALL)
    return text.strip()


def buttons(response) -> list[str]:
    """What the page's main buttons say; there is to be one."""
    main = response.content.decode().partition("<main")[2].partition("</main>")[0]
    return [text.strip() for text in re.findall(r'class="button"[^>]*>(.*?)</(?:a|button)>', main, re.DOTALL)]


def test_other_browser_and_unknown_state_are_the_same_page(sandbox, browser, make_client_link):
    """Which words are shown is told by the browser's own cookie, never by what the database holds."""
    state = state_of(authorization_url(browser.press(make_client_link())))
    pages = {}
    for cookie in ("", "x" * 43):
        for known in (state, "a" * 43):
            stranger = Browser(enforce_csrf_checks=True)
            if cookie:
                stranger.cookies[cookie_name()] = cookie
            answer = stranger.get(f"/onboarding/callback/?state={known}&code=auth_x")
            assert answer.status_code == 400
            assert page_status(answer) == "error"
            text = answer.content.decode().replace(known, "")
            text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)
            assert all(str(value) not in text for value in MERCHANT.values() if len(str(value)) > 5)
            pages[cookie, known == state] = text
            assert buttons(answer) == ["Mail me my link"]
    assert pages["", True] == pages["", False]
    assert pages["x" * 43, True] == pages["x" * 43, False]
    assert "Please go on in the browser in which you began" in pages["", True]
    assert "We do not recognise this visit" in pages["x" * 43, True]


def test_callback_without_a_state_offers_the_platform(browser):
    answer = browser.get("/onboarding/callback/?code=auth_x")
    assert answer.status_code == 400
    assert buttons(answer) == ["Contact Shopwise"]
    assert 'href="https://platform.example/"' in answer.content.decode()


@pytest.mark.parametrize("user_agent", IN_APP)
def test_browser_of_an_app_gets_the_hint(browser, user_agent):
    answer = browser.get("/onboarding/callback/?state=x&code=y", headers={"user-agent": user_agent})
    assert "You are in the browser of an app" in answer.content.decode()


@pytest.mark.parametrize("user_agent", ELSEWHERE)
def test_normal_browser_gets_no_hint(browser, user_agent):
    answer = browser.get("/onboarding/callback/?state=x&code=y", headers={"user-agent": user_agent})
    assert "browser of an app" not in answer.content.decode()


@pytest.mark.parametrize("user_agent", [NORMAL, IN_APP[0]])
def test_missing_csrf_cookie(make_client_link, user_agent):
    path = make_client_link().merchant_path()
    answer = Browser(enforce_csrf_checks=True).post(path, headers={"user-agent": user_agent})
    assert (answer.status_code, page_status(answer)) == (403, "error")
    assert heading(answer) == "Please allow cookies"
    assert buttons(answer) == ["Open the page again"]
    assert f'href="{path}"' in answer.content.decode()
    assert ("browser of an app" in answer.content.decode()) == (user_agent != NORMAL)


def test_missing_csrf_cookie_where_a_mail_was_asked_for():
    """The page that the merchant comes from cannot be opened again, and neither can this address."""
    answer = Browser(enforce_csrf_checks=True).post("/onboarding/recover/", {"state": "x"})
    assert (answer.status_code, heading(answer)) == (403, "Please allow cookies")
    assert buttons(answer) == ["Contact Shopwise"]
    assert "hreflang" not in answer.content.decode()


@pytest.mark.parametrize("method", ["get", "head"])
def test_address_that_takes_a_form_says_so_to_whoever_opens_it(browser, method):
    answer = getattr(browser, method)("/onboarding/recover/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    if method == "get":
        assert buttons(answer) == ["Contact Shopwise"]


def test_links_away_do_not_tell_the_merchants_secret_address(browser, make_client_link, settings):
    """The platform's own pages are the same site, to which a browser would tell the whole address."""
    settings.MOLLIE_ONBOARDING_PRIVACY_URL = "/privacy/"
    for columns in ({}, {"status": Status.REJECTED}):
        text = browser.get(make_client_link(**columns).merchant_path()).content.decode()
        links = re.findall(r"<a [^>]*>", text)
        away = [link for link in links if 'href="?' not in link]
        assert len(away) >= 2
        assert all('rel="noreferrer"' in link for link in away)


def test_other_account_is_told_so(settings, make_client_link, django_user_model):
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = True
    row = make_client_link(user=django_user_model.objects.create(username="invited"))
    browser = Browser(enforce_csrf_checks=True)
    words = "You are logged in with another account"
    assert words not in browser.get(row.merchant_path()).content.decode()
    browser.force_login(django_user_model.objects.create(username="other"))
    page = browser.get(row.merchant_path())
    assert words in page.content.decode()
    assert buttons(page) == ["Log in to continue"]
    assert "Contact Shopwise" in page.content.decode()


@pytest.mark.parametrize(
    ("columns", "words", "button"),
    [
        ({"status": Status.CANCELLED}, "This invitation was withdrawn", "Contact Shopwise"),
        ({"status": Status.REJECTED}, "Bakkerij Jansen is not connected yet", "Contact Shopwise"),
        ({"status": Status.DECLINED}, "You said no at Mollie", "Start again"),
        (
            {"status": Status.STARTED, "problem": "organization_taken"},
            "Bakkerij Jansen is not connected yet",
            "Start again",
        ),
        ({"status": Status.READY}, "Connect Bakkerij Jansen with Mollie", "Continue to Mollie"),
        ({"status": Status.STARTED}, "Continue connecting Bakkerij Jansen", "Continue to Mollie"),
    ],
)
def test_every_state_has_its_words_and_one_button(browser, make_client_link, columns, words, button):
    answer = browser.get(make_client_link(**columns).merchant_path())
    assert heading(answer) == words
    assert buttons(answer) == [button]


def test_expired_link_has_its_words_and_one_button(browser, make_client_link):
    row = make_client_link()
    old = row.merchant_path()
    ClientLink.objects.update(link_generation=2)
    answer = browser.get(old)
    assert answer.status_code == 410
    assert (heading(answer), buttons(answer)) == ("This link has expired", ["Mail me a new link"])


def test_incomplete_link_has_its_words_and_one_button(browser, make_client_link):
    answer = browser.get(make_client_link().merchant_path()[:-5] + "/")
    assert answer.status_code == 404
    assert (heading(answer), buttons(answer)) == ("This link is not complete", ["Contact Shopwise"])


@pytest.mark.parametrize(
    ("error", "words", "button"),
    [
        ("server_error", "a problem of its own", "Start again"),
        # To start again would bring the same.
        ("invalid_scope", "has been told", "Contact Shopwise"),
    ],
)
def test_error_of_mollies_has_its_words_and_one_button(
    sandbox, browser, make_client_link, error, words, button
):
    row = make_client_link()
    state = state_of(authorization_url(browser.press(row)))
    answer = browser.get(f"/onboarding/callback/?state={state}&error={error}")
    assert words in answer.content.decode()
    assert buttons(answer) == [button]
    assert f'href="{row.merchant_path()}"' in answer.content.decode()


def test_contact_address_may_be_a_mail_address(settings, browser, make_client_link):
    settings.MOLLIE_ONBOARDING_CONTACT_URL = "mailto:help@shopwise.example"
    answer = browser.get(make_client_link(status=Status.CANCELLED).merchant_path())
    assert (
        '<a class="button" href="mailto:help@shopwise.example" rel="noreferrer">Contact Shopwise</a>'
        in answer.content.decode()
    )


def test_every_page_says_what_it_is_about(settings, browser, make_client_link):
    settings.MOLLIE_ONBOARDING_PRIVACY_URL = "https://platform.example/privacy/"
    row = make_client_link()
    pages = [
        browser.get("/onboarding/signup/"),
        browser.get(row.merchant_path()),
        browser.get("/onboarding/link/x/"),
        browser.get("/onboarding/callback/"),
        browser.press(make_client_link(status=Status.REJECTED)),
        Browser(enforce_csrf_checks=True).post(row.merchant_path()),
    ]
    for page in pages:
        text = page.content.decode()
        for words in (
            "Shopwise asks you to connect your organization",
            "allow Shopwise to work with it",
            "About ten minutes",
            "Bank account",
            "never your password",
        ):
            assert words in text
        assert '<a href="https://platform.example/privacy/" rel="noreferrer">Privacy policy</a>' in text


@pytest.mark.parametrize(
    ("logo", "address"),
    [
        ("shop/logo.svg", "/static/shop/logo.svg"),
        ("/logo.svg", "/logo.svg"),
        ("https://static.example/logo.svg", "https://static.example/logo.svg"),
    ],
)
def test_logo_stands_for_the_name(settings, browser, logo, address):
    settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = logo
    text = browser.get("/onboarding/link/x/").content.decode()
    assert f'<img src="{address}" height="40" alt="Shopwise">' in text


def test_refused_details_are_named(browser, make_client_link):
    """The platform must correct them, and the merchant can say what is right only for what is named."""
    row = make_client_link(status=Status.REJECTED, error_field="vatNumber")
    text = " ".join(browser.get(row.merchant_path()).content.decode().split())
    assert "It is about: <strong>VAT number</strong>" in text
    ClientLink.objects.update(error_field="somethingNew")
    assert "It is about:" not in browser.get(row.merchant_path()).content.decode()


def test_organization_of_another_merchant_may_be_a_matter_for_the_platform(browser, make_client_link):
    page = browser.get(make_client_link(status=Status.STARTED, problem="organization_taken").merchant_path())
    assert buttons(page) == ["Start again"]
    assert '<a class="button secondary" href="https://platform.example/"' in page.content.decode()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"onboarding_status": "in-review"}, ["Back to Shopwise", "Go on in Mollie's dashboard"]),
        ({"onboarding_status": "needs-data"}, ["Go on in Mollie's dashboard", "Back to Shopwise"]),
        (
            {"onboarding_status": "completed", "can_receive_payments": True, "can_receive_settlements": True},
            ["Back to Shopwise"],
        ),
        (
            {"onboarding_status": "in-review", "scope": "organizations.read"},
            ["Agree at Mollie", "Go on in Mollie's dashboard", "Back to Shopwise"],
        ),
    ],
)
def test_first_button_of_a_connected_merchant_is_what_there_is_to_do(
    browser, make_client_link, columns, words
):
    organization = Organization.objects.create(
        organization_id="org_1", dashboard_url="https://my.mollie.com/dashboard/x", **columns
    )
    page = browser.get(make_client_link(status=Status.CONNECTED, organization=organization).merchant_path())
    main = page.content.decode().partition("<main")[2].partition("<dl")[0]
    assert re.findall(r'class="button[^>]*>\s*(.*?)\s*</(?:a|button)>', main) == words
    assert buttons(page) == words[:1]


@pytest.mark.parametrize("status", [Status.READY, Status.STARTED, Status.DECLINED, Status.REJECTED])
def test_page_names_the_organization_and_the_platform_together(browser, make_client_link, status):
    """Whoever was sent somebody else's link must see for whom they would connect their account; a logo says no name."""
    text = browser.get(make_client_link(status=status).merchant_path()).content.decode()
    card = text.partition('<dl class="card">')[2].partition("</dl>")[0]
    assert "Bakkerij Jansen" in card
    assert "Shopwise" in card
