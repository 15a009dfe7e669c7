"""Addresses of the admin with any query: a page, and nothing written."""

from __future__ import annotations

from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from tests.connected import connect
from tests.test_admin import LIST, ORGANIZATIONS

from .examples import MARKS, dump, undone
from .profiles import fuzzed
from .values import pairs, path_of, queries, texts

pytestmark = MARKS

BATCHES = "/admin/mollie_onboarding/batch/"

filters = {
    "q": st.sampled_from(["jan", "bakkerij jansen", '"jan', "cl_x", "a " * 200]) | texts,
    "o": st.sampled_from(["1", "-1", "99", "1.-2"]) | texts,
    "p": st.sampled_from(["0", "-1", "999999999999999999999", "last"]) | texts,
    "all": texts,
    "e": texts,
    "attention": st.sampled_from(["yes", "identity", "consent"]) | texts,
    "expired": st.sampled_from(["yes", "no"]) | texts,
    "stage": st.sampled_from(["started", "started.12.all.", "sent.all.signup.", "sent.x.y.z"]) | texts,
    "status__exact": st.sampled_from(["draft", "connected"]) | texts,
    "delivery_status__exact": texts,
    "problem__exact": texts,
    "country": st.sampled_from(["NL", "XX"]) | texts,
    "created_at__gte": st.sampled_from(["2027-01-01", "2027-01-01 00:00:00+00:00", "9999-99-99"]) | texts,
    "created_at__lt": texts,
    "health": st.sampled_from(["lost", "stale", "missing"]) | texts,
    "onboarding_status": st.sampled_from(["needs-data"]) | texts,
    "connection_status__exact": texts,
    "can_receive_payments__exact": st.sampled_from(["1", "0", "2"]) | texts,
    "organization__organization_id": texts,
    "owner_email__startswith": texts,
    "id__in": texts,
    "_popup": texts,
    "_to_field": st.sampled_from(["id", "submission_digest"]) | texts,
    "weeks": st.sampled_from(["4", "all", "-1"]) | texts,
    "source": st.sampled_from(["invited", "signup"]) | texts,
    "batch": st.sampled_from(["0b7a4d1c-3a2c-4c1e-9d53-1f2a3b4c5d6e", "0" * 32]) | texts,
    "language": st.sampled_from(["nl", "xx"]) | texts,
    "_changelist_filters": texts,
}

paths = st.sampled_from(
    [
        LIST,
        LIST,
        ORGANIZATIONS,
        BATCHES,
        f"{LIST}funnel/",
        f"{LIST}funnel.csv",
        f"{LIST}export/",
        f"{LIST}import/",
        f"{LIST}add/",
    ]
) | texts.flatmap(
    lambda text: st.sampled_from(
        [
            f"{start}{path_of(text)}/{end}"
            for start in (LIST, ORGANIZATIONS, BATCHES)
            for end in ("change/", "history/", "delete/", "mail/")
        ]
    )
)


@given(path=paths, query=queries(pairs(filters, most=3)))
@fuzzed(share=15)
def test_query_of_an_admin_page_shows_something_and_changes_nothing(
    operator, sandbox, make_client_link, path, query
):
    browser = Client()
    browser.force_login(operator)
    with undone():
        [organization] = connect(sandbox, 1)
        make_client_link(status="connected", organization=organization)
        make_client_link()
        before = dump()
        response = browser.get(path, QUERY_STRING=query)
        assert response.status_code < 500
        if response.streaming:
            assert b"".join(response.streaming_content)
        assert dump() == before
