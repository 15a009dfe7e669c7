"""Who waits longest, and at which stage."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from mollie_onboarding.models import Stage
from mollie_onboarding.models.client_link_queries import ClientLinkQuerySet

from .selection import Selection

SHOWN_WAITING = 10  # at each stage


@dataclass(frozen=True)
class MerchantWaiting:
    client_link_id: uuid.UUID
    name: str
    since: datetime


def find_waiting(selection: Selection, rows: ClientLinkQuerySet, stage: Stage) -> list[MerchantWaiting]:
    """The ten of the selection's rows who have waited longest at this stage, longest first."""
    waiting = selection.find_waiting(rows, stage).annotate(since=F(selection.columns[stage]))
    found = waiting.order_by("since", "pk").values_list("pk", "organization_name", "since")[:SHOWN_WAITING]
    return [MerchantWaiting(pk, name or str(pk), since) for pk, name, since in found]
