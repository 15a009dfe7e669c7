"""Indexes that only PostgreSQL has, and what is asked of them: search by the beginnings of words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.db.models import BooleanField, Func, Index, Model, Q, TextField, Value

# Every schema editor runs what an index gives it: where there is no such index, this.
NOTHING = "SELECT 1"
# What PostgreSQL would read as part of an address, a host, a number or a tag is a space: words alone are left. The rest
# of the punctuation separates words by itself.
PUNCTUATION = r"""!"#$&()*+,-./:;<=>?@[\]^_`{|}~"""
WORD = re.compile(r"[^\W_]+")
MOST_WORDS = 10  # of one search; the others are passed over
LONGEST_WORD = 100  # characters; PostgreSQL refuses more than 2,046 bytes


class PostgresIndex(Index):
    """An index on PostgreSQL; nothing on the others. With `where_set`, of the rows that have a value in that column."""

    def __init__(self, *, fields: Sequence[str], name: str, where_set: str = "") -> None:
        super().__init__(fields=fields, name=name)
        self.where_set = where_set

    def deconstruct(self) -> Any:
        path, _expressions, kwargs = super().deconstruct()
        return path, (), {**kwargs, "where_set": self.where_set} if self.where_set else kwargs

    def create_sql(self, model: type[Model], schema_editor: Any, using: str = "", **kwargs: Any) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return NOTHING
        return self.on_postgres().create_sql(model, schema_editor, using=using or self.method, **kwargs)

    def remove_sql(self, model: type[Model], schema_editor: Any, **kwargs: Any) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return NOTHING
        return super().remove_sql(model, schema_editor, **kwargs)

    method = ""

    def on_postgres(self) -> Index:
        # Not by `condition`: of that one Django warns on MariaDB.
        condition = Q((f"{self.where_set}__isnull", False)) if self.where_set else None
        return Index(fields=self.fields, name=self.name, condition=condition)


class WordIndex(PostgresIndex):
    """The words of some columns, for `having_words()`. Needs no extension."""

    method = " USING gin"

    def on_postgres(self) -> Index:
        return Index(_Words(*self.fields), name=self.name)


class _Words(Func):
    # The constants are part of the template: PostgreSQL uses the index for this very expression only.
    template = (
        "to_tsvector('pg_catalog.simple'::regconfig, "
        f"translate(%(expressions)s, '{PUNCTUATION}', '{' ' * len(PUNCTUATION)}'))"
    )
    arg_joiner = " || ' ' || "
    output_field = TextField()


class _HasWords(Func):
    template = "%(expressions)s)"
    arg_joiner = " @@ to_tsquery('pg_catalog.simple'::regconfig, "
    output_field = BooleanField()


def having_words(text: str, columns: Sequence[str]) -> Q | _HasWords:
    """The condition that the columns of a row, which has a `WordIndex`, hold a word for each of the text's words.

    A word is found by its beginning, in whatever case. A text without a word finds nothing.
    """
    words = [word[:LONGEST_WORD] for word in WORD.findall(text)[:MOST_WORDS]]
    if not words:
        return Q(pk__in=[])
    return _HasWords(_Words(*columns), Value(" & ".join(f"'{word}':*" for word in words)))
