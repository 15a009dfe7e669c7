"""Work whose commits a caller's transaction must not take along, neither by a roll-back nor by a lock that it holds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from mollie_onboarding.exceptions import MollieConnectionError
from mollie_onboarding.observing import observe

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_WORK = (
    35.0  # seconds: ten of waiting for another process, the time budget of the calls, and something over
)
LONGEST_TRANSACTION = 600.0  # seconds that the end of a caller's transaction is waited for
POLL_INTERVAL = 0.02  # seconds


def is_in_transaction() -> bool:
    """Whether a roll-back of somebody else's could undo what is written now.

    Inside the transaction of a TestCase there is none: another connection would not see its rows.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        return not connection.get_autocommit()
    return not getattr(connection.atomic_blocks[0], "_from_testcase", False)


def refuse_transaction() -> None:
    """Raise RuntimeError inside a transaction, as `atomic(durable=True)` does, without beginning one.

    Inside the one of a TestCase there is none.
    """
    connection = transaction.get_connection()
    if connection.in_atomic_block and not getattr(connection.atomic_blocks[-1], "_from_testcase", False):
        raise RuntimeError("What is done here is durable, and must not be inside a transaction.")


_afterwards = threading.local()


def run_on_own_connection(work: Callable[[], T]) -> T:
    """What `work` gives or raises, run in a thread, with database connections of its own.

    Raises `MollieConnectionError` when that takes longer than `LONGEST_WORK`; the work goes on.
    """
    future: Future[T] = Future()

    def run() -> None:
        _afterwards.work = []
        try:
            try:
                future.set_result(work())
            except BaseException as exc:
                future.set_exception(exc)
            for late in _afterwards.work:
                late()
        finally:
            connections.close_all()

    threading.Thread(target=run, name="mollie_onboarding", daemon=True).start()
    try:
        return future.result(timeout=LONGEST_WORK)
    except TimeoutError:
        if future.done():
            raise
        raise MollieConnectionError("It took too long beside the caller's transaction.") from None


def run_when_nobody_waits(work: Callable[[], object]) -> None:
    """Run `work` now; on a connection of its own, only when the caller has its result and waits no longer.

    For what the platform does in its receivers: it may need a row that the caller has locked.
    """
    waiting: list[Callable[[], object]] | None = getattr(_afterwards, "work", None)
    if waiting is None:
        work()
    else:
        waiting.append(work)


def run_after_transaction(work: Callable[[], object]) -> None:
    """Run `work` once, when the caller's transaction is over, whichever way it ends; at once where there is none.

    Tried again as long as the database does not take it, ten minutes at most.
    """
    once = _Once(work)
    connection = transaction.get_connection()
    if connection.in_atomic_block:
        transaction.on_commit(once, robust=True)
    # Django tells nobody of a roll-back.
    threading.Thread(target=_watch, args=(connection, once), name="mollie_onboarding").start()


class _Once:
    """Work that is done by whoever comes first; after an error it is still to be done."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._is_done = False

    def __call__(self) -> None:
        with self._lock:
            if not self._is_done:
                self._work()
                self._is_done = True


def _watch(callers_connection: BaseDatabaseWrapper, work: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + LONGEST_TRANSACTION
    try:
        while time.monotonic() < give_up_at:
            time.sleep(POLL_INTERVAL)
            # Without autocommit and without a block nobody can tell where the transaction ends: the locks do.
            if callers_connection.in_atomic_block:
                continue
            try:
                work()
                return
            except OperationalError:
                continue  # locked, by the next transaction for one
        observe(
            logger,
            logging.ERROR,
            "answer_not_written",
            "What Mollie answered could not be written for %(seconds)s s.",
            seconds=LONGEST_TRANSACTION,
        )
    finally:
        connections.close_all()
