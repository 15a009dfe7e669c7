"""Reminders: who gets which one and when, the queue that they share with invitations, the command, and the admin."""

from __future__ import annotations

import json
import os
import signal
import uuid
from datetime import timedelta
from io import StringIO
from itertools import product
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mollie_onboarding import services, tasks
from mollie_onboarding.models import (
    SENDING_CLAIM_LIFETIME,
    Batch,
    ClientLink,
    DeliveryStatus,
    Event,
    Organization,
    Reason,
    SendKind,
    Status,
    due_reminder,
    next_reminder_at,
)
from mollie_onboarding.services import Drained, Purpose, mailing, reminders
from mollie_onboarding.services.queueing import queue_columns
from tests.conftest import MERCHANT, NOON, Browser, authorization_url, kinds, reread
from tests.test_admin import act, change, form_of, make_staff_with, page_of, said
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
# Without a real commit no task is nudged: a test that calls `send_queued` is the worker.
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, AGAIN, LAST = (
    "Shopwise: reminder to connect Bakkerij Jansen with Mollie",
    "Shopwise: what it takes to connect Bakkerij Jansen with Mollie",
    "Shopwise: last reminder to connect Bakkerij Jansen with Mollie",
)


@pytest.fixture
def invited(sandbox, clock, make_client_link):
    """A row whose invitation went out at noon."""

    def make(**columns: Any) -> ClientLink:
        row = make_client_link(owner_locale="en_GB", **columns)
        assert services.request_sending(row)
        assert services.send_onboarding_link(row.pk)
        mail.outbox.clear()
        return reread(row)

    return make


def write(row: ClientLink, **columns: Any) -> ClientLink:
    ClientLink.objects.filter(pk=row.pk).update(**columns)
    return reread(row)


def make_organization(**columns: Any) -> Organization:
    return Organization.objects.create(organization_id="org_1", name="Bakkerij Jansen", **columns)


def remind() -> list[str]:
    """What a run of cron sends now: the subjects."""
    mail.outbox.clear()
    services.request_reminders()
    services.send_queued()
    return [message.subject for message in mail.outbox]


def sent_in(clock: Any, days: int, *, every: timedelta = DAY) -> list[tuple[float, str]]:
    """The day and the subject of each reminder of a cron that runs for so many days."""
    sent = []
    for number in range(1, round(days * DAY / every) + 1):
        clock.move_to(NOON + number * every)
        sent += [(number * every / DAY, subject) for subject in remind()]
    return sent


# The plan.


def test_three_reminders_go_out_by_the_plan(invited, clock):
    row = invited()

    assert sent_in(clock, 40) == [(3, FIRST), (10, AGAIN), (25, LAST)]

    row.refresh_from_db()
    assert (row.reminder_count, row.send_count) == (3, 4)
    assert row.invited_at == NOON
    assert kinds(row)[-2:] == ["reminder_requested", "sent"]


def test_cron_may_run_as_often_as_it_likes(invited, clock):
    invited()

    assert sent_in(clock, 11, every=HOUR) == [(3, FIRST), (10, AGAIN)]


def test_reminder_is_not_due_a_second_before_its_day(invited, clock):
    invited()

    clock.move_to(NOON + 3 * DAY - timedelta(seconds=1))
    assert remind() == []
    clock.shift(1)
    assert remind() == [FIRST]


@pytest.mark.parametrize(("days", "subject", "count"), [(9, FIRST, 1), (12, AGAIN, 2), (400, LAST, 3)])
def test_cron_that_was_down_sends_the_latest_only(invited, clock, days, subject, count):
    row = invited()

    clock.shift(days * DAY)
    assert remind() == [subject]

    row.refresh_from_db()
    assert row.reminder_count == count
    clock.shift(HOUR)
    assert remind() == []


def test_a_day_lies_between_two_mails_whatever_cron_did(invited, clock):
    invited()
    clock.move_to(NOON + 10 * DAY - HOUR)
    assert remind() == [FIRST]

    clock.move_to(NOON + 10 * DAY + HOUR)
    assert remind() == []
    clock.move_to(NOON + 11 * DAY - HOUR)
    assert remind() == [AGAIN]


