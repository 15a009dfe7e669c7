"""What the sandbox remembers.

Several processes may share this memory, so everything that may happen once only is one conditional UPDATE or one INSERT
under a unique constraint. Tokens lie here in clear: they open nothing but the sandbox.
"""

from __future__ import annotations

from typing import ClassVar, cast

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from .conf import CLIENT_LINK_LIFETIME, CODE_LIFETIME


class SandboxOrganizationQuerySet(models.QuerySet["SandboxOrganization"]):
    def clients(self) -> SandboxOrganizationQuerySet:
        """Those in the partner's list of clients."""
        connected = Exists(Authorization.objects.active().filter(organization=OuterRef("pk")))
        return self.filter(Q(is_client=True) | connected, is_listed=True)


class SandboxOrganization(models.Model):
    """A merchant's Mollie account. `status` takes any text, because Mollie's enumeration is open."""

    class Status(models.TextChoices):
        NEEDS_DATA = "needs-data", "needs data"
        IN_REVIEW = "in-review", "in review"
        COMPLETED = "completed", "completed"

    id = models.CharField(primary_key=True, max_length=32)
    name = models.CharField(max_length=255)
    email = models.CharField(max_length=320)
    locale = models.CharField(max_length=16, default="en_US")
    address = models.JSONField(default=dict)
    registration_number = models.CharField(max_length=255, blank=True)
    vat_number = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=64, default=Status.NEEDS_DATA)
    can_receive_payments = models.BooleanField(default=False)
    can_receive_settlements = models.BooleanField(default=False)
    capabilities = models.JSONField(null=True)  # empty: they follow from the three columns above
    signed_up_at = models.DateTimeField(default=timezone.now)
    is_client = models.BooleanField(default=False)  # also without an authorization
    is_listed = models.BooleanField(default=True)  # off: not in the partner's list, whatever else holds

    objects = SandboxOrganizationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["-signed_up_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    def shows(self, scope: str) -> bool:
        """Whether the partner's list may show what the scope guards; all of it if nobody was ever asked for scopes."""
        # Sifted here and not by the database: a page has fetched the authorizations of all its rows at once.
        authorizations = self.authorization_set.all()
        if not authorizations:
            return True
        return any(row.revoked_at is None and scope in row.scope.split() for row in authorizations)


class SandboxClientLink(models.Model):
    """A client link with the body it was made from, and the organization that came of it."""

    id = models.CharField(primary_key=True, max_length=32)
    data = models.JSONField()
    organization = models.ForeignKey(SandboxOrganization, on_delete=models.CASCADE, null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.id

    @property
    def name(self) -> str:
        return cast(str, self.data["name"])

    @property
    def is_expired(self) -> bool:
        return timezone.now() >= self.created_at + CLIENT_LINK_LIFETIME


class AuthorizationQuerySet(models.QuerySet["Authorization"]):
    def active(self) -> AuthorizationQuerySet:
        return self.filter(revoked_at=None)

    def revoke(self) -> int:
        """Revoke those that still are active; returns how many. Their tokens die with them."""
        return self.active().update(revoked_at=timezone.now())

    def redeem_code(self) -> bool:
        """Use up the code. Only one caller in the world is told True."""
        return self.filter(code_redeemed_at=None).update(code_redeemed_at=timezone.now()) == 1


class Authorization(models.Model):
    """What a merchant granted: the scopes, and the code that stands for them for 30 seconds."""

    organization = models.ForeignKey(SandboxOrganization, on_delete=models.CASCADE)
    scope = models.TextField()
    redirect_uri = models.TextField(blank=True)  # '' = the authorization request named none
    code = models.CharField(max_length=64, unique=True)
    code_challenge = models.CharField(max_length=43, blank=True)  # '' = the same; S256, RFC 7636 section 4.2
    code_redeemed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True)

    objects = AuthorizationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.scope}"

    @property
    def is_code_expired(self) -> bool:
        return timezone.now() >= self.created_at + CODE_LIFETIME


