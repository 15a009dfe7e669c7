"""The status of all organizations, from the partner's list at Mollie: 250 with each call, and no merchant's token.

Mollie has no webhook for onboarding, so this is asked again and again. A page and the place where the next one begins are
committed together: a run that is interrupted loses nothing, and the next one goes on from there.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from mollie_onboarding.exceptions import (
    DecryptionError,
    MollieConnectionError,
    MollieError,
    MollieResponseError,
    NotConnectedError,
)
from mollie_onboarding.models import Event, Organization, StatusSync, locked
from mollie_onboarding.mollie_api import ClientInfo, ClientPage
from mollie_onboarding.observing import observe

from . import budget
from .announcing import announce
from .calling import MollieAPI
from .status import (
    COLUMNS,
    STATUS_CHANGED,
    find_changes,
    find_status_change,
    read_onboarding_status,
    set_columns,
    takes_reading,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

PASS_LIFETIME = timedelta(
    hours=24
)  # after which a pass over the list begins anew: who is missing is judged by one pass
LONGEST_PAUSE = 60  # seconds that Mollie may ask us to wait; longer, and the next run goes on
MAX_PAUSES = 3  # for one answer
MAX_FAILURES = 3  # in a row, when each organization is asked for by itself: then Mollie is down
MAX_CURSOR = 100  # characters, the column's; Mollie's cursor is an organization id
NAMED_IDS = 100  # of unknown organizations


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What a run has done. Words are whole sentences, '' where there is nothing to say."""

    pages: int = 0
    calls: int = 0  # for the list, or for single organizations; not those that refresh tokens
    read: int = 0  # organizations whose status Mollie told
    changed: int = 0  # in whatever Mollie says of them
    without_status: int = 0  # listed, but their merchants do not let the partner see it
    unknown: int = 0  # listed, but connected to no row here
    unknown_ids: tuple[str, ...] = ()  # the first of them
    missing: int = 0  # connected here, and since this run no longer listed
    unreadable: int = 0  # items of the list without an organization id
    lost: int = 0  # found when their own tokens were used
    failed: int = 0  # organizations that could not be read one by one
    fallback: bool = False  # whether they were read one by one
    fallback_reason: str = ""
    interrupted: str = ""  # why the run ended before the last page or organization


def sync_onboarding_status(*, limit: int | None = None) -> SyncResult:
    """Read every organization's status from Mollie, store it, announce what changed. Gives what was done.

    Goes on where the last run was interrupted. Where the partner's token may not see the list, the organizations are
    read one by one with their merchants' tokens, least recently read first and `limit` at most. No fault of Mollie's
    raises: it is in the result. Refuses to run inside a transaction (RuntimeError).
    https://docs.mollie.com/reference/list-clients, https://docs.mollie.com/reference/get-onboarding-status
    """
    with transaction.atomic(durable=True):
        run = _Run()  # refused inside a transaction before Mollie is asked anything
    try:
        return run.result(interrupted=_read_list(run))
    except MollieResponseError as exc:
        if exc.status not in (401, 403):
            return run.result(interrupted=str(exc))
        refused_with, reason = exc.status, _reason_for_fallback(exc.status)
    except MollieConnectionError as exc:
        return run.result(interrupted=str(exc))
    observe(logger, logging.WARNING, "clients_not_listed", "%(detail)s", status=refused_with, detail=reason)
    return run.result(interrupted=_read_one_by_one(run, limit), fallback=True, fallback_reason=reason)


class _Run:
    """What is counted on the way."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unknown_ids: list[str] = []

    def result(self, *, interrupted: str, fallback: bool = False, fallback_reason: str = "") -> SyncResult:
        return SyncResult(
            **self.counts,
            unknown_ids=tuple(self.unknown_ids),
            fallback=fallback,
            fallback_reason=fallback_reason,
            interrupted=interrupted,
        )

    def add_unknown(self, organization_ids: list[str]) -> None:
        self.counts["unknown"] += len(organization_ids)
        self.unknown_ids += organization_ids[: NAMED_IDS - len(self.unknown_ids)]

    def ask(self, call: Callable[[], T]) -> T:
        """Mollie's answer, also where it asks for patience first, us or another worker. Raises what the call raises."""
        pauses = 0
        while True:
            try:
                _refuse_pause()
                self.counts["calls"] += 1
                return call()
            except MollieConnectionError as exc:
                if pauses == MAX_PAUSES or exc.retry_after is None or exc.retry_after > LONGEST_PAUSE:
                    raise
                observe(
                    logger,
                    logging.INFO,
                    "sync_paused",
                    "%(detail)s Waiting for %(retry_after)s s, as asked.",
                    detail=exc,
                    retry_after=exc.retry_after,
                )
                time.sleep(exc.retry_after)
            pauses += 1


