"""Who calls the API: the partner with its own token, or a merchant's OAuth token."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from .conf import conf
from .errors import MollieRefusalError
from .models import SandboxOrganization, Switch, Token
from .scopes import SCOPES

WITHHELD: dict[str, str] = {
    Switch.Name.PARTNER_WITHOUT_CLIENTS_READ: "clients.read",
    Switch.Name.PARTNER_WITHOUT_CLIENTS_WRITE: "clients.write",
}


@dataclass(frozen=True)
class Caller:
    organization: SandboxOrganization
    scopes: frozenset[str]
    is_partner: bool = False


def partner_organization() -> SandboxOrganization:
    """The partner's own organization. Not a row: it is no merchant, and nobody can pick it."""
    return SandboxOrganization(
        id="org_10000000",
        name=conf.platform_name,
        email="partner@example.org",
        address={"country": "NL"},
        status=SandboxOrganization.Status.COMPLETED,
        can_receive_payments=True,
        can_receive_settlements=True,
    )


def require_partner(request: HttpRequest, scope: str) -> None:
    """Let the partner's advanced access token pass if it holds the scope. Raises `MollieRefusalError`: 400, 401, 403."""
    caller = identify(request)
    if not caller.is_partner:
        raise MollieRefusalError(403, "An OAuth token of a merchant has no access here")
    _require_scope(caller, scope)


def authenticate(request: HttpRequest, scope: str) -> Caller:
    """Who calls, if the token holds the scope. Raises `MollieRefusalError`: 400, 401, 403."""
    caller = identify(request)
    _require_scope(caller, scope)
    return caller


def identify(request: HttpRequest) -> Caller:
    """Who calls, whatever the token may do. Raises `MollieRefusalError`: 400, 401."""
    value = _bearer_token(request)
    if constant_time_compare(value, conf.access_token):
        return Caller(partner_organization(), _partner_scopes(), is_partner=True)
    token = _merchant_token(value)
    if token is None:
        raise _unauthorized()
    authorization = token.authorization
    return Caller(authorization.organization, frozenset(authorization.scope.split()))


def _require_scope(caller: Caller, scope: str) -> None:
    if scope not in caller.scopes:
        raise MollieRefusalError(403, f"The access token lacks the permission {scope}")


def _partner_scopes() -> frozenset[str]:
    on = Switch.objects.filter(name__in=WITHHELD).values_list("name", flat=True)
    return SCOPES - {WITHHELD[name] for name in on}


def _bearer_token(request: HttpRequest) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        raise MollieRefusalError(400, "Invalid Authorization header")
    if scheme.lower() != "bearer" or not value:
        raise _unauthorized()
    return value


def _merchant_token(value: str) -> Token | None:
    tokens = Token.objects.valid().select_related("authorization__organization")
    return tokens.filter(kind=Token.Kind.ACCESS, value=value).first()


def _unauthorized() -> MollieRefusalError:
    return MollieRefusalError(401, "There is no access token, or it is unknown, expired or revoked")
