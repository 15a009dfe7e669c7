"""What operators see and do: lists in few statements, actions that ask first, and no token anywhere."""

from __future__ import annotations

import html
import re
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.admin import large_lists
from mollie_onboarding.admin.confirming import SHOWN_ON_CONFIRMATION
from mollie_onboarding.admin.health import FLAWS
from mollie_onboarding.admin.labels import EVENT_LABELS
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import AuthorizationRequest, Batch, ClientLink, Event, Organization, Status
from tests.conftest import MERCHANT, authorization_url, kinds, log_in

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

LIST = "/admin/mollie_onboarding/clientlink/"
ADD = f"{LIST}add/"
ORGANIZATIONS = "/admin/mollie_onboarding/organization/"
DAY = timedelta(days=1)
CANARIES = ("access_canary", "refresh_canary", "pending_canary", "committed_canary")


def make_staff_with(*codenames: str) -> Client:
    user = get_user_model().objects.create_user(f"staff {codenames}", is_staff=True)
    permissions = Permission.objects.filter(codename__in=codenames)
    assert permissions.count() == len(codenames)
    user.user_permissions.set(permissions)
    return log_in(user)


@pytest.fixture
def make_staff():
    """An operator with some permissions only, by codename."""

    return make_staff_with


@pytest.fixture
def make_organization():
    def make(**columns: Any) -> Organization:
        number = Organization.objects.count()
        columns = {"organization_id": f"org_{number}", "name": f"Organization {number}", **columns}
        return Organization.objects.create(**columns)

    return make


def change(row: Any) -> str:
    return reverse(f"admin:mollie_onboarding_{row._meta.model_name}_change", args=[row.pk])


def page_of(row: Any, action: str) -> str:
    """The address of a button."""
    return reverse(f"admin:mollie_onboarding_{row._meta.model_name}_{action}", args=[row.pk])


def send_page(row: ClientLink) -> str:
    return page_of(row, "send")


def cancel_page(row: ClientLink) -> str:
    return page_of(row, "cancel")


def names_in_list(response: Any) -> list[str]:
    return sorted(row.organization_name for row in response.context["cl"].result_list)


def hidden_fields(response: Any) -> dict[str, Any]:
    """The hidden fields of the page's own form, as a browser would post them."""
    form = re.split('<form method="post"[^>]*>', response.content.decode())[1].split("</form>")[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(html.unescape(value))
    return fields


def csrf(browser: Client) -> dict[str, str]:
    if "csrftoken" not in browser.cookies:
        browser.get("/admin/password_change/")
    return {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value}


def act(browser: Client, action: str, *rows: Any, **fields: Any) -> Any:
    """Choose an action for some rows of the list."""
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    path = f"/admin/mollie_onboarding/{rows[0]._meta.model_name}/"
    return browser.post(path, {**chosen, **csrf(browser), **fields}, follow="post" in fields)


def form_of(browser: Client, path: str) -> dict[str, Any]:
    """What the change form would post if nothing were edited."""
    form = browser.get(path).context["adminform"].form
    fields = {name: form[name].value() for name in form.fields}
    return {name: "" if value is None else value for name, value in fields.items()} | csrf(browser)


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)] or [
        str(message) for message in response.context["messages"]
    ]


def listed(response: Any, name: str) -> str:
    """One of the lists of a confirmation page: `affected` or `skipped`."""
    text = html.unescape(response.content.decode()).replace("\N{EN DASH}", "-")
    return text.split(f'<ul id="{name}">')[1].split("</ul>")[0] if f'<ul id="{name}">' in text else ""


def snapshot() -> list[Any]:
    models = (ClientLink, Organization, AuthorizationRequest, Event)
    return [str(list(model.objects.order_by("pk").values())) for model in models]


def cell(row: str, column: str) -> str:
    """The text of a column, from the HTML of one row of the list."""
    return re.search(rf'<td class="field-{column}[^"]*">(.*?)</td>', row)[1]


# The list.


def test_list_shows_what_an_operator_needs(staff, make_client_link, make_organization):
    now = timezone.now()
    make_client_link(
        organization_name="Connected Ltd",
        status=Status.CONNECTED,
        organization=make_organization(name="Mollie's name", organization_id="org_77"),
        identity_check=ClientLink.IdentityCheck.DIFFERS,
        expires_at=now - DAY,
    )
    make_client_link(
        organization_name="Ready Ltd",
        status=Status.READY,
        expires_at=now - DAY,
        last_sent_at=now,
    )
    make_client_link(organization_name="Rejected Ltd", status=Status.REJECTED)
    make_client_link(organization_name="Failed Ltd", problem=ClientLink.Problem.MAIL_FAILED)
    make_client_link(organization_name="Waiting Ltd", send_requested_at=now - DAY)
    make_client_link(organization_name="Alive Ltd", expires_at=now + DAY, send_requested_at=now)

    page = staff.get(LIST)

    text = html.unescape(page.content.decode())
    rows = {
        re.search(r'field-organization_name">\s*<a[^>]*>([^<]+)', row)[1]: row
        for row in text.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    }
    assert re.search(r"<a[^>]*>org_77</a>", cell(rows["Connected Ltd"], "connected_to"))
    assert cell(rows["Ready Ltd"], "connected_to") == "-"
    assert "Check identity" in rows["Connected Ltd"]
    assert cell(rows["Connected Ltd"], "expiry") == "-"
    assert cell(rows["Ready Ltd"], "attention") == "-"
    assert "</s> expired" in rows["Ready Ltd"]
    assert "Correct the data" in rows["Rejected Ltd"]
    assert "The mail could not be sent" in rows["Failed Ltd"]
    assert "The mail is waiting in the queue" in rows["Waiting Ltd"]
    assert cell(rows["Alive Ltd"], "attention") == "-"
    day = timezone.localtime(now + DAY).strftime("%Y-%m-%d")
    assert cell(rows["Alive Ltd"], "expiry").replace("\N{NON-BREAKING HYPHEN}", "-") == day
    assert cell(rows["Ready Ltd"], "last_sent") != "-"
    assert {
        name: cell(row, "status") for name, row in rows.items() if name in ("Ready Ltd", "Rejected Ltd")
    } == {
        "Ready Ltd": "Ready",
        "Rejected Ltd": "Refused by Mollie",
    }


@pytest.mark.parametrize(
    ("delivery_status", "words"), [("", "Not sent"), ("queued", "Queued"), ("sent", "Sent")]
)
def test_row_says_what_became_of_the_mail(staff, make_client_link, delivery_status, words):
    row = make_client_link(delivery_status=delivery_status)

    page = staff.get(change(row)).content.decode()

    assert re.search(rf'field-delivery.*?<div class="readonly">{words}</div>', page, re.DOTALL)


