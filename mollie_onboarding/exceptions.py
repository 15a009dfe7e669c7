"""What can go wrong, one class per decision that a caller takes. No message ever holds a token, a code or a secret."""

from __future__ import annotations

from django.core.exceptions import SuspiciousOperation


class MollieError(Exception):
    """A call to Mollie did not do its work."""


class MollieConnectionError(MollieError):
    """No usable answer: nothing is decided, try again later.

    `retry_after` is in seconds, where Mollie named it. `needs_new_key` says that this answer lies in Mollie's
    memory under the idempotency key, so that only a new key can bring another one. `is_rate_limited` says that the
    platform calls too often (429).
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: int | None = None,
        needs_new_key: bool = False,
        is_rate_limited: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.needs_new_key = needs_new_key
        self.is_rate_limited = is_rate_limited


class MollieResponseError(MollieError):
    """Mollie said no, and will say no again.

    `status` is the HTTP status, `detail` Mollie's sentence, `field` the path of the body field that it names,
    `error` the code of RFC 6749 section 5.2 where the token endpoint answered.
    """

    def __init__(self, status: int, detail: str, *, field: str = "", error: str = "") -> None:
        super().__init__(f"Mollie answered {status}{f' {error}' if error else ''}.")
        self.status = status
        self.detail = detail
        self.field = field
        self.error = error


class InvalidGrantError(MollieResponseError):
    """The code or refresh token is void: the merchant must connect again (RFC 6749 section 5.2)."""


class NotConnectedError(MollieError):
    """There is no connection to act with: the merchant must connect, or connect again.

    `connection_status` is that of the organization: `lost` (Mollie no longer accepts our tokens) or `disconnected`
    (the platform ended it).
    """

    def __init__(self, organization_id: str, connection_status: str) -> None:
        super().__init__(f"Organization {organization_id} is {connection_status}.")
        self.organization_id = organization_id
        self.connection_status = connection_status


class IdempotencyKeyReusedError(MollieResponseError):
    """Our own fault: the idempotency key had been used for another body."""


class CreationInProgressError(Exception):
    """Somebody else is making this merchant's client link right now: look again in a moment."""


class ClientLinkUnusableError(Exception):
    """The row cannot lead to Mollie now: it is cancelled, refused, or connected elsewhere."""


class StateError(SuspiciousOperation):
    """A callback that cannot be verified. `reason` is for the log, and for the choice of words on the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Callback refused: {reason}.")
        self.reason = reason


class DecryptionError(Exception):
    """A token in the database was not encrypted with any of the configured keys. Nothing was changed."""
