"""All that this package knows of Mollie's API: addresses, headers, field names, status codes.

Plain values in, frozen dataclasses out, `MollieError` raised. No model, no request of Django's, no transaction: a caller
holds none while it calls. The only module that imports requests.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import django
import idna
import requests
from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ResponseError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from .conf import conf
from .exceptions import (
    IdempotencyKeyReusedError,
    InvalidGrantError,
    MollieConnectionError,
    MollieResponseError,
)

logger = logging.getLogger(__name__)

CODE_LIFETIME = timedelta(seconds=30)  # docs.mollie.com/docs/connect-setting-up-oauth
CLIENT_LINK_LIFETIME = timedelta(days=30)  # docs.mollie.com/reference/create-client-link
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=1)  # docs.mollie.com/reference/api-idempotency
DEFAULT_EXPIRES_IN = 3600  # seconds; docs.mollie.com/reference/oauth-generate-tokens

TIME_BUDGET = 20.0  # seconds for all calls of one flow: somebody waits in front of a browser
CONNECT_TIMEOUT = 3.05  # seconds
READ_TIMEOUT = 8.0  # seconds without a byte
LONGEST_PAUSE = 3.0  # seconds between two tries; whoever is told to wait longer comes back later
MAX_ANSWER = 1_000_000  # bytes
MAX_DETAIL = 500  # characters of a sentence of Mollie's that are kept
MAX_URL = 2000  # characters; the columns take no more

RETRIED_STATUSES = frozenset({409, 429, 500, 502, 503, 504})  # docs.mollie.com/reference/handling-errors


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


@dataclass(frozen=True)
class CreatedClientLink:
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


@dataclass(frozen=True)
class OrganizationInfo:
    """Who authorized, by `GET /v2/organizations/me`. All but the id may be ''."""

    id: str
    name: str = ""
    country: str = ""
    registration_number: str = field(default="", repr=False)
    vat_number: str = field(default="", repr=False)


@dataclass(frozen=True)
class OnboardingStatus:
    """What `GET /v2/onboarding/me` says. `status` may be a word that Mollie added after this was written."""

    status: str
    can_receive_payments: bool
    can_receive_settlements: bool
    signed_up_at: datetime | None
    dashboard_url: str


class MollieAPI:
    """The door to Mollie. Build one for each flow: its calls share `TIME_BUDGET` seconds.

    Every method raises `MollieConnectionError` when there is no usable answer and `MollieResponseError` when Mollie
    says no.
    """

    def __init__(self, *, time_budget: float = TIME_BUDGET) -> None:
        self.deadline = time.monotonic() + time_budget

    def create_client_link(self, data: ClientLinkData, *, idempotency_key: str) -> CreatedClientLink:
        """Make a client link with the partner's token. Used again within the hour, the key brings the same link.

        Raises `IdempotencyKeyReusedError` when the key was used for another body.
        https://docs.mollie.com/reference/create-client-link
        """
        answer = self._send(
            "POST",
            "/v2/client-links",
            auth=_Bearer(conf.MOLLIE_ONBOARDING_ACCESS_TOKEN),
            body=data.to_body(),
            idempotency_key=idempotency_key,
        )
        client_link_id = _text(answer, "id", 64)
        url = _href(answer, "clientLink")
        if not client_link_id or not is_allowed_url(url):
            # The answer is final for this key: Mollie would repeat it for an hour.
            raise MollieConnectionError(
                "Mollie's answer names no client link, or one at a host that is not in MOLLIE_ONBOARDING_LINK_HOSTS.",
                needs_new_key=True,
            )
        return CreatedClientLink(client_link_id, url)

    @sensitive_variables()
    def exchange_code(self, code: str, *, redirect_uri: str = "") -> Tokens:
        """Redeem an authorization code. Never tried twice: the code lives 30 seconds and works once.

        Raises `InvalidGrantError` for a void code. RFC 6749 section 4.1.3,
        https://docs.mollie.com/reference/oauth-generate-tokens
        """
        return self._request_tokens(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        )

    @sensitive_variables()
    def refresh(self, refresh_token: str, *, redirect_uri: str = "", idempotency_key: str) -> Tokens:
        """A new access token. The same key within the hour repeats the answer, should it have been lost.

        Raises `InvalidGrantError` when the merchant must connect again. RFC 6749 section 6,
        https://docs.mollie.com/reference/oauth-generate-tokens
        """
        return self._request_tokens(
            {"grant_type": "refresh_token", "refresh_token": refresh_token, "redirect_uri": redirect_uri},
            idempotency_key=idempotency_key,
        )

    @sensitive_variables()
    def revoke(self, refresh_token: str) -> None:
        """End an authorization: the refresh token and every access token made with it. A void one is no error.

        RFC 7009 section 2.1, https://docs.mollie.com/reference/oauth-revoke-tokens
        """
        body = json.dumps({"token_type_hint": "refresh_token", "token": refresh_token}).encode()
        try:
            self._send("DELETE", "/oauth2/tokens", auth=_app_credentials(), body=body)
        except InvalidGrantError:
            return

    @sensitive_variables()
    def get_current_organization(self, access_token: str) -> OrganizationInfo:
        """The organization that a token belongs to. Needs the scope `organizations.read`.

        https://docs.mollie.com/reference/get-current-organization
        """
        answer = self._send("GET", "/v2/organizations/me", auth=_Bearer(access_token))
        organization_id = _text(answer, "id", 64)
        if not re.fullmatch(r"\w+", organization_id, re.ASCII):
            raise MollieConnectionError("Mollie's answer names no organization.")
        return OrganizationInfo(
            id=organization_id,
            name=_text(answer, "name", 255),
            country=_text(_object(answer, "address"), "country", 2),
            registration_number=_text(answer, "registrationNumber", 50),
            vat_number=_text(answer, "vatNumber", 50),
        )

    @sensitive_variables()
    def get_onboarding_status(self, access_token: str) -> OnboardingStatus:
        """How far the merchant is with Mollie. Needs the scope `onboarding.read`.

        https://docs.mollie.com/reference/get-onboarding-status
        """
        answer = self._send("GET", "/v2/onboarding/me", auth=_Bearer(access_token))
        dashboard_url = _href(answer, "dashboard")
        return OnboardingStatus(
            status=_text(answer, "status", 50),
            can_receive_payments=answer.get("canReceivePayments") is True,
            can_receive_settlements=answer.get("canReceiveSettlements") is True,
            signed_up_at=_datetime(answer, "signedUpAt"),
            dashboard_url=dashboard_url if _is_web_url(dashboard_url) else "",
        )

    @sensitive_variables()
    def _request_tokens(self, fields: dict[str, str], idempotency_key: str = "") -> Tokens:
        # Form encoding is what RFC 6749 asks for. Empty fields are left out, as Mollie wants it.
        body = urlencode({key: value for key, value in fields.items() if value}).encode()
        answer = self._send(
            "POST",
            "/oauth2/tokens",
            auth=_app_credentials(),
            body=body,
            content_type="application/x-www-form-urlencoded",
            idempotency_key=idempotency_key,
        )
        access_token = _text(answer, "access_token", 4096)
        if not access_token:
            raise MollieConnectionError("Mollie's answer holds no access token.", needs_new_key=True)
        return Tokens(
            access_token=access_token,
            refresh_token=_text(answer, "refresh_token", 4096),
            expires_at=timezone.now() + timedelta(seconds=_expires_in(answer)),
            scope=" ".join(_text(answer, "scope", 2000).split()),
        )

    @sensitive_variables()
    def _send(
        self,
        method: str,
        path: str,
        *,
        auth: AuthBase,
        body: bytes | None = None,
        content_type: str = "application/json",
        idempotency_key: str = "",
    ) -> dict[str, Any]:
        """The one place where a request leaves, and where a status becomes an exception."""
        url = conf.MOLLIE_ONBOARDING_API_URL + path
        headers = {"User-Agent": _user_agent(), "Accept": "application/hal+json, application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        is_token_endpoint = path == "/oauth2/tokens"
        remaining = self.deadline - time.monotonic()
        if remaining < 1:
            raise MollieConnectionError("Mollie has taken too long already.")
        session = _session()
        adapter = session.get_adapter(url)
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 (for mypy; `_session` mounts nothing else)
        if is_token_endpoint:
            # A pooled connection may have died unseen, and a request that was never answered is not sent again here:
            # this one gets a connection of its own.
            adapter.close()
            headers["Connection"] = "close"
        adapter.max_retries = _retries(
            # Without a stored key a POST that got no answer may have done its work: it is not repeated.
            0 if is_token_endpoint or (method == "POST" and not idempotency_key) else 3,
            self.deadline,
        )
        try:
            response = session.request(
                method,
                url,
                data=body,
                headers=headers,
                auth=auth,
                timeout=(min(CONNECT_TIMEOUT, remaining), min(READ_TIMEOUT, remaining)),
                allow_redirects=False,
                stream=True,
            )
            with response:
                content = _read(response, self.deadline)
        except (requests.RequestException, HTTPError, OSError, ValueError) as exc:
            # HTTPError is urllib3's, for a body that breaks off; OSError and ValueError come from `_read`.
            logger.warning("Mollie: %s %s got no answer: %s", method, path, type(exc).__name__)
            # `from None`: the exceptions of requests carry the request, with its credentials.
            raise MollieConnectionError(f"Mollie gave no answer ({type(exc).__name__}).") from None
        logger.info("Mollie: %s %s answered %s", method, path, response.status_code)
        return _result(response, content)


@sensitive_variables()
def _result(response: requests.Response, content: bytes) -> dict[str, Any]:
    """The JSON object of a good answer, or the exception that fits a bad one."""
    status = response.status_code
    was_replayed = response.headers.get("Idempotent-Replayed", "").lower() == "true"
    if status in RETRIED_STATUSES or status >= 500 or status < 200 or 300 <= status < 400:
        raise MollieConnectionError(
            f"Mollie answered {status}.",
            retry_after=_retry_after(response),
            # A busy answer is never kept at Mollie, an error may be.
            needs_new_key=was_replayed and status not in (409, 429),
        )
    if status == 204:
        return {}
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise MollieConnectionError(
            f"Mollie answered {status} with something that is not a JSON object.",
            needs_new_key=status >= 400,
        )
    if status < 300:
        return answer
    raise _refusal(status, answer)


def _refusal(status: int, answer: dict[str, Any]) -> MollieResponseError:
    """The exception for a 4xx. The token endpoint speaks RFC 6749 section 5.2, all others Mollie's error object."""
    error = _text(answer, "error", 100)
    detail = _text(answer, "error_description" if error else "detail", MAX_DETAIL)
    kind = MollieResponseError
    if error == "invalid_grant":
        kind = InvalidGrantError
    elif status == 400 and "idempoten" in detail.lower():
        kind = IdempotencyKeyReusedError
    return kind(status, detail, field=_text(answer, "field", 100), error=error)


