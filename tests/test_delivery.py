"""What became of a mail: anymail's signal and a provider's webhook, in every order, and what an operator sees of it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import django
import pytest
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import SENDING_CLAIM_LIFETIME, ClientLink, DeliveryStatus, Organization, Status
from mollie_onboarding.services import delivery, mailing
from mollie_onboarding.services.delivery import METADATA_KEY, heed_tracking
from tests.conftest import NOON, reread
from tests.test_admin import LIST, change, names_in_list
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)

DAY = timedelta(days=1)
DELIVERED, BOUNCED, COMPLAINED, FAILED = (
    DeliveryStatus.DELIVERED,
    DeliveryStatus.BOUNCED,
    DeliveryStatus.COMPLAINED,
    DeliveryStatus.FAILED,
)
EVENT_KINDS = ("delivered", "bounced", "complained", "delivery_failed")


@pytest.fixture
def mailed(sandbox, clock, make_client_link):
    """A row that was invited, and the reference that the mail carried."""

    def make(**columns: Any) -> tuple[ClientLink, str]:
        row = make_client_link(owner_locale="en_GB", **columns)
        return row, send(row)

    return make


@pytest.fixture
def anymail(settings):
    """Django with anymail installed, as its documentation has it."""

    def install(backend: str = "EmailBackend") -> None:
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "anymail"]
        settings.ROOT_URLCONF = "tests.mail_provider"
        settings.ANYMAIL = {"WEBHOOK_SECRET": "postmark:secret"}
        backend = f"tests.mail_provider.{backend}"
        if django.VERSION >= (6, 1):
            settings.MAILERS = {"default": {"BACKEND": backend}}
        else:
            settings.EMAIL_BACKEND = backend

    yield install
    tracking.disconnect(dispatch_uid="mollie_onboarding")


def send(row: ClientLink) -> str:
    assert services.request_sending(reread(row))
    assert services.send_onboarding_link(row.pk)
    return reference_of(mail.outbox[-1])


def reference_of(message: Any) -> str:
    return message.metadata[METADATA_KEY]


def status_of(row: ClientLink) -> str:
    return reread(row).delivery_status


def told(row: ClientLink) -> list[str]:
    """The lines of the history that the mail provider wrote."""
    return [event.kind for event in row.events.filter(kind__in=EVENT_KINDS).order_by("pk")]


def correct_address(row: ClientLink) -> None:
    row = reread(row)
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()


def postmark(record_type: str, message: Any, **fields: Any) -> Any:
    """Postmark tells of a mail. https://postmarkapp.com/developer/webhooks/webhooks-overview"""
    common = {
        "RecordType": record_type,
        "MessageStream": "outbound",
        "ServerID": 23,
        "MessageID": str(message.anymail_status.message_id),
        "Metadata": message.anymail_test_params.get("metadata", {}),
        "Tag": "",
    }
    if record_type == "Delivery":
        about = {
            "Recipient": message.to[0],
            "DeliveredAt": "2027-03-01T12:00:05Z",
            "Details": "smtp;250 2.0.0 OK",
        }
    else:
        about = {
            "ID": 4323372036854775807,
            "Type": "HardBounce",
            "TypeCode": 1,
            "Name": "Hard bounce",
            "Description": "The server was unable to deliver your message (ex: unknown user).",
            "Details": f"smtp;550 5.1.1 The email account {message.to[0]} does not exist.",
            "Email": message.to[0],
            "From": message.from_email,
            "BouncedAt": "2027-03-01T12:00:09Z",
            "DumpAvailable": True,
            "Inactive": True,
            "CanActivate": True,
            "Subject": message.subject,
        }
    return Client(headers={"Authorization": "Basic cG9zdG1hcms6c2VjcmV0"}).post(
        "/anymail/postmark/tracking/", {**common, **about, **fields}, content_type="application/json"
    )


# With anymail, from the mail to the operator's page.


