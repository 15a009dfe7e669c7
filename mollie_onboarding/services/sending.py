"""The queue of mails: invitations, and notices after connecting. What they say is in `mailing`.

The queue is `ClientLink.send_requested_at`. A task is only a nudge: it may be lost, come twice or come late, and the row
tells what there is to do. One function sends, for first mail, resend and reminder.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    ClientLinkUnusableError,
    CreationInProgressError,
    MollieConnectionError,
    MollieResponseError,
)
from mollie_onboarding.models import ClientLink, Event

from .announcing import announce
from .creation import create_client_link
from .mailing import build_mail, deliver

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 6
FIRST_PAUSE = timedelta(minutes=5)  # doubled with each attempt
NOTICE_OVERDUE_AFTER = timedelta(minutes=1)
SELF_SERVICE_INTERVAL = timedelta(minutes=10)  # between two mails that a merchant asks for

DeliveryStatus = ClientLink.DeliveryStatus
Problem = ClientLink.Problem


def reason_not_to_send(client_link: ClientLink) -> str | Promise:
    """Why this merchant gets no onboarding link, in words for an operator; '' when they do."""
    if client_link.is_cancelled:
        return _("The client link is cancelled.")
    if client_link.anonymized_at:
        return _("The personal data of the merchant were erased.")
    if client_link.is_connected and not (client_link.needs_reconnecting or client_link.needs_new_consent):
        return _("The merchant is connected.")
    return ""


def request_sending(
    client_link: ClientLink, *, actor: Any = None, unless_sent_since: datetime | None = None
) -> bool:
    """Queue the mail with the onboarding link; a task is nudged after the commit. False: not sent, or queued already.

    A row that was mailed after `unless_sent_since` stays as it is: that is the same press of a button, come twice.
    Works inside a transaction of the caller's. The mail follows even if the nudge is lost: `send_onboarding_links`
    takes up every row that is queued.
    """
    if reason_not_to_send(client_link):
        return False
    now = timezone.now()
    rows = ClientLink.objects.filter(pk=client_link.pk, send_requested_at=None)
    if unless_sent_since is not None:
        rows = rows.exclude(last_sent_at__gt=unless_sent_since)
    with transaction.atomic():
        queued = rows.update(
            send_requested_at=now,
            send_not_before=None,
            send_attempts=0,
            delivery_status=DeliveryStatus.QUEUED,
        )
        if queued:
            Event.objects.record("send_requested", client_link_id=client_link.pk, actor=actor)
        nudge_after_commit("send_onboarding_link", client_link.pk)
    return bool(queued)


def request_sending_by_merchant(client_link: ClientLink) -> None:
    """The merchant asks for a new mail, to the stored address: at most one in ten minutes, and silently so."""
    since = timezone.now() - SELF_SERVICE_INTERVAL
    # Requests count like mails: where each of them fails, Mollie would be asked as often as somebody presses.
    if not client_link.events.filter(kind="send_requested", at__gt=since).exists():
        request_sending(client_link, unless_sent_since=since)


def nudge_after_commit(task_name: str, pk: uuid.UUID | int) -> None:
    """Wake a task for a row, once what was written of it is committed."""
    # Robust: a queue that is down costs nothing but time, the row is queued all the same.
    transaction.on_commit(lambda: _nudge(task_name, pk), robust=True)


def _nudge(task_name: str, pk: uuid.UUID | int) -> None:
    # The one arrow that points left: a task calls this module, and this module wakes the task.
    from mollie_onboarding import tasks

    getattr(tasks, task_name).enqueue(str(pk))


def nudge_notice(client_link: ClientLink) -> None:
    """Wake the task that sends the notice after connecting."""
    nudge_after_commit("send_connected_notice", client_link.pk)


def send_onboarding_link(client_link_id: uuid.UUID) -> bool | None:
    """Make the client link at Mollie if need be, mail our own link, record it.

    True when the mail went out, False when it should have, None when there was none to send: the row is not queued,
    not due, in another worker's hands, cancelled, or connected. What goes wrong is in the row, which stays queued where
    trying again can help. Refuses to run inside a transaction (RuntimeError): a mail cannot be rolled back.
    """
    with transaction.atomic(durable=True):
        is_ours = ClientLink.objects.claim_sending(client_link_id, timezone.now())
    if not is_ours:
        return None
    client_link = ClientLink.objects.select_related("organization").get(pk=client_link_id)
    claim = client_link.sending_until
    if reason_not_to_send(client_link):
        _leave_queue(client_link, delivery_status="")
        return None
    try:
        if not client_link.is_connected:
            client_link = create_client_link(client_link)
    except (MollieConnectionError, CreationInProgressError) as exc:
        _postpone(client_link, getattr(exc, "retry_after", None))
        return False
    except (MollieResponseError, ClientLinkUnusableError):
        # The reason is in the row; the data or the settings must change first.
        _leave_queue(client_link, delivery_status=DeliveryStatus.FAILED)
        return False
    # The claim as it was taken: the row may be in another worker's hands since.
    return _mail_onboarding_link(client_link, claim)


def _mail_onboarding_link(client_link: ClientLink, claim: datetime | None) -> bool | None:
    now = timezone.now()
    client_link.link_expires_at = now + conf.MOLLIE_ONBOARDING_LINK_LIFETIME  # the mail names the day
    # The generation: a row that is cancelled meanwhile gets no mail, and an address that is corrected meanwhile gets one
    # of its own, once the claim is over.
    ours = ClientLink.objects.filter(
        pk=client_link.pk, sending_until=claim, link_generation=client_link.link_generation
    )
    # Before the mail: whoever gets it must find its link alive, even if this process dies with the next line.
    if not ours.update(link_expires_at=client_link.link_expires_at):
        return None
    if not deliver(_onboarding_mail(client_link)):
        ours.update(problem=Problem.MAIL_FAILED)
        _postpone(client_link, None)
        return False
    with transaction.atomic(durable=True):
        ours.update(
            send_requested_at=None,
            send_not_before=None,
            sending_until=None,
            last_sent_at=now,
            send_count=F("send_count") + 1,
            delivery_status=DeliveryStatus.SENT,
        )
        ClientLink.objects.filter(pk=client_link.pk, problem=Problem.MAIL_FAILED).update(problem="")
        event = Event.objects.record("sent", client_link_id=client_link.pk, needs_signal=True)
    announce(event)
    return True


def _leave_queue(client_link: ClientLink, *, delivery_status: str) -> None:
    ClientLink.objects.filter(pk=client_link.pk, sending_until=client_link.sending_until).update(
        send_requested_at=None, send_not_before=None, sending_until=None, delivery_status=delivery_status
    )


def _postpone(client_link: ClientLink, retry_after: int | None) -> None:
    """Back into the queue for later: as long as Mollie said, or five minutes and twice as long each time."""
    attempts = client_link.send_attempts + 1
    if attempts >= MAX_ATTEMPTS:
        _leave_queue(client_link, delivery_status=DeliveryStatus.FAILED)
        return
    pause = timedelta(seconds=retry_after) if retry_after is not None else FIRST_PAUSE * 2 ** (attempts - 1)
    ClientLink.objects.filter(pk=client_link.pk, sending_until=client_link.sending_until).update(
        send_attempts=attempts, send_not_before=timezone.now() + pause, sending_until=None
    )


def send_connected_notice(client_link_id: uuid.UUID) -> bool | None:
    """Tell the owner which organization was connected in their name ("not you?").

    True when the mail went out, False when it should have, None when it went out before.
    """
    client_link = ClientLink.objects.select_related("organization").get(pk=client_link_id)
    requested_at = client_link.notice_requested_at
    if requested_at is None or client_link.organization is None:
        return None
    if not deliver(_connected_notice(client_link, requested_at)):
        return False
    ClientLink.objects.filter(pk=client_link.pk, notice_requested_at=requested_at).update(
        notice_requested_at=None
    )
    return True


def send_queued(limit: int | None = None) -> tuple[int, int]:
    """Send every mail that is due, oldest first. Gives how many were sent and how many should have been and were not."""
    now = timezone.now()
    due = ClientLink.objects.due_for_sending(now).order_by("send_requested_at")
    results = [_try(send_onboarding_link, pk) for pk in list(due.values_list("pk", flat=True)[:limit])]
    left = None if limit is None else limit - len(results)
    notices = overdue_notices(now).order_by("notice_requested_at")
    results += [_try(send_connected_notice, pk) for pk in list(notices.values_list("pk", flat=True)[:left])]
    return results.count(True), results.count(False)


def _try(send: Callable[[uuid.UUID], bool | None], client_link_id: uuid.UUID) -> bool | None:
    """One row of the queue. What nobody foresaw, a broken template for one, must not keep back the rows behind it."""
    try:
        return send(client_link_id)
    except Exception:
        logger.exception("Client link %s could not be worked on.", client_link_id)
        return False


def overdue_notices(now: datetime) -> QuerySet[ClientLink]:
    """Rows whose notice was not sent by the task that was woken for it."""
    return ClientLink.objects.filter(notice_requested_at__lte=now - NOTICE_OVERDUE_AFTER)


def _onboarding_mail(client_link: ClientLink) -> EmailMultiAlternatives:
    assert client_link.send_requested_at is not None  # noqa: S101 (for mypy; a claimed row is queued)
    return build_mail(
        client_link,
        "onboarding_link",
        message_id=f"{client_link.pk.hex}.{_microseconds(client_link.send_requested_at)}",
        context={"url": client_link.merchant_url()},
    )


def _connected_notice(client_link: ClientLink, requested_at: datetime) -> EmailMultiAlternatives:
    return build_mail(
        client_link,
        "connected_notice",
        message_id=f"{client_link.pk.hex}.n{_microseconds(requested_at)}",
        # It says what comes next; and if this mailbox is not to have its address, no mailbox is.
        context={"url": client_link.merchant_url()},
    )


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
