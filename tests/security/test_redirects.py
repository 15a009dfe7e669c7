"""Nobody is led off the platform but to Mollie, whatever an address, a form or Mollie's answer says."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
from django.test import Client

from mollie_onboarding.models import ClientLink, Organization
from tests.conftest import MERCHANT, Browser, authorization_url
from tests.test_links import EVIL_URLS

from .addresses import every_address

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

SIGNUP = "/onboarding/signup/"
ALLOWED = {"platform.example", "my.mollie.com", "www.mollie.com", "help.mollie.com", "docs.mollie.com"}
# As `next`, and as whatever else an address may carry.
PARAMETERS = (
    "next",
    "language",
    "settle",
    "redirect",
    "return_url",
    "url",
    "country",
    "for",
    "state",
    "code",
    "error",
)


def destinations(response: Any) -> set[str]:
    """Every host that a page leads to, read as a browser does: links, forms, refreshes, redirects, scripts, pictures."""
    text = response.content.decode() if not response.streaming else ""
    found = re.findall(r'(?:href|action|formaction|src)="([^"]*)"', text)
    found += re.findall(r'http-equiv="refresh" content="\d+; url=([^"]*)"', text)
    found += [response.headers["Location"]] if "Location" in response.headers else []
    return {host_of(html.unescape(url)) for url in found}


def host_of(url: str) -> str:
    """Browsers drop tabs and line ends, read a backslash as a slash, and forgive spaces around it."""
    url = re.sub(r"[\t\r\n]", "", url).strip().replace("\\", "/")
    parts = urlsplit(urljoin("https://platform.example/", re.sub("^/{2,}", "//", url)))
    return (parts.hostname or "") if parts.scheme in ("https", "http") else parts.scheme


def test_hosts_are_read_as_a_browser_does():
    assert (
        host_of("/\\evil.example/")
        == host_of("///evil.example")
        == host_of("/\t/evil.example")
        == "evil.example"
    )
    assert host_of("javascript:alert(1)") == "javascript"
    assert host_of("dashboard/") == host_of("/a//b") == "platform.example"


@pytest.mark.parametrize("url", EVIL_URLS)
def test_lessons_17_next_never_leaves_the_platform(sandbox, url):
    """From the form to the connected merchant's way on."""
    browser = Browser(enforce_csrf_checks=True)
    address = f"{SIGNUP}?{urlencode({'next': url})}"
    pages = [browser.get(address)]
    pages.append(browser.submit(address, **MERCHANT))
    pages.append(browser.come_back(sandbox.visit(authorization_url(pages[-1]))))
    row = ClientLink.objects.get()
    assert row.return_url == ""
    # As if it had come there before the hosts were changed. PostgreSQL takes no NUL.
    ClientLink.objects.update(return_url=url.replace("\x00", "")[:2000])
    pages.append(browser.get(row.merchant_path()))
    for page in pages:
        assert destinations(page) <= ALLOWED, destinations(page)


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize(
    "url", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_no_parameter_of_a_merchant_page_leads_elsewhere(world, settings, parameter, url):
    """Also where the page settles first, or asks for a login: both repeat the address."""
    query = urlencode({parameter: url})
    paths = [f"/onboarding/{name}/?{query}" for name in ("signup", "callback", "recover")]
    paths += [
        f"{world.client_links[name].merchant_path()}?{query}" for name in ("draft", "connected", "of a user")
    ]
    settings.MOLLIE_ONBOARDING_REQUIRE_LOGIN = settings.MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED = True
    for samesite in ("Lax", "Strict"):
        settings.SESSION_COOKIE_SAMESITE = samesite
        for path in paths:
            response = Client().get(path, headers={"Sec-Fetch-Site": "cross-site"})
            assert destinations(response) <= ALLOWED, path
            assert "\\evil" not in response.headers.get("Location", "")


@pytest.mark.parametrize("url", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_login_leads_back_to_the_page_that_asked_for_it(world, settings, url):
    settings.MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED = True
    response = Client().get(f"{SIGNUP}?{urlencode({'next': url})}")
    [back] = parse_qs(urlsplit(response.headers["Location"]).query)["next"]
    assert back.startswith(SIGNUP + "?")
    assert host_of(back) == "platform.example"


def test_no_address_of_the_admin_leads_an_operator_elsewhere(world):
    browser = Client()
    browser.force_login(world.operator)
    query = urlencode(
        dict.fromkeys([*PARAMETERS, "_changelist_filters", "_popup", "_to_field"], "//evil.example/")
    )
    for address in every_address():
        for path in address.paths(world)[:1]:
            if address.route.startswith("/admin/"):
                response = browser.get(f"{path}?{query}")
                assert "evil.example" not in destinations(response), path
                b"".join(response)


EVIL_HREFS = [
    "",
    "javascript:alert(1)",
    "http://my.mollie.com/dashboard/client-link/cl_1",
    "//my.mollie.com/dashboard/client-link/cl_1",
    "/dashboard/client-link/cl_1",
    "https://evil.example/dashboard/client-link/cl_1",
    "https://my.mollie.com.evil.example/",
    "https://my.mollie.com@evil.example/",
    "https://user:password@my.mollie.com/",
    "https://evilmy.mollie.com/",
    "https://mollie.com/",
    "https://my.mollie.com:8443/",
    "https://my.mollie.com\\@evil.example/",
    "https://my.mollie.com\t.evil.example/",
    "https://my.mollie.com\n.evil.example/",
    "https:\\\\my.mollie.com/",
    " https://my.mollie.com/",
    "https://my.mollie.com /",
    "https://my\u3002mollie\u3002com/",
    "https://[my.mollie.com]/",
    "ftp://my.mollie.com/",
    "data:text/html,https://my.mollie.com/",
]


@pytest.mark.parametrize("href", EVIL_HREFS)
def test_client_link_of_mollies_answer_never_leads_elsewhere(sandbox, make_client_link, href):
    """Whoever answers in Mollie's place, or breaks in there, sends no merchant anywhere: `LINK_HOSTS`."""
    answer = {
        "id": "cl_1",
        "resource": "client-link",
        "_links": {"clientLink": {"href": href, "type": "text/html"}},
    }
    sandbox.add_fault("client_links", "status", status=201, body=answer)
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    response = browser.press(row)
    assert response.status_code in (502, 503)
    assert destinations(response) <= ALLOWED
    row.refresh_from_db()
    assert (row.url, row.mollie_id, row.status) == ("", None, "draft")


@pytest.mark.parametrize("url", [href for href in EVIL_HREFS if href])
def test_client_link_that_is_stored_already_never_leads_elsewhere(sandbox, world, url):
    """As if it had been written by an older version, or by hand."""
    row = world.client_links["ready"]
    ClientLink.objects.filter(pk=row.pk).update(url=url)
    response = Browser(enforce_csrf_checks=True).press(row)
    assert urlsplit(authorization_url(response)).hostname == "my.mollie.com"
    assert destinations(response) <= ALLOWED


@pytest.mark.parametrize("href", [href for href in EVIL_HREFS if href])
def test_dashboard_of_mollies_answer_never_leads_elsewhere(sandbox, make_client_link, href):
    links = {"dashboard": {"href": href, "type": "text/html"}}
    onboarding = {"resource": "onboarding", "status": "needs-data", "_links": links}
    requirement = {"id": "needs-data", "status": "past-due", "dueDate": None, "_links": links}
    capability = {"resource": "capability", "name": "payments", "requirements": [requirement]}
    capabilities = {"count": 1, "_embedded": {"capabilities": [capability]}}
    sandbox.add_fault("onboarding", "status", status=200, body=onboarding)
    sandbox.add_fault("capabilities", "status", status=200, body=capabilities)
    browser = Browser(enforce_csrf_checks=True)
    row = make_client_link()
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    organization = Organization.objects.get()
    assert (organization.dashboard_url, organization.capabilities[0]["requirements"][0]["url"]) == ("", "")
    assert destinations(browser.get(row.merchant_path())) <= ALLOWED


@pytest.mark.parametrize("url", [href for href in EVIL_HREFS if href])
def test_dashboard_that_is_stored_already_never_leads_elsewhere(world, url):
    requirement = {"id": "needs-data", "status": "past-due", "due_at": None, "url": url}
    capabilities = [{"name": "payments", "status": "", "status_reason": "", "requirements": [requirement]}]
    Organization.objects.update(onboarding_status="needs-data", dashboard_url=url, capabilities=capabilities)
    row = world.client_links["connected"]
    operator = Client()
    operator.force_login(world.operator)
    change = f"/admin/mollie_onboarding/organization/{world.organizations['well'].pk}/change/"
    for page in (Client().get(row.merchant_path()), operator.get(change)):
        assert page.status_code == 200
        assert destinations(page) <= ALLOWED


@pytest.mark.parametrize("host", ["my.mollie.com", "www.mollie.com"])
def test_dashboards_that_mollie_documents_are_led_to(world, host):
    url = f"https://{host}/dashboard/onboarding"
    Organization.objects.update(onboarding_status="needs-data", dashboard_url=url)
    page = Client().get(world.client_links["connected"].merchant_path())
    assert f'href="{url}"' in page.content.decode()