def test_provider_tells_of_a_mail_and_the_operator_sees_it(anymail, mailed, clock, staff):
    anymail()
    row, _reference = mailed()
    other, _ = mailed(organization_name="Other", owner_email="other@merchant.example")
    message = mail.outbox[0]
    assert reread(row).mail_id == message.anymail_status.message_id
    assert status_of(row) == DeliveryStatus.SENT

    assert postmark("Delivery", message).status_code == 200
    assert status_of(row) == DELIVERED

    postmark("Bounce", message)
    postmark("Bounce", message)
    postmark("Delivery", message)
    assert status_of(row) == BOUNCED
    assert told(row) == ["delivered", "bounced"]
    assert [event.data for event in row.events.filter(kind="bounced")] == [{"reason": "bounced"}]
    assert (status_of(other), told(other)) == (DeliveryStatus.SENT, [])

    assert names_in_list(staff.get(LIST, {"delivery_status__exact": "bounced"})) == ["Bakkerij Jansen"]
    page = staff.get(change(row)).content.decode()
    assert "The mail bounced: correct the e-mail address" in page
    assert "Mail delivered" in page
    assert "Mail bounced (reason: bounced)" in page

    clock.shift(4 * DAY)
    services.request_reminders()
    assert not services.request_sending(reread(row))
    assert told(row) == ["delivered", "bounced"]
    assert reread(row).send_requested_at is None

    correct_address(row)
    assert (status_of(row), reread(row).mail_id) == ("", "")
    send(row)
    postmark("Bounce", message)  # of the old address
    assert status_of(row) == DeliveryStatus.SENT


def test_complaint_by_webhook(anymail, mailed):
    anymail()
    row, _ = mailed()

    postmark("SpamComplaint", mail.outbox[0], Type="SpamComplaint")

    assert status_of(row) == COMPLAINED
    assert [event.data for event in row.events.filter(kind="complained")] == [{"reason": "spam"}]


def test_webhook_without_the_secret_changes_nothing(anymail, mailed):
    anymail()
    row, _ = mailed()

    response = Client(headers={"Authorization": "Basic eDp5"}).post(
        "/anymail/postmark/tracking/", {"RecordType": "Delivery"}, content_type="application/json"
    )

    assert response.status_code == 400
    assert status_of(row) == DeliveryStatus.SENT


def test_provider_that_takes_no_metadata_is_known_by_the_id_of_the_last_mail(
    anymail, sandbox, make_client_link
):
    anymail("TakesNoMetadata")
    row = make_client_link()
    services.request_sending(row)

    assert services.send_onboarding_link(row.pk) is True

    [message] = mail.outbox
    assert "metadata" not in message.anymail_test_params
    postmark("Bounce", message, MessageID="another mail")
    assert status_of(row) == DeliveryStatus.SENT
    postmark("Bounce", message)
    assert status_of(row) == BOUNCED


def test_any_other_error_of_the_backend_is_no_reason_to_try_without_metadata(anymail, mailed, monkeypatch):
    from anymail.exceptions import AnymailAPIError

    row, _ = mailed()
    message = mailing.build_example(row, mailing.Purpose.INVITATION, "en")
    message.metadata = {METADATA_KEY: "x"}
    calls = []

    def refuse(*args: Any) -> None:
        calls.append(args)
        raise AnymailAPIError("no")

    monkeypatch.setattr(EmailBackend, "send_messages", refuse)

    assert not mailing.deliver(message)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("event_type", "status"),
    [
        (EventType.DELIVERED, DELIVERED),
        (EventType.BOUNCED, BOUNCED),
        (EventType.REJECTED, BOUNCED),
        (EventType.COMPLAINED, COMPLAINED),
        (EventType.FAILED, FAILED),
        *(
            (getattr(EventType, name), DeliveryStatus.SENT)
            for name in (
                "QUEUED SENT DEFERRED AUTORESPONDED OPENED CLICKED UNSUBSCRIBED SUBSCRIBED INBOUND "
                "INBOUND_FAILED UNKNOWN"
            ).split()
        ),
    ],
)
def test_each_event_of_anymails(mailed, event_type, status):
    row, reference = mailed()
    event = AnymailTrackingEvent(event_type=event_type, metadata={METADATA_KEY: reference})

    heed_tracking(sender=None, event=event, esp_name="Test")

    assert status_of(row) == status
    assert len(told(row)) == (status != DeliveryStatus.SENT)


