"""Walking over many rows without holding them: in memory, or under a lock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

BATCH_SIZE = 200  # rows


def keys_in_batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """The primary keys of the rows in ascending order, 200 at a time. Each batch is read when the one before is done.

    So rows may be changed or deleted on the way, and one that leaves the set is not met again.
    """
    page = rows.order_by("pk")
    while keys := list(page.values_list("pk", flat=True)[:BATCH_SIZE]):
        yield keys
        page = rows.order_by("pk").filter(pk__gt=keys[-1])