def statements(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(path).status_code == 200
    housekeeping = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return len([query for query in queries if not query["sql"].startswith(housekeeping)])


@pytest.mark.parametrize("path", [LIST, f"{LIST}?q=jansen&status__exact=connected", f"{LIST}?attention=yes"])
def test_list_of_100_rows_takes_8_statements_and_no_more_than_10_rows(staff, make_organization, path):
    def add(count: int) -> None:
        ClientLink.objects.bulk_create(
            ClientLink(
                **MERCHANT,
                status=Status.CONNECTED,
                organization=make_organization(),
                problem=ClientLink.Problem.OTHER_ORGANIZATION,
            )
            for _ in range(count)
        )

    add(10)
    statements(staff, path)
    few = statements(staff, path)
    add(90)
    many = statements(staff, path)

    assert len(staff.get(path).context["cl"].result_list) == 100
    assert many == few
    assert many <= 8


@pytest.fixture
def some_of_each(make_client_link, make_organization):
    now = timezone.now()
    rows: dict[str, dict[str, Any]] = {
        "draft": {},
        "alive": {"status": Status.READY, "expires_at": now + DAY},
        "expired": {"status": Status.STARTED, "expires_at": now - DAY},
        "cancelled": {"status": Status.CANCELLED, "expires_at": now - DAY},
        "connected": {
            "status": Status.CONNECTED,
            "expires_at": now - DAY,
            "organization": make_organization(),
            "identity_check": ClientLink.IdentityCheck.DIFFERS,
        },
        "drifted": {
            "status": Status.CONNECTED,
            "organization": make_organization(scope="organizations.read"),
        },
        "rejected": {"status": Status.REJECTED, "country": "BE"},
        "mail failed": {"problem": ClientLink.Problem.MAIL_FAILED},
        "sent": {"delivery_status": ClientLink.DeliveryStatus.SENT},
        "waiting": {"send_requested_at": now - DAY, "delivery_status": ClientLink.DeliveryStatus.QUEUED},
        "queued": {"send_requested_at": now, "delivery_status": ClientLink.DeliveryStatus.QUEUED},
    }
    for name, columns in rows.items():
        make_client_link(**{"organization_name": name, "reference": f"ref {name}", **columns})
    return set(rows)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("expired=yes", "expired"),
        ("expired=no", "alive"),
        ("attention=yes", "connected, mail failed, rejected, waiting"),
        ("attention=identity", "connected"),
        ("attention=consent", "drifted"),
        ("status__exact=started", "expired"),
        ("status__exact=cancelled", "cancelled"),
        ("delivery_status__exact=sent", "sent"),
        ("delivery_status__exact=queued", "queued, waiting"),
        ("problem__exact=mail_failed", "mail failed"),
        ("country=BE", "rejected"),
        ("q=ref+sent", "sent"),
        ("q=mail", "mail failed"),
        ("q=nobody", ""),
    ],
)
def test_filters_and_search(staff, some_of_each, query, names):
    response = staff.get(f"{LIST}?{query}")

    assert response.status_code == 200
    assert ", ".join(names_in_list(response)) == names


@pytest.mark.parametrize("query", ["", "expired=", "attention=", "expired=perhaps", "attention=perhaps"])
def test_filters_that_say_nothing_show_everything(staff, some_of_each, query):
    assert set(names_in_list(staff.get(f"{LIST}?{query}"))) == some_of_each


@pytest.mark.parametrize(
    ("model", "page"),
    [
        ("clientlink", "change"),
        ("clientlink", "delete"),
        ("organization", "change"),
        ("batch", "delete"),  # which nobody may
    ],
)
def test_empty_to_field_is_no_field(staff, make_client_link, make_organization, model, page):
    """Django's own admin answers 500."""
    row = {
        "clientlink": make_client_link,
        "organization": make_organization,
        "batch": Batch.objects.create,
    }[model]()
    path = reverse(f"admin:mollie_onboarding_{model}_{page}", args=[row.pk])

    assert staff.get(path, {"_to_field": ""}).status_code == (403 if model == "batch" else 200)


def test_filters_are_offered(staff, some_of_each):
    page = html.unescape(staff.get(LIST).content.decode())

    for words in (
        "?expired=yes",
        "?expired=no",
        "?attention=yes",
        "?attention=identity",
        "?attention=consent",
        "?country=BE",
    ):
        assert words in page
    for title in ("attention", "client link at Mollie", "status", "mail", "problem", "country"):
        assert f"By {title}" in page


@pytest.mark.parametrize(
    "text", ["jan@bakkerij", "JANSEN", "shop-7", "cl_exact", "Bakkerij jan@bakkerij-jansen.example"]
)
def test_search_finds_by_name_address_reference_and_id(staff, make_client_link, text):
    row = make_client_link(reference="shop-7", mollie_id="cl_exact")
    make_client_link(organization_name="Other", owner_email="o@other.example", mollie_id="cl_exactly")

    assert list(staff.get(LIST, {"q": text}).context["cl"].result_list) == [row]


def test_list_can_be_narrowed_to_the_last_days(staff, make_client_link):
    old = make_client_link(organization_name="old")
    make_client_link(organization_name="new")
    ClientLink.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=800))

    page = html.unescape(staff.get(LIST).content.decode())
    links = re.findall(r'"(\?created_at__gte=[^"]+)">([^<]+)', page)

    assert [words for _query, words in links] == ["Today", "Past 7 days", "This month", "This year"]
    for query, _words in links:
        assert names_in_list(staff.get(f"{LIST}{query}")) == ["new"]
    assert names_in_list(staff.get(f"{LIST}?created_at__year={timezone.localtime().year}")) == ["new"]


def test_newest_row_is_first(staff, make_client_link):
    rows = [make_client_link(organization_name=name) for name in ("first", "second")]
    ClientLink.objects.filter(pk=rows[0].pk).update(created_at=timezone.now() - DAY)

    result = staff.get(LIST).context["cl"].result_list

    assert [row.organization_name for row in result] == ["second", "first"]


# The send action.


