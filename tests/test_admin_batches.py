"""Batches in the admin: the confirmation that makes one, the list of them, and the page of each."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.admin import batches as admin_batches
from mollie_onboarding.admin import client_link_actions, confirming
from mollie_onboarding.models import (
    Batch,
    BatchItem,
    ClientLink,
    DeliveryStatus,
    Organization,
    Reason,
    Status,
    Wait,
)
from mollie_onboarding.services import feeding
from tests.pages import Page
from tests.test_admin import LIST, act, csrf, hidden_fields, listed, make_staff_with, said, send_page
from tests.test_batches import make_rows
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

BATCHES = "/admin/mollie_onboarding/batch/"
SEND = "send_onboarding_link"
DAY = timedelta(days=1)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Outcome = BatchItem.Outcome


@pytest.fixture
def few_judged(monkeypatch) -> None:
    monkeypatch.setattr(client_link_actions, "MOST_JUDGED", 2)


@pytest.fixture
def in_amsterdam(settings) -> None:
    settings.TIME_ZONE = "Europe/Amsterdam"


def make_batch(**values: Any) -> Batch:
    return services.create_batch(ClientLink.objects.all(), **{"pk": uuid.uuid4(), **values})


def address(batch: Batch, name: str = "change") -> str:
    return reverse(f"admin:mollie_onboarding_batch_{name}", args=[batch.pk])


def press(browser: Any, batch: Batch, name: str) -> Any:
    return browser.post(address(batch, name), csrf(browser), follow=True)


def buttons(browser: Any, batch: Batch) -> list[str]:
    return [button["name"] for button in browser.get(address(batch)).context["buttons"]]


# The confirmation.


@committing
def test_confirmation_makes_a_batch_and_leads_to_its_page(sandbox, staff, operator):
    rows = make_rows(2)

    response = staff.post(LIST, hidden_fields(act(staff, SEND, *rows)), follow=True)

    batch = Batch.objects.get()
    assert response.redirect_chain == [(address(batch), 302)]
    assert said(response) == ["2 onboarding links were sent."]
    assert (batch.created_by, batch.started_by, batch.count) == (operator, operator, 2)
    assert len(mail.outbox) == 2


@committing
@pytest.mark.usefixtures("atomic_requests")
def test_form_that_is_sent_twice_at_once_makes_one_batch(sandbox, staff):
    fields = hidden_fields(act(staff, SEND, *make_rows(3)))

    statuses = in_threads(3, lambda: staff.post(LIST, fields).status_code)

    assert statuses == [302] * 3
    assert Batch.objects.count() == 1
    assert len(mail.outbox) == 3


@committing
def test_going_back_to_the_confirmation_and_sending_it_again_mails_nobody(sandbox, staff):
    """Also after the mails are long sent: the form is the one of then."""
    fields = hidden_fields(act(staff, SEND, *make_rows(2)))
    staff.post(LIST, fields)
    make_rows(1)

    response = staff.post(LIST, fields, follow=True)

    assert response.redirect_chain == [(address(Batch.objects.get()), 302)]
    assert len(mail.outbox) == 2


@committing
def test_confirmation_of_somebody_else_is_refused(sandbox, staff, make_client_link):
    fields = hidden_fields(act(staff, SEND, make_client_link()))
    staff.post(LIST, fields)
    colleague = make_staff_with("view_clientlink", "send_clientlink", "view_batch")

    response = colleague.post(LIST, {**fields, **csrf(colleague)})

    assert response.status_code == 403
    assert len(mail.outbox) == 1


@committing
@pytest.mark.parametrize("batch", ["", "none", "00"])
def test_plain_post_needs_no_id_of_a_batch(sandbox, staff, make_client_link, batch):
    response = act(staff, SEND, make_client_link(), post="yes", batch=batch)

    assert said(response) == ["1 onboarding link was sent."]
    assert len(mail.outbox) == 1


@committing
def test_who_may_not_see_batches_stays_in_the_list(sandbox, make_client_link):
    browser = make_staff_with("view_clientlink", "send_clientlink")

    response = act(browser, SEND, make_client_link(), post="yes")

    assert response.redirect_chain == [(LIST, 302)]
    assert said(response) == ["1 onboarding link was sent."]
    assert browser.get(BATCHES).status_code == 403


@committing
@pytest.mark.usefixtures("few_judged")
def test_large_selection_is_counted_and_not_listed(sandbox, staff, monkeypatch):
    monkeypatch.setattr(client_link_actions, "SHOWN_ON_CONFIRMATION", 2)
    rows = make_rows(6)
    before = ClientLink.objects.count()

    page = act(staff, SEND, rows[0], select_across="1")
    late = make_rows(1, owner_email="late@m.example")[0]

    assert page.context["heading"] == "6 merchants are selected"
    assert listed(page, "affected").count("<li>") == 3
    assert "and 4 more" in listed(page, "affected")
    fields = hidden_fields(page)
    assert len(fields["_selected_action"]) == 1
    assert "confirmed" not in fields
    assert before == 6
    response = staff.post(LIST, fields, follow=True)
    assert said(response) == ["6 onboarding links were sent."]
    late.refresh_from_db()
    assert late.send_count == 0


@pytest.mark.usefixtures("few_judged")
def test_large_selection_says_how_many_were_mailed_before(clock, in_amsterdam, staff):
    rows = make_rows(4)
    first = act(staff, SEND, rows[0], select_across="1")
    for row, days in zip(rows[:2], (9, 3), strict=True):
        ClientLink.objects.filter(pk=row.pk).update(send_count=1, last_sent_at=timezone.now() - days * DAY)

    page = act(staff, SEND, rows[0], select_across="1")

    assert [str(note) for note in page.context["notes"]] == [
        "2 of them got a mail before, the last one on 2027\u201102\u201126 13:00.",
        "Who can get no mail is skipped. The next page says who, and why.",
    ]
    assert len(first.context["notes"]) == 1


@pytest.mark.parametrize(("count", "buttons"), [(10, 1), (11, 2)])
def test_long_list_can_be_confirmed_without_scrolling_to_its_end(staff, count, buttons):
    page = Page(act(staff, SEND, *make_rows(count)))

    found = page.find_all("input", type="submit", value="Send onboarding link")
    assert [button["form"] for button in found] == ["answer", None][-buttons:]
    assert page.find("form", id="answer")["method"] == "post"


@committing
@pytest.mark.usefixtures("few_judged")
def test_large_selection_keeps_the_filters_of_the_list(sandbox, staff):
    make_rows(3, country="BE")
    make_rows(2)
    path = f"{LIST}?country__exact=BE"
    chosen = {"action": SEND, "_selected_action": str(ClientLink.objects.first().pk), "select_across": "1"}

    page = staff.post(path, {**chosen, **csrf(staff)})
    staff.post(path, hidden_fields(page))

    assert Batch.objects.get().count == 3
    assert not ClientLink.objects.filter(country="NL", send_count__gt=0).exists()


@committing
@pytest.mark.usefixtures("few_judged")
def test_rows_that_were_ticked_are_judged_and_sent_however_many(sandbox, staff):
    rows = make_rows(4)

    page = act(staff, SEND, *rows)
    staff.post(LIST, hidden_fields(page))

    assert page.context["heading"] == "4 merchants will get a mail"
    assert len(mail.outbox) == 4


@pytest.mark.parametrize("action", [SEND, "cancel"])
def test_confirmation_whose_keys_were_tampered_with_concerns_nobody(staff, make_client_link, action):
    act(staff, action, make_client_link(), select_across="1", confirmed="x", post="yes")

    row = ClientLink.objects.get()
    assert (row.status, row.send_requested_at) == (Status.DRAFT, None)


@pytest.mark.usefixtures("workers")
def test_confirmation_of_25000_rows_loads_few_of_them(staff):
    for _ in range(5):
        make_rows(5000)
    loaded = []
    from_db = ClientLink.from_db.__func__

    def counted(cls: Any, *args: Any, **kwargs: Any) -> ClientLink:
        loaded.append(1)
        return from_db(cls, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientLink, "from_db", classmethod(counted))
        page = act(staff, SEND, ClientLink.objects.first(), select_across="1")
        asked, size = len(loaded), len(page.content)
        with CaptureQueriesContext(connection) as queries:
            response = staff.post(LIST, hidden_fields(page))

    assert asked < 1000
    assert size < 50_000  # bytes
    assert response.status_code == 302
    assert len(loaded) < 1600 + asked  # one chunk of 500, and the list of which Django makes the selection
    assert len(queries) < 80
    assert Batch.objects.get().items.count() == 25_000


@pytest.mark.parametrize("action", ["cancel", "mark_reviewed"])
def test_other_actions_refuse_more_rows_than_they_can_hold(staff, monkeypatch, action):
    monkeypatch.setattr(confirming, "MOST_ROWS", 2)
    rows = make_rows(3)

    refused = act(staff, action, rows[0], select_across="1")
    assert refused.status_code == 302
    response = act(staff, action, rows[0], select_across="1", post="yes")

    assert said(response) == ["This works for at most 2 rows at once: narrow the list down first."] * 2
    assert not ClientLink.objects.filter(status=Status.CANCELLED).exists()


def test_button_of_a_row_makes_no_batch(staff, make_client_link):
    row = make_client_link()

    staff.post(send_page(row), {"post": "yes", **csrf(staff)})

    row.refresh_from_db()
    assert row.send_requested_at
    assert not Batch.objects.exists()


@committing
def test_rows_that_were_deleted_meanwhile_are_named(sandbox, staff):
    rows = make_rows(3)
    fields = hidden_fields(act(staff, SEND, *rows))
    rows[0].delete()

    response = staff.post(LIST, fields, follow=True)

    assert said(response) == [
        "1 row is no longer in this list; nothing was done to it.",
        "2 onboarding links were sent.",
    ]


def test_page_of_a_merchant_names_its_batches(clock, in_amsterdam, staff, make_client_link):
    row = make_client_link(status=Status.CANCELLED)
    batch = make_batch(description="spring.csv")
    services.start_batch(batch)
    clock.shift(DAY)
    make_batch()
    may_not = make_staff_with("view_clientlink")
    path = reverse("admin:mollie_onboarding_clientlink_change", args=[row.pk])

    cell = Page(staff.get(path)).find("div", class_="field-batches")

    assert [line.text for line in cell.find("div", class_="readonly").find_all("div")] == [
        "2027\u201103\u201102 13:00 : Not queued yet",
        "2027\u201103\u201101 13:00 spring.csv : Skipped The client link is cancelled.",
    ]
    assert [link["href"] for link in cell.find_all("a")][1] == address(batch)
    assert "field-batches" not in may_not.get(path).content.decode()


# The list.


def test_list_says_what_became_of_each_in_few_statements(staff, operator, make_client_link):
    make_client_link()
    make_batch(actor=operator)
    done = make_batch(actor=operator)
    BatchItem.objects.filter(batch=done).update(outcome=Outcome.SENT)
    Batch.objects.filter(pk=done.pk).update(started_at=timezone.now())
    staff.get(BATCHES)
    with CaptureQueriesContext(connection) as few:
        page = staff.get(BATCHES)
    states = [str(admin_batches.state_of(one, one.progress)) for one in page.context["cl"].result_list]
    for _ in range(5):
        make_batch(actor=operator)
    with CaptureQueriesContext(connection) as many:
        staff.get(BATCHES)

    assert states == ["Finished", "Prepared"]
    assert len(few) == len(many) <= 8
    text = page.content.decode()
    for column in ("sent", "skipped", "failed", "waiting", "state"):
        assert f'class="field-{column}"' in text


def test_bar_of_a_cancelled_batch_shows_how_far_it_came(staff, make_client_link):
    for _ in range(3):
        make_client_link()
    batch = make_batch()
    first = BatchItem.objects.filter(batch=batch).first()
    BatchItem.objects.filter(pk=first.pk).update(outcome=Outcome.SENT)
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now())
    services.cancel_batch(batch)

    page = staff.get(address(batch))

    bar = Page(page).find("progress")
    assert (bar["max"], bar["value"], page.context["share"]) == ("3", "1", "1 of 3")
    assert staff.get(address(batch, "progress")).json()["done"] == 1


def test_list_names_the_file_that_was_imported(staff, operator):
    make_batch(actor=operator)
    make_batch(actor=operator, source=Batch.Source.IMPORT, description="spring.csv")

    cells = Page(staff.get(BATCHES)).find_all("td", class_="field-origin")

    assert [cell.text for cell in cells] == ["Import: spring.csv", "Selection"]


@pytest.mark.parametrize("path", ["add/", "{}/delete/"])
def test_nobody_adds_changes_or_deletes_a_batch(staff, path):
    batch = make_batch()

    assert staff.get(BATCHES + path.format(batch.pk)).status_code == 403
    assert staff.post(address(batch), csrf(staff)).status_code == 405
    assert Batch.objects.exists()


# The page.


@committing
def test_page_says_what_became_of_everybody(sandbox, staff, operator, make_client_link):
    sent = make_client_link(organization_name="Sent & Co")
    make_client_link(organization_name="Gone", status=Status.CANCELLED)
    batch = make_batch(actor=operator, description="Spring")
    services.start_batch(batch, operator)

    page = staff.get(address(batch))

    text = page.content.decode()
    for words in ("Finished", "Spring", "operator", "Sent &amp; Co", "2 of 2", 'max="2" value="2"'):
        assert words in text
    assert page.context["reasons"] == [("Skipped", "The client link is cancelled.", 1)]
    assert f"/admin/mollie_onboarding/clientlink/{sent.pk}/change/" in text
    assert "http-equiv" not in text
    assert "admin-batch.js" not in text
    assert page.context["late_words"] == ""
    assert staff.get(f"{BATCHES}{batch.pk}/history/").status_code == 200


def facts(page: Any) -> dict[str, str]:
    """What the page says of the batch as a whole."""
    [table] = Page(page).find_all("dl", class_="mollie-facts")
    return {row.find("dt").text: row.find("dd").text for row in table.find_all("div")}


def test_page_says_who_when_and_how_many(staff, operator):
    """Of an imported batch, who imported it is one thing and who sent it another."""
    make_rows(3)
    colleague = get_user_model().objects.create_user("colleague")
    canceller = get_user_model().objects.create_user("canceller")
    batch = make_batch(source=Batch.Source.IMPORT, description="spring.csv", actor=operator)
    assert facts(staff.get(address(batch))) == {
        "State": "Prepared",
        "Source": "Import: spring.csv",
        "By": "operator",
        "Merchants": "3",
    }

    Batch.objects.filter(pk=batch.pk).update(
        started_at=NOON,
        started_by=colleague,
        cancelled_at=NOON + DAY,
        cancelled_by=canceller,
        finished_at=NOON + 2 * DAY,
    )

    assert facts(staff.get(address(batch))) == {
        "State": "Cancelled",
        "Source": "Import: spring.csv",
        "By": "operator",
        "Merchants": "3",
        "Started": "2026-03-02 06:00, colleague",
        "Cancelled": "2026-03-03 06:00, canceller",
        "Finished": "2026-03-04 06:00",
    }


def test_batch_of_nobody_says_so(staff):
    make_rows(1)
    batch = make_batch()
    services.start_batch(batch)

    found = facts(staff.get(address(batch)))

    assert found["By"] == "-"
    assert ", " not in found["Started"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Gone", "Here"]),
        ("?outcome=skipped", ["Gone"]),
        ("?outcome=queued", ["Here"]),
        ("?outcome=nonsense", ["Gone", "Here"]),
        ("?outcome=failed", []),
        ("?p=99", ["Gone", "Here"]),
    ],
)
def test_merchants_are_narrowed_to_an_outcome(staff, make_client_link, query, names):
    make_client_link(organization_name="Here")
    make_client_link(organization_name="Gone", status=Status.CANCELLED)
    batch = make_batch()
    services.start_batch(batch)

    page = staff.get(address(batch) + query)

    assert sorted(str(item.client_link) for item in page.context["page"]) == names


def test_merchants_are_shown_in_pages_by_the_same_number_of_statements(staff, monkeypatch, count):
    monkeypatch.setattr(admin_batches, "SHOWN_ITEMS", 2)
    make_rows(5)
    batch = make_batch()
    seen = []
    counts = set()
    for number in (1, 2, 3):
        page, statements = count(partial(staff.get, f"{address(batch)}?p={number}"))
        counts.add(len(statements))
        seen += [item.client_link_id for item in page.context["page"]]
        assert f"{number} / 3" in page.content.decode()

    assert len(set(seen)) == 5
    assert len(counts) == 1
    assert counts.pop() <= 8


def test_running_batch_reloads_itself_without_a_script_and_is_watched_by_one(staff):
    make_rows(3)
    batch = make_batch()
    services.start_batch(batch)

    text = staff.get(address(batch)).content.decode()

    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
    assert "admin-batch.js" in text
    assert "3 mails wait in the queue: they go out with the next run of send_onboarding_links." in text
    assert staff.get(address(batch, "progress")).json() == {
        "done": 0,
        "total": 3,
        "text": "0 of 3",
        "waiting": "3 mails wait in the queue: they go out with the next run of send_onboarding_links.",
        "late": "",
        "outcomes": {"pending": 0, "queued": 3, "sent": 0, "skipped": 0, "failed": 0, "cancelled": 0},
        "is_running": True,
    }


@pytest.mark.usefixtures("workers")
def test_with_workers_the_page_says_nothing_of_the_command(staff):
    make_rows(2)
    batch = make_batch()
    services.start_batch(batch)

    page = staff.get(address(batch))

    assert page.context["waiting_words"] == ""
    assert buttons(staff, batch) == ["cancel"]


@committing
@pytest.mark.parametrize(
    ("fault", "reason"),
    [("unavailable_html", "Mollie did not answer."), (None, "The mail could not be sent.")],
)
def test_mail_that_failed_for_now_is_seen_with_its_next_try(
    clock, in_amsterdam, sandbox, staff, monkeypatch, fault, reason
):
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 1)
    make_rows(3)
    if fault:
        sandbox.add_fault("client_links", fault, times=None)
    else:
        monkeypatch.setattr(EmailBackend, "send_messages", lambda self, messages: 1 / 0)
    batch = make_batch()
    services.start_batch(batch)
    services.send_next(batch.pk)

    page = staff.get(address(batch))

    words = (
        "1 mail waits in the queue: it goes out with the next run of send_onboarding_links. "
        "2 mails could not be sent yet: they will be tried again, from 2027\u201103\u201101 13:05 on."
    )
    assert page.context["waiting_words"] == staff.get(address(batch, "progress")).json()["waiting"] == words
    reasons = [row.find_all("td")[1].text for row in Page(page).find("table", id="items").find_all("tr")[1:]]
    assert sorted(reasons) == ["", *[f"{reason} Next try: 2027\u201103\u201101 13:05"] * 2]
    # When it is time, they wait as the others do.
    clock.shift(timedelta(minutes=6))
    later = staff.get(address(batch))
    assert later.context["waiting_words"].startswith("3 mails wait in the queue: they go out")
    assert "Next try" not in later.content.decode()


@committing
@pytest.mark.usefixtures("workers")
def test_mail_that_waits_for_its_recipient_says_so_with_workers_too(clock, in_amsterdam, staff):
    make_rows(2)
    batch = make_batch()
    services.start_batch(batch)
    held = ClientLink.objects.first()
    ClientLink.objects.filter(pk=held.pk).update(
        send_waits_for=Wait.RECIPIENT, send_not_before=timezone.now() + timedelta(hours=2)
    )

    page = staff.get(address(batch))

    assert page.context["waiting_words"] == (
        "1 mail could not be sent yet: it will be tried again, from 2027\u201103\u201101 15:00 on."
    )
    assert "The mail waits: this e-mail address has reached its limit of mails" in page.content.decode()
    assert services.count_outcomes([batch])[batch.pk].failed == 0


@pytest.mark.parametrize(("outcome", "count"), [(Outcome.QUEUED, 2), (Outcome.PENDING, 2), (Outcome.SENT, 0)])
def test_who_waits_for_long_needs_attention(staff, outcome, count):
    make_rows(2)
    batch = make_batch()
    long_ago = timezone.now() - timedelta(minutes=11)
    Batch.objects.filter(pk=batch.pk).update(started_at=long_ago)
    BatchItem.objects.update(outcome=outcome, at=long_ago)

    line = Page(staff.get(address(batch))).find(id="late")

    assert line.text.startswith("2 mails have waited for over 10 minutes.") if count else line.text == ""
    assert ("hidden" in line.attributes) is not bool(count)
    # An open page is told by its script.
    assert staff.get(address(batch, "progress")).json()["late"] == line.text


@pytest.mark.parametrize("columns", [{}, {"started_at": NOON, "cancelled_at": NOON}])
def test_nothing_is_late_in_a_batch_that_does_not_run(staff, columns):
    make_rows(1)
    batch = make_batch(source=Batch.Source.IMPORT)
    Batch.objects.filter(pk=batch.pk).update(**columns)
    outcome = Outcome.CANCELLED if columns else Outcome.PENDING
    BatchItem.objects.update(outcome=outcome, at=NOON)

    assert staff.get(address(batch, "progress")).json()["late"] == ""


@pytest.mark.parametrize("noted", [False, True])
def test_batch_that_is_over_says_since_when(clock, in_amsterdam, staff, noted):
    """Also where a worker sent the last mail: nobody notes it before the next run of the command."""
    make_rows(2)
    batch = make_batch()
    services.start_batch(batch)
    BatchItem.objects.update(outcome=Outcome.SENT, at=timezone.now() + timedelta(minutes=3))
    if noted:
        feeding.finish_batch(batch.pk)

    facts = [fact.text for fact in Page(staff.get(address(batch))).find("dl").find_all("dd")]

    assert facts[0] == "Finished"
    assert facts[-1] == "2027-03-01 13:03"
    assert bool(Batch.objects.get().finished_at) is noted


def test_prepared_batch_offers_to_send(staff):
    make_rows(3)
    batch = make_batch(source=Batch.Source.IMPORT)

    text = staff.get(address(batch)).content.decode()

    assert "Send onboarding link to these 3 merchants" in text
    assert "Prepared" in text
    assert "http-equiv" not in text
    assert buttons(staff, batch) == ["start", "cancel"]


@committing
@pytest.mark.usefixtures("atomic_requests")
def test_buttons_do_what_they_say_and_twice_the_same(sandbox, staff, operator, monkeypatch):
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 2)
    make_rows(7)
    batch = make_batch(source=Batch.Source.IMPORT)

    for _ in range(2):
        assert press(staff, batch, "start").redirect_chain == [(address(batch), 302)]
    assert len(mail.outbox) == 2
    assert buttons(staff, batch) == ["next", "cancel"]
    press(staff, batch, "next")
    assert len(mail.outbox) == 4
    for _ in range(2):
        press(staff, batch, "cancel")
    assert services.count_outcomes([batch])[batch.pk].cancelled == 3
    assert buttons(staff, batch) == ["again"]
    assert "Cancelled" in staff.get(address(batch)).content.decode()
    monkeypatch.undo()
    for _ in range(2):
        press(staff, batch, "again")
    assert len({message.to[0] for message in mail.outbox}) == len(mail.outbox) == 7
    assert buttons(staff, batch) == []
    messages = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert list(messages) == ["Started", "Cancelled", "Run again", "Run again"]


@committing
def test_next_ones_are_offered_only_where_they_can_go(clock, sandbox, staff, monkeypatch):
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 1)
    sandbox.add_fault("client_links", "unavailable_html", times=None)
    make_rows(3)
    batch = make_batch()
    services.start_batch(batch)

    def titles() -> list[str]:
        return [str(button["title"]) for button in staff.get(address(batch)).context["buttons"]]

    monkeypatch.setattr(feeding, "INLINE_LIMIT", 50)
    assert titles() == ["Send 2 more mails now", "Cancel the batch"]
    press(staff, batch, "next")
    assert titles() == ["Cancel the batch"]
    clock.shift(timedelta(minutes=6))
    ClientLink.objects.filter(pk=ClientLink.objects.first().pk).update(send_not_before=None)
    assert titles() == ["Send 3 more mails now", "Cancel the batch"]
    monkeypatch.setattr(admin_batches, "INLINE_LIMIT", 1)
    assert titles()[0] == "Send 1 more mail now"


@pytest.mark.usefixtures("db")
def test_who_is_not_queued_yet_is_among_the_next(staff):
    make_rows(2)
    batch = make_batch()
    Batch.objects.update(started_at=timezone.now())

    assert str(staff.get(address(batch)).context["buttons"][0]["title"]) == "Send 2 more mails now"


@committing
def test_each_button_says_what_it_has_done(sandbox, staff, monkeypatch, make_client_link):
    monkeypatch.setattr(feeding, "INLINE_LIMIT", 2)
    make_rows(6)
    gone = make_client_link(owner_email="gone@m.example", status=Status.CANCELLED)
    batch = make_batch(source=Batch.Source.IMPORT)

    skipped = "1 merchant was skipped."
    assert said(press(staff, batch, "start")) == [
        "2 onboarding links were sent.",
        "4 mails are queued.",
        skipped,
    ]
    assert said(press(staff, batch, "start")) == []
    sandbox.add_fault("client_links", "validation", detail="No such mailbox")
    answer = said(press(staff, batch, "next"))
    assert answer[:2] == ["1 onboarding link was sent.", "2 mails are queued."]
    assert "No such mailbox" in answer[2]
    assert said(press(staff, batch, "cancel")) == ["The batch is cancelled: 2 merchants get no mail."]
    assert said(press(staff, batch, "cancel")) == []
    ClientLink.objects.filter(pk=gone.pk).update(status=Status.DRAFT)
    monkeypatch.undo()
    assert said(press(staff, batch, "again")) == ["4 onboarding links were sent."]


@pytest.mark.parametrize(
    ("outcome", "reason", "is_offered"),
    [
        (Outcome.SKIPPED, Reason.CONNECTED, False),
        (Outcome.SKIPPED, Reason.CANCELLED, False),
        (Outcome.SKIPPED, Reason.ERASED, False),
        (Outcome.SKIPPED, Reason.BOUNCED, True),
        (Outcome.FAILED, Reason.NO_ANSWER, True),
        (Outcome.CANCELLED, "", True),
        (Outcome.SENT, "", False),
    ],
)
def test_another_run_is_offered_where_it_may_reach_somebody(staff, outcome, reason, is_offered):
    make_rows(1)
    batch = make_batch()
    Batch.objects.update(started_at=timezone.now())
    BatchItem.objects.update(outcome=outcome, reason=reason)

    assert ("again" in buttons(staff, batch)) == is_offered


def test_cancelled_batch_is_watched_while_a_mail_is_in_a_workers_hands(staff):
    [row] = make_rows(1)
    batch = make_batch()
    services.start_batch(batch)
    ClientLink.objects.claim_sending(row.pk, timezone.now())

    press(staff, batch, "cancel")

    assert staff.get(address(batch, "progress")).json()["is_running"] is True
    assert buttons(staff, batch) == []
    assert staff.get(address(batch)).context["waiting_words"] == ""


@pytest.mark.parametrize("name", ["start", "next", "again", "cancel"])
def test_buttons_are_posts_with_a_token_and_a_permission(staff, name):
    make_rows(1)
    batch = make_batch()
    before = Batch.objects.values().get()
    viewer = make_staff_with("view_batch", "view_clientlink")
    sender = make_staff_with("send_clientlink", "view_clientlink")

    assert staff.get(address(batch, name)).status_code == 405
    assert staff.post(address(batch, name)).status_code == 403
    assert press(viewer, batch, name).status_code == 403
    assert press(sender, batch, name).status_code == 403
    assert buttons(viewer, batch) == []

    assert Batch.objects.values().get() == before
    assert mail.outbox == []


def test_pages_need_the_permission_to_see_batches(make_client_link):
    make_client_link(organization_name="Bakkerij")
    batch = make_batch()
    sender = make_staff_with("send_clientlink", "view_clientlink")
    viewer = make_staff_with("view_batch")

    for name in ("change", "progress"):
        assert sender.get(address(batch, name)).status_code == 403
        assert viewer.get(address(batch, name)).status_code == 200
    # Who may not see merchants sees no names here either.
    assert "Bakkerij" not in viewer.get(address(batch)).content.decode()


def test_batch_that_is_not_there_is_not_an_error(staff):
    missing = Batch(pk=uuid.uuid4())

    assert staff.get(address(missing)).status_code == 302
    assert staff.get(address(missing, "progress")).status_code == 404
    assert press(staff, missing, "start").status_code == 404


def test_reason_is_shown_only_where_there_is_one(staff, make_client_link):
    make_client_link(delivery_status=DeliveryStatus.BOUNCED)
    batch = make_batch()
    services.start_batch(batch)
    assert staff.get(address(batch)).context["reasons"] == [("Skipped", Reason.BOUNCED.label, 1)]

    BatchItem.objects.update(outcome=Outcome.FAILED, reason="")

    assert staff.get(address(batch)).context["reasons"] == [("Failed", "-", 1)]


def test_looking_changes_nothing(staff):
    make_rows(2)
    batch = make_batch()
    services.start_batch(batch)
    before = [list(model.objects.order_by("pk").values()) for model in (Batch, BatchItem, ClientLink)]

    for path in (BATCHES, address(batch), address(batch, "progress"), f"{BATCHES}{batch.pk}/history/"):
        for method in (staff.get, staff.head):
            assert method(path).status_code == 200

    assert [list(model.objects.order_by("pk").values()) for model in (Batch, BatchItem, ClientLink)] == before


@committing
def test_failed_merchants_are_named_after_the_confirmation(sandbox, staff, make_client_link):
    sandbox.add_fault("client_links", "validation", field="owner.email", detail="No such mailbox")
    Organization.objects.create(organization_id="org_1")

    response = act(staff, SEND, make_client_link(organization_name="a"), post="yes")

    assert said(response) == ["a: Correct the data, 422 owner.email No such mailbox"]
    assert response.context["reasons"] == [("Failed", Reason.REFUSED.label, 1)]