def test_reminder_that_waits_long_in_the_queue_is_the_one_that_is_due_when_it_is_sent(invited, clock):
    row = invited()
    clock.shift(3 * DAY)
    services.request_reminders()
    clock.shift(8 * DAY)

    services.send_queued()

    assert [message.subject for message in mail.outbox] == [AGAIN]
    row.refresh_from_db()
    assert row.reminder_count == 2


def test_reminder_is_sent_also_where_the_clock_of_the_worker_is_behind(invited, clock):
    row = invited()
    clock.shift(3 * DAY)
    services.request_reminders()
    clock.shift(-timedelta(seconds=2))

    services.send_onboarding_link(row.pk)

    assert [message.subject for message in mail.outbox] == [FIRST]
    row.refresh_from_db()
    assert row.reminder_count == 1


@pytest.mark.parametrize("request_sending", [services.request_sending, services.request_sending_by_merchant])
def test_invitation_begins_the_plan_anew(invited, clock, request_sending):
    row = invited()
    clock.shift(12 * DAY)
    remind()
    clock.shift(DAY)
    request_sending(reread(row))
    services.send_queued()

    row.refresh_from_db()
    assert (row.reminder_count, row.invited_at) == (0, NOON + 13 * DAY)
    clock.shift(2 * DAY)
    assert remind() == []
    clock.shift(DAY)
    assert remind() == [FIRST]


@pytest.mark.parametrize(
    ("plan", "sent"),
    [
        ([], []),
        ([5], [(5, FIRST)]),
        ([1, 2], [(1, FIRST), (2, LAST)]),
        ([1, 2, 3, 4], [(1, FIRST), (2, AGAIN), (3, AGAIN), (4, LAST)]),
    ],
)
def test_plan_of_any_length_begins_with_the_first_text_and_ends_with_the_last(
    invited, clock, settings, plan, sent
):
    settings.MOLLIE_ONBOARDING_REMINDER_DAYS = plan
    invited()

    assert sent_in(clock, 8) == sent


def test_plan_that_was_made_shorter_ends_there(invited, clock, settings):
    row = invited()
    clock.shift(12 * DAY)
    remind()
    settings.MOLLIE_ONBOARDING_REMINDER_DAYS = [3]
    clock.shift(30 * DAY)

    assert remind() == []
    assert next_reminder_at(reread(row)) is None


def test_reminder_that_waits_while_the_plan_ends_is_sent_as_the_last(invited, clock, settings):
    row = write(invited(), reminder_count=1)
    clock.shift(10 * DAY)
    services.request_reminders()
    settings.MOLLIE_ONBOARDING_REMINDER_DAYS = []

    services.send_queued()

    assert [message.subject for message in mail.outbox] == [LAST]
    row.refresh_from_db()
    assert row.reminder_count == 2


# Who gets none.


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"status": Status.CANCELLED}, Reason.CANCELLED),
        ({"anonymized_at": NOON}, Reason.ERASED),
        ({"status": Status.CONNECTED}, Reason.CONNECTED),
        ({"delivery_status": DeliveryStatus.BOUNCED}, Reason.BOUNCED),
        ({"delivery_status": DeliveryStatus.COMPLAINED}, Reason.COMPLAINED),
        ({"delivery_status": DeliveryStatus.FAILED}, Reason.MAIL_FAILED),
        ({"status": Status.REJECTED}, Reason.REFUSED),
        ({"decline_count": 2}, Reason.DECLINED),
        ({"reminders_excluded": True}, Reason.EXCLUDED),
        ({"invited_at": None}, Reason.NOT_INVITED),
    ],
)
def test_merchant_who_is_not_to_be_reminded_is_not(invited, clock, columns, reason):
    row = invited()
    if columns.get("status") == Status.CONNECTED:
        columns = {**columns, "organization": make_organization(connection_status="lost")}
    row = write(row, **columns)
    clock.shift(4 * DAY)

    assert services.reason_not_to_remind(row) == reason
    assert remind() == []
    assert "reminder_requested" not in kinds(row)


