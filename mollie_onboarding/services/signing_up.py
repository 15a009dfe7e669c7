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
    for a row that is connected or cancelled, or whose link is over: nothing is stored of these any more. A nonce that
    comes again keeps the `return_url` that it came with first.

    The nonce is the form's own, so a double click makes one row and a correction changes it. Never is a row found by
    an e-mail address: whoever types somebody's address would get that person's row. And by no nonce any more once an
    operator has corrected the address, for the form may be in the hands of whoever has the wrong one.
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
        found = _find_submitted(submission_digest)
        if found is None:
            raise
    return _store_again(found, submitted, store_extra)


def _store_again(
    found: ClientLink, submitted: ClientLink, store_extra: Callable[[ClientLink], object]
) -> ClientLink:
    with transaction.atomic(durable=True):
        row = ClientLink.objects.hold([found.pk]).get(found.pk)
        if row is None or row.submission_digest is None:
            # Deleted, or the address corrected, since it was found. The page of the link that was found says which.
            return found
        if row.is_connected or row.is_cancelled or row.has_expired_link(timezone.now()):
            return row
        for column in BODY_COLUMNS:
            setattr(row, column, getattr(submitted, column))
        row.save()
        if row.submission_digest is None:  # another address: this time it is the form itself that brings it
            row.submission_digest = submitted.submission_digest
            row.save(update_fields=["submission_digest"])
        store_extra(row)
    if row.status != Status.REJECTED:
        return row
    # Sent again without a change: the merchant wants Mollie asked again. By the link that is this form's, as above.
    retried = retry_rejected(row)
    return retried if retried.link_generation == row.link_generation else row


def _find_submitted(submission_digest: str | None) -> ClientLink | None:
    if submission_digest is None:
        return None
    return ClientLink.objects.filter(submission_digest=submission_digest).first()