def _refuse_pause() -> None:
    if pause := budget.general_pause():
        raise MollieConnectionError("Mollie asked all workers for a pause.", retry_after=math.ceil(pause))


def _reason_for_fallback(status: int) -> str:
    what = "it needs clients.read" if status == 403 else "it is not valid"
    return f"Mollie's list of clients is not open to MOLLIE_ONBOARDING_ACCESS_TOKEN ({status}): {what}."


def _read_list(run: _Run) -> str:
    """Read the list to its end. '', or why that was not possible; raises `MollieError`."""
    sync = _find_pass() or _begin_pass()
    try:
        return _read_pages(run, sync)
    except MollieResponseError as exc:
        if exc.status != 400 or not sync.following:
            raise
    # Mollie no longer knows where the page begins: that client has gone.
    return _read_pages(run, _begin_pass())


def _find_pass() -> StatusSync | None:
    """The pass that was interrupted, unless it is so old that the list may be another by now."""
    begun = StatusSync.objects.filter(finished_at=None, started_at__gt=timezone.now() - PASS_LIFETIME)
    return begun.exclude(following="").first()


def _begin_pass() -> StatusSync:
    with transaction.atomic(durable=True):
        sync, _ = StatusSync.objects.update_or_create(
            pk=1, defaults={"started_at": timezone.now(), "following": "", "finished_at": None}
        )
    return sync


def _read_pages(run: _Run, sync: StatusSync) -> str:
    seen = {sync.following}
    while True:
        asked_at = timezone.now()
        page = run.ask(partial(_list_clients, sync.following))
        problem = _find_problem(page, seen)
        # After a page that leads nowhere the next run begins anew.
        if not _store_page(run, sync, page, asked_at, following="" if problem else page.following):
            return "Another run is reading the list."
        if problem or not page.following:
            return problem
        seen.add(page.following)


def _list_clients(start: str) -> ClientPage:
    return MollieAPI().list_clients(start)  # with a time budget of its own


def _find_problem(page: ClientPage, seen: set[str]) -> str:
    """Why the page that this one names cannot be asked for; '' when it can, or when there is none."""
    if not page.following:
        return ""
    if page.following in seen:
        return "Mollie's list of clients names a page as its next one that was read before."
    if not page.clients and not page.unreadable:
        return "Mollie's list of clients holds an empty page that is not the last."
    if len(page.following) > MAX_CURSOR or not page.following.isprintable():
        return "Mollie's list of clients names a next page that cannot be asked for."
    return ""


