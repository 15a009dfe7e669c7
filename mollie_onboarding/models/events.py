"""The history: for people, and as the memory of which signals were sent."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .organizations import Organization


class EventManager(models.Manager["Event"]):
    def record(
        self,
        kind: str,
        *,
        client_link_id: uuid.UUID | None = None,
        organization: Organization | None = None,
        actor: Any = None,
        data: dict[str, Any] | None = None,
        needs_signal: bool = False,
    ) -> Event:
        """Write a line of history; with `needs_signal` it waits to be announced to the platform."""
        now = timezone.now()
        return self.create(
            kind=kind,
            client_link_id=client_link_id,
            organization=organization,
            actor=actor if actor is not None and actor.pk else None,
            data=data or {},
            at=now,
            announced_at=None if needs_signal else now,
        )

    def record_for_each(
        self,
        kind: str,
        client_link_ids: Iterable[uuid.UUID],
        *,
        actor: Any = None,
        data: Mapping[uuid.UUID, dict[str, Any]] | None = None,
    ) -> None:
        """Write a line of this kind in the history of each of these rows; `data` by row. None waits to be announced."""
        now, data = timezone.now(), data or {}
        self.bulk_create(
            Event(
                kind=kind,
                client_link_id=pk,
                actor=actor,
                data=data.get(pk, {}),
                at=now,
                announced_at=now,
            )
            for pk in client_link_ids
        )


class Event(models.Model):
    """One line of history: for people, and as the memory of which signals were sent. Never changed but for that."""

    client_link = models.ForeignKey("ClientLink", models.CASCADE, null=True, related_name="events")
    organization = models.ForeignKey(Organization, models.SET_NULL, null=True, related_name="events")
    kind = models.CharField(max_length=32)
    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    data = models.JSONField(default=dict)
    announced_at = models.DateTimeField(null=True)

    objects = EventManager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes: ClassVar = [
            models.Index(fields=["client_link", "at"], name="mollie_ev_history"),
            models.Index(fields=["announced_at", "at"], name="mollie_ev_unannounced"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
