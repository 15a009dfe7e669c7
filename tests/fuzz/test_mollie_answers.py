"""Whatever Mollie answers, to whichever call: no exception but the app's own, and nothing is believed that cannot be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mollie_onboarding import services
from mollie_onboarding.exceptions import (
    ClientLinkUnusableError,
    CreationInProgressError,
    MollieConnectionError,
    MollieError,
    MollieResponseError,
    NotConnectedError,
)
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import (
    BODY_COLUMNS,
    AuthorizationRequest,
    ClientLink,
    Event,
    Organization,
)
from mollie_onboarding.mollie_api import ClientLinkData, MollieAPI
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser
from tests.connected import connect
from tests.test_tokens import expire

from .examples import MARKS, undone
from .mollie import answers, good, mollie_says, scripts
from .profiles import fuzzed

pytestmark = MARKS

DATA = ClientLinkData(**MERCHANT)
CALLS = {
    "client_links": lambda api: api.create_client_link(DATA, idempotency_key="k"),
    "exchange": lambda api: api.exchange_code("auth_x"),
    "refresh": lambda api: api.refresh("refresh_x", idempotency_key="k"),
    "revoke": lambda api: api.revoke("refresh_x"),
    "organization": lambda api: api.get_current_organization("access_x"),
    "onboarding": lambda api: api.get_onboarding_status("access_x"),
    "capabilities": lambda api: api.list_capabilities("access_x"),
    "clients": lambda api: api.list_clients(),
    "permissions": lambda api: api.list_permissions(),
    "partner": lambda api: api.get_partner_type(),
}


def outcome_of(work: Callable[[], Any]) -> tuple[Any, MollieError | None]:
    """What the work gives, or the exception of ours that it ends in."""
    try:
        return work(), None
    except MollieError as exc:
        return None, exc


def texts_in(value: Any) -> list[str]:
    """Every text in what was read, however deep."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for text in texts_in(item)]
    return [text for item in value for text in texts_in(item)] if isinstance(value, list | tuple) else []


@given(data=st.data(), operation=st.sampled_from(sorted(CALLS)))
@fuzzed(share=385)
def test_answer_of_any_shape_is_read_or_refused(data, operation):
    script = {operation: data.draw(st.lists(answers(operation), min_size=1, max_size=3))}
    with mollie_says(script) as heard:
        result, error = outcome_of(lambda: CALLS[operation](MollieAPI()))
    if isinstance(error, MollieConnectionError):
        assert error.retry_after is None or 0 <= error.retry_after <= 86_400
    elif isinstance(error, MollieResponseError):
        assert 400 <= error.status < 500
        assert all(len(text) <= 500 for text in (error.detail, error.field, error.error))
    found = texts_in(
        [error.detail, error.field, error.error] if isinstance(error, MollieResponseError) else result
    )
    for text in found:
        text.encode()
        assert "\0" not in text
        assert len(text) <= 4096
    # Without a key nothing that may have done its work is asked for twice.
    assert operation not in ("exchange", "revoke", "refresh") or len(heard) == 1


@given(script=scripts("client_links"))
@fuzzed(share=30)
def test_client_link_is_stored_only_where_it_leads_to_mollie(make_client_link, script):
    with undone():
        row = make_client_link()
        body = ClientLink.objects.values(*BODY_COLUMNS).get()
        with mollie_says(script):
            for _ in range(2):  # the second time it takes up where the first one ended
                try:
                    services.create_client_link(ClientLink.objects.get())
                except (MollieError, CreationInProgressError, ClientLinkUnusableError):
                    pass
        row.refresh_from_db()
        assert ClientLink.objects.values(*BODY_COLUMNS).get() == body
        assert row.status in ("draft", "ready", "rejected")
        assert row.issuing_until is None
        assert (row.status == "ready") == bool(row.url) == bool(row.mollie_id)
        assert re.match(r"https://my\.mollie\.com(:443)?([/?#]|$)", row.url, re.IGNORECASE) or row.url == ""
        page = Browser().get(row.merchant_path())
        assert page.status_code == 200
        assert "javascript:" not in page.content.decode()


def is_json_object(answer: Any) -> bool:
    try:
        return isinstance(json.loads(answer.body), dict)
    except (ValueError, RecursionError):
        return False


@given(script=scripts("exchange", "organization", "onboarding", "capabilities"))
@fuzzed(share=40)
def test_merchant_is_connected_only_to_whom_mollie_names(visit, script):
    with undone():
        browser = Browser()
        browser.cookies[cookie_name()] = visit.cookie
        with mollie_says(script) as heard:
            for _ in range(2):
                response = browser.get("/onboarding/callback/", {"state": visit.state, "code": visit.code})
                assert response.status_code == 303
        assert heard.count_of("exchange") == 1
        request = AuthorizationRequest.objects.get()
        row = ClientLink.objects.select_related("organization").get()
        if row.status == "connected":
            assert 200 <= script["exchange"][0].status < 300
            # Without the zeros of UTF-16 and UTF-32, in which JSON may come, too.
            answers_of_mollie = b"".join(answer.body for answer in script["organization"]).replace(b"\0", b"")
            assert row.organization.organization_id.encode() in answers_of_mollie
            assert row.organization.access_token.reveal()
            assert request.outcome == "connected"
        else:
            assert not Organization.objects.exists()
            assert row.status == "started"
            assert request.outcome in ("", "exchange_failed")
            # With an outcome there is nothing to resume, without one there are tokens.
            assert (request.tokens is None) == (request.outcome == "exchange_failed")
        page = browser.get(row.merchant_path())
        assert page.status_code == 200
        assert 'href="javascript' not in page.content.decode()


