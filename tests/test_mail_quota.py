"""How many mails one recipient gets, whoever sends them and for whichever client link."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.admin.labels import reasons_for_attention
from mollie_onboarding.models import (
    SENDING_CLAIM_LIFETIME,
    Batch,
    BatchItem,
    ClientLink,
    MailQuota,
    Organization,
    SendKind,
    Wait,
)
from mollie_onboarding.services import mail_quota
from tests.conftest import NOON
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

HOUR = 3600.0
JAN = "jan@bakkerij-jansen.example"
DECOMPOSED = "jan@bu\u0308cher.example"


@pytest.fixture(autouse=True)
def _three_an_hour(settings):
    settings.MOLLIE_ONBOARDING_MAIL_LIMIT = "3/h"


def takes(number: int, address: str = JAN) -> list[float]:
    return [mail_quota.take(address, f"mail {MailQuota.objects.count()} {i}") for i in range(number)]


# Counting


def test_mails_within_the_limit_go_and_the_next_waits_for_the_end_of_the_window(clock):
    assert takes(1) == [0.0]
    clock.shift(timedelta(minutes=10))

    assert [mail_quota.take(JAN, name) for name in "bcdd"] == [0.0, 0.0, 3000.0, 3000.0]


def test_window_begins_with_its_first_mail(clock):
    takes(3)
    clock.shift(timedelta(hours=1, minutes=20))
    assert mail_quota.take(JAN, "d") == 0.0
    clock.shift(timedelta(minutes=59))

    assert [mail_quota.take(JAN, name) for name in "efg"] == [0.0, 0.0, 60.0]


def test_end_of_the_window_is_exact(clock):
    takes(3)
    clock.shift(timedelta(minutes=59, seconds=59))
    assert mail_quota.take(JAN, "d") == 1.0
    clock.shift(timedelta(seconds=1))
    assert mail_quota.take(JAN, "d") == 0.0


def test_repeated_mail_is_counted_once(clock):
    assert [mail_quota.take(JAN, "same") for _ in range(5)] == [0.0] * 5

    assert MailQuota.objects.get().count == 1


def test_repeated_mail_goes_although_the_limit_is_reached(clock):
    assert [mail_quota.take(JAN, name) for name in "abccd"] == [0.0] * 4 + [HOUR]


def test_mail_that_is_repeated_in_a_later_window_is_counted_there(clock):
    mail_quota.take(JAN, "a")
    clock.shift(timedelta(hours=1))
    mail_quota.take(JAN, "a")

    assert MailQuota.objects.get().window_started_at == NOON + timedelta(hours=1)


def test_recipients_do_not_share(clock):
    takes(3)

    assert mail_quota.take("piet@bakkerij-jansen.example", "a") == 0.0
    assert mail_quota.take("jan@bakkerij-jansen.test", "a") == 0.0


def test_statements(clock, django_assert_num_queries):
    with django_assert_num_queries(4):  # INSERT between SAVEPOINT and RELEASE, here in a test's transaction
        mail_quota.take(JAN, "a")
    with django_assert_num_queries(2):
        mail_quota.take(JAN, "b")
    with django_assert_num_queries(1):
        mail_quota.take(JAN, "b")


def test_address_is_not_in_the_table(clock):
    takes(1)

    row = MailQuota.objects.get()
    assert len(row.recipient) == 64
    assert set(row.recipient) <= set("0123456789abcdef")
    assert "jan" not in f"{row.recipient}{row.last_mail}"


def test_digest_depends_on_the_secret_key(settings):
    before = mail_quota.digest(JAN)
    settings.SECRET_KEY = "another"

    assert mail_quota.digest(JAN) != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jan@shop.example", "JAN@Shop.EXAMPLE"),
        ("jan@shop.example", " jan@shop.example "),
        ("jan@b\u00fccher.example", DECOMPOSED),
        ("jan@b\u00fccher.example", "jan@xn--bcher-kva.example"),
        ("jan@B\u00dcCHER.example", "jan@XN--BCHER-KVA.example"),
        ("jos\u00e9@shop.example", "JOSE\u0301@shop.example"),
        ("jan@shop.example", "\uff4a\uff41\uff4e@shop\uff0eexample"),
        ("gro\u00df@shop.example", "GROSS@shop.example"),
        ("jan@shop.example", '"jan"@shop.example'),
        ("jan@shop.example", r'"J\an"@shop.example'),
        ('"jan smit"@shop.example', r'"jan\ smit"@shop.example'),
        ("jan@", "JAN@"),
        ("jan", "JAN"),
        (f"jan@{'a' * 64}.example", f"JAN@{'A' * 64}.EXAMPLE"),  # no domain name
    ],
)
def test_spellings_of_one_address(one, other):
    assert mail_quota.digest(one) == mail_quota.digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jan@shop.example", "jan@shop.example.org"),
        ("jan@shop.example", "jan+1@shop.example"),
        ("a@b@shop.example", "ab@shop.example"),
        ('"jan"@shop.example', '"jan smit"@shop.example'),
        ("jan@b\u00fccher.example", "jan@bucher.example"),
    ],
)
def test_two_addresses(one, other):
    assert mail_quota.digest(one) != mail_quota.digest(other)


# At the same moment


@committing
def test_first_mails_at_once_are_all_counted():
    names = count()

    results = in_threads(12, lambda: mail_quota.take(JAN, f"mail {next(names)}"))

    assert results.count(0.0) == 3
    assert all(abs(wait - HOUR) < 60 for wait in results if wait)
    assert MailQuota.objects.get().count == 3


@committing
def test_mails_at_once_in_a_window_that_runs():
    names = count()
    mail_quota.take(JAN, "the first")

    results = in_threads(12, lambda: mail_quota.take(JAN, f"mail {next(names)}"))

    assert results.count(0.0) == 2


@committing
def test_mails_at_once_when_a_window_is_over():
    names = count()
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        takes(3)

    results = in_threads(12, lambda: mail_quota.take(JAN, f"mail {next(names)}"))

    assert results.count(0.0) == 3


def test_worker_that_made_the_row_first_is_counted_beside(clock, monkeypatch):
    begin = mail_quota._begin

    def overtaken(recipient: str, mail: str, now: datetime) -> bool:
        assert begin(recipient, "of the other", now)
        return begin(recipient, mail, now)

    monkeypatch.setattr(mail_quota, "_begin", overtaken)

    assert mail_quota.take(JAN, "ours") == 0.0
    assert MailQuota.objects.get().count == 2


def test_purge_between_two_lines_costs_nothing(clock, monkeypatch):
    takes(1)
    same_window = mail_quota._same_window

    def purged(row: MailQuota) -> Any:
        MailQuota.objects.all().delete()
        return same_window(row)

    monkeypatch.setattr(mail_quota, "_same_window", purged)

    assert mail_quota.take(JAN, "b") == 0.0
    assert MailQuota.objects.get().count == 1


# Purging


def test_what_is_over_is_purged(clock):
    takes(1)
    clock.shift(timedelta(minutes=1))
    takes(1, "piet@shop.example")
    clock.shift(timedelta(minutes=59))

    assert services.purge_onboarding_data(dry_run=True).mail_quotas == 1
    assert MailQuota.objects.count() == 2
    assert services.purge_onboarding_data().mail_quotas == 1
    assert MailQuota.objects.get().recipient == mail_quota.digest("piet@shop.example")


# Sending


@pytest.mark.parametrize("kind", SendKind)
def test_mail_over_the_limit_stays_queued_until_the_window_is_over(sandbox, queued, clock, kind):
    takes(3)
    row = queued(kind, owner_email=JAN.upper(), invited_at=NOON - timedelta(days=3))

    assert services.send_onboarding_link(row.pk) is None

    row.refresh_from_db()
    assert row.send_not_before == NOON + timedelta(hours=1)
    assert (row.send_attempts, row.sending_until, row.problem) == (0, None, "")
    assert row.delivery_status == ClientLink.DeliveryStatus.QUEUED
    assert mail.outbox == []
    clock.shift(timedelta(minutes=59, seconds=59))
    assert services.send_queued() == (0, 0)
    clock.shift(timedelta(seconds=1))
    assert services.send_queued() == (1, 0)


def test_mails_of_several_client_links_to_one_owner_are_counted_together(sandbox, queued, clock):
    rows = [queued(reference=str(number)) for number in range(5)]

    results = [services.send_onboarding_link(row.pk) for row in rows]

    assert results == [True, True, True, None, None]


def test_row_of_a_batch_that_waits_is_neither_sent_nor_failed(sandbox, make_client_link, clock):
    takes(3)
    batch = Batch.objects.create(count=1, started_at=NOON)
    row = make_client_link(send_requested_at=NOON, batch=batch)
    item = BatchItem.objects.create(batch=batch, client_link=row, outcome=BatchItem.Outcome.QUEUED)

    assert services.send_onboarding_link(row.pk) is None

    item.refresh_from_db()
    assert item.outcome == BatchItem.Outcome.QUEUED


def test_operator_is_told_that_the_recipient_got_enough(sandbox, queued, clock):
    takes(3)
    row = queued()
    services.send_onboarding_link(row.pk)
    clock.shift(timedelta(minutes=10))
    row.refresh_from_db()

    assert reasons_for_attention(row) == [
        "The mail waits: this e-mail address has reached its limit of mails"
    ]
    assert row.send_waits_for == Wait.RECIPIENT


def test_mail_that_a_killed_worker_had_in_hand_is_not_counted_twice(
    sandbox, queued, clock, settings, monkeypatch
):
    settings.MOLLIE_ONBOARDING_MAIL_LIMIT = "1/d"
    row = queued()
    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            services.send_onboarding_link(row.pk)
    clock.shift(SENDING_CLAIM_LIFETIME)

    assert services.send_onboarding_link(row.pk) is True
    assert services.request_sending(row)
    assert services.send_onboarding_link(row.pk) is None  # another request is another mail


def test_mail_that_the_mail_server_did_not_take_is_not_counted_twice(
    sandbox, queued, clock, settings, monkeypatch
):
    settings.MOLLIE_ONBOARDING_MAIL_LIMIT = "1/d"
    row = queued()
    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", mock.Mock(side_effect=OSError))
        assert services.send_onboarding_link(row.pk) is False
    clock.shift(timedelta(minutes=5))

    assert services.send_onboarding_link(row.pk) is True


def test_notice_after_connecting_is_not_counted(make_client_link, clock):
    takes(3)
    organization = Organization.objects.create(organization_id="org_1", name="Bakkerij Jansen")
    row = make_client_link(status="connected", organization=organization, notice_requested_at=NOON)

    assert services.send_connected_notice(row.pk) is True
    assert [message.to for message in mail.outbox] == [[JAN]]


@committing
def test_workers_at_once_do_not_exceed_the_limit(sandbox, make_client_link):
    rows = iter([make_client_link(send_requested_at=timezone.now()).pk for _ in range(8)])

    results = in_threads(8, lambda: services.send_onboarding_link(next(rows)))

    assert results.count(True) == 3
    assert results.count(None) == 5
    assert len(mail.outbox) == 3