@pytest.mark.parametrize(
    "columns",
    [
        {"status": Status.STARTED, "opened_at": NOON, "started_at": NOON},
        {"status": Status.DECLINED, "decline_count": 1},
        {"delivery_status": DeliveryStatus.DELIVERED},
    ],
)
def test_merchant_who_has_begun_or_said_no_once_is_reminded(invited, clock, columns):
    row = write(invited(), **columns)
    clock.shift(4 * DAY)

    assert services.reason_not_to_remind(row) is None
    assert remind() == [FIRST]


def test_condition_of_the_database_and_the_rule_about_a_row_agree_in_every_case(sandbox):
    organization = make_organization(connection_status="lost")  # an invitation would go to it
    times = [  # invited, last mail, reminders that went
        (None, NOON - 9 * DAY, 0),
        (NOON - 4 * DAY, NOON - 4 * DAY, 0),
        (NOON - 4 * DAY, NOON - 4 * DAY, 1),
        (NOON - 2 * DAY, NOON - 2 * DAY, 0),
        (NOON - 4 * DAY, NOON - HOUR, 0),
        (NOON - 4 * DAY, None, 0),
        (NOON - 99 * DAY, NOON - 60 * DAY, 2),
        (NOON - 99 * DAY, NOON - 60 * DAY, 3),
        (NOON - 99 * DAY, NOON - 60 * DAY, 4),
    ]
    cases = product(Status, DeliveryStatus, (1, 2), (True, False), (None, NOON), times, (None, NOON))
    ClientLink.objects.bulk_create(
        ClientLink(
            **MERCHANT, status=status, delivery_status=delivery, decline_count=declines,
            reminders_excluded=excluded, anonymized_at=anonymized, send_requested_at=queued,
            invited_at=invited_at, last_sent_at=last_sent_at, reminder_count=count,
            organization=organization if status == Status.CONNECTED else None,
        )
        for status, delivery, declines, excluded, anonymized, (invited_at, last_sent_at, count), queued in cases
    )  # fmt: skip

    by_rule = {
        row.pk
        for row in ClientLink.objects.select_related("organization")
        if row.send_requested_at is None
        and not services.reason_not_to_remind(row)
        and due_reminder(row, NOON)
    }

    due = ClientLink.objects.due_for_reminder(NOON)
    assert set(due.values_list("pk", flat=True)) == by_rule
    # Four statuses, four of the words about the mail, and two of the times.
    assert len(by_rule) == 4 * 4 * 2


def test_merchant_who_connects_while_the_reminder_waits_gets_none(invited, clock):
    row = invited()
    clock.shift(3 * DAY)
    assert services.request_reminders() == 1
    row = write(row, status=Status.CONNECTED, organization=make_organization())

    assert services.send_queued() == (0, 0)

    row.refresh_from_db()
    assert mail.outbox == []
    assert row.send_requested_at is None
    assert (row.delivery_status, row.reminder_count) == (DeliveryStatus.SENT, 0)


def test_merchant_who_is_excluded_while_the_reminder_waits_gets_none_but_an_invitation(invited, clock):
    row = invited()
    clock.shift(3 * DAY)
    services.request_reminders()
    row = reread(row)
    row.reminders_excluded = True
    row.save()

    assert services.send_queued() == (0, 0)
    assert services.request_sending(reread(row))
    assert services.send_queued() == (1, 0)


def test_address_that_is_corrected_is_not_reminded_before_it_is_invited(invited, clock):
    row = invited()
    clock.shift(3 * DAY)
    services.request_reminders()
    row = reread(row)
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()

    services.send_queued()

    row.refresh_from_db()
    assert mail.outbox == []
    assert (row.send_requested_at, row.delivery_status) == (None, DeliveryStatus.NOT_SENT)
    clock.shift(9 * DAY)
    assert remind() == []
    services.request_sending(reread(row))
    services.send_queued()
    clock.shift(3 * DAY)
    assert remind() == [FIRST]


