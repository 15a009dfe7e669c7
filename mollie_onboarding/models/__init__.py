"""The rows: client link requests, OAuth states, connected organizations, and the history.

A rule about one row is a method here, a rule about many a queryset method. Nothing here talks to Mollie.
Columns that people edit are written by `save()`; all that the flows move is written by conditional updates, which say
whether they happened. So no stale instance ever writes back an old status.
"""

from __future__ import annotations

from .authorization_requests import AuthorizationRequest
from .claims import ATTENTION_AFTER, CLAIM_LIFETIME, SENDING_CLAIM_LIFETIME
from .client_links import BODY_COLUMNS, MOVES, NO_CLIENT_LINK, NO_ERROR, ClientLink, Status
from .events import Event
from .locks import locked
from .organizations import CHECK_INTERVAL, Organization, new_refresh, new_refresh_key
from .status_sync import StatusSync

__all__ = [
    "ATTENTION_AFTER",
    "BODY_COLUMNS",
    "CHECK_INTERVAL",
    "CLAIM_LIFETIME",
    "MOVES",
    "NO_CLIENT_LINK",
    "NO_ERROR",
    "SENDING_CLAIM_LIFETIME",
    "AuthorizationRequest",
    "ClientLink",
    "Event",
    "Organization",
    "Status",
    "StatusSync",
    "locked",
    "new_refresh",
    "new_refresh_key",
]
