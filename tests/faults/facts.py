"""What the databases say after a fault: the facts of which a flow names those that it is about."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from mollie_onboarding.models import (
    AuthorizationRequest,
    Batch,
    ClientLink,
    Organization,
    StatusSync,
)

from .flows import CORRECTED

rows = ClientLink.objects
organizations = Organization.objects

FACTS: dict[str, Callable[[], bool]] = {
    "row": lambda: rows.exists(),
    "key": lambda: rows.exclude(idempotency_key="").exists(),
    "link": lambda: any(row.has_usable_url(timezone.now()) for row in rows.all()),
    "old link": lambda: any(row.url and not row.has_usable_url(timezone.now()) for row in rows.all()),
    "denial": lambda: rows.filter(status="declined").exists(),
    "tokens": lambda: AuthorizationRequest.objects.filter(tokens__isnull=False).exists(),
    "connection": lambda: organizations.connected().exists(),
    "status": lambda: organizations.connected().exclude(onboarding_status="").exists(),
    "news": lambda: organizations.filter(onboarding_status="completed").exists(),
    "queued": lambda: rows.filter(send_requested_at__isnull=False).exists(),
    "sent": lambda: rows.filter(send_count__gt=0).exists(),
    "notice": lambda: rows.filter(notice_requested_at__isnull=False).exists(),
    "corrected": lambda: rows.filter(owner_email=CORRECTED).exists(),
    "started": lambda: Batch.objects.filter(started_at__isnull=False).exists(),
    "page": lambda: StatusSync.objects.exclude(following="").exists(),
    "revocation": lambda: organizations.filter(pending_revocation__isnull=False).exists(),
}
