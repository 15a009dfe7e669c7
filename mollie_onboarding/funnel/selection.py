"""Which merchants a funnel is about."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThanOrEqual
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import BatchItem, ClientLink, Stage
from mollie_onboarding.models.client_link_queries import HAS_LEFT, ClientLinkQuerySet
from mollie_onboarding.models.stages import (
    COLUMNS,
    SIGNED_UP,
    entered_at,
    stage_reached,
    stage_reached_since,
)

from .weeks import begin_of, mondays

PERIODS = (4, 12, 52)  # weeks, the present one included
SEPARATOR = "."


class Source(models.TextChoices):
    ALL = "all", _("All merchants")
    INVITED = "invited", _("Invited by the platform")
    SIGNED_UP = "signup", _("By the sign-up page")


@dataclass(frozen=True)
class Selection:
    """Merchants who entered in the last `weeks` (None: ever), from one source; or those whom one batch mailed."""

    weeks: int | None = 12
    source: Source = Source.ALL
    batch_id: uuid.UUID | None = None

    @classmethod
    def parse(cls, weeks: str, source: str, batch_id: str) -> Selection:
        """From the words of an address. One that is missing or unknown counts as the first, or as the default."""
        try:
            batch = uuid.UUID(batch_id) if batch_id else None
        except ValueError:
            batch = None
        known = {str(period): period for period in PERIODS}
        # Whom a batch mailed is not a question of when.
        period = None if batch or weeks == "all" else known.get(weeks, cls.weeks)
        return cls(period, Source(source) if source in Source.values else cls.source, batch)

    @classmethod
    def from_text(cls, text: str) -> Selection:
        """What `to_text` made; of anything else as much as can be read."""
        words = [*text.split(SEPARATOR), "", "", ""]
        return cls.parse(*words[:3])

    def to_text(self) -> str:
        """The selection as one word of an address."""
        return SEPARATOR.join((self.period, self.source.value, self.batch_id.hex if self.batch_id else ""))

    @property
    def period(self) -> str:
        return "all" if self.weeks is None else str(self.weeks)

    def since(self, now: datetime) -> datetime | None:
        """When the oldest week of the period began; None where every week counts."""
        return None if self.weeks is None else begin_of(mondays(self.weeks, now)[0])

    def narrow(self, rows: ClientLinkQuerySet, now: datetime) -> ClientLinkQuerySet:
        """Those of the rows that are in this selection, with `entered_at`."""
        rows = mailed_by(rows, [self.batch_id]) if self.batch_id else rows.alias(entered_at=entered_at())
        if (since := self.since(now)) is not None:
            # The first condition follows from the second, and is one that an index answers.
            is_recent = Q() if self.batch_id else Q(first_sent_at__gte=since) | Q(created_at__gte=since)
            rows = rows.filter(is_recent, GreaterThanOrEqual(F("entered_at"), since))
        if self.source == Source.SIGNED_UP:
            rows = rows.filter(SIGNED_UP)
        if self.source == Source.INVITED:
            rows = rows.exclude(SIGNED_UP)
        return rows

    def find(self, now: datetime) -> ClientLinkQuerySet:
        return self.narrow(ClientLink.objects.all(), now)

    # Of a batch counts what merchants did since its mail: the rest is not its doing.

    @property
    def stage_reached(self) -> Combinable:
        """The furthest stage of the rows that `narrow` gives, for a query."""
        return stage_reached_since("entered_at") if self.batch_id else stage_reached()

    @property
    def columns(self) -> dict[Stage, str]:
        """When the rows that `narrow` gives reached each stage, by their names in a query."""
        return {**COLUMNS, Stage.INVITED: "entered_at"} if self.batch_id else COLUMNS

    def find_waiting(self, rows: ClientLinkQuerySet, stage: Stage) -> ClientLinkQuerySet:
        """Those of the rows that `narrow` gives who came as far as this and no further, but for those who have left."""
        if not self.batch_id:
            return rows.waiting_at(stage)
        return rows.alias(reached=self.stage_reached).filter(reached=stage).exclude(HAS_LEFT)


def mailed_by(rows: ClientLinkQuerySet, batches: Collection[uuid.UUID]) -> ClientLinkQuerySet:
    """Those of the rows whom these batches mailed, once for each batch. `entered_at` is when it did."""
    mailed = rows.filter(batch_items__batch__in=batches, batch_items__outcome=BatchItem.Outcome.SENT)
    return mailed.alias(entered_at=F("batch_items__at"))
