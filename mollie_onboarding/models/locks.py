"""Row locks that let others refer to the row, where the database has them."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connections
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def locked(rows: QuerySet[M], **options: Any) -> QuerySet[M]:
    """The rows, locked until the end of the transaction.

    On PostgreSQL without `FOR UPDATE`'s hold on the key: a row of the platform's that refers to one of these neither
    waits for us nor we for it.
    """
    no_key = connections[rows.db].features.has_select_for_no_key_update
    return rows.select_for_update(no_key=no_key, **options)
