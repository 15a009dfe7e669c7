"""Who is to get a mail, and the queue in which they wait: `ClientLink.send_requested_at`.

A task is only a nudge: it may be lost, come twice or come late, and the row tells what there is to do.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from mollie_onboarding.models import Batch, ClientLink, DeliveryStatus, Event, Reason, SendKind

MAX_ATTEMPTS = 6
FIRST_PAUSE = timedelta(minutes=5)  # doubled with each attempt
SELF_SERVICE_INTERVAL = timedelta(minutes=10)  # between two mails that a merchant asks for

# What takes a row out of the queue. `batch` stays: it says whose request the last one was.
NOT_QUEUED: dict[str, Any] = {
    "send_requested_at": None,
    "send_not_before": None,
    "send_waits_for": "",
    "sending_until": None,
}
UNDELIVERABLE = {DeliveryStatus.BOUNCED: Reason.BOUNCED, DeliveryStatus.COMPLAINED: Reason.COMPLAINED}


def reason_not_to_send(client_link: ClientLink) -> Reason | None:
    """Why this merchant gets no onboarding link; None when they do."""
    if client_link.is_cancelled:
        return Reason.CANCELLED
    if client_link.anonymized_at:
        return Reason.ERASED
    if client_link.is_connected and not (client_link.needs_reconnecting or client_link.needs_new_consent):
        return Reason.CONNECTED
    # Until the address changes, which clears the status.
    return UNDELIVERABLE.get(DeliveryStatus(client_link.delivery_status))


def request_sending(
    client_link: ClientLink,
    *,
    actor: Any = None,
    unless_sent_since: datetime | None = None,
    kind: SendKind = SendKind.INVITATION,
) -> bool:
    """Queue the mail with the onboarding link; a task is nudged after the commit. False: not sent, or queued already.

    A row that was mailed after `unless_sent_since` stays as it is: that is the same press of a button, come twice.
    An invitation takes the place of a reminder that waits. Works inside a transaction of the caller's. The mail follows
    even if the nudge is lost: `send_onboarding_links` takes up every row that is queued.
    """
    if reason_not_to_send(client_link):
        return False
    rows = ClientLink.objects.open_to(kind, timezone.now()).filter(pk=client_link.pk)
    if unless_sent_since is not None:
        rows = rows.exclude(last_sent_at__gt=unless_sent_since)
    with transaction.atomic():
        queued = rows.update(**queue_columns(kind))
        if queued:
            Event.objects.record("send_requested", client_link_id=client_link.pk, actor=actor)
        else:
            # Asked for by somebody else too: it stays in the queue when its batch is cancelled.
            waiting = ClientLink.objects.filter(pk=client_link.pk, send_requested_at__isnull=False)
            waiting.exclude(batch=None).update(batch=None)
        nudge_after_commit("send_onboarding_link", client_link.pk)
    return bool(queued)


def queue_columns(kind: SendKind, batch: Batch | None = None) -> dict[str, Any]:
    """What puts a row into the queue."""
    return {
        "send_requested_at": timezone.now(),
        "send_kind": kind,
        "batch": batch,
        "send_not_before": None,
        "send_waits_for": "",
        "send_attempts": 0,
        "sending_until": None,
        "delivery_status": DeliveryStatus.QUEUED,
    }


def pause_after(attempts: int) -> timedelta:
    """How long a mail waits that failed so often, from 1."""
    return FIRST_PAUSE * 2.0 ** (attempts - 1)


def request_sending_by_merchant(client_link: ClientLink) -> None:
    """The merchant asks for a new mail, to the stored address: at most one in ten minutes, and silently so."""
    since = timezone.now() - SELF_SERVICE_INTERVAL
    # Requests count like mails: where each of them fails, Mollie would be asked as often as somebody presses.
    if not client_link.events.filter(kind="send_requested", at__gt=since).exists():
        request_sending(client_link, unless_sent_since=since)


def nudge_after_commit(task_name: str, pk: uuid.UUID | int, *, run_after: datetime | None = None) -> None:
    """Wake a task for a row, once what was written of it is committed; not before `run_after`, where that is given.

    A backend that cannot wait wakes nobody then: `send_onboarding_links` takes up what is due.
    """
    # Robust: a queue that is down costs nothing but time, the row is queued all the same.
    transaction.on_commit(lambda: _nudge(task_name, pk, run_after), robust=True)


def nudge_each_after_commit(task_name: str, pks: Sequence[uuid.UUID]) -> None:
    """The same for many rows. With the first that the queue does not take it is left alone: it is down."""
    transaction.on_commit(lambda: nudge_each(task_name, pks), robust=True)


def nudge_each(task_name: str, pks: Sequence[uuid.UUID]) -> None:
    for pk in pks:
        _nudge(task_name, pk)


def tasks_run_inline() -> bool:
    """Whether a task that is woken runs at once, in this process and this request."""
    backend = _task("send_onboarding_link").get_backend()
    # By name: there is one in Django and one in django-tasks, and either may be configured.
    return any(parent.__name__ == "ImmediateBackend" for parent in type(backend).__mro__)


def _nudge(task_name: str, pk: uuid.UUID | int, run_after: datetime | None = None) -> None:
    task = _task(task_name)
    if run_after is not None:
        if not task.get_backend().supports_defer:
            return
        task = task.using(run_after=run_after)
    task.enqueue(str(pk))


def _task(name: str) -> Any:
    # The one arrow that points left: a task calls this module, and this module wakes the task.
    from mollie_onboarding import tasks

    return getattr(tasks, name)
