"""Issue and redeem the OAuth state, bound to the browser that asked for it.

The state and the cookie are 32 random bytes; the database holds only their digests, which is also how they are looked
up, so no comparison tells anything by its time. RFC 6749 section 10.12, RFC 9700 section 4.7.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from .conf import conf
from .exceptions import StateError
from .models import AuthorizationRequest, ClientLink
from .pkce import code_challenge, code_verifier

# What a callback needs first; the row of the merchant is wide, and is read again where it counts, under its lock.
REQUEST_COLUMNS = [field.name for field in AuthorizationRequest._meta.concrete_fields]
MAX_PARAMETER = 2000  # characters of `state` or `code`; ours are 43, Mollie's codes about 40


def digest(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal: what the database keeps of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_secret() -> str:
    """32 random bytes, URL-safe, 43 characters."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class IssuedState:
    """A state for the address, and the browser's secret for the cookie. `code_challenge` is '' without PKCE."""

    state: str = field(repr=False)
    browser_secret: str = field(repr=False)
    code_challenge: str = ""


@sensitive_variables()
def issue_state(
    client_link: ClientLink,
    *,
    flow: str,
    browser_secret: str,
    now: datetime,
    approval_prompt: str,
    language: str = "",
) -> IssuedState:
    """Write an authorization request, and give the state that belongs to it. RFC 6749 section 4.1.1.

    The browser's secret is used again only where it belongs to a live request of ours, so that several tabs work
    and a planted cookie does not.
    """
    is_ours = bool(browser_secret) and AuthorizationRequest.objects.live(now).filter(
        browser_digest=digest(browser_secret)
    ).exists()  # fmt: skip
    state = new_secret()
    browser_secret = browser_secret if is_ours else new_secret()
    uses_pkce = conf.MOLLIE_ONBOARDING_PKCE
    AuthorizationRequest.objects.create(
        client_link=client_link,
        flow=flow,
        state_digest=digest(state),
        browser_digest=digest(browser_secret),
        scope=" ".join(conf.MOLLIE_ONBOARDING_SCOPES),
        approval_prompt=approval_prompt,
        # A client link takes no redirect URI: Mollie uses the registered one.
        redirect_uri=conf.MOLLIE_ONBOARDING_REDIRECT_URI
        if flow == AuthorizationRequest.Flow.AUTHORIZE
        else "",
        uses_pkce=uses_pkce,
        client_id=conf.MOLLIE_ONBOARDING_CLIENT_ID,
        language=language,
        expires_at=now + conf.MOLLIE_ONBOARDING_STATE_LIFETIME,
    )
    challenge = code_challenge(code_verifier(state, browser_secret)) if uses_pkce else ""
    return IssuedState(state, browser_secret, challenge)


@sensitive_variables()
def find_request(state: str, browser_secret: str) -> AuthorizationRequest:
    """The request that a callback answers, once its browser is proven to be the one that asked.

    Raises `StateError` with the reason: `no state`, `unknown state`, `other browser`. Nothing is claimed or
    written here. RFC 6749 section 10.12.
    """
    if not state or len(state) > MAX_PARAMETER:
        raise StateError("no state")
    request = (
        AuthorizationRequest.objects.select_related("client_link")
        .only(*REQUEST_COLUMNS, "client_link__status", "client_link__link_generation")
        .filter(state_digest=digest(state))
        .first()
    )
    if request is None:
        raise StateError("unknown state")
    if not browser_secret or not constant_time_compare(request.browser_digest, digest(browser_secret)):
        raise StateError("other browser")
    return request


def cookie_name() -> str:
    """The name of the browser's cookie. By the base URL's scheme, never by the request, which a proxy may misreport."""
    return "__Host-mollie_onboarding" if _is_https() else "mollie_onboarding"


def _is_https() -> bool:
    return conf.MOLLIE_ONBOARDING_BASE_URL.startswith("https://")


def browser_secret_of(request: HttpRequest) -> str:
    """The browser's secret as it came, '' without one. Only the one name is read."""
    value = request.COOKIES.get(cookie_name(), "")
    return value if len(value) <= MAX_PARAMETER else ""


def set_browser_cookie(response: HttpResponseBase, browser_secret: str) -> None:
    """Bind the browser: Lax, so that it comes back with the redirect from Mollie also where sessions are Strict."""
    response.set_cookie(
        cookie_name(),
        browser_secret,
        max_age=conf.MOLLIE_ONBOARDING_STATE_LIFETIME,
        path="/",
        secure=_is_https(),
        httponly=True,
        samesite="Lax",
    )