@pytest.fixture
def mixed(make_client_link, make_organization) -> list[ClientLink]:
    """Rows that get a mail and rows that do not."""
    lost = make_organization(connection_status=Organization.ConnectionStatus.LOST)
    return [
        make_client_link(organization_name="Draft & Co", owner_email="draft@m.example"),
        make_client_link(
            organization_name="Again",
            owner_email="again@m.example",
            send_count=2,
            last_sent_at=timezone.now() - DAY,
        ),
        make_client_link(
            organization_name="Lost", owner_email="lost@m.example", status=Status.CONNECTED, organization=lost
        ),
        make_client_link(
            organization_name="Connected", status=Status.CONNECTED, organization=make_organization()
        ),
        make_client_link(organization_name="Cancelled", status=Status.CANCELLED),
    ]


@committing
def test_send_asks_first_and_names_everybody_with_the_reason(sandbox, staff, mixed):
    before = snapshot()

    page = act(staff, "send_onboarding_link", *mixed)

    assert page.status_code == 200
    assert b"3 merchants" in page.content
    affected, skipped = listed(page, "affected"), listed(page, "skipped")
    for words in ("Draft & Co - draft@m.example", "Again - again@m.example (sent 2 times before", "Lost -"):
        assert words in affected
    assert "Connected - The merchant is connected." in skipped
    assert "Cancelled - The client link is cancelled." in skipped
    assert (page.context["affected_count"], page.context["skipped_count"]) == (3, 2)
    assert snapshot() == before
    assert mail.outbox == []
    assert sandbox.calls() == []


@committing
def test_send_sends_after_yes(sandbox, staff, operator, mixed):
    page = act(staff, "send_onboarding_link", *mixed)

    response = staff.post(LIST, hidden_fields(page), follow=True)

    assert {message.to[0] for message in mail.outbox} == {
        "draft@m.example",
        "again@m.example",
        "lost@m.example",
    }
    assert said(response) == ["3 onboarding links were sent.", "2 merchants were skipped."]
    event = mixed[0].events.get(kind="send_requested")
    assert event.actor == operator


@committing
def test_send_takes_a_plain_post_with_yes(sandbox, staff, make_client_link):
    """As Django's own delete action does, and as a script of the platform would."""
    response = act(staff, "send_onboarding_link", make_client_link(), post="yes")

    assert len(mail.outbox) == 1
    assert said(response) == ["1 onboarding link was sent."]


@committing
@pytest.mark.parametrize("answer", ["no", "", "YES", "1"])
def test_send_does_nothing_without_yes(sandbox, staff, make_client_link, answer):
    act(staff, "send_onboarding_link", make_client_link(), post=answer)

    assert mail.outbox == []
    assert not Event.objects.exists()


def test_send_offers_no_button_where_nobody_gets_a_mail(staff, make_client_link):
    page = act(staff, "send_onboarding_link", make_client_link(status=Status.CANCELLED))

    assert b'type="submit" value="Send onboarding link"' not in page.content
    assert b"No, take me back" in page.content
    assert page.context["skipped_count"] == 1
    assert "The client link is cancelled." in listed(page, "skipped")


@committing
def test_send_goes_on_after_a_row_that_fails(sandbox, staff, make_client_link):
    rows = [
        make_client_link(id=uuid.UUID(int=number), organization_name=name, owner_email=f"{name}@m.example")
        for number, name in enumerate("abc")
    ]
    sandbox.add_fault("client_links", "validation", field="owner.email", detail="No such mailbox")

    response = act(staff, "send_onboarding_link", *rows, post="yes")

    assert [message.to[0] for message in mail.outbox] == ["b@m.example", "c@m.example"]
    assert said(response) == [
        "2 onboarding links were sent.",
        "a: Correct the data, 422 owner.email No such mailbox",
    ]


@committing
def test_send_says_what_is_queued_while_mollie_is_down(sandbox, staff, make_client_link):
    sandbox.add_fault("client_links", "server_error", times=None)

    response = act(staff, "send_onboarding_link", make_client_link(), make_client_link(), post="yes")

    assert said(response) == ["2 mails are queued."]
    assert ClientLink.objects.filter(send_requested_at__isnull=False).count() == 2


