"""What operators see and do. Everything that changes something is a POST, asks before it acts, and calls a service."""

from __future__ import annotations

from .batches import BatchAdmin
from .client_links import ClientLinkAdmin
from .organizations import OrganizationAdmin

__all__ = ["BatchAdmin", "ClientLinkAdmin", "OrganizationAdmin"]
