"""What anybody can post: the sign-up form, the button of the merchant page, and the wish for a new mail."""

from __future__ import annotations

from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

from django.core import mail
from django.test.client import BOUNDARY, MULTIPART_CONTENT
from hypothesis import given
from hypothesis import strategies as st

from mollie_onboarding.models import BODY_COLUMNS, AuthorizationRequest, ClientLink, Event, Organization
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser

from .examples import MARKS, dump, undone
from .profiles import fuzzed
from .test_addresses import SIGNUP, answered
from .values import CHARSETS, bent, request_headers, texts, words

pytestmark = MARKS

RECOVER = "/onboarding/recover/"

# Columns that are not the merchant's to write, and what a form must never be able to say.
FOREIGN = (
    "id pk reference user user_id status problem mollie_id url organization organization_id created_by link_generation "
    "return_url may_share_organization identity_check connected_at send_requested_at submission_digest anonymized_at"
).split()
COUNTRIES = ("NL", "DE", "BE", "FR", "IE", "CH", "AE", "XX", "nl", "")

Fields = list[tuple[str, str]]


@st.composite
def posted(draw: Any, good: dict[str, str]) -> Fields:
    """A form as it should be, with anything changed in it, doubled, left out or added."""
    fields = list(good.items())
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(fields) - 1)) if fields else 0
        match draw(st.sampled_from(["replace", "bend", "remove", "double", "foreign", "add"])):
            case "replace" if fields:
                fields[place] = (fields[place][0], draw(texts))
            case "bend" if fields:
                fields[place] = (fields[place][0], draw(bent(fields[place][1])))
            case "remove" if fields:
                del fields[place]
            case "double" if fields:
                fields.append((fields[place][0], draw(texts)))
            case "foreign":
                fields.append((draw(st.sampled_from(FOREIGN)), draw(texts | words)))
            case _:
                fields.append((draw(words | texts), draw(texts)))
    return fields


@st.composite
def encoded(draw: Any, fields: Fields) -> tuple[bytes, str]:
    """A body and its content type, as browsers write them, and as nobody should."""
    charset = draw(st.just("") | st.sampled_from(CHARSETS))
    suffix = f"; charset={charset}" if charset else ""
    if draw(st.integers(0, 2)):
        return urlencode(
            fields, errors="surrogatepass"
        ).encode(), f"application/x-www-form-urlencoded{suffix}"
    lines = []
    for name, value in fields:
        name = "".join(name.splitlines()).replace('"', "%22")
        file = '; filename="x.csv"' if draw(st.integers(0, 9)) == 0 else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        lines.append(head.encode("utf-8", "replace") + _written(value, charset) + b"\r\n")
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode(), MULTIPART_CONTENT + suffix


def _written(value: str, charset: str) -> bytes:
    try:
        return value.encode(charset or "utf-8", "surrogatepass")
    except (LookupError, UnicodeError):
        return value.encode("utf-8", "surrogatepass")


def post(browser: Browser, path: str, body: tuple[bytes, str], **headers: Any) -> Any:
    content, content_type = body
    return browser.generic("POST", path, content, content_type, **headers)


@given(data=st.data(), country=st.just("NL") | st.sampled_from(COUNTRIES), headers=request_headers)
@fuzzed(share=30)
def test_sign_up_form_writes_the_columns_that_go_to_mollie_and_no_other(sandbox, data, country, headers):
    good = {**MERCHANT, "country": country, "nonce": "n" * 43}
    fields = data.draw(posted(good))
    if data.draw(st.booleans()):
        fields += [(name, "1") for name in FOREIGN]
    body = data.draw(encoded(fields))
    headers.pop("CONTENT_TYPE", None)
    with undone():
        for _ in range(data.draw(st.sampled_from([1, 1, 2]))):
            assert answered(post(Browser(), SIGNUP, body, **headers)) in (200, 400, 429)
        rows = list(ClientLink.objects.all())
        # Without a nonce a second press is another merchant; and one that comes as a file is none.
        is_multipart = body[1].startswith(MULTIPART_CONTENT)
        has_file = is_multipart and body[0].count(b'name="nonce"\r\n') < [*map(itemgetter(0), fields)].count(
            "nonce"
        )
        assert len(rows) <= 1 or has_file or not dict(fields).get("nonce", "").strip()
        for row in rows:
            assert (row.reference, row.user_id, row.created_by_id, row.return_url) == ("", None, None, "")
            assert (row.organization_id, row.connected_at, row.may_share_organization) == (None, None, False)
            assert (row.link_generation, row.identity_check, row.send_requested_at) == (1, "unknown", None)
            assert row.status in ("draft", "rejected", "started")
            row.full_clean(exclude={"status"})  # nothing that the admin would refuse
            sent = {value.strip() for _name, value in fields}
            if body[1].endswith("urlencoded"):
                for column in ("owner_given_name", "organization_name", "city"):
                    assert getattr(row, column) in sent | {""}
        assert not Organization.objects.exists()
        assert len(sandbox.calls("client_links")) <= 2
        assert not mail.outbox


@given(data=st.data(), headers=request_headers, is_older=st.booleans())
@fuzzed(share=20)
def test_button_of_the_merchant_page_changes_no_data(visit, data, headers, is_older):
    action = st.sampled_from(["start", "authorize", "replace", "mail", "check"]) | texts
    fields = data.draw(posted({"action": data.draw(action)}))
    body = data.draw(encoded(fields))
    headers.pop("CONTENT_TYPE", None)
    with undone():
        path = visit.row.merchant_path()
        if is_older:
            ClientLink.objects.update(link_generation=2)
        before = ClientLink.objects.values(*BODY_COLUMNS, "reference", "user", "organization").get()
        response = post(Browser(), path, body, HTTP_COOKIE=f"{cookie_name()}={visit.cookie}", **headers)
        assert answered(response)
        assert ClientLink.objects.values(*BODY_COLUMNS, "reference", "user", "organization").get() == before
        if is_older:  # it may be in a stranger's hands: at most there is a mail, to the address that is right
            assert not Event.objects.filter(kind="replacement_requested").exists()
            assert AuthorizationRequest.objects.count() == 1
        assert all(message.to == [visit.row.owner_email] for message in mail.outbox)


@given(data=st.data(), headers=request_headers)
@fuzzed(share=20)
def test_wish_for_a_mail_tells_nobody_whether_the_state_exists(visit, data, headers):
    state = data.draw(st.just(visit.state) | bent(visit.state) | texts)
    fields = data.draw(posted({"state": state}))
    body = data.draw(encoded(fields))
    headers.pop("CONTENT_TYPE", None)
    with undone():
        before = dump()
        response = post(Browser(), RECOVER, body, **headers)
        assert answered(response)
        page = response.content.decode()
        assert visit.row.owner_email not in page
        assert visit.row.organization_name not in page
        if not any(value == visit.state for _name, value in fields):
            assert dump() == before
        assert all(message.to == [visit.row.owner_email] for message in mail.outbox)
