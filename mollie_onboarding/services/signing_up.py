"""The public sign-up page's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from mollie_onboarding.models import BODY_COLUMNS, ClientLink, Event, Status
from mollie_onboarding.state import digest

from .creation import retry_rejected


def store_submission(
    submitted: ClientLink,
    *,
    nonce: str,
    reference: str = "",
    user: Any = None,
    return_url: str = "",
    store_extra: Callable[[ClientLink], object] = lambda row: None,
) -> ClientLink:
    """The row for a submitted form: a new one, or for a nonce that came before the same one with these data.

    `store_extra` stores what else the form has, in the row's transaction: both are stored, or neither. It is not called
    for a row that is connected or cancelled, of which nothing is stored any more. A nonce that comes again keeps the
    `return_url` that it came with first.

    The nonce is the form's own, so a double click makes one row and a correction changes it. Never is a row found by
    an e-mail address: whoever types somebody's address would get that person's row.
    """
    # With who sent it: in a shared browser the form of one user, gone back to by another, makes another row.
    user_id = user.pk if user else ""
    submission_digest = digest(f"{nonce} {user_id} {reference}") if nonce else None
    submitted.submission_digest = submission_digest
    submitted.reference = reference
    submitted.user = user
    submitted.created_by = user
    submitted.return_url = return_url
    submitted.opened_at = timezone.now()
    try:
        with transaction.atomic(durable=True):
            submitted.save(force_insert=True)
            Event.objects.record("signed_up", client_link_id=submitted.pk, actor=user)
            store_extra(submitted)
            return submitted
    except IntegrityError:
        # The nonce came before; if it did not, something else is wrong, in `store_extra` perhaps.
        row = _find_submitted(submission_digest)
        if row is None:
            raise
    if row.is_connected or row.is_cancelled:
        return row
    for column in BODY_COLUMNS:
        setattr(row, column, getattr(submitted, column))
    with transaction.atomic(durable=True):
        row.save()
        store_extra(row)
    # Sent again without a change: the merchant wants Mollie asked again.
    return retry_rejected(row) if row.status == Status.REJECTED else row


def _find_submitted(submission_digest: str | None) -> ClientLink | None:
    if submission_digest is None:
        return None
    rows = ClientLink.objects.select_related("organization")
    return rows.filter(submission_digest=submission_digest).first()
