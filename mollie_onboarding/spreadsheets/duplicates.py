"""Which merchants of a spreadsheet are known already: by their reference, or by e-mail address and organization.

The latter where one of the two has no reference: two shops of one owner have a reference each, and perhaps one name.
"""

from __future__ import annotations

from collections.abc import Iterable

from mollie_onboarding.models import ClientLink, Status

from .values import Cells

Key = tuple[str, ...]


def keys_to_look_for(cells: Cells) -> list[Key]:
    """The keys by which the merchant of a row may be known, the surest first."""
    named = _name(cells.get("owner_email", ""), cells.get("organization_name", ""))
    if reference := cells.get("reference"):
        return [(reference,), *map(_without_reference, named)]
    return named


def keys_of(row: ClientLink) -> list[Key]:
    """The keys by which a merchant is found."""
    named = _name(row.owner_email, row.organization_name)
    if row.reference:
        return [(row.reference,), *named]
    return [*named, *map(_without_reference, named)]


def _name(owner_email: str, organization_name: str) -> list[Key]:
    """The key of an address and a name, however they are written; none where one of the two is missing."""
    if not (owner_email and organization_name):
        return []
    return [(owner_email.strip().lower(), "".join(organization_name.casefold().split()))]


def _without_reference(named: Key) -> Key:
    """The key of whoever has this address and name, and no reference."""
    return (*named, "")


class SeenRows:
    """The rows of the file that were right so far. Digests only: a file may have very many."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def find(self, keys: Iterable[Key]) -> int | None:
        return next((self.numbers[hash(key)] for key in keys if hash(key) in self.numbers), None)

    def add(self, keys: Iterable[Key], number: int) -> None:
        self.numbers.update((hash(key), number) for key in keys)


def find_client_links(rows: Iterable[Cells]) -> dict[Key, ClientLink]:
    """The client links that some rows of a file may be, by each of their keys; two statements for all of them."""
    references = {cells["reference"] for cells in rows if cells.get("reference")}
    emails = {cells["owner_email"].lower() for cells in rows if cells.get("owner_email")}
    found: dict[Key, ClientLink] = {}
    candidates = [
        *ClientLink.objects.filter(reference__in=references),
        *ClientLink.objects.filter(owner_email_key__in=emails),
    ]
    # Of several the newest, and one that is cancelled only where there is no other.
    for row in sorted(candidates, key=lambda row: (row.status != Status.CANCELLED, row.created_at)):
        found |= dict.fromkeys(keys_of(row), row)
    return found
