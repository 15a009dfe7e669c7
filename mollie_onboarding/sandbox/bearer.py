"""Who calls the API: the partner with its own token, or a merchant's OAuth token."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from .conf import conf
from .errors import MollieRefusalError
from .models import SandboxOrganization, Token


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


def require_partner(request: HttpRequest) -> None:
    """Let the partner's advanced access token pass, nothing else. Raises `MollieRefusalError`: 400, 401, 403."""
    token = _bearer_token(request)
    if constant_time_compare(token, conf.access_token):
        return
    if _merchant_token(token) is not None:
        raise MollieRefusalError(403, "An OAuth token of a merchant has no access here")
    raise _unauthorized()


def authenticate(request: HttpRequest, scope: str) -> SandboxOrganization:
    """The organization whose token it is, if that token holds the scope. Raises `MollieRefusalError`: 400, 401, 403."""
    value = _bearer_token(request)
    if constant_time_compare(value, conf.access_token):
        return partner_organization()
    token = _merchant_token(value)
    if token is None:
        raise _unauthorized()
    if scope not in token.authorization.scope.split():
        raise MollieRefusalError(403, f"The access token lacks the permission {scope}")
    return token.authorization.organization


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
