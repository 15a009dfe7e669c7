"""All that this package knows of Mollie's API: addresses, headers, field names, status codes.

Plain values in, plain immutable ones out, `MollieError` raised. No model, no request of Django's, no transaction: a caller
holds none while it calls. Only `wire` imports requests.
"""

from __future__ import annotations

from .addresses import client_link_authorization_url, is_allowed_url, plain_authorization_url
from .api import CREATE_CLIENT_LINK, MollieAPI
from .data import (
    CLIENT_LINK_LIFETIME,
    CODE_LIFETIME,
    IDEMPOTENCY_KEY_LIFETIME,
    Capability,
    ClientInfo,
    ClientLinkData,
    ClientPage,
    CreatedClientLink,
    OnboardingStatus,
    OrganizationInfo,
    Requirement,
    Tokens,
    column_of,
    digest,
)
from .limits import RateLimit
from .reading import printable
from .transport import Transport

__all__ = [
    "CLIENT_LINK_LIFETIME",
    "CODE_LIFETIME",
    "CREATE_CLIENT_LINK",
    "IDEMPOTENCY_KEY_LIFETIME",
    "Capability",
    "ClientInfo",
    "ClientLinkData",
    "ClientPage",
    "CreatedClientLink",
    "MollieAPI",
    "OnboardingStatus",
    "OrganizationInfo",
    "RateLimit",
    "Requirement",
    "Tokens",
    "Transport",
    "client_link_authorization_url",
    "column_of",
    "digest",
    "is_allowed_url",
    "plain_authorization_url",
    "printable",
]
