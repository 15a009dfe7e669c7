"""Where a merchant stands, in one word, and the return from Mollie that decides it."""

from __future__ import annotations

from django.utils import timezone

from mollie_onboarding.models import AuthorizationRequest, ClientLink, Status

RETURNS_READ = 5  # of one merchant; more than anybody has tabs open

Problem = ClientLink.Problem


def page_status(row: ClientLink, answered: AuthorizationRequest | None) -> str:
    """The word for machines in `<main data-status>`."""
    now = timezone.now()
    if row.is_connected and not row.needs_reconnecting:
        return "connected"
    if answered and (answered.is_in_progress(now) or answered.is_interrupted(now)):
        return "finishing"
    if row.is_connected:
        return "lost"
    if row.status == Status.REJECTED or row.problem == Problem.ORGANIZATION_TAKEN:
        return "error"
    return "ready" if row.status == Status.DRAFT else row.status


def find_standing(row: ClientLink) -> tuple[ClientLink, AuthorizationRequest | None]:
    """The row, and what `find_answered_request` gives, both as of one moment.

    A row that was read before its return would say that the merchant is still at Mollie, when the return says that they
    are back: somebody may have connected in between.
    """
    answered = find_answered_request(row)
    return (answered.client_link if answered else row), answered


def find_answered_request(row: ClientLink) -> AuthorizationRequest | None:
    """The merchant's return from Mollie that decides what is next: one that is not finished, else the last one.

    With several tabs a later return may have been answered while an earlier one waits to be finished.
    """
    returns = row.authorization_requests.select_related("client_link__organization")
    answered = returns.filter(answered_at__isnull=False).order_by("-answered_at")[:RETURNS_READ]
    now = timezone.now()
    unfinished = [
        request for request in answered if request.is_in_progress(now) or request.is_interrupted(now)
    ]
    return next(iter([*unfinished, *answered]), None)
