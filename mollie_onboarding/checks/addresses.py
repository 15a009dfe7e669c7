"""Addresses: where this site is, where Mollie is, and where the pages lead merchants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.urls import URLPattern, URLResolver, get_resolver

from mollie_onboarding.conf import MOLLIE_API_URL, MOLLIE_AUTHORIZE_URL, MOLLIE_LINK_HOSTS, conf

from .messages import CheckResult, error, text_of, warning


@register(Tags.urls)
def check_base_url(**kwargs: Any) -> CheckResult:
    """The base URL is an origin, and https outside development."""
    url = text_of("BASE_URL")
    hint = 'Set it to the scheme and host of this site, such as "https://platform.example".'
    if not url:
        return [error(9, "MOLLIE_ONBOARDING_BASE_URL is not set.", hint)]
    if not _is_origin(url):
        return [error(10, "MOLLIE_ONBOARDING_BASE_URL is not a scheme and a host.", hint)]
    if url.startswith("http://") and not settings.DEBUG:
        return [
            error(
                11,
                "MOLLIE_ONBOARDING_BASE_URL is http:// while DEBUG is off.",
                "Merchants come back with a code in the address: serve the site over https.",
            )
        ]
    return []


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises ValueError for what is no port)
        return bool(
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.path in ("", "/")
            and not (parts.query or parts.fragment or parts.username)
        )
    except ValueError:
        return False


@register(Tags.urls)
def check_urlconf(**kwargs: Any) -> CheckResult:
    """The URLconf is included."""
    if not _includes_our_urls(get_resolver()):
        return [
            error(
                12,
                "The URLs of mollie_onboarding are not included.",
                'Add path("onboarding/", include("mollie_onboarding.urls")) to the ROOT_URLCONF.',
            )
        ]
    return []


def _includes_our_urls(resolver: URLResolver) -> bool:
    """Whether `reverse("mollie_onboarding:callback")` finds them, without it: it compiles every pattern of the site."""
    return any(
        _has_callback(pattern) if pattern.app_name == "mollie_onboarding" else _includes_our_urls(pattern)
        for pattern in resolver.url_patterns
        # Not within another namespace, nor where the address has a part that nobody could fill in.
        if isinstance(pattern, URLResolver)
        and (pattern.app_name == "mollie_onboarding" or not pattern.namespace)
        and not pattern.pattern.regex.groups
    )


def _has_callback(ours: URLResolver) -> bool:
    return any(
        isinstance(pattern, URLPattern) and pattern.name == "callback" for pattern in ours.url_patterns
    )


@register(Tags.security)
def check_mollie_addresses(**kwargs: Any) -> CheckResult:
    """In production the addresses are Mollie's own."""
    if settings.DEBUG:
        return []
    addresses: tuple[tuple[int, str, Callable[[], bool]], ...] = (
        (6, "API_URL", lambda: conf.MOLLIE_ONBOARDING_API_URL != MOLLIE_API_URL),
        (7, "AUTHORIZE_URL", lambda: conf.MOLLIE_ONBOARDING_AUTHORIZE_URL != MOLLIE_AUTHORIZE_URL),
        (8, "LINK_HOSTS", lambda: conf.MOLLIE_ONBOARDING_LINK_HOSTS != MOLLIE_LINK_HOSTS),
    )
    return [
        warning(
            number,
            f"MOLLIE_ONBOARDING_{name} is overridden while DEBUG is off.",
            "Merchants and their data would go there instead of to Mollie. Leave the setting out in production.",
        )
        for number, name, is_overridden in addresses
        if is_overridden()
    ]


@register(Tags.urls)
def check_platform_addresses(**kwargs: Any) -> CheckResult:
    """Pages lead merchants only to addresses that are some, and `?next=` only to hosts."""
    addresses = (
        (
            26,
            "CONTACT_URL",
            ("mailto", "tel"),
            '"https://platform.example/help", a path, "mailto:…" or "tel:…"',
        ),
        (27, "PRIVACY_URL", (), '"https://platform.example/privacy", or a path, "/privacy/"'),
        (28, "RETURN_URL", (), '"https://platform.example/dashboard", or a path, "/dashboard/"'),
    )
    messages: list[CheckMessage] = [
        error(number, f"MOLLIE_ONBOARDING_{name} is not an address.", f"Write {examples}, or leave it out.")
        for number, name, schemes, examples in addresses
        if not _is_address(getattr(settings, f"MOLLIE_ONBOARDING_{name}", None), schemes)
    ]
    if not all(map(_is_host, conf.MOLLIE_ONBOARDING_RETURN_HOSTS)):
        messages.append(
            error(
                29,
                "MOLLIE_ONBOARDING_RETURN_HOSTS holds something that is not a host.",
                'Write each host as it stands in addresses, without a scheme or a wildcard: "shop.example".',
            )
        )
    return messages


def _is_address(value: Any, more_schemes: tuple[str, ...]) -> bool:
    """Whether a setting is not set, or a path, or a whole address of a scheme that may stand in a link."""
    address = str(value or "")
    if " " in address or not address.isprintable():
        return False
    if not address or (address.startswith("/") and not address.startswith("//")):
        return True
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.scheme in ("http", "https") and parts.hostname) or bool(
        parts.scheme in more_schemes and parts.path
    )


def _is_host(host: str) -> bool:
    return _is_origin(f"https://{host}") and not set(host) & set("/*") and not host.startswith(".")