def test_reminder_that_fails_for_good_waits_for_an_operator(invited, clock, monkeypatch):
    row = invited()
    clock.shift(3 * DAY)
    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", lambda *args: 0)
        for _ in range(10):
            remind()
            clock.shift(3 * HOUR)
    row.refresh_from_db()

    assert row.delivery_status == DeliveryStatus.FAILED
    assert kinds(row).count("reminder_requested") == 1
    assert remind() == []
    services.request_sending(row)
    assert services.send_queued() == (1, 0)
    row.refresh_from_db()
    assert services.reason_not_to_remind(row) is None


# A merchant's no.


def decline(sandbox: Any, row: ClientLink, *, before_the_return: Any = None) -> None:
    browser = Browser(enforce_csrf_checks=True)
    callback = sandbox.visit(authorization_url(browser.press(row)), decision="deny")
    if before_the_return:
        before_the_return()
    for _ in range(2):  # some browsers come twice
        browser.come_back(callback)


def test_each_no_is_counted_once_and_after_two_nobody_is_reminded(invited, clock, sandbox):
    row = invited()
    for count in (1, 2):
        decline(sandbox, reread(row))
        assert reread(row).decline_count == count

    clock.shift(4 * DAY)
    assert services.reason_not_to_remind(reread(row)) == Reason.DECLINED
    assert remind() == []


def test_no_after_an_edit_counts(invited, sandbox):
    row = invited()

    def edit() -> None:
        edited = reread(row)
        edited.city = "Utrecht"
        edited.save()

    decline(sandbox, row, before_the_return=edit)

    row.refresh_from_db()
    assert (row.status, row.decline_count) == (Status.DRAFT, 1)


def test_late_no_of_a_merchant_who_is_connected_does_not_count(invited, sandbox):
    row = invited()
    columns = {"status": Status.CONNECTED, "organization": make_organization()}

    decline(sandbox, row, before_the_return=lambda: write(row, **columns))

    assert reread(row).decline_count == 0


# The queue.


def test_limit_takes_the_oldest_invitations_and_each_page_its_own(invited, clock, monkeypatch):
    monkeypatch.setattr(reminders, "CHUNK_SIZE", 2)
    rows = []
    for _ in range(3):
        rows += [invited(), invited()]  # two of one moment
        clock.shift(HOUR)
    clock.shift(4 * DAY)

    assert services.request_reminders(3) == 3
    queued = ClientLink.objects.filter(send_kind=SendKind.REMINDER)
    assert {row.pk for row in rows[:2]} < set(queued.values_list("pk", flat=True))
    assert services.request_reminders() == 3
    assert services.request_reminders() == 0
    assert Event.objects.filter(kind="reminder_requested").count() == 6


def test_row_that_is_no_longer_due_when_its_turn_comes_is_left_alone(invited, clock):
    row = invited()
    clock.shift(4 * DAY)
    write(row, decline_count=2)

    assert reminders._request([row.pk], timezone.now(), nudge=True) == 0
    assert "reminder_requested" not in kinds(row)


@committing
def test_two_crons_at_once_request_each_once(make_client_link):
    now = timezone.now()
    before = now - 4 * DAY
    rows = [make_client_link(invited_at=before, last_sent_at=before, send_count=1) for _ in range(20)]

    counts = in_threads(2, lambda: services.request_reminders(now=now, nudge=False))

    assert sum(counts) == 20
    assert Event.objects.filter(kind="reminder_requested").count() == 20
    assert ClientLink.objects.filter(send_kind=SendKind.REMINDER).count() == len(rows)


