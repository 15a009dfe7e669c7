"""The settings of this app, typed. Each is read when it is used, so that `override_settings` works."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_script_prefix
from django.utils.dateparse import parse_duration

from .colors import normalize

PREFIX = "MOLLIE_ONBOARDING_"
MOLLIE_API_URL = "https://api.mollie.com"
MOLLIE_AUTHORIZE_URL = "https://my.mollie.com/oauth2/authorize"  # docs.mollie.com/reference/authorize
MOLLIE_LINK_HOSTS = ("my.mollie.com",)
REMINDER_DAYS = (3, 10, 25)
LATEST_REMINDER = 3650  # days; a plan that is longer is a slip
MERCHANT_STYLESHEETS = ("mollie_onboarding/merchant.css",)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _get(name: str, default: Any = None) -> Any:
    return getattr(settings, PREFIX + name, default)


def _required(name: str) -> str:
    value = _get(name)
    if not value or not isinstance(value, str):
        raise ImproperlyConfigured(f"{PREFIX}{name} is not set.")
    return value


def _list(value: str | Iterable[str]) -> tuple[str, ...]:
    """The items of a list, or of a text with commas or spaces between them, as the environment gives it."""
    items = value.replace(",", " ").split() if isinstance(value, str) else value
    return tuple(item.strip() for item in items if item.strip())


def _address(name: str) -> str:
    """A text, also where it is a `reverse_lazy` one."""
    return str(_get(name) or "")


def _duration(name: str, default: timedelta) -> timedelta:
    """A timedelta; a number or a numeric text counts as seconds."""
    value = _get(name, default)
    try:
        if isinstance(value, int | float):
            value = timedelta(seconds=value)
        elif isinstance(value, str):
            value = parse_duration(value)
    except (OverflowError, ValueError):
        value = None
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise ImproperlyConfigured(f"{PREFIX}{name} is not a duration.")
    return value


def _optional_duration(name: str) -> timedelta | None:
    return None if _get(name) in (None, "") else _duration(name, timedelta())


def _days(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Whole days, each later than the one before; a text has commas between them."""
    value = _get(name, default)
    if isinstance(value, str):
        value = [int(day) if day.isdecimal() else 0 for day in _list(value)]
    is_plan = (
        isinstance(value, list | tuple)
        and all(type(day) is int and 0 < day <= LATEST_REMINDER for day in value)
        and sorted(set(value)) == list(value)
    )
    if not is_plan:
        raise ImproperlyConfigured(f"{PREFIX}{name} is not a plan of days.")
    return tuple(value)


def parse_limit(limit: str) -> tuple[int, int]:
    """The number and the window in seconds of a limit such as `20/h`. Raises `ImproperlyConfigured`."""
    match = re.fullmatch(r"(\d{1,9})/([smhd])", str(limit), re.ASCII)
    if not match:
        raise ImproperlyConfigured(f"{limit!r} is not a limit such as 20/h.")
    return int(match[1]), SECONDS[match[2]]


