"""The front channel: what a merchant's browser brings, what the merchant decides, where the browser goes next.

RFC 6749 section 4.1.1 and 4.1.2, RFC 7636 section 4.3; docs.mollie.com/reference/authorize and /create-client-link.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from django.http import QueryDict
from django.utils.crypto import get_random_string

from .conf import conf
from .models import Authorization, AuthorizationQuerySet, SandboxClientLink, SandboxOrganization, Switch
from .scopes import SCOPES

ERRORS = (
    "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
    "server_error", "temporarily_unavailable",
)  # fmt: skip # RFC 6749 section 4.1.2.1


class DeadPageError(Exception):
    """The merchant stays here, on a page without a way on."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class SentBackError(Exception):
    """The merchant is sent back at once, with an error."""

    def __init__(self, error: str, description: str, state: str) -> None:
        super().__init__(f"{error}: {description}")
        self.callback_url = error_url(error, description, state)


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that is in order. `redirect_uri` is empty if none was sent."""

    state: str
    scope: str
    approval_prompt: str
    redirect_uri: str = ""
    code_challenge: str = ""
    landing_page: str = "login"
    client_link: SandboxClientLink | None = None

    @property
    def scopes(self) -> list[str]:
        return self.scope.split()


def read_client_link_request(client_link_id: str, params: QueryDict) -> AuthorizationRequest:
    """Check a visit to a client link. Raises `DeadPageError` or `SentBackError`."""
    client_link = _living_client_link(client_link_id)
    return _read_common(params, client_link=client_link)


def read_authorize_request(params: QueryDict) -> AuthorizationRequest:
    """Check a visit to the plain authorize page. Raises `DeadPageError` or `SentBackError`."""
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri and redirect_uri != conf.redirect_uri:
        # Never send anybody to an address that is not registered (RFC 6749 section 3.1.2.4).
        raise DeadPageError(400, "The redirect URI is not the registered one.")
    request = _read_common(
        params, redirect_uri=redirect_uri, landing_page=params.get("landing_page") or "login"
    )
    if "response_type" not in params:
        raise SentBackError("invalid_request", "response_type is missing", request.state)
    if params["response_type"] != "code":
        raise SentBackError("unsupported_response_type", "only 'code' is known", request.state)
    if request.landing_page not in ("login", "signup"):
        raise SentBackError("invalid_request", "landing_page is 'login' or 'signup'", request.state)
    return request


def allow(
    request: AuthorizationRequest,
    organization_id: str | None = None,
    *,
    name: str = "",
    email: str = "",
) -> str:
    """Grant the request and return the callback URL with code and state.

    Without `organization_id` the merchant signs up: with the data of the client link, else with `name` and `email`.
    Raises `DeadPageError` if there is no such organization.
    """
    organization = _organization(request, organization_id, name, email)
    earlier = Authorization.objects.filter(organization=organization).active()
    scope = _granted_scope(request, earlier)
    if request.approval_prompt == "force":
        earlier.revoke()
    # Whoever vanished from the partner's list comes back with a new authorization.
    SandboxOrganization.objects.filter(pk=organization.pk, is_listed=False).update(is_listed=True)
    authorization = Authorization.objects.create(
        organization=organization,
        scope=scope,
        redirect_uri=request.redirect_uri,
        code_challenge=request.code_challenge,
        code=f"auth_{get_random_string(30)}",
    )
    return _callback_url({"code": authorization.code, "state": request.state})


def refuse(request: AuthorizationRequest, error: str = "access_denied") -> str:
    """Refuse the request and return the callback URL with the error."""
    descriptions = {"access_denied": "The merchant denied the request"}
    return error_url(error, descriptions.get(error, "The sandbox was told to fail"), request.state)


def error_url(error: str, description: str, state: str) -> str:
    return _callback_url({"error": error, "error_description": description, "state": state})


def _granted_scope(request: AuthorizationRequest, earlier: AuthorizationQuerySet) -> str:
    """The scope asked for, or with the switch the one granted before, which adopters report of Mollie's `auto`."""
    keeps_old_scope = Switch.objects.filter(name=Switch.Name.AUTO_KEEPS_OLD_SCOPE).exists()
    latest = earlier.order_by("-pk").first()
    if latest is not None and keeps_old_scope and request.approval_prompt == "auto":
        return latest.scope
    return request.scope