@committing
def test_each_row_wakes_a_task_of_its_own(make_client_link, workers):
    before = timezone.now() - 4 * DAY
    rows = [make_client_link(invited_at=before, last_sent_at=before) for _ in range(3)]

    assert services.request_reminders() == 3

    results = tasks.send_onboarding_link.get_backend().results
    assert sorted(result.args[0] for result in results) == sorted(str(row.pk) for row in rows)


@committing
def test_task_sends_what_is_due(sandbox, make_client_link):
    before = timezone.now() - 4 * DAY
    row = make_client_link(invited_at=before, last_sent_at=before, owner_locale="en_GB")

    tasks.send_onboarding_reminders.enqueue()

    assert [message.subject for message in mail.outbox] == [FIRST]
    assert reread(row).reminder_count == 1


def test_row_that_waits_for_an_invitation_is_not_reminded(invited, clock):
    row = invited()
    clock.shift(4 * DAY)
    services.request_sending(row)

    assert services.request_reminders() == 0
    assert not services.request_sending(row, kind=SendKind.REMINDER)
    row.refresh_from_db()
    assert row.send_kind == SendKind.INVITATION


@pytest.mark.parametrize("request_sending", [services.request_sending, services.request_sending_by_merchant])
def test_invitation_takes_the_place_of_a_reminder_that_waits(invited, clock, request_sending):
    row = invited()
    clock.shift(4 * DAY)
    services.request_reminders()

    request_sending(reread(row))
    assert services.send_queued() == (1, 0)

    [message] = mail.outbox
    assert message.subject == "Shopwise: connect Bakkerij Jansen with Mollie"
    row.refresh_from_db()
    assert (row.invited_at, row.reminder_count) == (timezone.now(), 0)
    assert kinds(row)[-3:] == ["reminder_requested", "send_requested", "sent"]


def test_reminder_that_is_being_sent_is_not_replaced_but_that_of_a_dead_worker_is(invited, clock):
    row = invited()
    clock.shift(4 * DAY)
    services.request_reminders()
    assert ClientLink.objects.claim_sending(row.pk, timezone.now())

    assert not services.request_sending(reread(row))
    clock.shift(SENDING_CLAIM_LIFETIME)
    assert services.request_sending(reread(row))
    assert services.send_queued() == (1, 0)
    assert mail.outbox[0].subject == "Shopwise: connect Bakkerij Jansen with Mollie"


