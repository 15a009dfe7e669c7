"""The rows: client link requests, OAuth states, connected organizations, and the history.

A rule about one row is a method here, a rule about many a queryset method. Nothing here talks to Mollie.
Columns that people edit are written by `save()`; all that the flows move is written by conditional updates, which say
whether they happened. So no stale instance ever writes back an old status.
"""

from __future__ import annotations

from .authorization_requests import AuthorizationRequest
from .batches import Batch, BatchItem, Reason
from .bounded import count_up_to, distinct_values
from .claims import ATTENTION_AFTER, CLAIM_LIFETIME, SENDING_CLAIM_LIFETIME
from .client_links import ClientLink, label_of
from .edits import BODY_COLUMNS, NO_CLIENT_LINK, NO_ERROR, Changes
from .events import Event
from .indexes import having_words
from .locks import locked
from .organizations import CHECK_INTERVAL, Organization, new_refresh, new_refresh_key
from .quotas import CallBudget, MailQuota
from .reminder_plan import LEAST_PAUSE, MOST_DECLINES, due_reminder, next_reminder_at
from .stages import Stage
from .status_sync import StatusSync
from .statuses import MOVES, DeliveryStatus, IdentityCheck, Problem, SendKind, Status, Wait

__all__ = [
    "ATTENTION_AFTER",
    "BODY_COLUMNS",
    "CHECK_INTERVAL",
    "CLAIM_LIFETIME",
    "LEAST_PAUSE",
    "MOST_DECLINES",
    "MOVES",
    "NO_CLIENT_LINK",
    "NO_ERROR",
    "SENDING_CLAIM_LIFETIME",
    "AuthorizationRequest",
    "Batch",
    "BatchItem",
    "CallBudget",
    "Changes",
    "ClientLink",
    "DeliveryStatus",
    "Event",
    "IdentityCheck",
    "MailQuota",
    "Organization",
    "Problem",
    "Reason",
    "SendKind",
    "Stage",
    "Status",
    "StatusSync",
    "Wait",
    "count_up_to",
    "distinct_values",
    "due_reminder",
    "having_words",
    "label_of",
    "locked",
    "new_refresh",
    "new_refresh_key",
    "next_reminder_at",
]