@given(data=st.data(), has_life=st.booleans(), script=scripts("refresh"))
@fuzzed(share=40)
def test_refresh_loses_a_connection_only_by_invalid_grant(sandbox, data, has_life, script):
    with undone():
        [organization] = connect(sandbox, 1)
        expire(organization, timedelta(minutes=2 if has_life else 0))
        with mollie_says(script) as heard:
            token, error = outcome_of(lambda: services.get_access_token(organization))
        lost = isinstance(error, NotConnectedError)
        # A second time only where the first answer was an old one, as far as Mollie says.
        asked = heard.count_of("refresh")
        assert asked == 1 or (asked == 2 and "Idempotent-Replayed" in script["refresh"][0].headers)
        row = Organization.objects.get()
        assert lost == (row.connection_status == "lost")
        if lost:
            last = script["refresh"][min(asked, len(script["refresh"])) - 1]
            assert 400 <= last.status < 500
            assert json.loads(last.body)["error"] == "invalid_grant"
            assert Event.objects.filter(kind="connection_lost").count() == 1
        else:
            assert row.connection_status == "connected"
            assert row.access_token.reveal()
            assert row.refresh_token.reveal()
            assert row.refresh_claimed_until is None
        if token:
            assert token in (f"access_{organization.organization_id}", row.access_token.reveal())


@given(script=scripts("revoke"))
@fuzzed(share=30)
def test_revocation_waits_until_mollie_took_it(sandbox, script):
    with undone():
        [organization] = connect(sandbox, 1)
        Organization.objects.update(
            connection_status="disconnected",
            pending_revocation=Secret("refresh_pending"),
            access_token=None,
            refresh_token=None,
        )
        with mollie_says(script) as heard:
            done = services.revoke_tokens(organization.pk)
        assert heard.count_of("revoke") == 1
        row = Organization.objects.get()
        assert done is (row.pending_revocation is None)
        [answer] = script["revoke"][:1]
        is_void = 400 <= answer.status < 500 and b"invalid_grant" in answer.body
        if done:
            assert not answer.instead
            assert answer.status == 204 or (answer.status < 300 and is_json_object(answer)) or is_void
        assert row.connection_status == "disconnected"


STATUS_COLUMNS = (
    "name country registration_number vat_number onboarding_status can_receive_payments can_receive_settlements "
    "payments_enabled_at completed_at stage signed_up_at dashboard_url capabilities synced_at check_requested_at listed_at "
    "missing_since updated_at"
).split()
OTHER_COLUMNS = [
    field.name for field in Organization._meta.concrete_fields if field.name not in STATUS_COLUMNS
]


@given(script=scripts("onboarding", "capabilities", "refresh"))
@fuzzed(share=20)
def test_reading_of_a_status_changes_the_status_and_nothing_else(sandbox, make_client_link, script):
    with undone():
        [organization] = connect(sandbox, 1)
        row = make_client_link(status="connected", organization=organization)
        before = Organization.objects.values(*OTHER_COLUMNS).get()
        with mollie_says(script) as heard:
            response = Browser().post(row.merchant_path(), {"action": "check"})
        assert response.status_code in (303, 502, 503)
        after = Organization.objects.values(*OTHER_COLUMNS).get()
        if not heard.count_of("refresh"):  # else Mollie refused the token, and then gave another one
            assert after == before
        page = Browser().get(row.merchant_path())
        assert page.status_code == 200
        assert 'href="javascript' not in page.content.decode()


@given(data=st.data(), pages=st.lists(answers("clients"), min_size=1, max_size=3))
@fuzzed(share=40)
def test_list_of_clients_makes_no_rows_and_judges_no_connection(sandbox, data, pages):
    script = {"clients": pages, **{name: [data.draw(answers(name))] for name in ("onboarding", "refresh")}}
    with undone():
        connect(sandbox, 2)
        before = list(Organization.objects.order_by("pk").values(*OTHER_COLUMNS))
        with mollie_says(script) as heard:
            result = services.sync_onboarding_status()
        assert result.pages <= len(pages) + 1
        # The list may close after a page; then each organization is asked for once more.
        assert result.read <= 2 * (result.pages + result.fallback)
        after = list(Organization.objects.order_by("pk").values(*OTHER_COLUMNS))
        if not heard.count_of("refresh"):
            assert after == before
        else:  # only where the list is closed to the partner are the merchants' own tokens used
            assert result.fallback
        assert Organization.objects.count() == 2


@given(script=scripts("permissions", "partner", "exchange"))
@fuzzed(share=20)
def test_check_of_the_credentials_finds_and_changes_nothing(db, script):
    with undone():
        with mollie_says(script):
            findings = services.check_mollie()
        assert len(findings) >= 3
        assert all(isinstance(finding.text, str) and finding.text.isprintable() for finding in findings)
        assert not Organization.objects.exists()


def test_answers_as_they_should_be_connect_a_merchant(visit):
    """Else the examples above would be about nothing."""
    browser = Browser()
    browser.cookies[cookie_name()] = visit.cookie
    names = ("exchange", "organization", "onboarding", "capabilities")
    with mollie_says({name: [good(name)] for name in names}) as heard:
        browser.get("/onboarding/callback/", {"state": visit.state, "code": visit.code})
    assert [name for name, _body in heard] == list(names)
    assert Organization.objects.get().organization_id == "org_12345678"