@committing
def test_send_goes_on_after_a_mail_server_that_fails_once(sandbox, staff, make_client_link, monkeypatch):
    deliver = EmailBackend.send_messages
    failures = [OSError("550")]

    def send_messages(self: EmailBackend, messages: Any) -> Any:
        if failures:
            raise failures.pop()
        return deliver(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", send_messages)

    response = act(staff, "send_onboarding_link", make_client_link(), make_client_link(), post="yes")

    assert said(response) == ["1 onboarding link was sent.", "1 mail is queued."]


@committing
def test_send_asks_mollie_again_about_a_refused_row(sandbox, staff, operator, make_client_link):
    row = make_client_link(status=Status.REJECTED, error_status=422, error_detail="No")

    act(staff, "send_onboarding_link", row, post="yes")

    assert len(mail.outbox) == 1
    assert kinds(row) == [
        "retried",
        "send_requested",
        "ready",
        "sent",
    ]
    assert row.events.get(kind="retried").actor == operator


@committing
def test_send_counts_a_row_that_is_queued_already(sandbox, staff, make_client_link):
    row = make_client_link(send_requested_at=timezone.now(), send_not_before=timezone.now() + DAY)

    response = act(staff, "send_onboarding_link", row, post="yes")

    assert said(response) == ["1 mail is queued."]
    assert not row.events.exists()


@committing
def test_double_click_on_the_confirmation_sends_one_mail(sandbox, staff, make_client_link):
    page = act(staff, "send_onboarding_link", make_client_link())
    fields = hidden_fields(page)

    staff.post(LIST, fields)
    response = staff.post(LIST, fields, follow=True)

    assert len(mail.outbox) == 1
    assert said(response) == ["1 onboarding link was sent."]  # by the first press
    # Whoever asks anew means it.
    again = act(staff, "send_onboarding_link", ClientLink.objects.get())
    staff.post(LIST, hidden_fields(again))
    assert len(mail.outbox) == 2


@committing
def test_two_operators_at_once_send_one_mail(sandbox, make_client_link):
    row = make_client_link()
    presses = []
    for name in ("anna", "bob"):
        browser = log_in(get_user_model().objects.create_superuser(name))
        presses.append((browser, hidden_fields(act(browser, "send_onboarding_link", row))))
    start = threading.Barrier(2)
    answers = []

    def press(browser: Client, fields: dict[str, Any]) -> None:
        start.wait()
        try:
            answers.append(browser.post(LIST, fields).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press, args=arguments) for arguments in presses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [302, 302]
    assert len(mail.outbox) == 1
    assert len(sandbox.calls("client_links")) == 1


@pytest.mark.parametrize(
    "asked_at",
    [
        "",
        "yesterday",
        "2027-13-45T99:99",
        "2027-01-01T10:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_send_survives_a_confirmation_that_was_tampered_with(staff, make_client_link, asked_at):
    response = act(staff, "send_onboarding_link", make_client_link(), post="yes", asked_at=asked_at)

    assert response.status_code == 200
    assert ClientLink.objects.get().send_requested_at is not None


def test_send_names_a_hundred_and_counts_the_others(staff, make_client_link):
    ClientLink.objects.bulk_create(ClientLink(**MERCHANT) for _ in range(SHOWN_ON_CONFIRMATION + 3))
    ClientLink.objects.bulk_create(
        ClientLink(**MERCHANT, status=Status.CANCELLED) for _ in range(SHOWN_ON_CONFIRMATION + 2)
    )

    page = act(staff, "send_onboarding_link", *ClientLink.objects.all()[:1], select_across="1")

    assert page.context["affected_count"] == 103
    assert b"103 merchants" in page.content
    assert listed(page, "affected").count("<li>") == SHOWN_ON_CONFIRMATION + 1
    assert "and 3 more" in listed(page, "affected")
    assert "and 2 more" in listed(page, "skipped")


@committing
def test_send_takes_a_selection_across_pages_of_any_size(staff, make_client_link):
    """Lessons 1.17: a field for each row is more than DATA_UPLOAD_MAX_NUMBER_FIELDS."""
    now = timezone.now()
    waiting = {"send_requested_at": now, "send_not_before": now + DAY}
    ClientLink.objects.bulk_create(ClientLink(**MERCHANT, **waiting) for _ in range(1200))
    page = act(staff, "send_onboarding_link", ClientLink.objects.all()[0], select_across="1")
    late = make_client_link(organization_name="Added after the question")

    response = staff.post(LIST, hidden_fields(page), follow=True)

    assert response.status_code == 200
    assert said(response) == ["1200 mails are queued."]
    late.refresh_from_db()
    assert late.send_requested_at is None


# The cancel action.


@committing
def test_cancel_asks_first_and_then_cancels(staff, operator, mixed):
    before = snapshot()
    page = act(staff, "cancel", *mixed)
    assert b"2 client links" in page.content
    assert b"cannot be undone" in page.content
    skipped = listed(page, "skipped")
    assert "Connected - The merchant is connected." in skipped
    assert "Lost - The merchant is connected." in skipped
    assert "Cancelled - The client link is cancelled." in skipped
    assert snapshot() == before

    response = staff.post(LIST, hidden_fields(page), follow=True)

    assert said(response) == ["2 client links were cancelled.", "3 merchants were skipped."]
    assert {row.organization_name for row in ClientLink.objects.filter(status=Status.CANCELLED)} == {
        "Draft & Co",
        "Again",
        "Cancelled",
    }
    assert mixed[0].events.get().actor == operator
    assert mail.outbox == []


def test_cancel_of_nothing_says_so(staff, make_client_link):
    response = act(staff, "cancel", make_client_link(status=Status.CANCELLED), post="yes")

    assert said(response) == ["1 merchant was skipped."]


def test_cancel_of_one_says_so(staff, make_client_link):
    assert said(act(staff, "cancel", make_client_link(), post="yes")) == ["1 client link was cancelled."]


def test_cancel_kills_mails_attempts_and_merchants_on_the_way(sandbox, browser, make_client_link):
    row = make_client_link()
    address = row.merchant_path()
    callback = sandbox.visit(authorization_url(browser.press(row)))
    services.request_sending(row)
    row.refresh_from_db()

    assert services.cancel_client_link(row)

    row.refresh_from_db()
    assert row.link_generation == 2
    assert (row.send_requested_at, row.delivery_status, row.problem) == (None, "", "")
    assert (row.url, row.mollie_id, row.expires_at) == ("", None, None)
    assert browser.get(address).status_code == 410
    assert browser.come_back(callback).status_code == 400
    assert not Organization.objects.exists()
    assert sandbox.calls("tokens") == []
    assert not services.cancel_client_link(row)
    assert row.events.filter(kind="cancelled").count() == 1


def test_cancel_forgets_tokens_of_a_connection_that_was_interrupted(sandbox, browser, make_client_link):
    row = make_client_link()
    other = make_client_link()
    for merchant in (row, other):
        callback = sandbox.visit(authorization_url(browser.press(merchant)))
        sandbox.add_fault("organization", "server_error")
        browser.come_back(callback)

    services.cancel_client_link(row)

    request = AuthorizationRequest.objects.get(client_link=row)
    assert (request.outcome, request.tokens, request.claimed_until) == ("cancelled", None, None)
    assert AuthorizationRequest.objects.get(client_link=other).tokens is not None
    assert services.resume_interrupted() == 1
    row.refresh_from_db()
    assert row.is_cancelled


def test_cancel_comes_too_late_for_a_connected_merchant(make_client_link, make_organization):
    row = make_client_link()
    stale = ClientLink.objects.get(pk=row.pk)
    ClientLink.objects.filter(pk=row.pk).update(status=Status.CONNECTED, organization=make_organization())

    assert not services.cancel_client_link(stale)
    row.refresh_from_db()
    assert row.is_connected


# Permissions.

ACTIONS = {"send_onboarding_link": "send_clientlink", "cancel": "cancel_clientlink"}


@committing
@pytest.mark.parametrize(
    "codenames",
    [
        ("view_clientlink",),
        ("view_clientlink", "change_clientlink", "add_clientlink", "delete_clientlink"),
        ("view_clientlink", "send_clientlink"),
        ("view_clientlink", "cancel_clientlink"),
    ],
)
def test_action_is_there_only_with_its_permission(sandbox, make_staff, make_client_link, codenames):
    browser = make_staff(*codenames)
    row = make_client_link()
    row_page = browser.get(change(row)).content.decode()
    offered = re.findall(r'<option value="(\w+)"', browser.get(LIST).content.decode())

    for action, permission in ACTIONS.items():
        page = send_page(row) if action == "send_onboarding_link" else cancel_page(row)
        if permission in codenames:
            assert action in offered
            assert page in row_page
            assert browser.get(page).status_code == 200
            continue
        assert action not in offered
        assert page not in row_page
        before = snapshot()
        forged = act(browser, action, row, post="yes")
        assert said(forged) in (["No action selected."], [])
        assert browser.get(page).status_code == 403
        assert browser.post(page, {"post": "yes", **csrf(browser)}).status_code == 403
        assert snapshot() == before
        assert mail.outbox == []
    assert "delete_selected" not in offered


@pytest.mark.parametrize("codename", ["send_clientlink", "cancel_clientlink"])
def test_permission_to_act_is_none_to_look(make_staff, make_client_link, codename):
    browser = make_staff(codename)
    row = make_client_link()
    before = snapshot()

    assert browser.get(LIST).status_code == 403
    assert browser.get(change(row)).status_code == 403
    for page in (send_page(row), cancel_page(row)):
        assert browser.get(page).status_code == 403
        assert browser.post(page, {"post": "yes", **csrf(browser)}).status_code == 403
    assert snapshot() == before


def test_strangers_are_sent_to_the_login(make_client_link):
    row = make_client_link()
    user = get_user_model().objects.create_user("no staff")

    for browser in (Client(), log_in(user)):
        for path in (LIST, change(row), send_page(row), cancel_page(row), ORGANIZATIONS):
            assert browser.get(path).headers["Location"].startswith("/admin/login/")


def test_nobody_deletes_a_selection(staff, make_client_link):
    act(staff, "delete_selected", make_client_link(), post="yes")

    assert ClientLink.objects.count() == 1


@committing
def test_merchant_link_is_shown_only_to_whom_may_send(make_staff, browser, make_client_link):
    row = make_client_link()
    sender = make_staff("view_clientlink", "send_clientlink")
    viewer = make_staff("view_clientlink", "change_clientlink", "cancel_clientlink")

    page = sender.get(change(row)).content.decode()

    address = re.search(r'readonly value="https://platform\.example([^"]+)"', page)[1]
    assert address == row.merchant_path()
    assert browser.get(address).status_code == 200
    assert "Whoever has it can connect" in page
    for path in (change(row), LIST, f"{LIST}{row.pk}/history/"):
        assert "/onboarding/link/" not in viewer.get(path).content.decode()


def test_merchant_link_of_a_cancelled_row_is_not_shown(staff, make_client_link):
    page = staff.get(change(make_client_link(status=Status.CANCELLED)))

    assert page.status_code == 200
    assert b"/onboarding/link/" not in page.content


# The buttons on the row's own page.


@committing
def test_button_asks_on_get_and_sends_on_post(sandbox, staff, make_client_link):
    row = make_client_link()
    assert send_page(row) in staff.get(change(row)).content.decode()
    before = snapshot()

    page = staff.get(send_page(row))
    staff.head(send_page(row))
    staff.get(f"{send_page(row)}?post=yes")
    staff.post(send_page(row), csrf(staff))

    assert "jan@bakkerij-jansen.example" in listed(page, "affected")
    assert snapshot() == before
    response = staff.post(send_page(row), hidden_fields(page), follow=True)
    assert response.redirect_chain == [(change(row), 302)]
    assert said(response) == ["1 onboarding link was sent."]
    assert len(mail.outbox) == 1


def test_button_asks_on_get_and_cancels_on_post(staff, make_client_link):
    row = make_client_link()
    page = staff.get(cancel_page(row))
    row.refresh_from_db()
    assert row.status == Status.DRAFT

    response = staff.post(cancel_page(row), hidden_fields(page), follow=True)

    assert said(response) == ["1 client link was cancelled."]
    row.refresh_from_db()
    assert row.is_cancelled
    text = response.content.decode()
    assert send_page(row) not in text
    assert cancel_page(row) not in text


def test_buttons_are_there_only_where_they_do_something(staff, make_client_link, make_organization):
    lost = make_organization(connection_status=Organization.ConnectionStatus.LOST)
    connected = make_client_link(status=Status.CONNECTED, organization=make_organization())
    reconnecting = make_client_link(status=Status.CONNECTED, organization=lost)

    assert send_page(connected) not in staff.get(change(connected)).content.decode()
    assert cancel_page(connected) not in staff.get(change(connected)).content.decode()
    assert send_page(reconnecting) in staff.get(change(reconnecting)).content.decode()
    assert "/send/" not in staff.get(ADD).content.decode()


@committing
def test_post_without_a_csrf_token_changes_nothing(sandbox, staff, make_client_link):
    """Lessons row 31."""
    row = make_client_link()
    before = snapshot()

    for path in (LIST, send_page(row), cancel_page(row), change(row)):
        fields = {"action": "send_onboarding_link", "_selected_action": str(row.pk), "post": "yes"}
        assert staff.post(path, fields).status_code == 403

    assert snapshot() == before


def test_looking_at_every_page_changes_nothing(sandbox, staff, make_client_link, make_organization):
    """Lessons row 12: crawl all addresses with GET and HEAD as staff."""
    organization = make_organization()
    row = make_client_link(send_requested_at=timezone.now())
    make_client_link(status=Status.CONNECTED, organization=organization)
    before = snapshot()

    for path in admin_pages(row, organization):
        for method in (staff.get, staff.head):
            assert method(path).status_code == 200, path
            assert method(f"{path}?post=yes&action=cancel&_selected_action={row.pk}").status_code in (
                200,
                302,
            )

    assert snapshot() == before
    assert sandbox.calls() == []


def admin_pages(row: ClientLink, organization: Organization) -> list[str]:
    return [
        "/admin/",
        "/admin/mollie_onboarding/",
        LIST,
        ADD,
        change(row),
        send_page(row),
        cancel_page(row),
        page_of(row, "review"),
        page_of(row, "share"),
        page_of(row, "mail"),
        page_of(row, "mail_html"),
        f"{LIST}{row.pk}/history/",
        f"{LIST}{row.pk}/delete/",
        ORGANIZATIONS,
        change(organization),
        *(page_of(organization, action) for action in ("send", "read", "revoke", "disconnect")),
        f"{ORGANIZATIONS}{organization.pk}/history/",
    ]


# Adding and editing.


def test_adding_keeps_who_did_it(staff, operator):
    response = staff.post(
        ADD, {**MERCHANT, "reference": "shop-7", "user": operator.pk, **csrf(staff)}, follow=True
    )

    row = ClientLink.objects.get()
    assert response.status_code == 200
    assert (row.reference, row.user, row.created_by, row.status) == (
        "shop-7",
        operator,
        operator,
        Status.DRAFT,
    )
    event = row.events.get()
    assert (event.kind, event.actor) == ("created", operator)
    assert len(said(response)) == 1  # Django's own: nothing to doubt


def test_adding_doubtful_data_warns_and_saves(staff):
    doubtful = {"vat_number": "NL123456789B99", "registration_number": "12", "owner_given_name": "J"}

    response = staff.post(ADD, {**MERCHANT, **doubtful, **csrf(staff)}, follow=True)

    row = ClientLink.objects.get()
    warnings = [str(m) for m in response.context["messages"] if m.level_tag == "warning"]
    assert len(warnings) == 3
    assert any(warning.startswith("VAT number: This does not look like a VAT number") for warning in warnings)
    page = staff.get(change(row)).content.decode()
    assert "VAT number: This does not look like a VAT number" in page
    assert page.count("<br>") >= 2


def test_adding_what_mollie_would_refuse_is_an_error_at_the_field(staff):
    response = staff.post(ADD, {**MERCHANT, "postal_code": "", **csrf(staff)})

    assert response.context["adminform"].form.errors.keys() == {"postal_code"}
    assert not ClientLink.objects.exists()


def test_adding_takes_no_lifecycle_column(staff, make_organization):
    forged = {"status": "connected", "organization": make_organization().pk, "url": "https://evil.example/"}

    staff.post(ADD, {**MERCHANT, **forged, **csrf(staff)})

    row = ClientLink.objects.get()
    assert (row.status, row.organization, row.url) == (Status.DRAFT, None, "")


def test_refusal_of_mollie_is_shown_at_its_field(staff, make_client_link):
    """Lessons 1.10."""
    row = make_client_link(
        status=Status.REJECTED, error_status=422, error_field="vatNumber", error_detail="Not a <VAT> number"
    )

    page = staff.get(change(row))

    assert "Mollie says: Not a &lt;VAT&gt; number" in page.context["adminform"].form["vat_number"].help_text
    assert b"422 vatNumber Not a &lt;VAT&gt; number" in page.content
    assert b"<VAT>" not in page.content


def test_refusal_that_names_no_field_of_ours_is_shown_all_the_same(staff, make_client_link):
    row = make_client_link(error_status=401, error_field="", error_detail="Missing authentication")

    assert b"401  Missing authentication" in staff.get(change(row)).content


def test_lost_answer_has_no_status_to_show(staff, make_client_link):
    page = staff.get(change(make_client_link(error_detail="Mollie gave no answer.")))

    assert b'<div class="readonly">Mollie gave no answer.</div>' in page.content


def test_editing_a_body_column_voids_the_client_link_and_keeps_who_did_it(
    sandbox, staff, operator, make_client_link
):
    row = services.create_client_link(make_client_link())
    assert row.status == Status.READY
    fields = form_of(staff, change(row)) | {"city": "Utrecht"}

    response = staff.post(change(row), fields, follow=True)

    row.refresh_from_db()
    assert response.status_code == 200
    assert (row.status, row.city, row.url, row.mollie_id) == (Status.DRAFT, "Utrecht", "", None)
    event = row.events.get(kind="edited")
    assert (event.actor, event.data) == (operator, {"columns": ["city"]})


def test_editing_the_reference_keeps_the_client_link(sandbox, staff, make_client_link):
    row = services.create_client_link(make_client_link())

    staff.post(change(row), form_of(staff, change(row)) | {"reference": "shop-8"})

    row.refresh_from_db()
    assert (row.status, row.reference) == (Status.READY, "shop-8")


def test_saving_without_an_edit_changes_nothing(sandbox, staff, make_client_link):
    row = services.create_client_link(make_client_link(incorporation_date="2001-02-03"))
    before = snapshot()

    assert staff.post(change(row), form_of(staff, change(row))).status_code == 302

    assert snapshot() == before


@committing
@pytest.mark.parametrize("edit", [{}, {"city": "Utrecht"}])
def test_stale_form_does_not_take_back_a_connection(sandbox, staff, browser, make_client_link, edit):
    row = make_client_link()
    fields = form_of(staff, change(row)) | edit
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    services.request_sending(row)

    staff.post(change(row), fields)

    row.refresh_from_db()
    assert row.status == Status.CONNECTED
    assert row.organization is not None
    assert row.url
    assert row.city == edit.get("city", "Amsterdam")
    assert row.last_sent_at is None


def test_stale_form_of_a_row_that_was_cancelled_is_refused(staff, make_client_link):
    row = make_client_link()
    fields = form_of(staff, change(row)) | {"city": "Utrecht"}
    services.cancel_client_link(row)
    before = snapshot()

    assert staff.post(change(row), fields).status_code == 403
    assert snapshot() == before


def test_cancelled_row_is_shown_and_cannot_be_edited(staff, make_client_link):
    row = make_client_link(status=Status.CANCELLED)

    page = staff.get(change(row))

    assert page.status_code == 200
    assert b'name="city"' not in page.content
    assert b"Amsterdam" in page.content


def test_row_that_connected_cannot_be_deleted(staff, make_client_link, make_organization):
    connected = make_client_link(status=Status.CONNECTED, organization=make_organization())
    draft = make_client_link()
    Event.objects.record("created", client_link_id=draft.pk)

    for row in (connected, draft):
        staff.post(f"{LIST}{row.pk}/delete/", {"post": "yes", **csrf(staff)})

    assert list(ClientLink.objects.all()) == [connected]
    assert f"{connected.pk}/delete/" not in staff.get(change(connected)).content.decode()


def test_viewer_sees_the_row_and_edits_nothing(make_staff, make_client_link):
    row = make_client_link(error_status=422, error_field="name", error_detail="Odd")
    browser = make_staff("view_clientlink")

    page = browser.get(change(row))

    assert page.status_code == 200
    assert b"Bakkerij Jansen" in page.content
    assert b'name="organization_name"' not in page.content
    assert browser.post(change(row), {**MERCHANT, "city": "Utrecht", **csrf(browser)}).status_code == 403


def test_history_ignores_the_words_of_a_search(staff, make_client_link, monkeypatch):
    """Its address may have some, and it is no list of rows: on PostgreSQL a search has pages of its own."""
    monkeypatch.setattr(large_lists, "has_word_indexes", lambda rows: True)
    row = make_client_link()
    history = f"{LIST}{row.pk}/history/"
    assert staff.get(f"{history}?q=jansen&p=1").status_code == 200


def test_row_that_is_not_there_is_not_an_error(staff, make_client_link):
    row = make_client_link()
    pages = [change(row), send_page(row), cancel_page(row)]
    row.delete()

    for page in pages:
        assert staff.get(page, follow=True).status_code == 200
        assert staff.post(page, {"post": "yes", **csrf(staff)}, follow=True).status_code == 200


# The history.


@committing
def test_history_reads_like_a_story_with_who_did_what(sandbox, staff, operator, browser, make_client_link):
    row = make_client_link(organization_name="Bakkerij Jansen")
    act(staff, "send_onboarding_link", row, post="yes")
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))

    text = html.unescape(staff.get(change(row)).content.decode())

    lines = re.findall(r"<div>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([^<]*)</div>", text)
    assert [line.split(" (")[0].strip() for line in lines] == [
        "Connected",
        "The merchant went to Mollie",
        "Mail sent",
        "Client link made at Mollie",
        "Mail requested  by operator",
    ]
    assert f"organization id: {Organization.objects.get().organization_id}" in lines[0]


def test_history_escapes_what_others_wrote(staff, make_client_link):
    row = make_client_link()
    Event.objects.record(
        "authorization_error", client_link_id=row.pk, data={"error": "<script>alert(1)</script>"}
    )
    Event.objects.record("from_a_later_version", client_link_id=row.pk)

    page = staff.get(change(row)).content

    assert b"Mollie returned an error (error: &lt;script&gt;" in page
    assert b"<script>alert" not in page
    assert b"from_a_later_version" in page


def test_history_says_why_no_notice_was_sent(staff, make_client_link):
    row = make_client_link(
        status=Status.CONNECTED,
        organization=Organization.objects.create(organization_id="org_1"),
        delivery_status=ClientLink.DeliveryStatus.BOUNCED,
        notice_requested_at=timezone.now(),
    )
    services.send_connected_notice(row.pk)

    text = staff.get(change(row)).content.decode()

    assert "The notice after connecting was not sent (mail: Bounced)" in text


def test_history_of_a_new_row_is_empty(staff, make_client_link):
    row = make_client_link()

    assert re.search(
        r'field-history.*?<div class="readonly">-</div>', staff.get(change(row)).content.decode(), re.DOTALL
    )


def test_history_has_words_for_every_kind_that_is_written(pytestconfig):
    package = pytestconfig.rootpath / "mollie_onboarding"
    source = "".join(path.read_text() for path in package.glob("**/*.py") if "sandbox" not in path.parts)
    written = set(re.findall(r'\.record(?:_for_each)?\(\s*"(\w+)"', source)) | {"cancelled"}
    written |= set(re.findall(r'\bkind="(\w+)"', source))

    assert {"sent", "edited", "cancelled", "reviewed", "disconnected"} <= written
    assert written | {"connection_lost", "onboarding_status_changed", "revoked"} <= set(EVENT_LABELS)
    assert {str(status) for status in Status} - {"draft"} <= set(EVENT_LABELS)


# Organizations.


@pytest.fixture
def with_canaries(make_client_link, make_organization):
    """An organization and its client link, with a token in every place that holds one."""
    organization = make_organization(
        name="Canary Ltd",
        access_token=Secret("access_canary"),
        refresh_token=Secret("refresh_canary"),
        pending_revocation=Secret("pending_canary"),
        dashboard_url="https://my.mollie.com/dashboard/org_0",
        onboarding_status="something-new",
        scope="organizations.read",
        last_error="no_answer",
        capabilities=[{"name": "payments", "requirements": [{"id": "needs-data"}]}],
    )
    row = make_client_link(
        status=Status.CONNECTED,
        organization=organization,
        identity_check=ClientLink.IdentityCheck.DIFFERS,
        problem=ClientLink.Problem.ORGANIZATION_TAKEN,
        refused_organization_id=organization.organization_id,
    )
    AuthorizationRequest.objects.create(
        client_link=row,
        flow="client_link",
        state_digest="s" * 64,
        browser_digest="b" * 64,
        scope="",
        approval_prompt="auto",
        client_id="app_test",
        expires_at=timezone.now(),
        tokens=Secret("committed_canary"),
    )
    return row, organization


def test_no_token_on_any_page(staff, with_canaries):
    """Lessons rows 20 and 22."""
    row, organization = with_canaries
    staff.post(change(row), form_of(staff, change(row)) | {"city": "Utrecht"})
    queries = [f"{LIST}?q=canary", f"{LIST}?attention=consent", f"{ORGANIZATIONS}?q=Canary"]
    queries += [f"{ORGANIZATIONS}?health={state.key}" for state in FLAWS]
    pages = [*admin_pages(row, organization), *queries]

    for path in pages:
        response = staff.get(path, follow=True)
        assert response.status_code in (200, 403), path
        text = response.content.decode()
        assert not [canary for canary in CANARIES if canary in text], path
        assert "fernet1$" not in text
        assert "<Secret>" not in html.unescape(text)
        assert "s" * 64 not in text
        assert "b" * 64 not in text
    assert "canary" not in str(with_canaries)


def test_organization_shows_what_mollie_says(staff, with_canaries, make_client_link):
    row, organization = with_canaries
    cancelled = make_client_link(status=Status.CANCELLED, organization=organization)

    page = staff.get(change(organization)).content.decode()

    assert "something-new" in page
    assert '<a href="https://my.mollie.com/dashboard/org_0" rel="noreferrer">' in page
    assert change(row) in page
    assert change(cancelled) not in page
    assert change(organization) in staff.get(change(row)).content.decode()


def test_organization_without_anything_is_shown(staff, make_organization):
    page = staff.get(change(make_organization())).content.decode()

    assert re.search(r'field-dashboard.*?<div class="readonly">-</div>', page, re.DOTALL)
    assert re.search(r'field-all_merchants.*?<div class="readonly">-</div>', page, re.DOTALL)


def test_organization_is_read_only(staff, with_canaries):
    _, organization = with_canaries
    before = snapshot()
    fields = {"name": "Evil", "connection_status": "lost", **csrf(staff)}

    assert staff.get(f"{ORGANIZATIONS}add/").status_code == 403
    assert staff.post(f"{ORGANIZATIONS}add/", fields).status_code == 403
    assert staff.post(change(organization), fields).status_code == 403
    assert (
        staff.post(f"{ORGANIZATIONS}{organization.pk}/delete/", {"post": "yes", **csrf(staff)}).status_code
        == 403
    )
    staff.post(
        ORGANIZATIONS,
        {"action": "delete_selected", "_selected_action": organization.pk, "post": "yes", **csrf(staff)},
    )

    assert snapshot() == before
    assert b'name="_save"' not in staff.get(change(organization)).content


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("connection_status__exact=connected", 1),
        ("connection_status__exact=lost", 0),
        ("onboarding_status__exact=something-new", 1),
        ("onboarding_status=something-new", 1),
        ("can_receive_payments__exact=1", 0),
        ("can_receive_settlements__exact=0", 1),
        ("q=Canary", 1),
        ("q=org_0", 1),
        ("q=org_", 0),
    ],
)
def test_organization_list_filters_and_search(staff, with_canaries, query, count):
    response = staff.get(f"{ORGANIZATIONS}?{query}")

    assert len(response.context["cl"].result_list) == count