class Conf:
    """Use the one instance, `conf`."""

    def home_url(self) -> str:
        """The platform's first page: the base URL, and the path under which this site is mounted."""
        return self.MOLLIE_ONBOARDING_BASE_URL + get_script_prefix()

    @property
    def MOLLIE_ONBOARDING_CLIENT_ID(self) -> str:  # noqa: N802 (settings keep their full names in code)
        """Id of the OAuth app, `app_…`."""
        return _required("CLIENT_ID")

    @property
    def MOLLIE_ONBOARDING_CLIENT_SECRET(self) -> str:  # noqa: N802
        """Secret of the OAuth app."""
        return _required("CLIENT_SECRET")

    @property
    def MOLLIE_ONBOARDING_ACCESS_TOKEN(self) -> str:  # noqa: N802
        """The partner's advanced access token, `access_…`, with `clients.write` and better also `clients.read`."""
        return _required("ACCESS_TOKEN")

    @property
    def MOLLIE_ONBOARDING_ENCRYPTION_KEYS(self) -> tuple[str, ...]:  # noqa: N802
        """Fernet keys for the tokens in the database, newest first."""
        return _list(_get("ENCRYPTION_KEYS") or ())

    @property
    def MOLLIE_ONBOARDING_BASE_URL(self) -> str:  # noqa: N802
        """Scheme and host under which merchants reach this site, without a slash at the end."""
        return _required("BASE_URL").rstrip("/")

    @property
    def MOLLIE_ONBOARDING_PLATFORM_NAME(self) -> str:  # noqa: N802
        """What merchants call the platform; the host of the base URL where it is not set."""
        return _get("PLATFORM_NAME") or urlsplit(self.MOLLIE_ONBOARDING_BASE_URL).hostname or ""

    @property
    def MOLLIE_ONBOARDING_PLATFORM_LOGO(self) -> str:  # noqa: N802
        """The platform's logo: the path of a static file, or an address; '' shows the name instead."""
        return _get("PLATFORM_LOGO") or ""

    @property
    def MOLLIE_ONBOARDING_ACCENT_COLOR(self) -> str:  # noqa: N802
        """Colour of buttons and links on pages and in mails, `#rrggbb`; '' keeps the stylesheet's own."""
        # What is no colour counts as not set: it goes into CSS. A check complains of it.
        return normalize(_get("ACCENT_COLOR"))

    @property
    def MOLLIE_ONBOARDING_STYLESHEETS(self) -> tuple[str, ...]:  # noqa: N802
        """The stylesheets of the merchant pages, as paths of static files, in this order."""
        return _list(_get("STYLESHEETS") or MERCHANT_STYLESHEETS)

    @property
    def MOLLIE_ONBOARDING_CONTACT_URL(self) -> str:  # noqa: N802
        """Where merchants reach the platform, `https:` or `mailto:`; the base URL where it is not set."""
        return _address("CONTACT_URL") or self.home_url()

    @property
    def MOLLIE_ONBOARDING_PRIVACY_URL(self) -> str:  # noqa: N802
        """The platform's privacy policy; '' where no page is to link to one."""
        return _address("PRIVACY_URL")

    @property
    def MOLLIE_ONBOARDING_RETURN_URL(self) -> str:  # noqa: N802
        """Where a connected merchant goes on, a path or an address; the base URL where it is not set."""
        return _address("RETURN_URL") or self.home_url()

    @property
    def MOLLIE_ONBOARDING_RETURN_HOSTS(self) -> tuple[str, ...]:  # noqa: N802
        """Hosts, besides the base URL's own, that `?next=` of the sign-up page may lead to."""
        return _list(_get("RETURN_HOSTS") or ())

    @property
    def MOLLIE_ONBOARDING_SIGNUP_FORM(self) -> str:  # noqa: N802
        """The form of the sign-up page: the dotted path of a subclass of `forms.SignupForm`."""
        return _get("SIGNUP_FORM") or "mollie_onboarding.forms.SignupForm"

    @property
    def MOLLIE_ONBOARDING_FROM_EMAIL(self) -> str:  # noqa: N802
        """Sender of the mails; `DEFAULT_FROM_EMAIL` where it is not set."""
        return _get("FROM_EMAIL") or settings.DEFAULT_FROM_EMAIL

    @property
    def MOLLIE_ONBOARDING_SCOPES(self) -> tuple[str, ...]:  # noqa: N802
        """The scopes that merchants are asked for."""
        return _list(_get("SCOPES") or "organizations.read onboarding.read onboarding.write")

    @property
    def MOLLIE_ONBOARDING_APPROVAL_PROMPT(self) -> str:  # noqa: N802
        """`auto`, or `force`: the consent screen always shows, and a new consent revokes the earlier ones."""
        return _get("APPROVAL_PROMPT") or "auto"

    @property
    def MOLLIE_ONBOARDING_REDIRECT_URI(self) -> str:  # noqa: N802
        """The redirect URI to send with plain authorization requests; '' sends none and Mollie takes the registered one."""
        return _get("REDIRECT_URI") or ""

    @property
    def MOLLIE_ONBOARDING_PKCE(self) -> bool:  # noqa: N802
        """Whether a new authorization request carries a code challenge, and its code is exchanged with the verifier."""
        return bool(_get("PKCE", False))

    @property
    def MOLLIE_ONBOARDING_REQUIRE_LOGIN(self) -> bool:  # noqa: N802
        """Whether only the user of a client link, logged in, may press its button."""
        return bool(_get("REQUIRE_LOGIN", False))

    @property
    def MOLLIE_ONBOARDING_SIGNUP_ENABLED(self) -> bool:  # noqa: N802
        """Whether there is a public sign-up page; 404 otherwise."""
        return bool(_get("SIGNUP_ENABLED", True))

    @property
    def MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED(self) -> bool:  # noqa: N802
        """Whether only logged-in users may sign up; the client link is then theirs."""
        return bool(_get("SIGNUP_LOGIN_REQUIRED", False))

    @property
    def MOLLIE_ONBOARDING_SIGNUP_LIMIT(self) -> str:  # noqa: N802
        """Sign-ups per client address, and per owner's e-mail address: a number, a slash, and s, m, h or d."""
        return _get("SIGNUP_LIMIT") or "20/h"

    @property
    def MOLLIE_ONBOARDING_MAIL_LIMIT(self) -> str:  # noqa: N802
        """Invitations and reminders per owner's e-mail address: a number, a slash, and s, m, h or d."""
        return _get("MAIL_LIMIT") or "10/d"

    @property
    def MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT(self) -> int:  # noqa: N802
        """How many proxies of the platform append to X-Forwarded-For; 0 ignores the header."""
        return int(_get("TRUSTED_PROXY_COUNT", 0))

    @property
    def MOLLIE_ONBOARDING_STATE_LIFETIME(self) -> timedelta:  # noqa: N802
        """How long a merchant may take between our button and the return from Mollie."""
        return _duration("STATE_LIFETIME", timedelta(hours=24))

    @property
    def MOLLIE_ONBOARDING_LINK_LIFETIME(self) -> timedelta:  # noqa: N802
        """How long the mailed link works."""
        return _duration("LINK_LIFETIME", timedelta(days=90))

    @property
    def MOLLIE_ONBOARDING_REMINDER_DAYS(self) -> tuple[int, ...]:  # noqa: N802
        """After how many days since the last invitation a merchant is reminded; empty reminds nobody."""
        return _days("REMINDER_DAYS", REMINDER_DAYS)

    @property
    def MOLLIE_ONBOARDING_ALLOW_SHARED_ORGANIZATIONS(self) -> bool:  # noqa: N802
        """Whether several merchants may be connected to one Mollie organization."""
        return bool(_get("ALLOW_SHARED_ORGANIZATIONS", False))

    @property
    def MOLLIE_ONBOARDING_REQUEST_RETENTION(self) -> timedelta:  # noqa: N802
        """How long finished authorization requests are kept; `purge_onboarding_data` deletes older ones."""
        return _duration("REQUEST_RETENTION", timedelta(days=90))

    @property
    def MOLLIE_ONBOARDING_UNCONNECTED_RETENTION(self) -> timedelta | None:  # noqa: N802
        """How long a client link that never connected is kept after its last change; None keeps it."""
        return _optional_duration("UNCONNECTED_RETENTION")

    @property
    def MOLLIE_ONBOARDING_DISCONNECTED_RETENTION(self) -> timedelta | None:  # noqa: N802
        """How long the personal data of a disconnected merchant are kept; None keeps them."""
        return _optional_duration("DISCONNECTED_RETENTION")

    @property
    def MOLLIE_ONBOARDING_API_URL(self) -> str:  # noqa: N802
        """Where Mollie's API is, without a slash at the end."""
        return (_get("API_URL") or MOLLIE_API_URL).rstrip("/")

    @property
    def MOLLIE_ONBOARDING_AUTHORIZE_URL(self) -> str:  # noqa: N802
        """Mollie's plain authorize address."""
        return _get("AUTHORIZE_URL") or MOLLIE_AUTHORIZE_URL

    @property
    def MOLLIE_ONBOARDING_LINK_HOSTS(self) -> tuple[str, ...]:  # noqa: N802
        """The hosts, with a port where needed, that a merchant may be sent to."""
        return _list(_get("LINK_HOSTS") or MOLLIE_LINK_HOSTS)


conf = Conf()
