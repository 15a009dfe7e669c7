"""PKCE: a code is worth something only to whoever can derive the verifier. RFC 7636, RFC 9700 section 2.1.1.

The verifier is not stored anywhere. It is made of the state and of the browser's secret, of which the database has only
the digests, so that it exists in the one callback that brings both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from django.views.decorators.debug import sensitive_variables

METHOD = "S256"


@sensitive_variables()
def code_verifier(state: str, browser_secret: str) -> str:
    """The verifier of an authorization request, 43 characters. RFC 7636 section 4.1"""
    return _base64url(hmac.digest(browser_secret.encode(), f"code_verifier {state}".encode(), "sha256"))


@sensitive_variables()
def code_challenge(verifier: str) -> str:
    """What the authorization request says of its verifier. RFC 7636 section 4.2"""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
