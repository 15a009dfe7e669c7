"""Work whose commits a caller's transaction must not take along, neither by a roll-back nor by a lock that it holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from mollie_onboarding.exceptions import MollieConnectionError

T = TypeVar("T")

LONGEST_WORK = (
    35.0  # seconds: ten of waiting for another process, the time budget of the calls, and something over
)
LONGEST_TRANSACTION = 600.0  # seconds that a caller's transaction on SQLite is waited for
POLL_INTERVAL = 0.02  # seconds


def is_in_transaction() -> bool:
    """Whether a roll-back of somebody else's could undo what is written now.

    Inside the transaction of a TestCase there is none: another connection would not see its rows.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        return not connection.get_autocommit()
    return not getattr(connection.atomic_blocks[0], "_from_testcase", False)


def run_on_own_connection(work: Callable[[], T]) -> T:
    """What `work` gives or raises, run in a thread, with database connections of its own.

    Raises `MollieConnectionError` when that takes longer than `LONGEST_WORK`; the work goes on.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:
            future.set_exception(exc)
        finally:
            connections.close_all()

    threading.Thread(target=run, name="mollie_onboarding", daemon=True).start()
    try:
        return future.result(timeout=LONGEST_WORK)
    except TimeoutError:
        if future.done():
            raise
        raise MollieConnectionError("It took too long beside the caller's transaction.") from None


def run_after_transaction(work: Callable[[], object]) -> None:
    """Run `work` when the caller's transaction is over, whichever way it ends. It may run twice.

    For what nobody else can commit before.
    """
    connection = transaction.get_connection()
    if connection.in_atomic_block:
        transaction.on_commit(work, robust=True)
    # Django tells nobody of a roll-back.
    threading.Thread(target=_watch, args=(connection, work), name="mollie_onboarding").start()


def _watch(callers_connection: BaseDatabaseWrapper, work: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + LONGEST_TRANSACTION
    try:
        while time.monotonic() < give_up_at:
            time.sleep(POLL_INTERVAL)
            if not callers_connection.autocommit:
                continue
            try:
                work()
                return
            except OperationalError:
                continue  # locked, by the next transaction for one
    finally:
        connections.close_all()
