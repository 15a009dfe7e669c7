"""Which merchants of a spreadsheet are known already: by their reference, or by e-mail address and organization."""

from __future__ import annotations

from collections.abc import Iterable

from mollie_onboarding.models import ClientLink, Status

from .values import Cells

Key = tuple[str, ...]


def keys_of(reference: str, owner_email: str, organization_name: str) -> list[Key]:
    """What a merchant is known by, the surest first."""
    keys: list[Key] = [(reference,)] if reference else []
    if owner_email and organization_name:
        keys.append((owner_email.lower(), "".join(organization_name.casefold().split())))
    return keys


def keys_of_cells(cells: Cells) -> list[Key]:
    return keys_of(
        cells.get("reference", ""), cells.get("owner_email", ""), cells.get("organization_name", "")
    )


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
        found |= dict.fromkeys(keys_of(row.reference, row.owner_email, row.organization_name), row)
    return found
