"""What an operator decides about a row that cannot go on by itself."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from mollie_onboarding.models import ClientLink, Event, Status

IdentityCheck = ClientLink.IdentityCheck
Problem = ClientLink.Problem

# What an operator can only take note of. The other problems are over when the mail, or Mollie, goes through.
REVIEWABLE_PROBLEMS = (Problem.OTHER_ORGANIZATION, Problem.ORGANIZATION_TAKEN, Problem.AUTHORIZATION_FAILED)


def points_to_review(client_link: ClientLink) -> dict[str, str]:
    """What of a row an operator can tick off: the columns with the values that say so. Empty where there is nothing."""
    points: dict[str, str] = {}
    if client_link.is_cancelled:
        return points
    if client_link.identity_check == IdentityCheck.DIFFERS:
        points["identity_check"] = client_link.identity_check
    if client_link.problem in REVIEWABLE_PROBLEMS:
        points["problem"] = client_link.problem
    return points


def mark_reviewed(client_link: ClientLink, *, actor: Any = None) -> bool:
    """Confirm the identity and tick off the problem, as the instance shows them. False: the row says something else.

    So of two operators the second changes nothing, and what has come up since the row was read stays open.
    """
    points = points_to_review(client_link)
    if not points:
        return False
    columns = {"identity_check": IdentityCheck.CONFIRMED, "problem": Problem.NONE}
    unchanged = _not_cancelled(
        client_link, identity_check=client_link.identity_check, problem=client_link.problem
    )
    with transaction.atomic():
        done = unchanged.update(**{name: columns[name] for name in points}, updated_at=timezone.now())
        if done:
            Event.objects.record("reviewed", client_link_id=client_link.pk, actor=actor, data=points)
    return bool(done)


def allow_sharing(client_link: ClientLink, *, actor: Any = None) -> bool:
    """Let a merchant connect the organization that was refused because another merchant has it. False: none was.

    Nothing is connected by this: the tokens of the refused return were not kept, so the merchant must connect again.
    """
    refused = _not_cancelled(
        client_link,
        problem=Problem.ORGANIZATION_TAKEN,
        refused_organization_id=client_link.refused_organization_id,
    )
    with transaction.atomic():
        done = refused.update(may_share_organization=True, problem="", updated_at=timezone.now())
        if done:
            Event.objects.record(
                "sharing_allowed",
                client_link_id=client_link.pk,
                actor=actor,
                data={"organization_id": client_link.refused_organization_id},
            )
    return bool(done)


def _not_cancelled(client_link: ClientLink, **columns: Any) -> Any:
    return ClientLink.objects.filter(pk=client_link.pk, **columns).exclude(status=Status.CANCELLED)
