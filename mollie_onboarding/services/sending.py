"""Sending the onboarding link: one function, for first mail, resend and reminder. What the mail says is in `mailing`."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    ClientLinkUnusableError,
    CreationInProgressError,
    MollieConnectionError,
    MollieResponseError,
)
from mollie_onboarding.models import (
    SENDING_CLAIM_LIFETIME,
    Batch,
    BatchItem,
    ClientLink,
    DeliveryStatus,
    Event,
    Problem,
    Reason,
    Wait,
    locked,
)

from . import budget, mail_quota
from .announcing import announce, is_heard
from .creation import (
    NO_SLOT,
    Slot,
    attempt_columns,
    create_attempted,
    create_client_link,
    has_usable_link,
)
from .delivery import METADATA_KEY, mail_id_of, reference_of_next_mail, unless_told
from .detached import refuse_transaction
from .mailing import (
    build_mail,
    deliver,
    microseconds,
    note_sent,
    purpose_of,
    purpose_of_reminder,
)
from .queueing import MAX_ATTEMPTS, NOT_QUEUED, nudge_after_commit, pause_after
from .reminders import number_of_reminder, reason_not_to_mail
from .retrying import try_again

logger = logging.getLogger(__name__)

# Together they change with whatever is decided by when a row is claimed.
DECIDING_COLUMNS = ("updated_at", "send_requested_at", "issuing_until", "delivery_status")
CLAIM_TRIES = 3  # of a row that is edited between the reading and the claim

Outcome = BatchItem.Outcome


def send_onboarding_link(
    client_link_id: uuid.UUID, *, slot: Slot = NO_SLOT, as_read: ClientLink | None = None
) -> bool | None:
    """Make the client link at Mollie if need be, mail our own link, record it.

    True when the mail went out, False when it should have, None when there was none to send: the row is not queued,
    not due, in another worker's hands, cancelled, or connected, or it waits until Mollie allows the call or the
    recipient may get another mail. What goes wrong is in the row, which stays queued where trying again can help. `slot`
    is entered for as long as Mollie is called. Whoever has just read the row hands it over as `as_read`. Refuses to run
    inside a transaction (RuntimeError): a mail cannot be rolled back.
    """
    refuse_transaction()
    claim = _claim(client_link_id, as_read)
    if claim is None:
        return None
    if reason := reason_not_to_mail(claim.client_link):
        _leave_queue(claim.client_link, Outcome.SKIPPED, reason)
        return None
    if _needs_call(claim.client_link) and (seconds := budget.take()):
        _put_back(claim, Wait.MOLLIE, seconds)
        return None
    expires_at = timezone.now() + conf.MOLLIE_ONBOARDING_LINK_LIFETIME  # the mail names the day
    try:
        client_link = _make_client_link(claim, expires_at, slot)
    except (MollieConnectionError, CreationInProgressError) as exc:
        if getattr(exc, "is_rate_limited", False):  # nobody's fault, and all wait
            _put_back(claim, Wait.MOLLIE, budget.pause())
            return None
        _postpone(claim.client_link, Reason.NO_ANSWER, getattr(exc, "retry_after", None))
        return False
    except (MollieResponseError, ClientLinkUnusableError):
        # The reason is in the row; the data or the settings must change first.
        _leave_queue(claim.client_link, Outcome.FAILED, Reason.REFUSED)
        return False
    # The notice after connecting ("not you?") is for the owner's safety and is not counted.
    if seconds := mail_quota.take(client_link.owner_email, claim.message_id):
        _put_back(claim, Wait.RECIPIENT, seconds)
        return None
    return _mail_onboarding_link(client_link, claim, expires_at)


class _Claim(NamedTuple):
    """The right to mail a row."""

    client_link: ClientLink  # as it was claimed
    until: datetime
    has_attempt: bool  # whether the right to make its client link at Mollie came with it

    @property
    def message_id(self) -> str:
        """The same for every try of a request, also after a crash."""
        assert self.client_link.send_requested_at is not None  # noqa: S101 (for mypy; a claimed row is queued)
        return f"{self.client_link.pk.hex}.{microseconds(self.client_link.send_requested_at)}"


def _claim(client_link_id: uuid.UUID, as_read: ClientLink | None) -> _Claim | None:
    """Take the right to mail a row, if it is queued and due. None: nothing to do, or somebody else does it.

    One update claims it, together with the making of its client link, and takes place only where the row is as it was
    read: what was decided by the row then still holds.
    """
    row = as_read
    for _ in range(CLAIM_TRIES):
        row = row or ClientLink.objects.filter(pk=client_link_id).first()
        now = timezone.now()
        if row is None or not row.is_due_for_sending(now):
            return None
        attempt = {} if reason_not_to_mail(row) else attempt_columns(row, now)
        unchanged = ClientLink.objects.unchanged_since(row, DECIDING_COLUMNS)
        if try_again(partial(unchanged.claim_sending, row.pk, now, **attempt)):
            row.set_columns({**attempt, "sending_until": now + SENDING_CLAIM_LIFETIME})
            return _Claim(row, now + SENDING_CLAIM_LIFETIME, bool(attempt))
        row = None
    return None


def _needs_call(client_link: ClientLink) -> bool:
    """Whether Mollie must be asked for a client link before the mail can go."""
    return not (client_link.is_connected or has_usable_link(client_link))


def _make_client_link(claim: _Claim, expires_at: datetime, slot: Slot) -> ClientLink:
    """The row with a client link at Mollie. Raises as `create_client_link` does."""
    row = claim.client_link
    if row.is_connected:
        return row
    if not claim.has_attempt:
        return create_client_link(row, slot=slot, retries_when_limited=False)
    return create_attempted(
        row,
        slot=slot,
        retries_when_limited=False,
        where=_as_claimed(row, claim.until),
        columns={"link_expires_at": expires_at},
    )


def _as_claimed(client_link: ClientLink, until: datetime) -> dict[str, Any]:
    """What the row has as long as this process is to mail it.

    The generation: a row that is cancelled meanwhile gets no mail, and an address that is corrected meanwhile gets one
    of its own, once the claim is over.
    """
    return {"sending_until": until, "link_generation": client_link.link_generation}


def _mail_onboarding_link(client_link: ClientLink, claim: _Claim, expires_at: datetime) -> bool | None:
    now = timezone.now()
    # The claim as it was taken: the row may be in another worker's hands since.
    ours = ClientLink.objects.filter(pk=client_link.pk, **_as_claimed(client_link, claim.until))
    # Before the mail: whoever gets it must find its link alive, even if this process dies with the next line. Written
    # already where it was written together with the client link, and no receiver has had the row since.
    if client_link.link_expires_at != expires_at or client_link is not claim.client_link:
        client_link.link_expires_at = expires_at
        if not ours.update(link_expires_at=expires_at):
            return None
    message = _onboarding_mail(client_link, claim.message_id, now)
    if not deliver(message):
        client_link.sending_until = claim.until
        _postpone(client_link, Reason.MAIL_FAILED, problem=Problem.MAIL_FAILED)
        return False
    if client_link.problem == Problem.MAIL_FAILED:
        ours.update(problem="")
    # Tried again: it left already, and would go out a second time if it were not written down.
    event = try_again(partial(_record_sent, ours, client_link, message, now))
    note_sent(client_link, client_link.send_kind)
    if event is not None and event.announced_at is None:
        announce(event)
    return True


@transaction.atomic(durable=True)
def _record_sent(
    ours: QuerySet[ClientLink], client_link: ClientLink, message: EmailMultiAlternatives, now: datetime
) -> Event | None:
    """Write that the mail is out; also in the history of a row that changed meanwhile. None: it was deleted."""
    sent = ours.update(
        **NOT_QUEUED,
        **_plan_of_reminders(client_link, now),
        first_sent_at=Coalesce("first_sent_at", Value(now)),
        last_sent_at=now,
        send_count=F("send_count") + 1,
        delivery_status=unless_told(DeliveryStatus.SENT),
        mail_id=mail_id_of(message),
    )
    if sent:
        _settle_items(client_link, Outcome.SENT)
    elif not locked(ClientLink.objects.filter(pk=client_link.pk)).exists():
        return None
    return Event.objects.record("sent", client_link_id=client_link.pk, needs_signal=is_heard("sent"))


def _plan_of_reminders(client_link: ClientLink, now: datetime) -> dict[str, Any]:
    """An invitation begins the plan anew. A reminder counts with those before it that were missed."""
    number = number_of_reminder(client_link, now)
    return {"reminder_count": number} if number else {"invited_at": now, "reminder_count": 0}


def _leave_queue(client_link: ClientLink, outcome: str, reason: Reason, **columns: Any) -> None:
    """Nothing is sent, and will not be by trying again. `columns` are written by the same update."""
    if outcome == Outcome.FAILED:
        status = unless_told(DeliveryStatus.FAILED)
    else:
        # Not of a row that has another address since it was queued: nothing was sent there.
        before = DeliveryStatus.SENT if client_link.send_count else DeliveryStatus.NOT_SENT
        status = unless_told(before, of=(DeliveryStatus.QUEUED,))
    ours = ClientLink.objects.filter(pk=client_link.pk, sending_until=client_link.sending_until)

    @transaction.atomic
    def leave() -> None:
        if ours.update(**NOT_QUEUED, delivery_status=status, **columns):
            _settle_items(client_link, outcome, reason)

    try_again(leave)


def _settle_items(client_link: ClientLink, outcome: str, reason: str = "") -> None:
    """Note in the batches that wait for this row what became of it. Also where somebody else queued it."""
    BatchItem.objects.settle(client_link.pk, outcome, reason)


def _postpone(
    client_link: ClientLink, reason: Reason, retry_after: int | None = None, **columns: Any
) -> None:
    """Back into the queue for later: as long as Mollie said, or five minutes and twice as long each time.

    `columns` are written by the same update.
    """
    attempts = client_link.send_attempts + 1
    if attempts >= MAX_ATTEMPTS:
        _leave_queue(client_link, Outcome.FAILED, reason, **columns)
        return
    pause = timedelta(seconds=retry_after) if retry_after is not None else pause_after(attempts)
    not_before = timezone.now() + pause
    ours = ClientLink.objects.filter(pk=client_link.pk, sending_until=client_link.sending_until)
    columns |= {"send_attempts": attempts, "send_waits_for": ""}
    if ours.update(**columns, send_not_before=not_before, sending_until=None):
        _nudge_again(client_link, not_before)


def _put_back(claim: _Claim, wait: Wait, seconds: float) -> None:
    """Back into the queue until it may be sent. Nothing went wrong, so no attempt is counted."""
    row = claim.client_link
    not_before = timezone.now() + timedelta(seconds=max(seconds, budget.SHORTEST_WAIT))
    columns = {"send_waits_for": wait, "send_not_before": not_before, "sending_until": None}
    if claim.has_attempt and wait == Wait.MOLLIE:  # so that a merchant's click need not wait for ours
        columns["issuing_until"] = None
    if ClientLink.objects.filter(pk=row.pk, sending_until=claim.until).update(**columns):
        _nudge_again(row, not_before)


def _nudge_again(client_link: ClientLink, not_before: datetime) -> None:
    """Wake who goes on with a row that waits once more."""
    nudge_after_commit("send_onboarding_link", client_link.pk, run_after=not_before)
    # Cancelled while the row was in hand: now it waits, and leaves the queue as the others did.
    batch_id, cancelled = client_link.batch_id, Batch.objects.filter(cancelled_at__isnull=False)
    if batch_id and cancelled.filter(pk=batch_id).exists():
        nudge_after_commit("queue_batch", batch_id)


def _onboarding_mail(client_link: ClientLink, message_id: str, now: datetime) -> EmailMultiAlternatives:
    number = number_of_reminder(client_link, now)
    return build_mail(
        client_link,
        "reminder" if number else "onboarding_link",
        message_id=message_id,
        context={
            "url": client_link.merchant_url(),
            "purpose": purpose_of_reminder(number) if number else purpose_of(client_link),
        },
        metadata={METADATA_KEY: reference_of_next_mail(client_link)},
    )