def test_reminder_of_a_killed_worker_comes_again_as_the_same_mail(invited, clock, monkeypatch):
    row = invited()
    clock.shift(3 * DAY)
    services.request_reminders()
    deliver = EmailBackend.send_messages

    def deliver_and_die(*args: Any) -> None:
        deliver(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", deliver_and_die)
        with pytest.raises(KeyboardInterrupt):
            services.send_onboarding_link(row.pk)
    clock.shift(SENDING_CLAIM_LIFETIME)

    assert services.send_queued() == (1, 0)

    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == second
    assert reread(row).reminder_count == 1


# The link in them.

Path = st.sampled_from(["invitation", "merchant", "reminder", "batch", "connection lost"])


@given(
    paths=st.lists(st.tuples(Path, st.integers(1, 100_000)), min_size=1, max_size=6),
    lifetime=st.timedeltas(DAY, 400 * DAY),
)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_the_path_the_link_lives_as_long_from_the_mail_on(sandbox, settings, paths, lifetime):
    """Lessons 1.6: of three ways to send again, elsewhere only one renewed the expiry."""
    settings.MOLLIE_ONBOARDING_LINK_LIFETIME = lifetime
    row = ClientLink.objects.create(**MERCHANT)
    with time_machine.travel(NOON, tick=False) as clock:
        for path, minutes in paths:
            clock.shift(timedelta(minutes=10 + minutes))
            ask(reread(row), path, clock)
            clock.shift(timedelta(minutes=3))  # in the queue

            assert services.send_onboarding_link(row.pk) is True

            row.refresh_from_db()
            assert row.link_expires_at == timezone.now() + lifetime
            assert row.last_sent_at == timezone.now()


def ask(row: ClientLink, path: str, clock: Any) -> None:
    """Queue a mail the way that `path` says; a reminder on its day, where one is to come."""
    reminder_at = next_reminder_at(row)
    if path == "reminder" and reminder_at and not row.is_connected:
        clock.move_to(max(reminder_at, timezone.now()))
        assert reminders._request([row.pk], timezone.now(), nudge=False) == 1
    elif path == "batch":
        batch = Batch.objects.create()
        ClientLink.objects.filter(pk=row.pk).update(**queue_columns(SendKind.INVITATION, batch))
    elif path == "merchant":
        services.request_sending_by_merchant(row)
    else:
        if path == "connection lost" and not row.is_connected:
            organization = Organization.objects.create(
                organization_id=f"org_{uuid.uuid4().hex}", connection_status="lost"
            )
            row = write(row, status=Status.CONNECTED, organization=organization)
        assert services.request_sending(row)


def test_reminder_speaks_the_owners_language_and_names_the_day(invited, clock, settings):
    settings.TIME_ZONE = "UTC"
    row = invited()
    clock.shift(3 * DAY)
    remind()
    [english] = mail.outbox
    html, _ = english.alternatives[0]
    assert row.merchant_url() in english.body
    assert row.merchant_url() in html
    assert "The link works until June 2, 2027." in english.body

    dutch = write(row, owner_locale="nl_NL", reminder_count=0, last_sent_at=NOON)
    remind()
    html, _ = mail.outbox[0].alternatives[0]
    assert services.language_of(dutch) == "nl"
    assert '<html lang="nl">' in html


# The command.


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("send_onboarding_reminders", *arguments, stdout=output)
    return output.getvalue()


def test_command_queues_and_sends_and_says_so_in_one_line(invited, clock):
    invited()
    invited()
    clock.shift(3 * DAY)

    assert run() == "2 reminders queued. Of all mails in the queue, 2 sent, 0 not sent.\n"
    assert len(mail.outbox) == 2
    assert run() == "0 reminders queued. Of all mails in the queue, 0 sent, 0 not sent.\n"


def test_dry_run_changes_nothing(invited, clock):
    row = invited()
    clock.shift(3 * DAY)
    before = ClientLink.objects.values().get(pk=row.pk)

    assert run("--dry-run") == "1 reminders due, none queued (dry run).\n"
    assert json.loads(run("--dry-run", "--json", "--limit=9")) == {"due": 1, "dry_run": True, "ok": True}
    assert ClientLink.objects.values().get(pk=row.pk) == before
    assert mail.outbox == []


def test_limit_of_the_command(invited, clock):
    for _ in range(3):
        invited()
    clock.shift(3 * DAY)

    assert json.loads(run("--json", "--limit", "2")) == {
        "requested": 2, "sent": 2, "failed": 0, "skipped": 0, "left": 0, "was_paused": False, "dry_run": False, "ok": True,
    }  # fmt: skip
    assert "1 reminders due" in run("--dry-run", "--limit=2")
    with pytest.raises(CommandError, match="from 1"):
        run("--limit=0")


def test_command_sends_as_many_at_once_as_it_is_told_and_hears_signals(invited, clock, monkeypatch):
    invited()
    clock.shift(3 * DAY)
    asked: list[dict[str, Any]] = []

    def drain_queue(limit: int | None, **options: Any) -> Drained:
        asked.append(options)
        os.kill(os.getpid(), signal.SIGTERM)
        assert options["stop"].wait(5)
        return Drained(left=1)

    monkeypatch.setattr(services, "drain_queue", drain_queue)

    said = run("--concurrency=9", "--max-wait=3")

    assert said.endswith("0 sent, 0 not sent. 1 left in the queue: stopped.\n")
    assert (asked[0]["concurrency"], asked[0]["longest_pause"]) == (9, 3.0)


def test_command_fails_where_a_mail_was_not_sent(invited, clock, monkeypatch):
    invited()
    clock.shift(3 * DAY)
    monkeypatch.setattr(EmailBackend, "send_messages", lambda *args: 0)

    with pytest.raises(CommandError, match="Some mails were not sent"):
        run()


@committing
def test_command_wakes_no_task_and_sends_each_once(sandbox, make_client_link, workers):
    before = timezone.now() - 4 * DAY
    make_client_link(invited_at=before, last_sent_at=before)

    run()

    assert len(mail.outbox) == 1
    assert tasks.send_onboarding_link.get_backend().results == []


# The admin.


def test_row_says_how_many_went_and_when_the_next_one_goes(invited, clock, staff):
    row = invited()
    clock.shift(3 * DAY)

    assert "0 sent, the next one on 2027\u201103\u201104" in staff.get(change(row)).content.decode()
    remind()
    assert "1 sent, the next one on 2027\u201103\u201111" in staff.get(change(row)).content.decode()
    write(row, reminder_count=3)
    assert "3 sent, no more will follow" in staff.get(change(row)).content.decode()
    write(row, decline_count=2)
    page = staff.get(change(row)).content.decode()
    assert "3 sent, no more will follow (The merchant said no twice.)" in page


def test_operator_excludes_a_row_on_its_page(invited, clock, staff, operator):
    row = invited()

    staff.post(change(row), {**form_of(staff, change(row)), "reminders_excluded": "on"})

    row.refresh_from_db()
    assert row.reminders_excluded
    assert row.status == Status.READY  # it is nothing that Mollie was told
    event = row.events.get(kind="edited")
    assert (event.actor, event.data) == (operator, {"columns": ["reminders_excluded"]})
    assert "changed: no reminders" in staff.get(change(row)).content.decode()


def test_actions_exclude_and_include_many(make_client_link, staff):
    rows = [make_client_link(organization_name=name) for name in ("A", "B")]
    connected = make_client_link(status=Status.CONNECTED, organization=make_organization())
    cancelled = make_client_link(status=Status.CANCELLED)

    asked = act(staff, "exclude_from_reminders", *rows, connected, cancelled)
    page = asked.content.decode()
    assert "2 merchants will get no reminders" in page
    assert "The merchant is connected." in page
    assert "The client link is cancelled." in page
    assert not ClientLink.objects.filter(reminders_excluded=True).exists()

    answer = act(staff, "exclude_from_reminders", *rows, connected, cancelled, post="yes")
    assert said(answer) == ["2 merchants were changed.", "2 merchants were skipped."]
    assert set(ClientLink.objects.filter(reminders_excluded=True)) == set(rows)
    assert (
        "This merchant gets invitations only."
        in act(staff, "exclude_from_reminders", rows[0]).content.decode()
    )

    assert (
        "2 merchants will get reminders again" in act(staff, "include_in_reminders", *rows).content.decode()
    )
    assert said(act(staff, "include_in_reminders", *rows, post="yes")) == ["2 merchants were changed."]
    assert not ClientLink.objects.filter(reminders_excluded=True).exists()
    assert "This merchant gets reminders." in act(staff, "include_in_reminders", rows[0]).content.decode()
    assert said(act(staff, "include_in_reminders", rows[0], post="yes")) == ["1 merchant was skipped."]


def test_buttons_need_the_permission_to_send(make_client_link):
    row = make_client_link()
    allowed, other = make_staff_with("view_clientlink", "send_clientlink"), make_staff_with("view_clientlink")

    assert allowed.get(page_of(row, "no-reminders")).status_code == 200
    for path in ("no-reminders", "reminders"):
        assert other.get(page_of(row, path)).status_code == 403


@pytest.mark.parametrize("purpose", mailing.REMINDERS)
def test_preview_of_a_reminder_says_why_the_merchant_gets_none(staff, make_client_link, purpose):
    row = make_client_link(owner_locale="en_GB")

    page = staff.get(page_of(row, "mail"), {"mail": purpose}).content.decode()

    assert "The merchant gets no such mail now: The merchant was not invited yet." in page
    assert services.build_example(row, Purpose(purpose), "en").subject in page