def test_every_type_and_reason_of_anymails_is_known():
    def words(constants: type) -> set[str]:
        return {value for name, value in vars(constants).items() if name.isupper()}

    assert set(delivery.STATUSES) <= words(EventType)
    assert set(delivery.REASONS) == words(RejectReason)


def test_event_of_a_mail_of_the_platforms_own_is_ignored(mailed):
    row, _ = mailed()
    for metadata in (None, {}, {"order": "1"}, {METADATA_KEY: 7}):
        event = AnymailTrackingEvent(event_type="bounced", metadata=metadata, message_id="x", recipient=None)
        heed_tracking(sender=None, event=event, esp_name="Test")

    assert status_of(row) == DeliveryStatus.SENT


def test_without_anymail_nothing_of_it_is_imported():
    code = (
        "import django; django.setup(); import sys; from mollie_onboarding import admin, tasks;"
        "sys.exit('anymail' in sys.modules)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}

    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


# What a platform without anymail calls.


def test_reference_names_nobody_and_opens_nothing(mailed):
    row, reference = mailed()

    assert reference == f"{row.pk.hex}.1.1"
    assert len(METADATA_KEY) <= 20
    assert len(f"{row.pk.hex}.{2**31}.{2**31}") <= 80  # Postmark
    assert services.record_delivery(DELIVERED, reference=reference) is True
    assert services.record_delivery(DELIVERED, reference=reference) is False
    assert told(row) == ["delivered"]


@pytest.mark.parametrize(
    "reference",
    ["", "x", "1.2.3", "....", "{pk}.1.x", "{pk}.1", "{pk}.2.1", "{pk}.1.9", "{pk}.1.-1", "0" * 32 + ".1.1"],
)
def test_reference_of_no_mail_that_went_out_changes_nothing(mailed, reference):
    row, _ = mailed()

    assert not services.record_delivery(BOUNCED, reference=reference.format(pk=row.pk.hex))
    assert not services.record_delivery(DELIVERED, mail_id="")
    assert (status_of(row), told(row)) == (DeliveryStatus.SENT, [])


@pytest.mark.parametrize(
    ("recipient", "is_theirs"),
    [
        ("", True),
        ("JAN@Bakkerij-Jansen.example", True),
        ("archive@shopwise.example", False),
        ("jan", False),
        ("jan@" + "x" * 80, False),
    ],
)
def test_copy_that_the_platform_keeps_is_not_the_merchants_mail(mailed, recipient, is_theirs):
    _, reference = mailed()

    assert services.record_delivery(BOUNCED, reference=reference, recipient=recipient) is is_theirs


def test_domain_with_umlauts_is_the_same_in_ascii(mailed):
    _, reference = mailed(owner_email="jan@bäckerei.example")

    assert services.record_delivery(DELIVERED, reference=reference, recipient="jan@xn--bckerei-5wa.example")


@pytest.mark.parametrize("reason", ["", "550 jan@bakkerij-jansen.example is unknown here", "Bounced"])
def test_reason_that_is_none_of_anymails_is_not_kept(mailed, reason):
    row, reference = mailed()

    services.record_delivery(BOUNCED, reference=reference, reason=reason)

    assert row.events.get(kind="bounced").data == {}


# In any order.


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([DELIVERED, BOUNCED], BOUNCED),
        ([BOUNCED, DELIVERED], BOUNCED),
        ([DELIVERED, COMPLAINED], COMPLAINED),
        ([COMPLAINED, DELIVERED], COMPLAINED),
        ([COMPLAINED, BOUNCED], COMPLAINED),
        ([BOUNCED, COMPLAINED], COMPLAINED),
        ([BOUNCED, FAILED], BOUNCED),
        ([FAILED, BOUNCED], BOUNCED),
        ([FAILED, DELIVERED], FAILED),
        ([DELIVERED, FAILED], DELIVERED),
    ],
)
def test_late_word_hides_no_worse_one(mailed, words, status):
    row, reference = mailed()

    recorded = [services.record_delivery(word, reference=reference) for word in words]

    assert status_of(row) == status
    assert recorded[0]
    assert len(told(row)) == sum(recorded)


