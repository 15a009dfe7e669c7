"""A process that dies between any two things that last: a call to Mollie, before or after Mollie's work, and a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connection

WRITES = ("INSERT", "UPDATE", "DELETE")


class Killed(KeyboardInterrupt):
    """The end of the process. Of this class, because the task backends swallow every other one."""


class Killer:
    """Counts the moments at which a kill makes a difference, and kills at the one that it was armed for."""

    def __init__(self) -> None:
        self.moments_left: int | None = None
        self.is_dead = False

    def arm(self, moments: int) -> None:
        self.moments_left = moments

    def disarm(self) -> None:
        self.moments_left = None

    def moment(self) -> None:
        """Raises `Killed` when it is time, and from then on each time: the dead do nothing more."""
        if self.moments_left is not None:
            self.moments_left -= 1
            if self.moments_left < 0:
                self.moments_left, self.is_dead = None, True
        if self.is_dead:
            connection.run_on_commit = []
            raise Killed

    def survive(self, work: Callable[[], Any]) -> Any:
        """What the work gives; None where the process died of it. The next work has a new process."""
        try:
            return work()
        except Killed:
            assert not connection.in_atomic_block
            return None
        finally:
            self.is_dead = False
            connection.run_on_commit = []

    @contextmanager
    def watching_commits(self) -> Iterator[None]:
        commit = connection._commit

        def commit_between_moments() -> None:
            try:
                self.moment()
            except Killed:
                connection._rollback()  # as the database does for who is gone
                raise
            commit()
            self.moment()

        with (
            mock.patch.object(connection, "_commit", commit_between_moments),
            connection.execute_wrapper(self._write_between_moments),
        ):
            yield

    def _write_between_moments(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """A statement outside of a transaction is a commit by itself."""
        if connection.in_atomic_block or not sql.startswith(WRITES):
            return execute(sql, params, many, context)
        self.moment()
        result = execute(sql, params, many, context)
        self.moment()
        return result