class _BoundedRetry(Retry):
    """urllib3's Retry that does not wait for longer than a person would, nor past the flow's deadline."""

    deadline: float = 0.0

    def new(self, **kw: Any) -> Self:
        copy = super().new(**kw)
        copy.deadline = self.deadline
        return copy

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None  # a date or a number that no clock can hold is no better than none

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Self:
        following = super().increment(method, url, response, *args, **kwargs)
        pause = (self.get_retry_after(response) if response else None) or following.get_backoff_time()
        time_for_a_try = CONNECT_TIMEOUT + READ_TIMEOUT
        if pause > LONGEST_PAUSE or time.monotonic() + pause + time_for_a_try > self.deadline:
            # With `raise_on_status=False` urllib3 then hands out the answer that it has.
            raise MaxRetryError(
                kwargs["_pool"], url or "", kwargs.get("error") or ResponseError("no time for more")
            )
        return following


def _retries(total: int, deadline: float) -> _BoundedRetry:
    retries = _BoundedRetry(
        total=total,
        backoff_factor=0.5,
        allowed_methods=None,  # `_send` decides which request may be repeated
        status_forcelist=RETRIED_STATUSES,
        raise_on_status=False,
    )
    retries.deadline = deadline
    return retries


class _Bearer(AuthBase):
    """RFC 6750. Handed to requests as auth, so that a .netrc of the machine cannot replace the header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _app_credentials() -> HTTPBasicAuth:
    # Basic, as the reference says; the server metadata names body credentials only (facts as of 2026-08).
    return HTTPBasicAuth(conf.MOLLIE_ONBOARDING_CLIENT_ID, conf.MOLLIE_ONBOARDING_CLIENT_SECRET)


class _Session(requests.Session):
    """A session that prepares for no redirect: requests would read its body to the end, however large it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