@pytest.mark.parametrize("path", [ORGANIZATIONS, f"{ORGANIZATIONS}?health=consent", f"{ORGANIZATIONS}?q=Org"])
def test_organization_list_takes_8_statements(staff, make_organization, path):
    def add(count: int) -> None:
        for _ in range(count):
            organization = make_organization(scope="organizations.read", onboarding_status="completed")
            ClientLink(**MERCHANT, status=Status.CONNECTED, organization=organization).save()

    add(1)
    statements(staff, path)
    few = statements(staff, path)
    add(60)

    assert len(staff.get(path).context["cl"].result_list) == 61
    # The database is asked twice which scopes there are, for the filter and for the counts.
    assert statements(staff, path) == few <= (9 if "consent" in path else 8)


# Inside the platform's transactions.


@committing
def test_mails_go_out_under_atomic_requests(sandbox, staff, make_client_link, atomic_requests):
    rows = [make_client_link(), make_client_link()]
    page = act(staff, "send_onboarding_link", *rows)

    response = staff.post(LIST, hidden_fields(page), follow=True)

    assert len(mail.outbox) == 2
    assert said(response) == ["2 onboarding links were sent."]
    for row in rows:
        row.refresh_from_db()
        assert (row.status, row.delivery_status) == (Status.READY, ClientLink.DeliveryStatus.SENT)
    button = staff.get(send_page(rows[0]))
    staff.post(send_page(rows[0]), hidden_fields(button))
    assert len(mail.outbox) == 3


