"""What all workers share: how often Mollie may be called, and how often one recipient may be mailed."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.fields import ExactCharField

RESERVED_SHARE = 5  # one call of so many is left to merchants in front of their browsers


class CallBudget(models.Model):
    """The one row, with what Mollie last said of its limits. docs.mollie.com/reference/rate-limiting

    `remaining`, `resets_at`, `quota` and `window` are set together, or none of them is: then no limit is known.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    paused_until = models.DateTimeField(null=True)  # by a 429
    pause_seconds = models.PositiveIntegerField(
        default=0
    )  # of the last pause whose length Mollie did not name
    remaining = models.PositiveIntegerField(null=True)  # calls until `resets_at`
    resets_at = models.DateTimeField(null=True)
    quota = models.PositiveIntegerField(null=True)  # calls in each window
    window = models.PositiveIntegerField(null=True)  # seconds
    # Windows that were begun here since Mollie last named its limit.
    silent_windows = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("budget of calls to Mollie")
        verbose_name_plural = _("budgets of calls to Mollie")
        default_permissions: ClassVar = []
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="mollie_budget_one_row")]

    def __str__(self) -> str:
        return f"{self.remaining}"

    @property
    def reserve(self) -> int:
        """How many calls of a window workers leave alone. At least one, unless that is all there are."""
        quota = self.quota or 0
        return min(max(quota // RESERVED_SHARE, 1), max(quota - 1, 0))

    def pause(self, now: datetime) -> float:
        """The seconds that are left of the pause that a 429 asked for."""
        if self.paused_until and self.paused_until > now:
            return (self.paused_until - now).total_seconds()
        return 0.0

    def seconds_to_wait(self, now: datetime) -> float:
        """How long a worker has to wait for its next call; 0.0 where it may be made, or where a new window begins."""
        if pause := self.pause(now):
            return pause
        if self.resets_at and self.resets_at > now and (self.remaining or 0) <= self.reserve:
            return (self.resets_at - now).total_seconds()
        return 0.0


class MailQuota(models.Model):
    """How many mails one recipient got in a window of time."""

    recipient = ExactCharField(max_length=64, unique=True)  # a keyed digest of the address
    window_started_at = models.DateTimeField(db_index=True)
    count = models.PositiveIntegerField(default=0)
    last_mail = ExactCharField(
        max_length=64, blank=True
    )  # the one counted last: a repetition is the same mail

    class Meta:
        verbose_name = _("quota of mails")
        verbose_name_plural = _("quotas of mails")
        default_permissions: ClassVar = []

    def __str__(self) -> str:
        return f"{self.count}"