# One session for each thread: requests does not promise that one may be shared.
_local = threading.local()


def _session() -> requests.Session:
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = _Session()
        # One thread calls for many merchants: no cookie of one call may travel with the next.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        session.mount("https://", HTTPAdapter())
        session.mount("http://", HTTPAdapter())
    return session


def _forget_session() -> None:
    _local.__dict__.clear()


# A forked worker must not write into the sockets of its parent.
os.register_at_fork(after_in_child=_forget_session)


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, as long as it is no larger than `MAX_ANSWER` and comes before the deadline."""
    chunks: list[bytes] = []
    size = 0
    # read1 gives what is there: a server that sends a byte now and then cannot keep us beyond the deadline.
    while chunk := response.raw.read1(65536, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER:
            raise ValueError("The answer is too large.")
        if time.monotonic() > deadline:
            raise TimeoutError("The answer is too slow.")
    return b"".join(chunks)


@cache
def _user_agent() -> str:
    # docs.mollie.com/docs/integration-partners-user-agent-strings
    return f"MollieOnboarding/{version('mollie-onboarding')} Django/{django.__version__}"


def _object(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _href(answer: dict[str, Any], name: str) -> str:
    """The address of a link, '' when there is none, or one that is too long: half an address leads nowhere."""
    url = _text(_object(_object(answer, "_links"), name), "href", MAX_URL + 1)
    return url if len(url) <= MAX_URL else ""


def _text(data: dict[str, Any], key: str, length: int) -> str:
    """A text of at most `length` characters, without control characters; '' for anything else."""
    value = data.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # registrationNumber is a number in Mollie's own example
    return printable(value)[:length] if isinstance(value, str) else ""


def printable(text: str) -> str:
    """The text without control characters and lone surrogates, which PostgreSQL or a log could not take."""
    return "".join(character for character in text if character.isprintable())


def _datetime(data: dict[str, Any], key: str) -> datetime | None:
    try:
        value = parse_datetime(_text(data, key, 50))
    except ValueError:
        return None
    return timezone.make_aware(value) if value and timezone.is_naive(value) else value


def _expires_in(answer: dict[str, Any]) -> int:
    """Seconds, from a number or a numeric text; Mollie's usual hour when there is nothing sensible."""
    text = _text(answer, "expires_in", 9)
    return int(text) if text.isascii() and text.isdigit() and int(text) else DEFAULT_EXPIRES_IN


