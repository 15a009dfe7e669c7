"""The token endpoint: RFC 6749 section 4.1.3, 5 and 6, RFC 7009, RFC 7636 section 4.6.

docs.mollie.com/reference/oauth-generate-tokens
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re

from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.crypto import constant_time_compare, get_random_string

from .conf import ACCESS_TOKEN_LIFETIME, conf
from .errors import OAuthRefusalError
from .models import Authorization, Switch, Token

Params = dict[str, str]
Answer = dict[str, str | int]


def read_params(request: HttpRequest) -> Params:
    """The parameters of a JSON or form body, also of a DELETE. Raises `OAuthRefusalError`."""
    if request.content_type == "application/json":
        return _read_json(request.body)
    if request.content_type == "application/x-www-form-urlencoded":
        form = QueryDict(request.body)
        if any(len(values) > 1 for _, values in form.lists()):
            raise OAuthRefusalError("invalid_request", "a parameter is there twice")
        return {name: str(value) for name, value in form.items()}
    raise OAuthRefusalError(
        "invalid_request", "the body has to be JSON or a form, and Content-Type to say which"
    )


def _read_json(body: bytes) -> Params:
    try:
        params = json.loads(body)
    except ValueError as error:
        raise OAuthRefusalError("invalid_request", "the body is not JSON") from error
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        # Unused parameters are to be left out, not sent as null.
        raise OAuthRefusalError("invalid_request", "the body has to be a JSON object of strings")
    return params


def authenticate_client(request: HttpRequest, params: Params) -> str:
    """The client id, from Basic credentials or else from the body. Raises `OAuthRefusalError` (invalid_client)."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        client_id, client_secret = _basic_credentials(value)
    else:
        client_id, client_secret = params.get("client_id", ""), params.get("client_secret", "")
    known = constant_time_compare(client_id, conf.client_id)
    if not known or not constant_time_compare(client_secret, conf.client_secret):
        raise OAuthRefusalError("invalid_client", "client id or client secret is wrong", status=401)
    return client_id


def _basic_credentials(value: str) -> tuple[str, str]:
    try:
        client_id, _, client_secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, client_secret


def grant(params: Params) -> Answer:
    """Answer a POST. Raises `OAuthRefusalError`."""
    match params.get("grant_type"):
        case None:
            raise OAuthRefusalError("invalid_request", "grant_type is missing")
        case "authorization_code":
            return _redeem_code(
                _required(params, "code"), params.get("redirect_uri", ""), params.get("code_verifier", "")
            )
        case "refresh_token":
            return _refresh(_required(params, "refresh_token"), params.get("redirect_uri", ""))
        case other:
            raise OAuthRefusalError("unsupported_grant_type", f"grant type {other!r} is not known")


def revoke(params: Params) -> None:
    """Answer a DELETE; unknown and dead tokens are fine (RFC 7009 section 2.2). Raises `OAuthRefusalError`."""
    kind = _required(params, "token_type_hint")
    value = _required(params, "token")
    if kind not in Token.Kind.values:
        raise OAuthRefusalError("unsupported_token_type", f"token type {kind!r} is not known")
    # Only a hint: RFC 7009 section 2.1 has the server look among the other kind, too.
    token = Token.objects.filter(value=value).first()
    if token is None:
        return
    if token.kind == Token.Kind.REFRESH:
        Authorization.objects.filter(pk=token.authorization_id).revoke()
    Token.objects.filter(pk=token.pk).revoke()


def _required(params: Params, name: str) -> str:
    value = params.get(name)
    if not value:
        raise OAuthRefusalError("invalid_request", f"{name} is missing")
    return value


def _redeem_code(code: str, redirect_uri: str, code_verifier: str) -> Answer:
    found = Authorization.objects.filter(code=code)
    authorization = found.first()
    if authorization is None:
        raise OAuthRefusalError("invalid_grant", "there is no such code")
    if not found.redeem_code():
        # Somebody else has seen this code: what it gave is not safe any more (RFC 6749 section 4.1.2).
        found.revoke()
        raise OAuthRefusalError("invalid_grant", "the code was used before")
    if authorization.is_code_expired:
        raise OAuthRefusalError("invalid_grant", "the code is older than 30 seconds")
    if authorization.redirect_uri != redirect_uri:
        raise OAuthRefusalError("invalid_grant", "redirect_uri is not the one of the authorization request")
    _check_verifier(code_verifier, authorization.code_challenge)
    if authorization.revoked_at is not None:
        raise OAuthRefusalError("invalid_grant", "the authorization was revoked")
    return _issue(authorization, _new_refresh_token(authorization))


def _check_verifier(code_verifier: str, code_challenge: str) -> None:
    """RFC 7636 section 4.6. Either without the other is refused, too: RFC 9700 section 4.8.2."""
    if not code_verifier and not code_challenge:
        return
    if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", code_verifier):
        raise OAuthRefusalError("invalid_grant", "code_verifier is not 43 to 128 unreserved characters")
    digest = hashlib.sha256(code_verifier.encode()).digest()
    if base64.urlsafe_b64encode(digest).decode().rstrip("=") != code_challenge:
        raise OAuthRefusalError("invalid_grant", "code_verifier is not the one of the authorization request")


def _refresh(refresh_token: str, redirect_uri: str) -> Answer:
    found = Token.objects.filter(kind=Token.Kind.REFRESH, value=refresh_token)
    token = found.valid().select_related("authorization").first()
    if token is None:
        raise OAuthRefusalError("invalid_grant", "the refresh token does not exist or was revoked")
    authorization = token.authorization
    if authorization.redirect_uri and authorization.redirect_uri != redirect_uri:
        raise OAuthRefusalError("invalid_grant", "redirect_uri is not the one of the authorization request")
    if not Switch.objects.filter(name=Switch.Name.ROTATE_REFRESH_TOKENS).exists():
        return _issue(authorization, refresh_token)
    if not found.revoke():
        raise OAuthRefusalError("invalid_grant", "the refresh token was replaced at the same moment")
    return _issue(authorization, _new_refresh_token(authorization))


def _new_refresh_token(authorization: Authorization) -> str:
    value = f"refresh_{get_random_string(30)}"
    Token.objects.create(authorization=authorization, kind=Token.Kind.REFRESH, value=value)
    return value


def _issue(authorization: Authorization, refresh_token: str) -> Answer:
    token = Token.objects.create(
        authorization=authorization,
        kind=Token.Kind.ACCESS,
        value=f"access_{get_random_string(30)}",
        expires_at=timezone.now() + ACCESS_TOKEN_LIFETIME,
    )
    return {
        "access_token": token.value,
        "refresh_token": refresh_token,
        "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        "token_type": "bearer",
        "scope": authorization.scope,
    }