def _living_client_link(client_link_id: str) -> SandboxClientLink:
    client_link = SandboxClientLink.objects.select_related("organization").filter(pk=client_link_id).first()
    if client_link is None:
        raise DeadPageError(404, "There is no such client link.")
    if client_link.is_expired:
        raise DeadPageError(410, "This client link is older than 30 days.")
    used_link_is_dead = Switch.objects.filter(name=Switch.Name.USED_LINK_IS_DEAD).exists()
    if client_link.organization is not None and used_link_is_dead:
        raise DeadPageError(410, "This client link was used before.")
    return client_link


def _read_common(params: QueryDict, **rest: Any) -> AuthorizationRequest:
    """What client link and authorize have in common."""
    if not conf.redirect_uri:
        raise DeadPageError(500, "MOLLIE_SANDBOX_REDIRECT_URI is not set, so nobody can be sent back.")
    state = params.get("state", "")
    _check_present(params, state)
    if params["client_id"] != conf.client_id:
        raise SentBackError("unauthorized_client", "there is no app with this client id", state)
    scopes = params.get("scope", "").split()
    unknown = set(scopes) - SCOPES
    if unknown or not scopes:
        raise SentBackError("invalid_scope", f"unknown scope: {' '.join(sorted(unknown))}", state)
    approval_prompt = params.get("approval_prompt", "auto")
    if approval_prompt not in ("auto", "force"):
        raise SentBackError("invalid_request", "approval_prompt is 'auto' or 'force'", state)
    return AuthorizationRequest(
        state=state,
        scope=" ".join(scopes),
        approval_prompt=approval_prompt,
        code_challenge=_read_code_challenge(params, state),
        **rest,
    )


def _read_code_challenge(params: QueryDict, state: str) -> str:
    """The challenge, '' without one. Mollie's metadata name S256 alone, of RFC 7636 section 4.2."""
    challenge = params.get("code_challenge", "")
    if (challenge or "code_challenge_method" in params) and (
        params.get("code_challenge_method") != "S256" or not re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)
    ):
        raise SentBackError(
            "invalid_request",
            "code_challenge_method is 'S256', and code_challenge 43 characters of base64url",
            state,
        )
    return challenge


def _check_present(params: QueryDict, state: str) -> None:
    for name, values in params.lists():
        if len(values) > 1:
            raise SentBackError("invalid_request", f"{name} is there twice", state)
    for name in ("client_id", "state", "scope"):
        if not params.get(name):
            raise SentBackError("invalid_request", f"{name} is missing", state)


def _organization(
    request: AuthorizationRequest, organization_id: str | None, name: str, email: str
) -> SandboxOrganization:
    if organization_id is not None:
        existing = SandboxOrganization.objects.filter(pk=organization_id).first()
        if existing is None:
            raise DeadPageError(400, "There is no such organization.")
        return existing
    if request.client_link is not None:
        return _organization_of(request.client_link)
    return sign_up(name=name or "New organization", email=email or "owner@example.org")


def _organization_of(client_link: SandboxClientLink) -> SandboxOrganization:
    """The organization this link made on its first use; made now if this is it."""
    if client_link.organization is not None:
        return client_link.organization
    data = client_link.data
    organization = sign_up(
        name=data["name"],
        email=data["owner"]["email"],
        locale=data["owner"].get("locale") or "en_US",
        address=data["address"],
        registration_number=data.get("registrationNumber") or "",
        vat_number=data.get("vatNumber") or "",
    )
    unused = SandboxClientLink.objects.filter(pk=client_link.pk, organization=None)
    if unused.update(organization=organization):
        return organization
    # Somebody pressed Allow in another tab at the same moment, and was first.
    organization.delete()
    return SandboxOrganization.objects.get(sandboxclientlink=client_link)


def sign_up(*, name: str, email: str, **rest: Any) -> SandboxOrganization:
    """Make an organization that still needs data; `rest` are columns."""
    organization_id = f"org_{secrets.randbelow(90_000_000) + 10_000_000}"
    return SandboxOrganization.objects.create(id=organization_id, name=name, email=email, **rest)


def _callback_url(params: Mapping[str, str]) -> str:
    """The registered redirect URI with the parameters added; a query it already has is kept (RFC 6749 section 3.1.2)."""
    parts = urlsplit(conf.redirect_uri)
    added = urlencode({name: value for name, value in params.items() if value}, quote_via=quote)
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))
