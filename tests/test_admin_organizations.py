"""Organizations in the admin: their health, what mends it, and the decisions that only an operator can take."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.admin import organization_actions
from mollie_onboarding.admin.confirming import SHOWN_ON_CONFIRMATION
from mollie_onboarding.admin.health import ERROR_SENTENCES, FLAWS, explain_error, explain_failure
from mollie_onboarding.admin.organizations import REMEDIES
from mollie_onboarding.exceptions import (
    DecryptionError,
    InvalidGrantError,
    MollieConnectionError,
    MollieResponseError,
    NotConnectedError,
)
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import ClientLink, Event, Organization, Status
from tests.conftest import MERCHANT, log_in
from tests.connected import SCOPE, connect
from tests.test_admin import (
    DATABASES,
    LIST,
    ORGANIZATIONS,
    act,
    change,
    csrf,
    hidden_fields,
    listed,
    make_staff_with,
    page_of,
    said,
    snapshot,
)

pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

DAY = timedelta(days=1)
Connection = Organization.ConnectionStatus
Problem = ClientLink.Problem
IdentityCheck = ClientLink.IdentityCheck

# By the action: its address, and the permission that it takes.
ACTIONS = {
    "send_link_again": ("send", "send_clientlink"),
    "read_status": ("read", "send_clientlink"),
    "revoke_again": ("revoke", "disconnect_organization"),
    "disconnect": ("disconnect", "disconnect_organization"),
}


@pytest.fixture
def make_organization():
    """A saved organization that is well; keywords replace columns."""

    def make(**columns: Any) -> Organization:
        number = Organization.objects.count()
        well = {"synced_at": timezone.now(), "scope": SCOPE}
        names = {"organization_id": f"org_{number}", "name": f"Organization {number}"}
        return Organization.objects.create(**{**well, **names, **columns})

    return make


@pytest.fixture
def make_merchant(make_client_link):
    """A client link that is connected to an organization."""

    def make(organization: Organization, **columns: Any) -> ClientLink:
        return make_client_link(**{"status": Status.CONNECTED, "organization": organization, **columns})

    return make


@pytest.fixture
def disconnected(make_organization):
    """An organization whose token waits to be revoked."""
    return make_organization(
        connection_status=Connection.DISCONNECTED, pending_revocation=Secret("refresh_left")
    )


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def field(response: Any, name: str) -> str:
    """The text of a read-only field."""
    match = re.search(
        rf'field-{name}".*?<div class="readonly">(.*?)</div>\s*</div>', text_of(response), re.DOTALL
    )
    assert match, name
    return match[1]


def names(response: Any) -> str:
    return ", ".join(sorted(row.name for row in response.context["cl"].result_list))


def confirm(browser: Client, action: str, *rows: Any) -> Any:
    """Choose an action in the list, and say yes."""
    page = act(browser, action, *rows)
    return browser.post(page.request["PATH_INFO"], hidden_fields(page), follow=True)


def status_of(row: Organization) -> str:
    row.refresh_from_db()
    return row.connection_status


# Health.


@pytest.fixture
def of_every_health(make_organization) -> None:
    now = timezone.now()
    make_organization(name="well")
    make_organization(name="stale", synced_at=now - 2 * DAY)
    make_organization(name="never read", synced_at=None)
    make_organization(name="missing", missing_since=now)
    make_organization(name="drifted", scope="organizations.read")
    make_organization(name="unknown scope", scope="")
    make_organization(name="failing", last_error="invalid_client")
    make_organization(name="lost", connection_status="lost", synced_at=None, last_error="invalid_grant")
    make_organization(name="gone", connection_status="disconnected", missing_since=now)
    make_organization(
        name="waiting", connection_status="disconnected", pending_revocation=Secret("x"), scope=""
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("health=stale", "never read, stale"),
        ("health=missing", "missing"),
        ("health=consent", "drifted"),
        ("health=error", "failing"),
        ("health=revocation", "waiting"),
        ("connection_status__exact=lost", "lost"),
        ("connection_status__exact=disconnected", "gone, waiting"),
    ],
)
def test_filter_finds_and_count_says_the_same(staff, of_every_health, query, found):
    page = staff.get(f"{ORGANIZATIONS}?{query}")

    assert names(page) == found
    count = re.search(rf'<a href="\?{re.escape(query)}">([^<]+): (\d+)</a>', text_of(page))
    assert int(count[2]) == len(found.split(", "))


def test_counts_are_of_all_organizations_and_one_statement(staff, of_every_health):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = staff.get(f"{ORGANIZATIONS}?q=nobody")

    assert names(page) == ""
    assert ">Connected: 7</a>" in text_of(page)
    assert sum(query["sql"].count(" counted)") == 8 for query in queries) == 1


def test_health_filter_of_another_version_shows_everything(staff, of_every_health):
    assert len(staff.get(f"{ORGANIZATIONS}?health=perhaps").context["cl"].result_list) == 10


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("well", "Connected"),
        ("stale", "Not read for a day"),
        ("missing", "Not on Mollie's list"),
        ("drifted", "Needs new consent"),
        ("failing", "Last attempt failed"),
        ("lost", "Connection lost"),
        ("gone", "Disconnected"),
        ("waiting", "Disconnected, Waiting to be revoked"),
    ],
)
def test_health_in_words_in_the_list_and_on_the_page(staff, of_every_health, name, words):
    row = Organization.objects.get(name=name)

    page = staff.get(f"{ORGANIZATIONS}?q={name.replace(' ', '+')}")

    assert f'<td class="field-health">{words}</td>' in text_of(page)
    assert field(staff.get(change(row)), "health") == words


def test_several_flaws_are_all_named(staff, make_organization):
    row = make_organization(synced_at=None, missing_since=timezone.now(), scope="x")

    page = staff.get(change(row))

    assert field(page, "health") == "Not read for a day, Not on Mollie's list, Needs new consent"
    assert field(page, "lacking") == "organizations.read, onboarding.read, onboarding.write"


def test_list_names_the_merchants(staff, make_organization, make_merchant):
    organization = make_organization()
    rows = [make_merchant(organization, organization_name=f"Merchant {number}") for number in range(5)]
    make_merchant(organization, status=Status.CANCELLED, organization_name="Cancelled")
    alone = make_organization()

    page = text_of(staff.get(ORGANIZATIONS))

    assert change(rows[4]) in page
    assert change(rows[0]) not in page
    assert "and 2 more" in page
    assert "Cancelled" not in page.split("<tbody>")[1].split("</tbody>")[0]
    assert alone.organization_id in page
    for row in rows:
        assert change(row) in field(staff.get(change(organization)), "all_merchants")


@pytest.mark.parametrize("word", [*ERROR_SENTENCES, "503", "invalid_request", "<b>odd</b>"])
def test_last_error_is_a_whole_sentence_that_says_who_does_what(staff, make_organization, word):
    page = staff.get(change(make_organization(last_error=word)))

    sentence = field(page, "error")
    assert sentence == str(explain_error(word))
    assert sentence.endswith(".")
    assert re.search(r"[Aa] developer must|[Tt]he merchant|[Nn]othing is to be done", sentence)
    assert b"<b>odd" not in page.content


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (NotConnectedError("org_1", "lost"), "The merchant must connect again"),
        (NotConnectedError("org_1", "disconnected"), "The connection was ended meanwhile."),
        (MollieConnectionError("timed out"), "no usable answer"),
        (MollieResponseError(403, "no"), "(403)"),
        (InvalidGrantError(400, "", error="invalid_grant"), "no longer accepts"),
        (DecryptionError("x"), "MOLLIE_ONBOARDING_ENCRYPTION_KEYS"),
        (ImproperlyConfigured("x"), "settings do not fit"),
        (DatabaseError("deadlock"), "Try again in a moment."),
    ],
)
def test_failures_are_explained(exc, words):
    assert words in str(explain_failure(exc))


def test_connection_without_a_refresh_token_asks_for_the_merchant():
    assert "The merchant must connect again" in str(explain_error("no_refresh_token"))


# The page of an organization.

SHOWN_REMEDIES = [
    ({"connection_status": "lost"}, "must agree again", "send"),
    ({"scope": "organizations.read"}, "asks for more", "send"),
    ({"missing_since": timezone.now()}, "no longer has it", "read"),
    ({"synced_at": None}, "may be old", "read"),
    ({"last_error": "no_answer"}, "last attempt", "read"),
    ({"connection_status": "disconnected", "pending_revocation": Secret("x")}, "not confirmed", "revoke"),
]


@pytest.mark.parametrize(("columns", "words", "action"), SHOWN_REMEDIES)
def test_page_says_what_mends_it_with_the_button_that_does(
    staff, make_organization, make_merchant, columns, words, action
):
    row = make_organization(**columns)
    make_merchant(row)

    page = text_of(staff.get(change(row)))

    remedies = page.split('id="remedies"')[1].split("</section>")[0]
    assert words in remedies
    assert page_of(row, action) in remedies


def test_page_of_a_disconnected_organization_names_the_way_back(staff, make_organization, make_merchant):
    row = make_organization(connection_status="disconnected")
    merchant = make_merchant(row)

    page = text_of(staff.get(change(row)))

    assert "from the merchant's own page" in page
    assert change(merchant) in page
    for action in ("send", "read", "revoke", "disconnect"):
        assert page_of(row, action) not in page


def test_page_of_a_well_organization_mends_nothing(staff, make_organization):
    page = text_of(staff.get(change(make_organization())))

    assert 'id="remedies"' not in page
    assert page.count("/read/") == page.count("/disconnect/") == 1


def test_viewer_reads_what_mends_it_and_gets_no_button(make_organization):
    row = make_organization(connection_status="lost")

    page = text_of(make_staff_with("view_organization").get(change(row)))

    assert "must agree again" in page
    assert "/send/" not in page
    assert "/disconnect/" not in page


def test_register_data_are_shown(staff, make_organization):
    row = make_organization(country="NL", registration_number="30204462", vat_number="NL815839091B01")

    page = staff.get(change(row))

    assert field(page, "country") == "NL"
    assert field(page, "registration_number") == "30204462"
    assert field(page, "vat_number") == "NL815839091B01"


def test_requirements_are_readable(staff, make_organization):
    row = make_organization(
        capabilities=[
            {"name": "payments", "status": "enabled", "status_reason": "", "requirements": []},
            {
                "name": "settlements",
                "status": "disabled",
                "status_reason": "requirement-past-due",
                "requirements": [
                    {
                        "id": "needs-data",
                        "status": "past-due",
                        "due_at": "2027-01-02T00:00:00+00:00",
                        "url": "https://my.mollie.com/dashboard/onboarding",
                    },
                    {"id": "something-new", "status": "", "due_at": None, "url": "javascript:alert(1)"},
                ],
            },
        ]
    )

    page = field(staff.get(change(row)), "requirements")

    assert "Payments: enabled" in page
    assert "Payouts: disabled, a requirement is overdue" in page
    assert "Mollie needs more data (overdue, until 2027-01-02)" in page
    assert '<a href="https://my.mollie.com/dashboard/onboarding" rel="noreferrer">' in page
    assert "something-new javascript:alert(1)" in page
    assert 'href="javascript' not in page


@pytest.mark.parametrize(
    "capabilities",
    [
        None,
        "text",
        7,
        {"name": "payments"},
        [None, 1, "x", []],
        [{}],
        [{"name": ["payments"], "requirements": {"id": 1}}],
        [{"name": "<script>", "requirements": [None, "x", {"id": {}, "due_at": "soon", "url": 5}]}],
        [{"requirements": [{"id": "x", "due_at": "0001-01-01T00:00:00+14:00"}]}],
        [{"requirements": [{"id": "x", "due_at": "9999-12-31T23:59:59-14:00"}]}],
    ],
)
def test_odd_json_in_the_requirements_is_no_error(staff, make_organization, capabilities):
    row = make_organization()
    Organization.objects.filter(pk=row.pk).update(capabilities=capabilities or [])

    page = staff.get(change(row))

    assert page.status_code == 200
    assert b"<script>}" not in page.content
    assert field(page, "requirements")


def test_dashboard_of_another_kind_is_no_link(staff, make_organization):
    page = staff.get(change(make_organization(dashboard_url="javascript:alert(1)")))

    assert field(page, "dashboard") == "javascript:alert(1)"


def test_histories_tell_what_happened_to_the_connection(staff, operator, make_organization, make_merchant):
    row = make_organization()
    merchant, other = make_merchant(row), make_merchant(row, organization_name="Other merchant")
    status = {"onboarding_status": "needs-data", "can_receive_payments": False}
    Event.objects.record(
        "connected", client_link_id=other.pk, organization=row, data={"organization_id": "org_0"}
    )
    Event.objects.record(
        "onboarding_status_changed",
        organization=row,
        data={"old": status, "new": {"onboarding_status": "odd", "can_receive_payments": True}},
    )
    Event.objects.record("disconnected", organization=row, actor=operator, data={"client_links": 2})

    of_organization = field(staff.get(change(row)), "history")
    of_merchant = field(staff.get(change(merchant)), "history")

    for history in (of_organization, of_merchant):
        assert "Disconnected (merchants: 2) by operator" in history
        assert (
            "Onboarding status changed (before: onboarding status: Mollie needs more data, can receive payments: no; "
            "now: onboarding status: odd, can receive payments: yes)" in history
        )
    assert "Connected (Other merchant; organization id: org_0)" in of_organization
    assert "Other merchant" not in of_merchant


def test_history_has_words_for_the_particulars(staff, make_client_link):
    row = make_client_link()
    for data in (
        {"columns": ["owner_email", "user_id", "from_a_later_version"]},
        {"identity_check": "differs", "problem": "organization_taken"},
        {"mollie_id": "cl_1", "error": "server_error", "later": "<i>"},
    ):
        Event.objects.record("edited", client_link_id=row.pk, data=data)

    history = field(staff.get(change(row)), "history")

    assert "(changed: e-mail address, user, from_a_later_version)" in history
    assert "identity check: Differs; problem: The Mollie organization belongs to another merchant" in history
    assert "id at Mollie: cl_1; error: server_error; later: <i>" in history
    assert b"<i>" not in staff.get(change(row)).content


# Every action: asks first, minds its permission, and changes nothing on GET.


@pytest.fixture
def one_of_each(make_organization, make_merchant, disconnected) -> dict[str, Organization]:
    """For each action an organization to which it does something."""
    lost, well = make_organization(connection_status="lost"), make_organization()
    make_merchant(lost)
    make_merchant(well, organization_name="Well Ltd")
    return {"send_link_again": lost, "read_status": well, "revoke_again": disconnected, "disconnect": well}


@pytest.mark.parametrize("action", ACTIONS)
def test_action_does_nothing_before_yes(sandbox, staff, one_of_each, action):
    row, path = one_of_each[action], ACTIONS[action][0]
    before = snapshot()

    page = act(staff, action, row)
    assert page.context["affected_count"] == 1
    assert str(row) in listed(page, "affected")
    for response in (
        staff.get(page_of(row, path)),
        staff.head(page_of(row, path)),
        staff.get(f"{page_of(row, path)}?post=yes"),
        staff.get(f"{ORGANIZATIONS}?action={action}&_selected_action={row.pk}&post=yes", follow=True),
        staff.post(page_of(row, path), csrf(staff)),
        act(staff, action, row, post="no"),
    ):
        assert response.status_code == 200

    assert snapshot() == before
    assert sandbox.calls() == []
    assert mail.outbox == []


@pytest.mark.parametrize("action", ACTIONS)
def test_action_without_a_csrf_token_is_refused(sandbox, staff, one_of_each, action):
    row, path = one_of_each[action], ACTIONS[action][0]
    before = snapshot()

    assert staff.post(page_of(row, path), {"post": "yes"}).status_code == 403
    fields = {"action": action, "_selected_action": row.pk, "post": "yes"}
    assert staff.post(ORGANIZATIONS, fields).status_code == 403

    assert snapshot() == before


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("permission", ["send_clientlink", "disconnect_organization", "change_organization"])
def test_action_is_there_only_with_its_permission(sandbox, one_of_each, action, permission):
    row, (path, needed) = one_of_each[action], ACTIONS[action]
    browser = make_staff_with("view_organization", permission)
    offered = re.findall(r'<option value="(\w+)"', browser.get(ORGANIZATIONS).content.decode())
    page = browser.get(page_of(row, path))
    assert (action in offered) == (permission == needed)
    assert (page_of(row, path) in text_of(browser.get(change(row)))) == (permission == needed)
    if permission == needed:
        assert page.status_code == 200
        return

    before = snapshot()
    assert page.status_code == 403
    assert browser.post(page_of(row, path), {"post": "yes", **csrf(browser)}).status_code == 403
    act(browser, action, row, post="yes")
    assert snapshot() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_permission_to_act_is_none_to_look(one_of_each, action):
    row, (path, needed) = one_of_each[action], ACTIONS[action]
    browser = make_staff_with(needed)
    before = snapshot()

    assert browser.get(page_of(row, path)).status_code == 403
    assert browser.post(page_of(row, path), {"post": "yes", **csrf(browser)}).status_code == 403
    assert act(browser, action, row, post="yes").status_code == 403

    assert snapshot() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_strangers_are_sent_to_the_login(one_of_each, action):
    row, path = one_of_each[action], ACTIONS[action][0]
    merchant = log_in(get_user_model().objects.create_user("merchant"))

    for browser in (Client(), merchant):
        assert browser.get(page_of(row, path)).headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("action", ACTIONS)
def test_organization_that_is_not_there_is_not_an_error(staff, one_of_each, action):
    row, path = one_of_each[action], ACTIONS[action][0]
    page = staff.get(page_of(row, path))
    ClientLink.objects.all().delete()
    Organization.objects.all().delete()

    assert staff.get(page_of(row, path)).status_code == 200
    response = staff.post(page_of(row, path), hidden_fields(page), follow=True)

    assert "1 row is no longer in this list; nothing was done to it." in said(response)


# Disconnecting.


@committing
def test_disconnect_names_every_merchant_and_then_ends_the_connection(
    sandbox, staff, operator, make_merchant
):
    shared, single = connect(sandbox, 2)
    for name in ("One", "Two"):
        make_merchant(shared, organization_name=name, owner_email=f"{name}@m.example")
    make_merchant(single, organization_name="Alone & Co")

    page = act(staff, "disconnect", shared, single)

    affected = listed(page, "affected")
    for words in ("One - One@m.example", "Two - Two@m.example", "2 merchants share it", "Alone & Co"):
        assert words in affected
    assert "Payments through the platform stop at once" in text_of(page)
    assert "You cannot undo this. Only the merchant can" in text_of(page)
    response = staff.post(ORGANIZATIONS, hidden_fields(page), follow=True)
    assert said(response) == ["2 organizations were disconnected."]
    for row in (shared, single):
        assert status_of(row) == Connection.DISCONNECTED
        assert row.access_token is row.refresh_token is row.pending_revocation is None
        assert row.events.get(kind="disconnected").actor == operator
    assert len(sandbox.calls("revoke")) == 2


def test_disconnect_of_an_organization_without_merchants_says_so(staff, make_organization):
    assert "No merchant is connected to it." in listed(
        act(staff, "disconnect", make_organization()), "affected"
    )


def test_disconnect_names_fifty_merchants_and_counts_the_others(staff, make_organization):
    row = make_organization()
    ClientLink.objects.bulk_create(
        ClientLink(**MERCHANT, status=Status.CONNECTED, organization=row)
        for _ in range(organization_actions.SHOWN_MERCHANTS + 2)
    )

    affected = listed(act(staff, "disconnect", row), "affected")

    assert affected.count("jan@bakkerij-jansen.example") == organization_actions.SHOWN_MERCHANTS
    assert "52 merchants share it" in affected
    assert "and 2 more" in affected


@committing
def test_double_press_disconnects_once(sandbox, staff, make_merchant):
    [row] = connect(sandbox, 1)
    make_merchant(row)
    fields = hidden_fields(staff.get(page_of(row, "disconnect")))

    first = staff.post(page_of(row, "disconnect"), fields, follow=True)
    second = staff.post(page_of(row, "disconnect"), fields, follow=True)

    assert first.redirect_chain == [(change(row), 302)]
    assert said(first) == ["1 organization was disconnected."]
    assert said(second)[-1] == f"{row}: It is disconnected already."
    assert row.events.filter(kind="disconnected").count() == 1


@committing
def test_old_confirmation_does_not_disconnect_who_connected_again(sandbox, staff, make_merchant):
    [row] = connect(sandbox, 1)
    make_merchant(row)
    fields = hidden_fields(act(staff, "disconnect", row))
    Organization.objects.filter(pk=row.pk).update(authorized_at=timezone.now())

    response = staff.post(ORGANIZATIONS, fields, follow=True)

    assert said(response) == [f"{row}: The merchant has connected again since you were asked."]
    assert status_of(row) == Connection.CONNECTED


@committing
def test_disconnect_that_loses_a_race_is_reported(sandbox, staff, monkeypatch):
    [row] = connect(sandbox, 1)
    monkeypatch.setattr(services, "disconnect", lambda row, actor: False)

    assert said(confirm(staff, "disconnect", row)) == [f"{row}: It is disconnected already."]


@committing
def test_disconnect_goes_on_after_a_failure(sandbox, staff, monkeypatch):
    rows = connect(sandbox, 3)
    disconnect = services.disconnect

    def fail_once(row: Organization, *, actor: Any) -> bool:
        if row == rows[1]:
            raise DatabaseError("deadlock")
        return disconnect(row, actor=actor)

    monkeypatch.setattr(services, "disconnect", fail_once)

    response = confirm(staff, "disconnect", *rows)

    assert sorted(said(response)) == [
        "2 organizations were disconnected.",
        f"{rows[1]}: The database did not take it. Try again in a moment.",
    ]
    assert [status_of(row) for row in rows] == ["disconnected", "connected", "disconnected"]


@committing
def test_disconnect_says_of_whom_mollie_has_not_been_told(sandbox, staff):
    [row] = connect(sandbox, 1)
    sandbox.add_fault("revoke", "server_error", times=None)

    response = confirm(staff, "disconnect", row)

    assert said(response) == [
        "1 organization was disconnected.",
        "Mollie has not yet been told of 1 organization; that is tried again by itself.",
    ]
    assert field(staff.get(change(row)), "health") == "Disconnected, Waiting to be revoked"


def test_rows_that_left_the_list_through_its_filter_are_counted(staff, make_organization):
    rows = [make_organization(synced_at=None) for _ in range(3)]
    page = staff.post(
        f"{ORGANIZATIONS}?health=stale",
        {"action": "disconnect", "_selected_action": [row.pk for row in rows], **csrf(staff)},
    )
    Organization.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).update(synced_at=timezone.now())

    response = staff.post(f"{ORGANIZATIONS}?health=stale", hidden_fields(page), follow=True)

    assert "2 rows are no longer in this list; nothing was done to them." in said(response)
    assert "1 organization was disconnected." in said(response)


def test_skipped_rows_are_named_up_to_a_hundred(staff, make_organization):
    rows = [make_organization(connection_status="disconnected") for _ in range(SHOWN_ON_CONFIRMATION + 1)]

    response = act(staff, "disconnect", *rows, post="yes")

    assert len(said(response)) == SHOWN_ON_CONFIRMATION + 1
    assert said(response)[-1] == "1 more was skipped."


# Sending a link again.


@committing
def test_send_again_mails_the_newest_merchant_of_each(
    sandbox, staff, operator, make_organization, make_merchant
):
    lost = make_organization(connection_status="lost")
    drifted = make_organization(scope="organizations.read onboarding.read")
    for name in ("old", "new"):
        make_merchant(lost, organization_name=name, owner_email=f"{name}@m.example")
    ClientLink.objects.filter(organization_name="old").update(created_at=timezone.now() - DAY)
    make_merchant(drifted, owner_email="drifted@m.example", send_count=1, last_sent_at=timezone.now() - DAY)
    well, gone, alone = (
        make_organization(),
        make_organization(connection_status="disconnected"),
        make_organization(connection_status="lost"),
    )
    make_merchant(well)
    make_merchant(gone)

    page = act(staff, "send_link_again", lost, drifted, well, gone, alone)

    affected, skipped = listed(page, "affected"), listed(page, "skipped")
    assert "new - new@m.example" in affected
    assert "old@m.example" not in affected
    assert "The mail asks to connect again." in affected
    assert "The mail asks for consent again. Missing: onboarding.write" in affected
    assert "(sent 1 time before" in affected
    assert f"{well} - The merchant is connected." in skipped.replace("\N{EN DASH}", "-")
    assert "It was disconnected on purpose." in skipped
    assert "No merchant is connected to it." in skipped
    response = staff.post(ORGANIZATIONS, hidden_fields(page), follow=True)
    assert {message.to[0] for message in mail.outbox} == {"new@m.example", "drifted@m.example"}
    assert said(response)[0] == "2 onboarding links were sent."
    assert len(said(response)) == 4
    sent = ClientLink.objects.get(organization_name="new")
    assert sent.events.get(kind="send_requested").actor == operator


@committing
def test_double_press_sends_one_mail(sandbox, staff, make_organization, make_merchant):
    row = make_organization(connection_status="lost")
    make_merchant(row)
    fields = hidden_fields(act(staff, "send_link_again", row))

    staff.post(ORGANIZATIONS, fields)
    response = staff.post(ORGANIZATIONS, fields, follow=True)

    assert len(mail.outbox) == 1
    assert said(response)[-1] == f"{row}: A mail went out since you were asked."


@committing
def test_old_confirmation_mails_nobody_who_connected_again(sandbox, staff, make_organization, make_merchant):
    row = make_organization(connection_status="lost")
    make_merchant(row)
    fields = hidden_fields(act(staff, "send_link_again", row))
    Organization.objects.update(connection_status="connected")

    response = staff.post(ORGANIZATIONS, fields, follow=True)

    assert mail.outbox == []
    assert said(response) == [f"{row}: The merchant is connected."]


# Reading the status.


@committing
def test_read_asks_mollie_and_says_what_became_of_each(sandbox, staff, make_organization):
    rows = connect(sandbox, 2)
    sandbox.move_onboarding(
        rows[0].organization_id, "completed", can_receive_payments=True, can_receive_settlements=True
    )
    lost = make_organization(connection_status="lost")

    response = confirm(staff, "read_status", *rows, lost)

    assert said(response) == [
        "2 organizations were read.",
        f"{lost}: It is not connected, so Mollie cannot be asked about it.",
    ]
    rows[0].refresh_from_db()
    assert rows[0].onboarding_status == "completed"
    assert rows[0].can_receive_settlements
    too_early = [f"{row}: It was read less than a minute ago." for row in rows]
    assert sorted(said(confirm(staff, "read_status", *rows))[-2:]) == sorted(too_early)


@committing
def test_read_goes_on_after_a_failure_and_explains_it(sandbox, staff):
    rows = connect(sandbox, 3)
    revoked, broken, _well = rows
    sandbox.revoke_authorizations(revoked.organization_id)
    Organization.objects.filter(pk=broken.pk).update(
        access_token=Secret(stored="fernet1$odd"), refresh_token=Secret(stored="fernet1$odd")
    )

    response = confirm(staff, "read_status", *rows)

    text = "\n".join(said(response))
    assert "1 organization was read." in text
    assert f"{revoked}: {ERROR_SENTENCES['invalid_grant']}" in text
    assert f"{broken}: {ERROR_SENTENCES['DecryptionError']}" in text
    assert status_of(revoked) == Connection.LOST


def test_read_takes_25_at_once(staff, make_organization):
    rows = [make_organization() for _ in range(organization_actions.MOST_READINGS + 2)]

    page = act(staff, "read_status", *rows)

    assert (page.context["affected_count"], page.context["skipped_count"]) == (25, 2)
    assert "Only 25 at once." in listed(page, "skipped")


@committing
def test_read_stops_in_time(sandbox, staff, monkeypatch):
    rows = connect(sandbox, 3)
    moments = iter([0.0, 1.0, 21.0])
    monkeypatch.setattr(organization_actions.time, "monotonic", lambda: next(moments, 30.0))
    monkeypatch.setattr(services, "check_onboarding_status", lambda row: True)

    response = confirm(staff, "read_status", *rows)

    assert said(response)[0] == "1 organization was read."
    assert [message.split(": ")[1] for message in said(response)[1:]] == [
        "Mollie took so long that there was no time left. Press again."
    ] * 2


# Revoking again.


@committing
def test_revoke_again_ends_what_waited(sandbox, staff, make_organization):
    [row] = connect(sandbox, 1)
    sandbox.add_fault("revoke", "server_error")
    services.disconnect(row)
    well = make_organization()
    row.refresh_from_db()
    assert row.pending_revocation is not None

    response = confirm(staff, "revoke_again", row, well)

    assert said(response) == [
        "The tokens of 1 organization were revoked.",
        f"{well}: Nothing is waiting to be revoked.",
    ]
    row.refresh_from_db()
    assert row.pending_revocation is None


@committing
def test_revoke_again_says_when_mollie_does_not_answer(sandbox, staff, disconnected):
    sandbox.add_fault("revoke", "server_error", times=None)

    response = confirm(staff, "revoke_again", disconnected)

    assert said(response) == [f"{disconnected}: Mollie did not confirm it. It is tried again by itself."]
    assert "Mollie has not confirmed it" in field(staff.get(change(disconnected)), "error")


@committing
def test_revoke_again_that_loses_a_race_is_reported(staff, disconnected, monkeypatch):
    monkeypatch.setattr(services, "revoke_tokens", lambda pk: None)

    assert said(confirm(staff, "revoke_again", disconnected)) == [
        f"{disconnected}: Nothing is waiting to be revoked."
    ]


# Inside the platform's transactions.


@committing
@pytest.mark.parametrize("from_list", [True, False])
def test_actions_that_call_mollie_work_under_atomic_requests(
    sandbox, staff, make_merchant, atomic_requests, from_list
):
    [row] = connect(sandbox, 1)
    make_merchant(row)
    sandbox.add_fault("revoke", "server_error")

    for action in ("read_status", "disconnect", "revoke_again"):
        if from_list:
            confirm(staff, action, row)
        else:
            address = page_of(row, ACTIONS[action][0])
            staff.post(address, hidden_fields(staff.get(address)))

    row.refresh_from_db()
    assert row.onboarding_status
    assert row.connection_status == Connection.DISCONNECTED
    assert row.pending_revocation is None


# One organization, two merchants.


@pytest.fixture
def clash(make_client_link, make_organization, make_merchant) -> ClientLink:
    """A merchant who came back with the organization of two others."""
    taken = make_organization(organization_id="org_taken", name="Taken B.V.")
    make_merchant(taken, organization_name="Holder One")
    make_merchant(taken, organization_name="Holder Two")
    return make_client_link(
        organization_name="Latecomer",
        status=Status.STARTED,
        problem=Problem.ORGANIZATION_TAKEN,
        refused_organization_id="org_taken",
    )


def section(response: Any, name: str) -> str:
    text = text_of(response)
    return text.split(f'id="{name}"')[1].split("</section>")[0] if f'id="{name}"' in text else ""


def test_clash_is_shown_with_its_ways_out(staff, clash):
    shown = section(staff.get(change(clash)), "refused-organization")

    assert "org_taken, which another merchant has" in shown
    for holder in ClientLink.objects.filter(organization__isnull=False):
        assert change(holder) in shown
    assert change(Organization.objects.get()) in shown
    for action in ("share", "send", "review"):
        assert page_of(clash, action) in shown


def test_clash_about_an_organization_that_is_gone_is_shown(staff, make_client_link):
    row = make_client_link(problem=Problem.ORGANIZATION_TAKEN, refused_organization_id="org_gone")

    assert "Nobody has it any more." in section(staff.get(change(row)), "refused-organization")
    assert "belongs to" not in listed(staff.get(page_of(row, "share")), "affected")


def test_sharing_asks_first_and_is_then_allowed(staff, operator, clash):
    before = snapshot()
    page = staff.get(page_of(clash, "share"))
    staff.post(page_of(clash, "share"), csrf(staff))
    assert snapshot() == before
    assert "org_taken belongs to: Holder One, Holder Two" in listed(page, "affected")

    response = staff.post(page_of(clash, "share"), hidden_fields(page), follow=True)

    clash.refresh_from_db()
    assert (clash.may_share_organization, clash.problem) == (True, "")
    assert clash.events.get(kind="sharing_allowed").actor == operator
    assert said(response) == [
        "Latecomer may share the organization now. The merchant has to connect again: send the onboarding link."
    ]
    assert page_of(clash, "send") in text_of(response)
    assert section(response, "refused-organization") == ""
    again = staff.post(page_of(clash, "share"), hidden_fields(page), follow=True)
    assert said(again)[-1] == "Latecomer: No organization is waiting to be shared."
    assert clash.events.count() == 1


def test_sharing_is_no_action_of_the_list(staff, clash):
    assert 'value="allow_sharing"' not in staff.get(LIST).content.decode()

    act(staff, "allow_sharing", clash, post="yes")

    clash.refresh_from_db()
    assert not clash.may_share_organization


def test_other_organization_is_shown_with_both(staff, make_organization, make_merchant):
    connected, came_back = make_organization(name="Old"), make_organization(name="New")
    row = make_merchant(
        connected, problem=Problem.OTHER_ORGANIZATION, refused_organization_id=came_back.organization_id
    )

    shown = section(staff.get(change(row)), "refused-organization")

    assert "Another Mollie organization than before" in shown
    assert change(connected) in shown
    assert change(came_back) in shown
    assert page_of(row, "review") in shown
    assert page_of(row, "share") not in shown


# Identities.


@pytest.fixture
def differing(make_organization, make_merchant) -> ClientLink:
    organization = make_organization(name="Stranger B.V.", country="BE", registration_number="0123456789")
    return make_merchant(organization, identity_check=IdentityCheck.DIFFERS)


def test_identity_is_shown_from_both_sides(staff, differing):
    shown = " ".join(section(staff.get(change(differing)), "identity").split())

    assert "<td>Bakkerij Jansen</td><td>Stranger B.V.</td>" in shown
    assert "<td>NL</td><td>BE</td>" in shown
    assert "<td>30204462</td><td>0123456789</td>" in shown
    assert "<td>NL815839091B01</td><td>-</td>" in shown
    assert page_of(differing, "review") in shown
    assert change(differing.organization) in shown


def test_identity_that_matches_is_not_in_question(staff, make_organization, make_merchant):
    row = make_merchant(make_organization(), identity_check=IdentityCheck.MATCHES)

    assert section(staff.get(change(row)), "identity") == ""
    assert page_of(row, "review") not in text_of(staff.get(change(row)))


def test_identity_is_confirmed_by_a_button(staff, operator, differing):
    page = staff.get(page_of(differing, "review"))
    assert "The identity of the Mollie organization is confirmed." in listed(page, "affected")
    differing.refresh_from_db()
    assert differing.identity_check == IdentityCheck.DIFFERS

    response = staff.post(page_of(differing, "review"), hidden_fields(page), follow=True)

    differing.refresh_from_db()
    assert differing.identity_check == IdentityCheck.CONFIRMED
    assert said(response) == ["1 merchant was marked as reviewed."]
    assert "Marked as reviewed (identity check: Differs) by operator" in field(response, "history")


def test_rows_are_marked_as_reviewed_in_the_list(staff, differing, clash, make_client_link):
    well = make_client_link(organization_name="Well")
    page = act(staff, "mark_reviewed", differing, clash, well)
    assert "Seen: The Mollie organization belongs to another merchant" in listed(page, "affected")
    assert "Well - There is nothing to review." in listed(page, "skipped")

    response = staff.post(LIST, hidden_fields(page), follow=True)

    assert said(response) == ["2 merchants were marked as reviewed.", "1 merchant was skipped."]
    assert names_attention(staff) == []
    again = staff.post(LIST, hidden_fields(page), follow=True)
    assert said(again)[-1] == "3 merchants were skipped."


def names_attention(browser: Client) -> list[str]:
    return [row.organization_name for row in browser.get(f"{LIST}?attention=yes").context["cl"].result_list]


@pytest.mark.parametrize(("action", "path"), [("mark_reviewed", "review"), ("allow_sharing", "share")])
def test_decisions_take_the_permission_to_change(clash, action, path):
    browser = make_staff_with("view_clientlink", "send_clientlink", "cancel_clientlink")
    before = snapshot()

    assert page_of(clash, path) not in text_of(browser.get(change(clash)))
    assert browser.get(page_of(clash, path)).status_code == 403
    assert browser.post(page_of(clash, path), {"post": "yes", **csrf(browser)}).status_code == 403
    act(browser, action, clash, post="yes")

    assert snapshot() == before
    allowed = make_staff_with("view_clientlink", "change_clientlink")
    assert allowed.get(page_of(clash, path)).status_code == 200


@pytest.mark.parametrize("path", ["review", "share"])
def test_decisions_without_a_csrf_token_are_refused(staff, clash, path):
    before = snapshot()

    assert staff.post(page_of(clash, path), {"post": "yes"}).status_code == 403
    assert snapshot() == before


# Scope drift.


@committing
def test_drifted_merchant_is_asked_for_consent_again(sandbox, staff, make_organization, make_merchant):
    row = make_merchant(make_organization(scope="organizations.read payments.read"))
    scopes = field(staff.get(change(row)), "scopes")
    assert "Granted: organizations.read, payments.read" in scopes
    assert "Missing: onboarding.read, onboarding.write" in scopes

    page = act(staff, "send_onboarding_link", row)
    assert "The mail asks for consent again. Missing: onboarding.read, onboarding.write" in listed(
        page, "affected"
    )
    staff.post(LIST, hidden_fields(page))

    assert len(mail.outbox) == 1


def test_row_with_every_scope_misses_none(staff, make_organization, make_merchant):
    scopes = field(staff.get(change(make_merchant(make_organization()))), "scopes")

    assert "Granted: organizations.read" in scopes
    assert "Missing" not in scopes


def test_row_whose_organization_was_disconnected_says_so(staff, make_organization, make_merchant):
    row = make_merchant(make_organization(connection_status="disconnected"))

    assert field(staff.get(change(row)), "attention") == "Disconnected"


def test_every_state_that_is_not_well_has_a_remedy():
    assert {key for key, _sentence, _action in REMEDIES} == {
        "lost",
        "disconnected",
        *(flaw.key for flaw in FLAWS),
    }