@pytest.mark.parametrize("word", [DELIVERED, BOUNCED, FAILED])
def test_word_about_an_older_mail_changes_nothing(mailed, word, clock):
    row, older = mailed()
    clock.shift(DAY)
    send(row)

    assert not services.record_delivery(word, reference=older)
    assert (status_of(row), told(row)) == (DeliveryStatus.SENT, [])


def test_complaint_about_an_older_mail_ends_the_mails_to_this_address(mailed, clock):
    row, older = mailed()
    clock.shift(DAY)
    send(row)

    assert services.record_delivery(COMPLAINED, reference=older)
    assert not services.request_sending(reread(row))


@pytest.mark.parametrize("word", [DELIVERED, BOUNCED, COMPLAINED, FAILED])
def test_word_about_an_older_address_changes_nothing(mailed, word):
    row, older = mailed()
    correct_address(row)

    assert not services.record_delivery(word, reference=older)
    send(row)
    assert not services.record_delivery(word, reference=older)
    assert (status_of(row), told(row)) == (DeliveryStatus.SENT, [])


@pytest.mark.parametrize("word", [BOUNCED, COMPLAINED])
def test_bounce_while_the_next_mail_waits_stops_that(mailed, clock, word):
    row, reference = mailed()
    clock.shift(3 * DAY)
    assert services.request_reminders() == 1

    assert services.record_delivery(word, reference=reference)
    assert services.send_queued() == (0, 0)

    assert len(mail.outbox) == 1
    assert (status_of(row), reread(row).send_requested_at) == (word, None)


@pytest.mark.parametrize("word", [DELIVERED, FAILED])
def test_other_words_while_the_next_mail_waits_leave_it_in_the_queue(mailed, clock, word):
    row, reference = mailed()
    clock.shift(3 * DAY)
    services.request_reminders()

    assert not services.record_delivery(word, reference=reference)
    assert status_of(row) == DeliveryStatus.QUEUED
    assert services.send_queued() == (1, 0)


@pytest.mark.parametrize("word", [DELIVERED, BOUNCED, COMPLAINED, FAILED])
def test_webhook_that_is_faster_than_our_commit_is_not_lost(sandbox, make_client_link, monkeypatch, word):
    row = make_client_link()
    services.request_sending(row)
    deliver = EmailBackend.send_messages

    def deliver_and_tell(self: EmailBackend, messages: Any) -> int:
        count = deliver(self, messages)
        assert services.record_delivery(word, reference=reference_of(messages[0]))
        assert not services.record_delivery(word, reference=reference_of(messages[0]))
        return count

    monkeypatch.setattr(EmailBackend, "send_messages", deliver_and_tell)

    assert services.send_onboarding_link(row.pk) is True

    row.refresh_from_db()
    assert row.delivery_status == word
    assert (row.send_count, row.send_requested_at) == (1, None)
    assert len(told(row)) == 1


