"""Answers about a table of any size at a bounded price: counts up to a limit, and the values that a column has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet


def count_up_to(limit: int, sets: Sequence[QuerySet[Any]]) -> list[int]:
    """How many rows each of the sets has, `limit` where there are as many or more. One statement."""
    connection = connections[sets[0].db]
    statements, values = zip(*(_compile(rows.order_by().values("pk")[:limit]) for rows in sets), strict=True)
    counts = ", ".join("(SELECT COUNT(*) FROM (%s) counted)" % statement for statement in statements)  # noqa: S608, UP031 (compiled by Django)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", [value for some in values for value in some])
        return list(cursor.fetchone())


def _compile(rows: QuerySet[Any]) -> tuple[str, Sequence[Any]]:
    # A set that is known to be empty is asked for all the same: its place is among the others.
    statement, values = rows.query.get_compiler(using=rows.db, elide_empty=False).as_sql()
    return statement, values


def distinct_values(rows: QuerySet[Any], column: str, most: int) -> list[str]:
    """The values that a column has, in order, at most so many of them. The column leads an index.

    Those of the whole table, whatever `rows` is narrowed to: it only names the table and the database.
    From each value the index knows the next one: as many look-ups as there are values, where `SELECT DISTINCT` reads
    the whole table.
    """
    connection = connections[rows.db]
    field: Any = rows.model._meta.get_field(column)
    name, table = (connection.ops.quote_name(word) for word in (field.column, rows.model._meta.db_table))
    statement = f"""
        WITH RECURSIVE found (value) AS (
            SELECT MIN({name}) FROM {table}
            UNION ALL
            SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > found.value)
            FROM found WHERE found.value IS NOT NULL
        )
        SELECT value FROM found WHERE value IS NOT NULL LIMIT %s
    """  # noqa: S608 (names of our own)
    with connection.cursor() as cursor:
        cursor.execute(statement, [most])
        return [value for (value,) in cursor.fetchall()]
