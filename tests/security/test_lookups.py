"""Secrets are looked up by their digest, or compared in constant time: no answer tells by its time how much of a guess is right."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import mollie_onboarding
from mollie_onboarding import links, state
from mollie_onboarding.links import sign_reference
from mollie_onboarding.models import AuthorizationRequest, ClientLink
from mollie_onboarding.state import cookie_name, digest
from tests.conftest import MERCHANT, Browser, authorization_url, state_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PACKAGE = Path(mollie_onboarding.__file__).parent
CALLBACK = "/onboarding/callback/"
TABLE = ClientLink._meta.db_table

# No visitor gives either side of these: the platform's code names the token that Mollie refused, and the body is ours.
KNOWN = {
    "tokens.py: token == rejected",
    "tokens.py: tokens.access_token != rejected",
    "creation.py: row.attempt_digest == body_digest",
}
# Whatever is called so holds a secret that a visitor could guess at.
SECRET = re.compile(r"(^|_)(state|secret|token|nonce|digest|signature|cookie)s?$")


@pytest.fixture
def statements(sandbox, make_client_link):
    """A browser on its way to Mollie, and a function that gives the statements of one request, with their values."""
    browser = Browser(enforce_csrf_checks=True)
    url = authorization_url(browser.press(make_client_link()))

    def statements(path: str, data: dict[str, str], method: str = "get") -> str:
        with CaptureQueriesContext(connection) as captured:
            getattr(browser, method)(path, data)
        return "\n".join(query["sql"] for query in captured.captured_queries)

    statements.browser, statements.state = browser, state_of(url)
    return statements


def test_lessons_33_state_and_cookie_reach_the_database_as_digests_only(statements):
    secret = statements.browser.cookies[cookie_name()].value
    sent = statements(CALLBACK, {"state": statements.state, "code": "auth_x"})
    assert digest(statements.state) in sent
    assert statements.state not in sent
    assert secret not in sent


def test_lessons_33_state_of_the_way_back_reaches_the_database_as_a_digest_only(statements):
    token = statements.browser.cookies["csrftoken"].value
    data = {"state": statements.state, "csrfmiddlewaretoken": token}
    sent = statements("/onboarding/recover/", data, "post")
    assert digest(statements.state) in sent
    assert statements.state not in sent


def test_lessons_33_nonce_of_the_form_reaches_the_database_as_a_digest_only(statements):
    token = statements.browser.cookies["csrftoken"].value
    data = {**MERCHANT, "nonce": "n" * 43, "csrfmiddlewaretoken": token}
    sent = statements("/onboarding/signup/", data, "post")
    assert ClientLink.objects.get(submission_digest__isnull=False).submission_digest in sent
    assert "n" * 43 not in sent


def test_lessons_33_token_of_the_link_is_proven_before_the_database_is_asked(statements):
    path = ClientLink.objects.get().merchant_path()
    assert TABLE in statements(path, {})
    for forged in ("/onboarding/link/nonsense.1.nonsense/", f"{path[:-2]}/"):
        assert TABLE not in statements(forged, {})


def test_lessons_33_reference_is_proven_before_the_database_is_asked(statements):
    token = statements.browser.cookies["csrftoken"].value
    data = {**MERCHANT, "csrfmiddlewaretoken": token}
    reference = sign_reference("7")
    assert TABLE in statements(f"/onboarding/signup/?for={reference}", data, "post")
    assert TABLE not in statements(f"/onboarding/signup/?for={reference[:-1]}", data, "post")
    assert TABLE not in statements("/onboarding/signup/", {"for": reference[:-1]})


@pytest.mark.parametrize("what", ["browser", "link", "reference"])
def test_lessons_33_comparison_takes_constant_time(statements, monkeypatch, what):
    """By the function that is asked: Django's signer compares by `constant_time_compare` of its own module."""
    compared: list[str] = []

    def compare(one: object, other: object) -> bool:
        compared.append(what)
        return False

    module, path, data = {
        "browser": (state, CALLBACK, {"state": statements.state, "code": "auth_x"}),
        "link": (links.signing, ClientLink.objects.get().merchant_path(), {}),
        "reference": (links.signing, "/onboarding/signup/", {"for": sign_reference("7")}),
    }[what]
    monkeypatch.setattr(module, "constant_time_compare", compare)
    assert statements.browser.get(path, data).status_code in (400, 404)
    assert compared == [what]
    assert AuthorizationRequest.objects.get().answered_at is None


def test_lessons_33_no_secret_is_compared_by_equality():
    """In the source: `==` ends at the first letter that differs."""
    found = {
        f"{path.name}: {ast.unparse(node)}"
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and any(SECRET.search(name_of(operand)) for operand in (node.left, *node.comparators))
    }
    assert found == KNOWN


def name_of(node: ast.AST) -> str:
    """The last name of `a.b.name`; '' for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
