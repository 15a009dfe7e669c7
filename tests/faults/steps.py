"""What a flow does that a fault can fall between: its calls to Mollie, and the commits of the platform's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from requests.adapters import HTTPAdapter

CALL, COMMIT = "call", "commit"
BEFORE, AFTER = "before", "after"
WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Step:
    """One call, whose `name` is its method and path, or one commit."""

    kind: str
    name: str = ""


Tell = Callable[[str, Step], None]  # takes BEFORE or AFTER, and the step


@contextmanager
def watched(tell: Tell) -> Iterator[None]:
    """Tell of each step of this thread, just before and just after it.

    A commit is the end of an outermost transaction, and a writing statement outside of any. A call is a request that
    leaves, whatever answers it: begin this after `sandbox_mollie`.
    """
    send = HTTPAdapter.send
    commit = BaseDatabaseWrapper._commit

    def told_send(self: HTTPAdapter, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        step = Step(CALL, f"{request.method} {urlsplit(str(request.url)).path}")
        tell(BEFORE, step)
        response = send(self, request, **kwargs)
        tell(AFTER, step)
        return response

    def told_commit(self: BaseDatabaseWrapper) -> None:
        # The sandbox's memory is a database of its own.
        if self.alias != DEFAULT_DB_ALIAS:
            return commit(self)
        tell(BEFORE, Step(COMMIT))
        commit(self)
        tell(AFTER, Step(COMMIT))
        return None

    connection = connections[DEFAULT_DB_ALIAS]

    def told_statement(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if connection.in_atomic_block or not sql.lstrip().upper().startswith(WRITES):
            return execute(sql, params, many, context)
        tell(BEFORE, Step(COMMIT))
        result = execute(sql, params, many, context)
        tell(AFTER, Step(COMMIT))
        return result

    with (
        mock.patch.object(HTTPAdapter, "send", told_send),
        mock.patch.object(BaseDatabaseWrapper, "_commit", told_commit),
        connection.execute_wrapper(told_statement),
    ):
        yield
