"""Row locks that let others refer to the row, where the database has them, and the order in which rows are locked."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connections
from django.db.models import F, Model, QuerySet
from django.db.models.functions import Coalesce

M = TypeVar("M", bound=Model)


def locked(rows: QuerySet[M], **options: Any) -> QuerySet[M]:
    """The rows, locked until the end of the transaction.

    On PostgreSQL without `FOR UPDATE`'s hold on the key: a row of the platform's that refers to one of these neither
    waits for us nor we for it.
    """
    no_key = connections[rows.db].features.has_select_for_no_key_update
    return rows.select_for_update(no_key=no_key, **options)


def unindexed(column: str) -> Coalesce:
    """The value of a column, as no index has it: for the condition of an update that names its row by the key.

    In a table of few rows MariaDB finds it by the column's index all the same. It then locks the entries of that index
    first, those of other rows among them, and who has the row locked already and writes to the column waits the other
    way round.
    """
    return Coalesce(F(column), F(column))