@pytest.mark.parametrize(("word", "mails"), [(DELIVERED, 2), (BOUNCED, 1), (COMPLAINED, 1)])
def test_mail_of_a_killed_worker_that_bounced_is_not_sent_again(
    sandbox, make_client_link, monkeypatch, clock, word, mails
):
    row = make_client_link()
    services.request_sending(row)
    deliver = EmailBackend.send_messages

    def deliver_and_die(*args: Any) -> None:
        deliver(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", deliver_and_die)
        with pytest.raises(KeyboardInterrupt):
            services.send_onboarding_link(row.pk)
    services.record_delivery(word, reference=reference_of(mail.outbox[0]))
    clock.shift(SENDING_CLAIM_LIFETIME)

    services.send_queued()

    assert len(mail.outbox) == mails
    row.refresh_from_db()
    assert (row.delivery_status, row.send_requested_at) == (word, None)


def test_failure_of_ours_hides_no_bounce(sandbox, mailed, clock):
    """The mail before it bounced while Mollie refused the next client link."""
    row, reference = mailed()
    clock.shift(91 * DAY)
    services.request_sending(row)
    sandbox.add_fault("client_links", "validation")
    send_next = services.send_onboarding_link
    assert services.record_delivery(BOUNCED, reference=reference)

    assert send_next(row.pk) is None
    assert status_of(row) == BOUNCED


@pytest.mark.django_db(databases=DATABASES, transaction=True)
def test_webhook_that_comes_twice_at_once_is_recorded_once(sandbox, make_client_link):
    row = make_client_link()
    services.request_sending(row)
    reference = reference_of(mail.outbox[0])

    results = in_threads(4, lambda: services.record_delivery(BOUNCED, reference=reference))

    assert sorted(results) == [False, False, False, True]
    assert told(row) == ["bounced"]


# Other mails.


def test_bounce_of_the_notice_after_connecting_says_nothing_about_the_invitation(anymail, mailed):
    anymail()
    row, _ = mailed()
    organization = Organization.objects.create(organization_id="org_1", name="Bakkerij Jansen")
    ClientLink.objects.filter(pk=row.pk).update(
        status=Status.CONNECTED, organization=organization, notice_requested_at=timezone.now()
    )
    assert services.send_connected_notice(row.pk)

    notice = mail.outbox[-1]
    assert "metadata" not in notice.anymail_test_params
    postmark("Bounce", notice)

    assert (status_of(row), told(row)) == (DeliveryStatus.SENT, [])


def test_test_of_a_mail_carries_no_reference(mailed):
    row, _ = mailed()

    services.send_test_mail(row, services.Purpose.INVITATION, language="en", to="operator@shopwise.example")

    assert not hasattr(mail.outbox[-1], "metadata")


def test_merchant_who_is_forgotten_cannot_be_found_at_the_provider(anymail, mailed, settings, clock):
    anymail()
    settings.MOLLIE_ONBOARDING_DISCONNECTED_RETENTION = DAY
    row, _ = mailed()
    organization = Organization.objects.create(
        organization_id="org_1", connection_status="disconnected", ended_at=NOON
    )
    ClientLink.objects.filter(pk=row.pk).update(status=Status.CONNECTED, organization=organization)
    clock.shift(2 * DAY)

    assert services.purge_onboarding_data().anonymized == 1

    assert reread(row).mail_id == ""
    postmark("SpamComplaint", mail.outbox[0], Type="SpamComplaint")
    assert told(row) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": ["a list"]},
        {"metadata": "a text"},
        {"metadata": {METADATA_KEY: {"an": "object"}}},
        {"metadata": {METADATA_KEY: f"{'0' * 32}.{'9' * 5000}.1"}},
        {"message_id": "mail\0id"},
        {"message_id": "mail-\ud800"},
        {"message_id": ["mail-id"]},
        {"event_type": ["bounced"]},
    ],
)
def test_report_of_another_shape_is_about_no_mail_of_ours(mailed, odd):
    row, _ = mailed()
    event = AnymailTrackingEvent(
        **{"event_type": "bounced", "metadata": {}, "message_id": "", "recipient": row.owner_email, **odd}
    )

    heed_tracking(sender=None, event=event, esp_name="Test")

    assert (status_of(row), told(row)) == (DeliveryStatus.SENT, [])
