"""How far the reading of Mollie's list is, so that one that was interrupted goes on where it stopped."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class StatusSync(models.Model):
    """The one row, with the last pass over Mollie's list of clients."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    started_at = models.DateTimeField()
    following = models.CharField(max_length=100, blank=True)  # where the next page begins, '' for the first
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("reading of the status")
        verbose_name_plural = _("readings of the status")
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="mollie_sync_one_row")]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"
