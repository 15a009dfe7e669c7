"""Connected Mollie organizations, with their tokens."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.fields import EncryptedTextField, ExactCharField


class Organization(models.Model):
    """A connected Mollie organization, by its `org_…` id: the one thing of it that never changes."""

    class ConnectionStatus(models.TextChoices):
        CONNECTED = "connected", _("Connected")
        LOST = "lost", _("Connection lost")
        DISCONNECTED = "disconnected", _("Disconnected")

    class OnboardingStatus(models.TextChoices):
        """docs.mollie.com/reference/get-onboarding-status; Mollie may add values, which are kept as they come."""

        NEEDS_DATA = "needs-data", _("Mollie needs more data")
        IN_REVIEW = "in-review", _("Mollie is checking the data")
        COMPLETED = "completed", _("Completed")

    organization_id = ExactCharField(_("organization id"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=255, blank=True)
    access_token = EncryptedTextField()
    refresh_token = EncryptedTextField()
    access_token_expires_at = models.DateTimeField(null=True)
    token_version = models.PositiveIntegerField(default=0)
    refresh_claimed_until = models.DateTimeField(null=True)
    refresh_key = models.CharField(max_length=36, blank=True)
    pending_revocation = EncryptedTextField()
    client_id = models.CharField(max_length=100, blank=True)
    redirect_uri = models.CharField(max_length=2000, blank=True)
    scope = models.TextField(_("scope"), blank=True)
    authorized_at = models.DateTimeField(_("authorized"), null=True)
    connection_status = models.CharField(
        _("connection"),
        max_length=12,
        choices=ConnectionStatus,
        default=ConnectionStatus.CONNECTED,
        db_index=True,
    )
    last_error = models.CharField(_("last error"), max_length=255, blank=True)
    # No choices: a value that Mollie adds is kept and shown.
    onboarding_status = models.CharField(_("onboarding status"), max_length=50, blank=True, db_index=True)
    can_receive_payments = models.BooleanField(_("can receive payments"), default=False)
    can_receive_settlements = models.BooleanField(_("can receive settlements"), default=False)
    signed_up_at = models.DateTimeField(_("signed up"), null=True)
    dashboard_url = models.CharField(max_length=2000, blank=True)
    capabilities = models.JSONField(default=dict, blank=True)
    synced_at = models.DateTimeField(_("last read"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")

    def __str__(self) -> str:
        return f"{self.name} ({self.organization_id})" if self.name else self.organization_id

    @property
    def onboarding_status_label(self) -> str:
        """The status in words; a word of Mollie's that is not known here as it came."""
        labels = dict(self.OnboardingStatus.choices)
        return str(labels.get(self.onboarding_status, self.onboarding_status))

    def covers(self, scope: str) -> bool:
        """Whether the stored tokens hold every scope of a space-separated list."""
        return set(scope.split()) <= set(self.scope.split())