def _store_page(run: _Run, sync: StatusSync, page: ClientPage, asked_at: datetime, *, following: str) -> bool:
    """Write down a page, and where the next one begins, with as many statements for 250 clients as for one.

    False: another run has written it, and nothing is written here.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        # First, so that two runs wait for each other here. On SQLite it also takes the write lock before anything is read.
        if not _advance(sync, following, finished_at=None if page.following else now):
            return False
        changed = _store_clients(run, sync, page, asked_at, now)
        if not page.following:
            run.counts["missing"] += _flag_missing(sync.started_at, now)
    if changed:
        # Read again: with all columns for the receivers, and with the ids, which not every database gives back.
        events = Event.objects.filter(
            kind=STATUS_CHANGED, at=now, announced_at=None, organization__in=changed
        )
        announce(*events.select_related("organization").order_by("pk"))
    return True


def _advance(sync: StatusSync, following: str, *, finished_at: datetime | None) -> bool:
    """Move the pass to its next page, if it is where this run has left it."""
    ours = StatusSync.objects.filter(
        pk=sync.pk, started_at=sync.started_at, following=sync.following, finished_at=None
    )
    is_ours = bool(ours.update(following=following, finished_at=finished_at))
    sync.following = following
    return is_ours


def _store_clients(
    run: _Run, sync: StatusSync, page: ClientPage, asked_at: datetime, now: datetime
) -> list[int]:
    """Bring the rows of a page up to date. Gives the keys of those whose change is to be announced."""
    clients = {client.organization_id: client for client in page.clients}
    rows = _lock_rows(list(clients))
    known = {row.organization_id for row in rows}
    run.add_unknown([organization_id for organization_id in clients if organization_id not in known])
    run.counts["pages"] += 1
    run.counts["unreadable"] += page.unreadable
    listed = [row for row in rows if row.connection_status != Organization.ConnectionStatus.DISCONNECTED]
    # A pass may have been begun by a machine whose clock is ahead of ours.
    _with_ids(listed).update(listed_at=max(asked_at, sync.started_at), missing_since=None)
    current = [row for row in listed if takes_reading(row, asked_at)]
    read = [row for row in current if clients[row.organization_id].onboarding is not None]
    _with_ids(read).update(synced_at=asked_at)
    run.counts["read"] += len(read)
    run.counts["without_status"] += len(current) - len(read)
    return _store_changes(run, current, clients, asked_at, now)


def _lock_rows(organization_ids: list[str]) -> list[Organization]:
    """The rows, in the order in which everybody locks them, without their tokens."""
    # By their keys: with the ids MariaDB would lock in the order of the ids' index, and sort afterwards.
    keys = Organization.objects.filter(organization_id__in=organization_ids).values_list("pk", flat=True)
    rows = locked(Organization.objects.filter(pk__in=list(keys))).order_by("pk")
    return list(rows.only("organization_id", "connection_status", "synced_at", *COLUMNS))


def _with_ids(rows: list[Organization]) -> QuerySet[Organization]:
    return Organization.objects.filter(pk__in=[row.pk for row in rows])


def _store_changes(
    run: _Run, rows: list[Organization], clients: dict[str, ClientInfo], asked_at: datetime, now: datetime
) -> list[int]:
    changed: list[Organization] = []
    columns: set[str] = set()
    events: dict[int, Event] = {}
    for row in rows:
        changes = find_changes(row, clients[row.organization_id], asked_at)
        if not changes:
            continue
        if status_change := find_status_change(row, changes):
            events[row.pk] = Event(kind=STATUS_CHANGED, organization=row, data=status_change, at=now)
        set_columns(row, {**changes, "updated_at": now})
        changed.append(row)
        columns |= {*changes, "updated_at"}
    if changed:
        # Only the columns that differ anywhere: each of them is a value in the statement for every row.
        Organization.objects.bulk_update(changed, sorted(columns))
    Event.objects.bulk_create(events.values())
    run.counts["changed"] += len(changed)
    return list(events)


def _flag_missing(started_at: datetime, now: datetime) -> int:
    """Flag whoever was connected before the pass began and was on none of its pages. Their connection is not judged."""
    unseen = Organization.objects.connected().filter(
        Q(listed_at=None) | Q(listed_at__lt=started_at), created_at__lt=started_at, missing_since=None
    )
    # Connected again during the pass: the page it is on by now may have been read before.
    return unseen.exclude(authorized_at__gte=started_at).update(missing_since=now)


def _read_one_by_one(run: _Run, limit: int | None) -> str:
    """Ask for each organization with its merchant's token. '', or why that ended early."""
    connected = Organization.objects.connected().by_last_asking()
    failures_in_a_row = 0
    for pk in list(connected.values_list("pk", flat=True)[:limit]):
        problem = _read_one(run, pk)
        failures_in_a_row = failures_in_a_row + 1 if problem else 0
        if failures_in_a_row == MAX_FAILURES:
            return problem
    return ""


def _read_one(run: _Run, pk: int) -> str:
    """Read an organization and count how that went. Gives why Mollie did not answer, where it did not."""
    # Noted before: one that always fails must not be the first again with every run.
    Organization.objects.filter(pk=pk).update(check_requested_at=timezone.now())
    organization = Organization.objects.connected().filter(pk=pk).first()
    if organization is None:
        return ""  # disconnected since the run began
    try:
        run.counts["changed"] += run.ask(partial(read_onboarding_status, organization))
        run.counts["read"] += 1
    except NotConnectedError:
        run.counts["lost"] += 1
    except (MollieError, DecryptionError, ImproperlyConfigured) as exc:
        observe(
            logger,
            logging.ERROR,
            "status_not_read",
            "Onboarding status of %(organization)s not read: %(detail)s",
            organization=organization.organization_id,
            detail=exc,
        )
        run.counts["failed"] += 1
        return str(exc) if isinstance(exc, MollieConnectionError) else ""
    return ""
