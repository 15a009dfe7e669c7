"""What is asked of many client link requests at once, and the moves and claims of one: conditional updates."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import connections, models, transaction
from django.db.models import Q
from django.utils import timezone

from .authorization_requests import AuthorizationRequest
from .claims import ATTENTION_AFTER, CLAIM_LIFETIME, SENDING_CLAIM_LIFETIME
from .edits import Changes, columns_to_tell, columns_to_write, has_other_recipient
from .events import Event
from .locks import locked, unindexed
from .organizations import Organization
from .reminder_plan import MOST_DECLINES, is_due_for_reminder
from .stages import BEFORE_CONNECTING, Stage, is_at
from .statuses import MOVES, UNDELIVERED, IdentityCheck, SendKind, Status

# Nobody waits for these: counted as far as they came, and not reminded of.
HAS_LEFT = Q(status=Status.CANCELLED) | Q(
    organization__connection_status=Organization.ConnectionStatus.DISCONNECTED
)

if TYPE_CHECKING:
    from .client_links import ClientLink


class IsAnyOf(models.Func):
    """Whether a column has one of the values that a query gives.

    PostgreSQL reads those first, so that an index of the column can be one of several that a condition is made of.
    """

    arg_joiner = " IN "
    template = "(%(expressions)s)"
    output_field = models.BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler, connection, arg_joiner=" = ANY(ARRAY", template="(%(expressions)s))", **context
        )


class ClientLinkQuerySet(models.QuerySet["ClientLink"]):
    def move(
        self,
        pk: uuid.UUID,
        to: Status,
        *,
        kind: str = "",
        actor: Any = None,
        data: dict[str, Any] | None = None,
        needs_signal: bool = False,
        **columns: Any,
    ) -> Event | None:
        """Move one row of this set to a status, if the table allows it from where the row is now.

        One conditional update, and the event beside it in one transaction. Gives the event, or None when the move did
        not happen: the caller decides what that means. `columns` are written by the same update.
        """
        # No savepoint: a caller's transaction is not gone on with after an error.
        with transaction.atomic(using=self.db, savepoint=False):
            moved = self.filter(pk=pk, status__in=MOVES[to]).update(
                status=to, updated_at=timezone.now(), **columns
            )
            if not moved:
                return None
            return Event.objects.record(
                kind or to, client_link_id=pk, actor=actor, data=data, needs_signal=needs_signal,
                organization=columns.get("organization"),
            )  # fmt: skip

    def bulk_create(self, objs: Iterable[ClientLink], *args: Any, **kwargs: Any) -> list[ClientLink]:
        rows = super().bulk_create(objs, *args, **kwargs)
        for row in rows:
            row.remember()
        return rows

    def hold(
        self, pks: Collection[uuid.UUID], *, requests_of: Collection[uuid.UUID] | None = None
    ) -> dict[uuid.UUID, ClientLink]:
        """Lock these rows and their requests until the end of the transaction. Gives the rows as they are now, by id.

        With `requests_of` only the requests of those among them, for whoever writes to no others.
        """
        AuthorizationRequest.objects.using(self.db).hold(pks if requests_of is None else requests_of)
        return {row.pk: row for row in locked(self.filter(pk__in=pks)).order_by("pk")}

    def in_lock_order(self, pks: Collection[uuid.UUID]) -> list[uuid.UUID]:
        """These ids in the order in which `hold` locks rows, for whoever holds many of them some at a time."""
        # MariaDB alone is asked: it compares UUIDs from their end. Rows that are not there any more come first.
        asked = pks if connections[self.db].vendor == "mysql" else []
        rows = self.filter(pk__in=asked).order_by("pk").values_list("pk", flat=True)
        places = {pk: place for place, pk in enumerate(rows)}
        return sorted(pks, key=lambda pk: (places.get(pk, -1), pk))

    def write_edits(
        self,
        held: dict[uuid.UUID, ClientLink],
        edits: dict[uuid.UUID, Changes],
        *,
        actor: Any = None,
    ) -> set[uuid.UUID]:
        """Write people's edits of rows that the caller holds, and all that follows from them; see `ClientLink.save()`.

        The instances in `held` take it over. Gives the rows whose mails go to another recipient now.
        """
        now = timezone.now()
        moved = {pk for pk, changes in edits.items() if has_other_recipient(held[pk], changes)}
        AuthorizationRequest.objects.using(self.db).forget_browsers(moved)
        for pk, changes in edits.items():
            columns = columns_to_write(held[pk], changes, now)
            self.filter(pk=pk).update(**columns)
            held[pk].set_columns(columns)
        told = {
            pk: {"columns": names} for pk, changes in edits.items() if (names := columns_to_tell(changes))
        }
        Event.objects.db_manager(self.db).record_for_each("edited", told, actor=actor, data=told)
        return moved

    def note_opening(self, pk: uuid.UUID, now: datetime) -> bool:
        """Write that a person opened this merchant's page, where it is the first time. False: it was not."""
        return bool(self.filter(pk=pk, opened_at=None).update(opened_at=now, updated_at=now))

    def claim_issuing(self, pk: uuid.UUID, now: datetime) -> bool:
        """Take the right to make this row's client link at Mollie, for `CLAIM_LIFETIME`.

        False: somebody has it, or the row needs no link any more.
        """
        free = Q(issuing_until=None) | Q(issuing_until__lte=now)
        open_rows = self.exclude(status__in=[Status.CONNECTED, Status.CANCELLED, Status.REJECTED])
        return bool(open_rows.filter(free, pk=pk).update(issuing_until=now + CLAIM_LIFETIME))

    def unchanged_since(self, row: ClientLink, columns: Collection[str]) -> Self:
        """Rows that have in these columns what this one had when it was read; for an update of one row."""
        values = {f"{name}_now": (unindexed(name), getattr(row, name)) for name in columns}
        return self.alias(**{name: now for name, (now, _) in values.items()}).filter(
            **{name: value for name, (_, value) in values.items()}
        )

    def claim_sending(self, pk: uuid.UUID, now: datetime, **columns: Any) -> bool:
        """Take the right to mail this row, if it is queued and due. False: nothing to do, or somebody else does it.

        `columns` are written by the same update.
        """
        rows = self.alias(requested_at=unindexed("send_requested_at")).filter(
            requested_at__isnull=False, pk=pk
        )
        return bool(rows.free_to_send(now).update(sending_until=now + SENDING_CLAIM_LIFETIME, **columns))

    def claim_notice(self, pk: uuid.UUID, now: datetime) -> bool:
        """Take the right to mail this row the notice after connecting, if one waits and is due."""
        rows = self.alias(requested_at=unindexed("notice_requested_at")).filter(
            requested_at__isnull=False, pk=pk
        )
        return bool(rows.free_for_notice(now).update(notice_until=now + SENDING_CLAIM_LIFETIME))

    def due_for_notice(self, now: datetime) -> Self:
        return self.filter(notice_requested_at__isnull=False).free_for_notice(now)

    def free_for_notice(self, now: datetime) -> Self:
        """Rows whose notice nobody has in hand and nothing holds back, requested or not."""
        return self.filter(
            Q(notice_until=None) | Q(notice_until__lte=now),
            Q(notice_not_before=None) | Q(notice_not_before__lte=now),
        )

    def due_for_sending(self, now: datetime) -> Self:
        return self.filter(send_requested_at__isnull=False).free_to_send(now)

    def free_to_send(self, now: datetime) -> Self:
        """Rows whose mail nobody has in hand and nothing holds back, requested or not."""
        return self.filter(
            Q(sending_until=None) | Q(sending_until__lte=now),
            Q(send_not_before=None) | Q(send_not_before__lte=now),
        )

    def open_to(self, kind: SendKind, now: datetime) -> Self:
        """Rows that a mail of this kind may be queued for: those that wait for none.

        An invitation takes the place of a reminder that waits, unless a worker has that in hand right now.
        """
        waiting = Q(send_requested_at=None)
        if kind == SendKind.INVITATION:
            in_nobodys_hands = Q(sending_until=None) | Q(sending_until__lte=now)
            waiting |= Q(send_kind=SendKind.REMINDER) & in_nobodys_hands
        return self.filter(waiting)

    def due_for_reminder(self, now: datetime) -> Self:
        """Rows to remind; `services.reason_not_to_remind` is the same rule about one row."""
        return self.filter(
            is_due_for_reminder(now),
            status__in=[Status.DRAFT, Status.READY, Status.STARTED, Status.DECLINED],
            decline_count__lt=MOST_DECLINES,
            send_requested_at=None,
            reminders_excluded=False,
            anonymized_at=None,
        ).exclude(delivery_status__in=UNDELIVERED)

    def expired(self, now: datetime) -> Self:
        """Rows whose client link at Mollie is over and who are not connected."""
        return self.filter(expires_at__lte=now).exclude(status__in=[Status.CONNECTED, Status.CANCELLED])

    def waiting_at(self, stage: Stage) -> Self:
        """Merchants who came as far as this and no further, but for those who have left."""
        rows = self.filter(is_at(stage))
        # The second says the same of who has no organization, without a look at those.
        return rows.exclude(HAS_LEFT if stage not in BEFORE_CONNECTING else Q(status=Status.CANCELLED))

    def needing_attention(self, now: datetime) -> Self:
        """Rows that go no further until an operator does something."""
        lost = Organization.objects.filter(connection_status=Organization.ConnectionStatus.LOST)
        # Each of them by an index, of this table: so a few are found by their indexes, and of many the newest by age.
        # The last one says it twice: the first way tells quickly of one row, the second one has an index.
        return self.exclude(status=Status.CANCELLED).filter(
            Q(status=Status.REJECTED)
            | Q(problem__gt="")
            | Q(identity_check=IdentityCheck.DIFFERS)
            | Q(send_requested_at__lte=now - ATTENTION_AFTER)
            | (Q(delivery_status__in=UNDELIVERED) & ~Q(status=Status.CONNECTED))
            | (
                Q(status=Status.CONNECTED, organization__in=lost)
                & Q(IsAnyOf("organization_id", lost.values("pk")))
            )
        )
