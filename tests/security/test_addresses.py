"""Every address of the site: looking changes nothing, and no form is taken without its CSRF token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.core.signals import request_finished
from django.db import close_old_connections, connection
from django.test import Client

from mollie_onboarding.links import sign_reference
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, log_in

from .addresses import Address, every_address
from .world import NOT_COMPARED, World, dump

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

# What the forms of this site carry, all in one.
FORM = {
    **MERCHANT,
    "owner_email": "evil@evil.example",
    "post": "yes",
    "action": "start",
    "confirm": "1",
    "_save": "1",
    "upload": "x",
    "state": "x",
    "code": "auth_x",
    "next": "/",
    "format": "csv",
    "mail": "invitation",
    "q": "jansen",
}


def anonymous(world: World) -> Client:
    return Client(enforce_csrf_checks=True)


def merchant(world: World) -> Client:
    """Somebody with a login of the platform's, and the cookie with which they went to Mollie."""
    browser = log_in(world.merchant)
    browser.cookies[cookie_name()] = world.browser_secret
    return browser


def staff(world: World) -> Client:
    """An operator who may do everything."""
    return log_in(world.operator)


PERSONAS = [anonymous, merchant, staff]


@contextmanager
def writes_are_noted() -> Iterator[list[str]]:
    """The statements that change a table of the platform, as they come."""
    noted: list[str] = []

    def execute(run: Callable[..., Any], sql: str, *args: Any) -> Any:
        if not re.match(
            r"\s*(SELECT|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|WITH|SHOW|SET|PRAGMA)\b", sql
        ) and not any(table in sql for table in NOT_COMPARED):
            noted.append(sql)
        return run(sql, *args)

    with connection.execute_wrapper(execute):
        yield noted


def test_walk_finds_what_is_known_to_be_there(world):
    paths = {path for address in every_address() for path in address.paths(world)}
    row = world.client_links["ready"]
    assert {
        "/onboarding/signup/",
        "/onboarding/signup",
        "/onboarding/callback/",
        "/onboarding/recover/",
        row.merchant_path(),
        f"/admin/mollie_onboarding/clientlink/{row.pk}/send/",
        f"/admin/mollie_onboarding/organization/{world.organizations['lost'].pk}/disconnect/",
        f"/admin/mollie_onboarding/batch/{world.batches['running'].pk}/cancel/",
        "/admin/mollie_onboarding/clientlink/export/",
        "/admin/mollie_onboarding/clientlink/funnel.csv",
    } <= paths
    assert not [path for path in paths if re.search(r"[<>]", path)]


def test_every_address_is_reached_or_known_to_be_hidden(world):
    """An address that the walk cannot reach would not be tested: only those may be, in whose place another one answers."""
    hidden = {address.route for address in every_address() if not address.paths(world)}
    # Pages of django-import-export, which ours stand in front of under the same addresses.
    assert hidden == {
        f"/admin/mollie_onboarding/clientlink/{name}/" for name in ("import", "process_import", "export")
    }


def looks(browser: Client, address: Address, world: World) -> Iterator[tuple[str, Any]]:
    """Each way to look at an address, and the answer. A few rows stand for all where nobody is let in, and where the
    method or the query alone is what is new."""
    paths = address.paths(world)
    is_operator = browser.session.get("_auth_user_id") == str(world.operator.pk)
    # Without its slash an address leads to the same view.
    is_let_in = is_admin(address) == is_operator and address.route.endswith("/")
    for path in paths if is_let_in else paths[:1]:
        yield path, browser.get(path)
    for path in paths[:2]:
        yield f"HEAD {path}", browser.head(path)
        yield f"{path} as in a form", browser.get(f"{path}?{urlencode(FORM)}")


def is_admin(address: Address) -> bool:
    return address.route.startswith("/admin/")


def finish(response: Any) -> None:
    """Read a download, which is made only then, and close its file, without closing the test's connection as well."""
    b"".join(response)
    request_finished.disconnect(close_old_connections)
    response.close()
    request_finished.connect(close_old_connections)


@pytest.mark.parametrize("persona", PERSONAS)
def test_lessons_12_looking_at_every_address_changes_nothing(sandbox, world, persona):
    browser = persona(world)
    before = dump()
    with writes_are_noted() as written:
        for address in every_address():
            for look, response in looks(browser, address, world):
                finish(response)
                assert response.status_code < 500, look
                assert written == [], look
    assert dump() == before
    assert mail.outbox == []
    assert sandbox.calls() == []


def test_looking_at_a_signed_reference_changes_nothing(world):
    before = dump()
    assert Client().get(f"/onboarding/signup/?for={sign_reference('shop 7')}").status_code == 200
    assert dump() == before


# Forms. `csrf_exempt` on the merchant pages means only that they make the check themselves, see `merchant_view`.

FORGED = {
    "no token": ({}, {}),
    "a token of somebody else's": ({"csrfmiddlewaretoken": "x" * 64}, {}),
    "no token, from another site": ({}, {"Origin": "https://evil.example"}),
    "no token, from a page without an origin": ({}, {"Origin": "null"}),
}


@pytest.mark.parametrize("forgery", FORGED)
@pytest.mark.parametrize("persona", PERSONAS)
def test_post_without_the_csrf_token_is_refused_at_every_address(sandbox, world, persona, forgery):
    browser = persona(world)
    token, headers = FORGED[forgery]
    before = dump()
    for address in every_address():
        for path in address.paths(world)[:2]:
            response = browser.post(path, {**FORM, **token}, headers=headers)
            assert is_refused_as_forged(response) or response.status_code == 405, path
    assert dump() == before
    assert mail.outbox == []
    assert sandbox.calls() == []


def is_refused_as_forged(response: Any) -> bool:
    """Whether it is the CSRF check that refused, and not a permission or a missing row, which another request may have."""
    is_our_page = "mollie_onboarding/cookies.html" in [template.name for template in response.templates]
    is_djangos_page = "CSRF verification failed" in response.content.decode()
    return response.status_code == 403 and (is_our_page or is_djangos_page)


def test_callback_alone_refuses_a_form_by_its_method(world):
    refused = {
        address.route
        for address in every_address()
        for path in address.paths(world)[:1]
        if anonymous(world).post(path).status_code == 405
    }
    assert refused == {"/onboarding/callback", "/onboarding/callback/"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://platform.example.evil.example"])
def test_token_does_not_help_another_site(sandbox, world, origin):
    """As if an attacker had got hold of the token: the browser still says where the form is from."""
    path = world.client_links["ready"].merchant_path()
    browser = Browser(enforce_csrf_checks=True)
    browser.get(path)
    token = browser.cookies["csrftoken"].value
    before = dump()
    forged = browser.post(path, {"csrfmiddlewaretoken": token}, headers={"Origin": origin})
    assert is_refused_as_forged(forged)
    assert dump() == before
    own = browser.post(path, {"csrfmiddlewaretoken": token}, headers={"Origin": "https://platform.example"})
    assert own.status_code == 200
    assert dump() != before
