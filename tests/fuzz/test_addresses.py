"""Addresses that anybody can write: the callback, our own link's token, and the sign-up page's query."""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from mollie_onboarding import links
from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.state import cookie_name
from tests.conftest import Browser

from .examples import MARKS, dump, undone
from .profiles import fuzzed
from .values import NASTY, bent, pairs, path_of, queries, request_headers, texts, words

pytestmark = MARKS

CALLBACK = "/onboarding/callback/"
SIGNUP = "/onboarding/signup/"
STATE, CODE, COOKIE = "the state", "the code", "the cookie"  # stand for those that are right

callback_pairs = pairs(
    {
        "state": st.just(STATE) | st.just(STATE) | st.just(CODE) | texts,
        "code": st.just(CODE) | st.just(CODE) | texts,
        "error": st.sampled_from(["access_denied", "server_error", "invalid_scope"]) | texts,
        "error_description": texts,
        "language": st.sampled_from(["nl", "de", "xx"]) | texts,
    }
)


@st.composite
def callbacks(draw: Any) -> tuple[list[tuple[str, str]], str]:
    """The pairs, and what else there is to the query: often the right two, often with something beside them."""
    good = draw(st.sampled_from([[], [("state", STATE), ("code", CODE)], [("state", STATE)]]))
    return draw(st.permutations(good + draw(callback_pairs))), draw(st.just("") | texts)


def query_of(visit: Any, given_pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    right = {STATE: visit.state, CODE: visit.code}
    return [(name, right.get(value, value)) for name, value in given_pairs]


def answered(response: Any) -> int:
    """The status of a page that says what is the matter. Never a fault of ours."""
    assert response.status_code < 500, response.status_code
    return int(response.status_code)


@given(
    sent=callbacks(),
    cookie=st.just(COOKIE) | st.just(COOKIE) | texts,
    headers=request_headers,
    data=st.data(),
)
@fuzzed(share=120)
def test_callback_writes_nothing_unless_it_is_verified(visit, sandbox, sent, cookie, headers, data):
    query = data.draw(queries(st.just(query_of(visit, sent[0])))) + (
        "&" + path_of(sent[1]) if sent[1] else ""
    )
    secret = visit.cookie if cookie == COOKIE else cookie.encode("utf-8", "replace").decode("latin-1")
    secret = "".join(secret.splitlines()).replace("\0", "")
    with undone():
        before = dump()
        response = Browser().get(
            CALLBACK, QUERY_STRING=query, HTTP_COOKIE=f"{cookie_name()}={secret}", **headers
        )
        status = answered(response)
        arrived = Counter(parse_qsl(query, keep_blank_values=True))
        states = [value for name, value in arrived if name == "state"]
        is_verifiable = cookie == COOKIE and states == [visit.state] and arrived["state", visit.state] == 1
        if not is_verifiable or "prefetch" in headers.get("HTTP_SEC_PURPOSE", ""):
            assert dump() == before
            assert not sandbox.calls("exchange")
        assert len(sandbox.calls("exchange")) <= 1
        if Organization.objects.exists():
            assert arrived["code", visit.code] == 1
            assert not [name for name, _value in arrived if name == "error" and _value]
            assert ClientLink.objects.get().status == "connected"
            assert status == 303
        if "Location" in response.headers:
            assert visit.code not in response["Location"]
            assert visit.state not in response["Location"]


@st.composite
def tokens(draw: Any) -> str:
    """A part of a path in the place of a token. `{}` stands for the right one."""
    return draw(st.just("{}") | st.just("{}").flatmap(bent) | texts | st.text(max_size=80))


@given(
    token=tokens(),
    signed=st.none() | texts | st.binary(max_size=24).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
    data=st.data(),
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "DELETE"]),
    headers=request_headers,
)
@fuzzed(share=60)
def test_tokens_of_our_own_link_open_one_page_and_change_nothing(visit, token, signed, data, method, headers):
    right = links.sign_link(visit.row.pk, visit.row.link_generation)
    token = token.replace("{}", right)
    if signed is not None:  # somebody with our key, or an older version of ours
        token = links._link_signer().sign(signed.encode("utf-8", "replace").decode())
    elif data.draw(st.booleans()):
        token = data.draw(bent(token))
    query = data.draw(queries(pairs({"language": st.sampled_from(["nl", "de", "xx"]) | texts})))
    with undone():
        before = dump()
        response = Browser().generic(
            method, f"/onboarding/link/{path_of(token)}/", QUERY_STRING=query, **headers
        )
        assert answered(response)
        assert dump() == before
        if token != right and response.status_code == 200 and method == "GET":
            page = response.content.decode()
            assert visit.row.organization_name not in page
            assert visit.row.owner_email not in page


signup_pairs = pairs(
    {
        "for": st.sampled_from([links_value for links_value in NASTY if links_value])
        | words
        | st.just("{signed}")
        | st.just("{signed}").flatmap(bent),
        "next": st.sampled_from(
            ["/dashboard/", "https://platform.example/x", "//evil.example/", "https:/evil.example"]
        )
        | texts,
        "language": st.sampled_from(["nl", "de", "xx"]) | texts,
        "country": st.sampled_from(["NL", "nl", "DE", "ZZ"]) | texts,
    }
)


@given(fields=signup_pairs, data=st.data(), headers=request_headers)
@fuzzed(share=20)
def test_query_of_the_sign_up_page_leads_nowhere_and_changes_nothing(db, fields, data, headers):
    signed = links.sign_reference("shop-1")
    fields = [(name, value.replace("{signed}", signed)) for name, value in fields]
    query = data.draw(queries(st.just(fields)))
    with undone():
        before = dump()
        response = Browser().get(SIGNUP, QUERY_STRING=query, **headers)
        assert answered(response)
        assert dump() == before
        assert "Location" not in response.headers
        if response.status_code == 200:
            for href in re.findall(r'<a [^>]*href="([^"]*)"', response.content.decode()):
                assert re.match(r"[/?#](?!/)|https://platform\.example/$", html.unescape(href)), href
