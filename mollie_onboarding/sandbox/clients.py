"""The partner's list of clients, page by page: docs.mollie.com/reference/list-clients."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict

from .bearer import Caller
from .errors import MollieRefusalError
from .models import SandboxOrganization, SandboxOrganizationQuerySet

DEFAULT_LIMIT = 50  # docs.mollie.com/reference/list-clients
MAX_LIMIT = 250  # docs.mollie.com/reference/list-clients
EMBEDS = {
    "organization": "organizations.read",
    "onboarding": "onboarding.read",
    "capabilities": "onboarding.read",
}  # and the scope without which the merchant's part is left out


@dataclass(frozen=True)
class Page:
    """Clients in the order of their ids; the two ids are those the neighbouring pages begin with, '' = there is none."""

    rows: list[SandboxOrganization]
    previous_id: str
    next_id: str


def read_embeds(params: QueryDict) -> list[str]:
    """Raises `MollieRefusalError` (400)."""
    embed = params.get("embed", "")
    names = embed.split(",") if embed else []
    if not set(names) <= EMBEDS.keys():
        raise MollieRefusalError(400, f"Only {', '.join(EMBEDS)} can be embedded", field="embed")
    return names


def read_limit(params: QueryDict) -> int:
    """Raises `MollieRefusalError` (400)."""
    text = params.get("limit", str(DEFAULT_LIMIT))
    # `int` alone would also take ' 5', '+5', '1_0' and the digits of other scripts.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise MollieRefusalError(400, f"The limit is a number from 1 to {MAX_LIMIT}", field="limit")
    return limit


def read_page(first_id: str, limit: int) -> Page:
    """The page that begins with this client, '' = the first page. Raises `MollieRefusalError` (400).

    Costs the same at the end of a long list as at its beginning: it starts from a key and counts nothing.
    """
    # One more than fits: it tells whether a page follows, and how that page begins.
    rows = list(_clients().filter(pk__gte=first_id).order_by("pk")[: limit + 1])
    if first_id and (not rows or rows[0].pk != first_id):
        raise MollieRefusalError(400, "The cursor is not the id of a client", field="from")
    next_id = rows[limit].pk if len(rows) > limit else ""
    return Page(rows[:limit], _previous_id(first_id, limit), next_id)


def find(organization_id: str) -> SandboxOrganization:
    """Raises `MollieRefusalError` (404)."""
    row = _clients().filter(pk=organization_id).first()
    if row is None:
        raise MollieRefusalError(404, f"There is no client with the id '{organization_id}'")
    return row


def find_organization(caller: Caller, organization_id: str) -> SandboxOrganization:
    """The caller's own; to the partner also that of a client who lets it see it. Raises `MollieRefusalError` (404).

    docs.mollie.com/reference/get-organization
    """
    if caller.organization.pk == organization_id:
        return caller.organization
    row = _clients().filter(pk=organization_id).first() if caller.is_partner else None
    if row is None or not row.shows(EMBEDS["organization"]):
        raise MollieRefusalError(404, f"There is no organization with the id '{organization_id}'")
    return row


def _clients() -> SandboxOrganizationQuerySet:
    return SandboxOrganization.objects.clients().prefetch_related("authorization_set")


def _previous_id(first_id: str, limit: int) -> str:
    """Where the page before begins; shorter than the limit if the list begins there."""
    before = SandboxOrganization.objects.clients().filter(pk__lt=first_id).order_by("-pk")
    ids = list(before.values_list("pk", flat=True)[:limit])
    return ids[-1] if ids else ""
