"""What goes to Mollie and what comes back, as plain values."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

CODE_LIFETIME = timedelta(seconds=30)  # docs.mollie.com/docs/connect-setting-up-oauth
CLIENT_LINK_LIFETIME = timedelta(days=30)  # docs.mollie.com/reference/create-client-link
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=1)  # docs.mollie.com/reference/api-idempotency
DEFAULT_EXPIRES_IN = 3600  # seconds; docs.mollie.com/reference/oauth-generate-tokens


@dataclass(frozen=True, kw_only=True)
class ClientLinkData:
    """The fields of `POST /v2/client-links`. '' and None mean: not known, leave it out."""

    owner_email: str = field(repr=False)
    owner_given_name: str = field(repr=False)
    owner_family_name: str = field(repr=False)
    organization_name: str = field(repr=False)
    country: str
    owner_locale: str = ""
    street_and_number: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    registration_number: str = field(default="", repr=False)
    vat_number: str = field(default="", repr=False)
    legal_entity: str = ""
    registration_office: str = ""
    incorporation_date: date | None = None

    def to_body(self) -> bytes:
        """The JSON body, the same bytes for the same data: Mollie compares them under one idempotency key."""
        body = {
            "owner": {
                "email": _to_ascii_domain(self.owner_email),
                "givenName": self.owner_given_name,
                "familyName": self.owner_family_name,
                "locale": self.owner_locale,
            },
            "name": self.organization_name,
            "address": {
                "streetAndNumber": self.street_and_number,
                "postalCode": self.postal_code,
                "city": self.city,
                "country": self.country,
            },
            # Always a string: a number would lose its leading zeros.
            "registrationNumber": str(self.registration_number),
            "vatNumber": self.vat_number,
            "legalEntity": self.legal_entity,
            "registrationOffice": self.registration_office,
            "incorporationDate": self.incorporation_date.isoformat() if self.incorporation_date else "",
        }
        # Left out rather than null: two of the fields refuse a null, and the others do not need one.
        known = {
            key: {k: v for k, v in value.items() if v} if isinstance(value, dict) else value
            for key, value in body.items()
            if value
        }
        return json.dumps(known, sort_keys=True).encode()


# The path of a body field in an error object, and the column that holds it. Whether Mollie writes `owner.email`,
# `owner[email]` or `email` is not documented, so the last part decides.
COLUMN_BY_FIELD = {
    "email": "owner_email",
    "givenname": "owner_given_name",
    "familyname": "owner_family_name",
    "locale": "owner_locale",
    "name": "organization_name",
    "streetandnumber": "street_and_number",
    "postalcode": "postal_code",
    "city": "city",
    "country": "country",
    "registrationnumber": "registration_number",
    "vatnumber": "vat_number",
    "legalentity": "legal_entity",
    "registrationoffice": "registration_office",
    "incorporationdate": "incorporation_date",
}


def column_of(field_path: str) -> str:
    """The column for a field that Mollie names in an error, '' when it is none of ours."""
    parts = re.findall(r"\w+", field_path.replace("_", ""))
    return COLUMN_BY_FIELD.get(parts[-1].lower(), "") if parts else ""


class CreatedClientLink(NamedTuple):
    """What `POST /v2/client-links` gives: the id (`cl_…` or `csr_…`), and the address for the merchant."""

    id: str
    url: str


@dataclass(frozen=True)
class Tokens:
    """The tokens of one authorization. `refresh_token` is '' when the answer had none: keep the old one then."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    scope: str
    was_replayed: bool = False  # from Mollie's memory of the idempotency key: `expires_at` is too late then


@dataclass(frozen=True)
class OrganizationInfo:
    """Who authorized, by `GET /v2/organizations/me`. All but the id may be ''."""

    id: str
    name: str = ""
    country: str = ""
    registration_number: str = field(default="", repr=False)
    vat_number: str = field(default="", repr=False)


class OnboardingStatus(NamedTuple):
    """What `GET /v2/onboarding/me` says. `status` may be a word that Mollie added after this was written."""

    status: str
    can_receive_payments: bool
    can_receive_settlements: bool
    signed_up_at: datetime | None
    dashboard_url: str


class Requirement(NamedTuple):
    """What a merchant must do for a capability: `id` (`needs-data`, …), until when, and where. '' where not known."""

    id: str
    status: str = ""
    due_at: str = ""  # ISO 8601
    url: str = ""


class Capability(NamedTuple):
    """One thing that an organization can do or not yet, by `GET /v2/capabilities` (beta). All words may be new ones."""

    name: str
    status: str = ""
    status_reason: str = ""
    requirements: tuple[Requirement, ...] = ()


class ClientInfo(NamedTuple):
    """One organization of `GET /v2/clients`. What was not embedded, or could not be read, is None."""

    organization_id: str
    organization: OrganizationInfo | None = None
    onboarding: OnboardingStatus | None = None
    capabilities: tuple[Capability, ...] | None = None


class ClientPage(NamedTuple):
    """A page of `GET /v2/clients`. `following` is where the next one begins, '' at the end."""

    clients: tuple[ClientInfo, ...]
    unreadable: int  # items without an organization id
    following: str


def _to_ascii_domain(address: str) -> str:
    """The e-mail address with its domain in Punycode (RFC 3492), as Mollie asks for it."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    import idna  # here: its tables are large, and hardly any domain needs them

    try:
        return local + at + idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return address  # Mollie names the field when it cannot take it


def digest(body: bytes) -> str:
    """The SHA-256 of a body, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()
