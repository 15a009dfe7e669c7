"""A site that switches on whatever is strict, all at once: policy, Strict cookies, a login for everything, proxy and prefix.

The browser really travels: the platform is https://127.0.0.1, "Mollie" and the webmail are https://localhost, which is
another site to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .proxy import run_proxy
from .server import Server, find_free_port, run_server
from .test_coming_back import catch_callback
from .test_operators import add_merchant, row_of
from .visitor import SIGN_UP, Visitor, address_of

pytestmark = pytest.mark.browser

PREFIX = "/shops/nl"
LIST = "/admin/mollie_onboarding/clientlink/"
# What a policy blocks reaches `complaints`, also what the console passes over.
LISTEN = """
  document.addEventListener("securitypolicyviolation", event => {
    console.error(`Policy: ${event.violatedDirective} blocks ${event.blockedURI} in ${event.documentURI}`);
  });
"""


@pytest.fixture(scope="module")
def server(_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory, port = tmp_path_factory.mktemp("strict"), find_free_port()
    with run_proxy(directory, port, PREFIX) as proxy:
        origin = f"https://127.0.0.1:{proxy.https_port}"
        settings = {
            "DJANGO_SETTINGS_MODULE": "tests.browser.strict_settings",
            "MOLLIE_ONBOARDING_API_URL": f"http://localhost:{proxy.api_port}{PREFIX}/sandbox",
            "MOLLIE_ONBOARDING_BASE_URL": origin,
            "MOLLIE_ONBOARDING_SIGNUP_LIMIT": "1000/h",
            "MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT": "1",
            # Without its slash, although APPEND_SLASH is off.
            "STRICT_CALLBACK": "/onboarding/callback",
            "STRICT_PREFIX": PREFIX,
        }
        mollie = f"https://localhost:{proxy.https_port}{PREFIX}/sandbox"
        with run_server(directory, port=port, url=origin + PREFIX, mollie=mollie, **settings) as server:
            yield server
        # Nothing of ours forgot the prefix. Django's admin names no icon, so that browsers look for one at the host.
        assert set(proxy.astray) <= {"/favicon.ico"}


@pytest.fixture
def merchant(open_browser) -> Visitor:
    """Somebody who is logged in at the platform."""
    merchant = listening(open_browser())
    merchant.log_in("/", "merchant")
    merchant.page.locator("section[data-status]").first.wait_for()
    return merchant


def listening(visitor: Visitor) -> Visitor:
    visitor.context.add_init_script(LISTEN)
    return visitor


def cookies_of(visitor: Visitor) -> dict[str, dict[str, object]]:
    return {cookie["name"]: cookie for cookie in visitor.context.cookies(visitor.server.url)}  # type: ignore[misc]


def travel(visitor: Visitor, address: str) -> dict[str, str]:
    """Follow a link on a page of another site. Gives the headers with which the browser arrives."""
    page = visitor.page
    page.goto(f"{visitor.server.mollie}/mails/")
    with page.expect_request(address) as arrival:
        page.evaluate("address => { location = address }", address)
    headers = arrival.value.all_headers()
    assert headers["sec-fetch-site"] == "cross-site"
    return headers


def test_sign_up_ends_connected_and_keeps_the_login(merchant, server):
    session = cookies_of(merchant)["sessionid"]
    assert (session["sameSite"], session["secure"], session["httpOnly"]) == ("Strict", True, True)
    merchant.follow("Connect with Mollie")
    merchant.sees("ready")
    merchant.fill_in_sign_up("Atelier Noor")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    cookie = cookies_of(merchant)["__Host-mollie_onboarding"]
    assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"], cookie["path"]) == (
        "Lax",
        True,
        True,
        "/",
    )
    with merchant.page.expect_request(lambda request: "/onboarding/callback?" in request.url) as callback:
        merchant.press("Allow")
    # Strict is strict: only our own cookie comes back with the redirect.
    sent = callback.value.all_headers()["cookie"]
    assert "__Host-mollie_onboarding=" in sent
    assert "sessionid=" not in sent

    merchant.sees("connected", picture="1-connected")
    assert merchant.page.url.startswith(f"{server.url}/onboarding/link/")
    assert "?" not in merchant.page.url
    merchant.page.reload()
    merchant.sees("connected")
    merchant.press("Check again")
    merchant.page.get_by_text("Mollie was asked a moment ago.").wait_for()
    assert merchant.page.locator(".platform a").get_attribute("href") == f"{server.url}/"
    merchant.follow("Back to Shopwise")
    merchant.page.wait_for_url(f"{server.url}/")
    assert merchant.page.locator("section[data-status]").get_attribute("data-status") == "connected"
    assert set(cookies_of(merchant)) == {"sessionid", "__Host-mollie_onboarding"}
    assert cookies_of(merchant)["sessionid"]["value"] == session["value"]


def test_operator_sends_and_merchant_connects_from_webmail(operator, merchant, server):
    name = "Bloemist Streng"
    listening(operator)
    add_merchant(operator, name)
    page = operator.page
    page.goto(server.url + LIST)
    row_of(operator, name).get_by_role("link", name=name).first.click()
    operator.follow("Preview the mail")
    framed = page.frame_locator("iframe")
    framed.get_by_role("link").first.wait_for()
    # The policy would leave the mail bare, were it not for the frame's own.
    background = framed.get_by_role("link", name="Begin").evaluate(
        "link => getComputedStyle(link).backgroundColor"
    )
    assert background not in ("rgba(0, 0, 0, 0)", "transparent")
    operator.take_picture("1-preview")
    page.go_back()
    operator.follow("Send onboarding link")
    operator.press("Send onboarding link")
    page.locator(".messagelist .success").wait_for()

    session = cookies_of(merchant)["sessionid"]["value"]
    page = merchant.page
    page.goto(f"{server.mollie}/mails/")
    mail = page.get_by_role("listitem").filter(has_text=address_of(name))
    mail.first.get_by_role("link").click()
    with page.expect_request(lambda request: "/onboarding/link/" in request.url) as arrival:
        page.frame_locator("iframe").get_by_role("link", name="Begin").click()
    assert arrival.value.all_headers()["sec-fetch-site"] == "cross-site"
    assert "sessionid=" not in arrival.value.all_headers().get("cookie", "")
    merchant.sees("ready")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Deny")
    merchant.sees("declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")
    assert cookies_of(merchant)["sessionid"]["value"] == session
    page.goto(f"{server.url}/")
    assert page.locator("section[data-status]").count(), "the login is lost"


def test_stranger_to_the_platform_connects_without_a_login(open_browser, server):
    """Where everything asks for a login, and each address has lost its slash at the end."""
    merchant = listening(open_browser())
    merchant.page.goto((server.url + SIGN_UP).rstrip("/"))
    merchant.fill_in_sign_up("Bakkerij Vreemd")
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    merchant.press("Deny")
    merchant.sees("declined")
    address = merchant.page.url
    assert address.endswith("/"), "our own addresses keep their slash"

    travel(merchant, address.rstrip("/"))
    merchant.sees("declined")
    merchant.press("Start again")
    merchant.sees_consent()
    merchant.press("Allow")
    merchant.sees("connected")


def test_dead_ends_have_a_way_on(merchant, open_browser, server):
    name = "Bakkerij Anders"
    merchant.page.goto(server.url + SIGN_UP)
    merchant.fill_in_sign_up(name)
    merchant.press("Continue to Mollie")
    merchant.sees_consent()
    callback = catch_callback(merchant)
    # Another browser, in which somebody is logged in: this page has a form, so it needs the session, and must not lose it.
    other = listening(open_browser())
    other.log_in("/", "merchant")
    other.page.locator("section[data-status]").first.wait_for()
    session = cookies_of(other)["sessionid"]["value"]

    assert "sessionid=" not in travel(other, callback).get("cookie", "")
    other.page.get_by_role("button", name="Mail me my link").wait_for()
    other.sees("error")
    assert name not in other.page.content()
    other.press("Mail me my link")
    other.sees("ready")
    assert cookies_of(other)["sessionid"]["value"] == session

    travel(merchant, callback)
    merchant.sees("connected")


def test_strict_site_is_strict(open_browser, server):
    """The check of the checks: what the walks above would have seen, and what they were spared."""
    visitor = listening(open_browser())
    page = visitor.page
    page.goto(server.url + SIGN_UP)
    ran = page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.head.append(script);
        document.querySelector("h1").setAttribute("style", "color: red");
        return [window.ran, document.querySelector("h1").style.color];
    }""")
    assert ran == [None, ""]
    visitor.fill_in_sign_up("Bakkerij Mis")
    page.route(
        lambda url: url.endswith(SIGN_UP),
        lambda route: route.fulfill(status=303, headers={"location": f"{server.mollie}/"}),
    )
    with page.expect_console_message(lambda message: "Policy: form-action" in message.text):
        visitor.press("Continue to Mollie")
    page.unroute_all()
    assert page.url == server.url + SIGN_UP

    page.goto(f"{server.mollie}/")
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.evaluate(
            "address => document.body.append(Object.assign(document.createElement('iframe'), {src: address}))",
            server.url + SIGN_UP,
        )
    blocked = " ".join(visitor.complaints)
    assert all(
        directive in blocked for directive in ("script-src", "style-src", "form-action", "frame-ancestors")
    )
    visitor.complaints.clear()

    page.goto(f"{server.url}/admin/")
    assert page.url.startswith(f"{server.url}/admin/login/")
    page.goto(f"{server.url}/")
    assert page.url.startswith(f"{server.url}/login/")
    assert page.request.get(f"{server.url}/login").status == 404  # nobody appends a slash
