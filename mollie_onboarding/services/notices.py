"""The notice after connecting, which names the organization ("not you?"): a queue of its own."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mollie_onboarding.models import ClientLink, Event
from mollie_onboarding.observing import observe

from .mailing import build_mail, deliver, microseconds, note_sent
from .queueing import MAX_ATTEMPTS, UNDELIVERABLE, nudge_after_commit, pause_after

logger = logging.getLogger(__name__)

NOTICE_OVERDUE_AFTER = timedelta(minutes=1)

NO_NOTICE: dict[str, Any] = {
    "notice_requested_at": None,
    "notice_not_before": None,
    "notice_attempts": 0,
    "notice_until": None,
}


def notice_columns() -> dict[str, Any]:
    """What makes a row wait for its notice."""
    return NO_NOTICE | {"notice_requested_at": timezone.now()}


def nudge_notice(client_link: ClientLink) -> None:
    """Wake the task that sends the notice after connecting."""
    nudge_after_commit("send_connected_notice", client_link.pk)


def send_connected_notice(client_link_id: uuid.UUID) -> bool | None:
    """Tell the owner which organization was connected in their name ("not you?").

    True when the mail went out, False when it should have, None when there was none to send: it went out before, is not
    due, is in another worker's hands, or has nowhere to go: the last mail bounced, or was reported as spam. Refuses to
    run inside a transaction (RuntimeError): a mail cannot be rolled back.
    """
    with transaction.atomic(durable=True):
        is_ours = ClientLink.objects.claim_notice(client_link_id, timezone.now())
    if not is_ours:
        return None
    client_link = ClientLink.objects.select_related("organization").get(pk=client_link_id)
    requested_at = client_link.notice_requested_at
    assert requested_at is not None  # noqa: S101 (for mypy; only whoever has the claim ends it)
    ours = ClientLink.objects.filter(
        pk=client_link.pk, notice_requested_at=requested_at, notice_until=client_link.notice_until
    )
    if client_link.delivery_status in UNDELIVERABLE:
        _give_up(client_link, ours, {"delivery_status": client_link.delivery_status})
        return None
    if not deliver(_connected_notice(client_link, requested_at)):
        _postpone(client_link, ours)
        return False
    ours.update(**NO_NOTICE)
    note_sent(client_link, "notice")
    return True


def overdue_notices(now: datetime) -> QuerySet[ClientLink]:
    """Rows whose notice is due and was not sent by the task that was woken for it."""
    return ClientLink.objects.due_for_notice(now).filter(notice_requested_at__lte=now - NOTICE_OVERDUE_AFTER)


def _postpone(client_link: ClientLink, ours: QuerySet[ClientLink]) -> None:
    """Once more in five minutes, and after twice as long each time; given up after the sixth."""
    attempts = client_link.notice_attempts + 1
    if attempts < MAX_ATTEMPTS:
        not_before = timezone.now() + pause_after(attempts)
        columns = {"notice_attempts": attempts, "notice_not_before": not_before, "notice_until": None}
        if ours.update(**columns):
            nudge_after_commit("send_connected_notice", client_link.pk, run_after=not_before)
        return
    _give_up(client_link, ours, {})
    observe(
        logger,
        logging.ERROR,
        "notice_given_up",
        "The notice of client link %(client_link)s was not sent, and is given up.",
        client_link=client_link.pk,
    )


def _give_up(client_link: ClientLink, ours: QuerySet[ClientLink], data: dict[str, Any]) -> None:
    """The notice leaves the queue, and the history says that nobody got it."""
    with transaction.atomic():
        if ours.update(**NO_NOTICE):
            Event.objects.record(
                "notice_failed",
                client_link_id=client_link.pk,
                organization=client_link.organization,
                data=data,
            )


def _connected_notice(client_link: ClientLink, requested_at: datetime) -> EmailMultiAlternatives:
    return build_mail(
        client_link,
        "connected_notice",
        message_id=f"{client_link.pk.hex}.n{microseconds(requested_at)}",
        # It says what comes next; and if this mailbox is not to have its address, no mailbox is.
        context={"url": client_link.merchant_url()},
    )