@committing
def test_mails_of_a_request_that_fails_stay_sent_under_atomic_requests(
    sandbox, staff, make_client_link, atomic_requests, monkeypatch
):
    row = make_client_link()
    fields = hidden_fields(act(staff, "send_onboarding_link", row))

    with monkeypatch.context() as patch:
        patch.setattr("mollie_onboarding.admin.client_link_actions.report_batch", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            staff.post(LIST, fields)
    staff.post(LIST, fields)

    row.refresh_from_db()
    assert (row.send_count, row.send_requested_at) == (1, None)
    assert len(mail.outbox) == 1


@committing
def test_cancelling_adding_and_editing_work_under_atomic_requests(staff, atomic_requests):
    staff.post(ADD, {**MERCHANT, **csrf(staff)})
    row = ClientLink.objects.get()
    staff.post(change(row), form_of(staff, change(row)) | {"city": "Utrecht"})
    act(staff, "cancel", row, post="yes")

    row.refresh_from_db()
    assert (row.city, row.status) == ("Utrecht", Status.CANCELLED)
    assert kinds(row) == ["created", "edited", "cancelled"]


def test_mail_that_was_given_up_needs_attention(staff, make_client_link):
    row = make_client_link(delivery_status=ClientLink.DeliveryStatus.FAILED)
    page = staff.get("/admin/mollie_onboarding/clientlink/?attention=yes").content.decode()
    assert row.organization_name in page
    assert "The mail was not sent" in page


@pytest.mark.parametrize(
    ("status", "words"),
    [("bounced", "The mail bounced: correct the e-mail address"), ("complained", "The merchant reported the mail as spam")],
)  # fmt: skip
def test_mail_that_did_not_arrive_needs_attention(staff, make_client_link, status, words):
    make_client_link(delivery_status=status)
    assert words in staff.get("/admin/mollie_onboarding/clientlink/?attention=yes").content.decode()


@committing
def test_row_that_mollie_refused_is_asked_again_by_its_own_button(sandbox, staff, make_client_link):
    row = make_client_link(status=Status.REJECTED, error_status=422, error_detail="No.")
    address = f"/admin/mollie_onboarding/clientlink/{row.pk}/send/"

    staff.post(address, {"post": "yes", **csrf(staff)})

    row.refresh_from_db()
    assert (row.status, row.send_count) == (Status.READY, 1)
    assert row.events.filter(kind="retried").exists()


@committing
def test_refused_row_that_is_deleted_in_the_moment_of_the_press_is_no_error(
    sandbox, staff, make_client_link, monkeypatch
):
    row = make_client_link(status=Status.REJECTED, error_status=422, error_detail="No.")
    retry = services.retry_rejected

    def retry_too_late(client_link: ClientLink, **kwargs: Any) -> ClientLink:
        ClientLink.objects.all().delete()
        return retry(client_link, **kwargs)

    monkeypatch.setattr(services, "retry_rejected", retry_too_late)
    address = f"/admin/mollie_onboarding/clientlink/{row.pk}/send/"

    assert staff.post(address, {"post": "yes", **csrf(staff)}).status_code == 302
    assert mail.outbox == []


# Dates.

OTHER_DATES = re.compile(r"\d/\d{1,2}/\d{2}|\d\.\d{1,2}\.\d{2}|\b[ap]\.m\.|March \d|März \d")


@pytest.mark.parametrize("language", ["en", "de"])
def test_dates_are_written_in_one_way(clock, settings, staff, operator, make_client_link, language):
    """The year first, with digits: also where the language's own short form takes the month or the day first."""
    settings.TIME_ZONE = "Europe/Amsterdam"
    staff.defaults["HTTP_ACCEPT_LANGUAGE"] = language
    now = timezone.now()
    moments = ("authorized_at", "ended_at", "missing_since", "synced_at", "signed_up_at")
    organization = Organization.objects.create(organization_id="org_1", **dict.fromkeys(moments, now))
    row = make_client_link(first_sent_at=now, last_sent_at=now, send_count=1, opened_at=now)
    batch = services.create_batch(ClientLink.objects.all(), pk=uuid.uuid4(), actor=operator)
    services.start_batch(batch)
    services.cancel_batch(batch)
    batches = "/admin/mollie_onboarding/batch/"

    pages = {
        path: staff.get(path).content.decode()
        for path in (
            change(row),
            change(organization),
            batches,
            f"{batches}{batch.pk}/change/",
            f"{LIST}funnel/",
        )
    }
    confirmation = act(staff, "send_onboarding_link", row).content.decode()

    for path, text in pages.items():
        assert "2027-03-01" in text.replace("\u2011", "-"), path
        assert not OTHER_DATES.search(text), path
    assert pages[change(row)].count("2027\u201103\u201101 13:00") == 2  # the last mail, and the batch
    assert pages[change(organization)].count("2027\u201103\u201101 13:00") == len(moments) + 1
    assert "2027\u201103\u201101" in confirmation