class TokenQuerySet(models.QuerySet["Token"]):
    def valid(self) -> TokenQuerySet:
        not_expired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(not_expired, revoked_at=None, authorization__revoked_at=None)

    def revoke(self) -> int:
        """Revoke those that still live; returns how many."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


class Token(models.Model):
    class Kind(models.TextChoices):
        ACCESS = "access_token"
        REFRESH = "refresh_token"

    authorization = models.ForeignKey(Authorization, on_delete=models.CASCADE)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(null=True)  # a refresh token has none
    revoked_at = models.DateTimeField(null=True)

    objects = TokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} of {self.authorization}"


class IdempotentAnswer(models.Model):
    """The first answer to an idempotency key; `status` is empty while it is being worked out."""

    credential = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["credential", "key"], name="mollie_sandbox_one_answer_per_key")
        ]

    def __str__(self) -> str:
        return self.key


class FaultQuerySet(models.QuerySet["Fault"]):
    def active(self) -> FaultQuerySet:
        return self.filter(Q(remaining=None) | Q(remaining__gt=0))

    def claim(self) -> Fault | None:
        """Draw the oldest active fault; one that strikes once strikes one caller only."""
        for fault in self.active().order_by("pk"):
            if self.active().filter(pk=fault.pk).update(remaining=F("remaining") - 1):
                return fault
        return None


class Fault(models.Model):
    """Something that is to go wrong. The operations `exchange`, `refresh`, `revoke` are also `tokens`."""

    class Operation(models.TextChoices):
        ANY = "any"
        CLIENT_LINKS = "client_links"
        TOKENS = "tokens"
        EXCHANGE = "exchange"
        REFRESH = "refresh"
        REVOKE = "revoke"
        ORGANIZATION = "organization"
        ONBOARDING = "onboarding"
        CAPABILITIES = "capabilities"
        CLIENTS = "clients"
        PERMISSIONS = "permissions"
        PARTNER = "partner"

    class Kind(models.TextChoices):
        RATE_LIMITED = "rate_limited", "429 with Retry-After"
        SERVER_ERROR = "server_error", "500 error object"
        UNAVAILABLE_HTML = "unavailable_html", "503 HTML page"
        SLOW = "slow", "slow answer"
        DROP_BEFORE = "drop_before", "connection dropped before any work"
        LOSE_ANSWER = "lose_answer", "work done, answer lost"
        NOT_JSON = "not_json", "answer is not JSON"
        TOO_LARGE = "too_large", "answer of 2 MB"
        WRONG_HOST = "wrong_host", "client link or next page leads to a foreign host"
        VALIDATION = "validation", "422 for a field"
        UNAUTHORIZED = "unauthorized", "401 error object"
        CONFLICT = "conflict", "409 error object"
        STATUS = "status", "any status, any JSON body"
        REPLAYED_ERROR = "replayed_error", "500 that a repeat with the same key gets again"

    operation = models.CharField(max_length=16, choices=Operation.choices)
    kind = models.CharField(max_length=32, choices=Kind.choices)
    remaining = models.PositiveIntegerField(null=True)  # empty: until cleared
    options = models.JSONField(default=dict, blank=True)

    objects = FaultQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.operation}: {self.kind}"


class Switch(models.Model):
    """A habit of Mollie's that the documents leave open; a row means it is on."""

    class Name(models.TextChoices):
        ROTATE_REFRESH_TOKENS = "rotate_refresh_tokens", "a refresh gives a new refresh token"
        USED_LINK_IS_DEAD = "used_link_is_dead", "a client link works once"
        AUTO_KEEPS_OLD_SCOPE = "auto_keeps_old_scope", "approval_prompt=auto grants no more than before"
        PARTNER_WITHOUT_CLIENTS_READ = "partner_without_clients_read", "the partner lacks clients.read"
        PARTNER_WITHOUT_CLIENTS_WRITE = "partner_without_clients_write", "the partner lacks clients.write"

    name = models.CharField(primary_key=True, max_length=64, choices=Name.choices)

    def __str__(self) -> str:
        return self.name


class CallWindow(models.Model):
    """How often an operation was called since `started_at`, where there is a rate limit."""

    operation = models.CharField(primary_key=True, max_length=16)
    started_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.operation}: {self.count}"


class Call(models.Model):
    """One API call. `status` is empty while it runs, and for good when no answer was given. Never holds a token."""

    operation = models.CharField(max_length=16)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=255)
    idempotency_key = models.TextField(blank=True)
    replayed = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField(null=True)
    fault = models.CharField(max_length=32, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["pk"]

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}"
