"""Settings of the sandbox, read when used so that `override_settings` works. All have a default for the demo."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

CODE_LIFETIME = timedelta(seconds=30)  # docs.mollie.com/docs/connect-getting-started
ACCESS_TOKEN_LIFETIME = timedelta(seconds=3600)  # docs.mollie.com/docs/connect-getting-started
CLIENT_LINK_LIFETIME = timedelta(days=30)  # docs.mollie.com/reference/create-client-link
IDEMPOTENCY_LIFETIME = timedelta(hours=1)  # docs.mollie.com/reference/api-idempotency


class Conf:
    @property
    def client_id(self) -> str:
        """Client id of the one OAuth app that is registered here."""
        return str(getattr(settings, "MOLLIE_SANDBOX_CLIENT_ID", "app_sandbox"))

    @property
    def client_secret(self) -> str:
        """Client secret of that OAuth app."""
        return str(getattr(settings, "MOLLIE_SANDBOX_CLIENT_SECRET", "sandbox-client-secret"))

    @property
    def access_token(self) -> str:
        """The partner's own advanced access token; it may do everything a partner may."""
        return str(getattr(settings, "MOLLIE_SANDBOX_ACCESS_TOKEN", "access_sandbox_partner"))

    @property
    def redirect_uri(self) -> str:
        """The redirect URI registered with the OAuth app; without one nobody can be sent back."""
        return str(getattr(settings, "MOLLIE_SANDBOX_REDIRECT_URI", ""))

    @property
    def platform_name(self) -> str:
        """Name of the OAuth app, as the consent screen shows it."""
        return str(getattr(settings, "MOLLIE_SANDBOX_PLATFORM_NAME", "The platform"))

    @property
    def allow_without_debug(self) -> bool:
        """For test runs only, because they switch DEBUG off."""
        return bool(getattr(settings, "MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG", False))

    @property
    def rate_limit(self) -> tuple[int, int] | None:
        """Calls in each window, and its seconds; written as `20/3`, for every operation. None: as many as you like."""
        limit = getattr(settings, "MOLLIE_SANDBOX_RATE_LIMIT", None)
        if not limit:
            return None
        match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", str(limit), re.ASCII)
        if not match:
            raise ImproperlyConfigured("MOLLIE_SANDBOX_RATE_LIMIT is not a limit such as 20/3.")
        return int(match[1]), int(match[2])

    @property
    def mail_directory(self) -> Path | None:
        """Where Django's file-based e-mail backend writes, if it is told to."""
        mailers = getattr(settings, "MAILERS", None)
        if mailers is not None:  # Django 6.1 and newer, where it takes the place of the older setting
            directory = mailers.get("default", {}).get("OPTIONS", {}).get("file_path")
        else:
            directory = getattr(settings, "EMAIL_FILE_PATH", None)
        return Path(directory) if directory else None

    @property
    def is_allowed(self) -> bool:
        """Whether the sandbox may answer at all: it gives every visitor any merchant's account."""
        return bool(settings.DEBUG) or self.allow_without_debug


conf = Conf()