def _retry_after(response: requests.Response) -> int | None:
    text = response.headers.get("Retry-After", "")
    return min(int(text), 86400) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def _to_ascii_domain(address: str) -> str:
    """The e-mail address with its domain in Punycode (RFC 3492), as Mollie asks for it."""
    local, at, domain = address.rpartition("@")
    try:
        return local + at + (domain if domain.isascii() else idna.encode(domain, uts46=True).decode())
    except idna.IDNAError:
        return address  # Mollie names the field when it cannot take it


def _is_web_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and _is_trusted_loopback(parts.hostname))
    except ValueError:
        return False


def _is_trusted_loopback(host: str | None) -> bool:
    return settings.DEBUG and host in ("127.0.0.1", "::1", "localhost")


def is_allowed_url(url: str) -> bool:
    """Whether a merchant may be sent there: https and a host of `LINK_HOSTS`, or loopback while DEBUG is on."""
    # Browsers drop tabs and newlines and read a backslash as a slash: what follows would then be another host.
    if not url or not url.isprintable() or "\\" in url or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not _is_web_url(url) or parts.username is not None or parts.password is not None:
        return False
    default_port = 443 if parts.scheme == "https" else 80
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host  # IPv6, as an address and LINK_HOSTS write it
    names = {f"{host}:{port or default_port}"} | ({host} if port in (None, default_port) else set())
    return not names.isdisjoint(entry.lower() for entry in conf.MOLLIE_ONBOARDING_LINK_HOSTS)


def client_link_authorization_url(
    url: str, *, client_id: str, state: str, scopes: Sequence[str], approval_prompt: str
) -> str:
    """The address behind the merchant's button: Mollie's client link with the four parameters appended.

    A query or fragment that is already there stays. Raises ValueError for an address that is not allowed, or without
    a `state`. https://docs.mollie.com/reference/create-client-link
    """
    if not is_allowed_url(url):
        raise ValueError("The client link leads to a host that is not in MOLLIE_ONBOARDING_LINK_HOSTS.")
    return _with_parameters(url, _authorization_parameters(client_id, state, scopes, approval_prompt))


def plain_authorization_url(
    *, client_id: str, state: str, scopes: Sequence[str], approval_prompt: str, redirect_uri: str = ""
) -> str:
    """Mollie's authorize address for an existing organization; `redirect_uri` only where there is one.

    Raises ValueError without a `state`. RFC 6749 section 4.1.1, https://docs.mollie.com/reference/authorize
    """
    parameters = {
        "response_type": "code",
        **_authorization_parameters(client_id, state, scopes, approval_prompt),
        **({"redirect_uri": redirect_uri} if redirect_uri else {}),
    }
    return _with_parameters(conf.MOLLIE_ONBOARDING_AUTHORIZE_URL, parameters)


def _authorization_parameters(
    client_id: str, state: str, scopes: Sequence[str], approval_prompt: str
) -> dict[str, str]:
    if not state:
        raise ValueError("An authorization request needs a state.")
    return {
        "client_id": client_id,
        "state": state,
        "scope": " ".join(scopes),
        "approval_prompt": approval_prompt,
    }


def _with_parameters(url: str, parameters: dict[str, str]) -> str:
    parts = urlsplit(url)
    # quote, not quote_plus: a space as %20 is right in every reading of a query.
    query = "&".join(filter(None, [parts.query, urlencode(parameters, quote_via=quote, safe="")]))
    return urlunsplit(parts._replace(query=query))


def digest(body: bytes) -> str:
    """The SHA-256 of a body, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()
