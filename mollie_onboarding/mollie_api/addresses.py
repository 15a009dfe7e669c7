"""Where merchants are sent: the addresses with a state, and which hosts they may lead to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from django.conf import settings

from mollie_onboarding import pkce
from mollie_onboarding.conf import conf

# Of the example in docs.mollie.com/reference/get-onboarding-status; the other dashboards there are at my.mollie.com.
DASHBOARD_HOST = "www.mollie.com"


def _is_trusted_loopback(host: str | None) -> bool:
    return settings.DEBUG and host in ("127.0.0.1", "::1", "localhost")


def is_allowed_url(url: str) -> bool:
    """Whether a merchant may be sent there: https and a host of `LINK_HOSTS`, or loopback while DEBUG is on."""
    return _leads_to(url, conf.MOLLIE_ONBOARDING_LINK_HOSTS)


def is_dashboard_url(url: str) -> bool:
    """Whether a page may link there as to a merchant's dashboard at Mollie: an allowed address, or one at `DASHBOARD_HOST`."""
    return _leads_to(url, (*conf.MOLLIE_ONBOARDING_LINK_HOSTS, DASHBOARD_HOST))


def _leads_to(url: str, hosts: Iterable[str]) -> bool:
    # Browsers drop tabs and newlines and read a backslash as a slash: what follows would then be another host.
    if not url or not url.isprintable() or "\\" in url or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_web = parts.scheme == "https" or (parts.scheme == "http" and _is_trusted_loopback(parts.hostname))
    if not is_web or parts.username is not None or parts.password is not None:
        return False
    default_port = 443 if parts.scheme == "https" else 80
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host  # IPv6, as an address and LINK_HOSTS write it
    names = {f"{host}:{port or default_port}"} | ({host} if port in (None, default_port) else set())
    return not names.isdisjoint(entry.lower() for entry in hosts)


def client_link_authorization_url(
    url: str,
    *,
    client_id: str,
    state: str,
    scopes: Sequence[str],
    approval_prompt: str,
    code_challenge: str = "",
) -> str:
    """The address behind the merchant's button: Mollie's client link with the four parameters appended.

    A query or fragment that is already there stays; a code challenge (RFC 7636 section 4.3) comes only where there is one.
    Raises ValueError for an address that is not allowed, or without a `state`.
    https://docs.mollie.com/reference/create-client-link
    """
    if not is_allowed_url(url):
        raise ValueError("The client link leads to a host that is not in MOLLIE_ONBOARDING_LINK_HOSTS.")
    return _with_parameters(
        url, _authorization_parameters(client_id, state, scopes, approval_prompt, code_challenge)
    )


def plain_authorization_url(
    *,
    client_id: str,
    state: str,
    scopes: Sequence[str],
    approval_prompt: str,
    redirect_uri: str = "",
    code_challenge: str = "",
) -> str:
    """Mollie's authorize address for an existing organization; `redirect_uri` and the challenge only where there is one.

    Raises ValueError without a `state`. RFC 6749 section 4.1.1, RFC 7636 section 4.3,
    https://docs.mollie.com/reference/authorize
    """
    parameters = {
        "response_type": "code",
        **_authorization_parameters(client_id, state, scopes, approval_prompt, code_challenge),
        **({"redirect_uri": redirect_uri} if redirect_uri else {}),
    }
    return _with_parameters(conf.MOLLIE_ONBOARDING_AUTHORIZE_URL, parameters)


def _authorization_parameters(
    client_id: str, state: str, scopes: Sequence[str], approval_prompt: str, code_challenge: str
) -> dict[str, str]:
    if not state:
        raise ValueError("An authorization request needs a state.")
    challenge = {"code_challenge": code_challenge, "code_challenge_method": pkce.METHOD}
    return {
        "client_id": client_id,
        "state": state,
        "scope": " ".join(scopes),
        "approval_prompt": approval_prompt,
        **(challenge if code_challenge else {}),
    }


def _with_parameters(url: str, parameters: dict[str, str]) -> str:
    parts = urlsplit(url)
    # quote, not quote_plus: a space as %20 is right in every reading of a query.
    query = "&".join(filter(None, [parts.query, urlencode(parameters, quote_via=quote, safe="")]))
    return urlunsplit(parts._replace(query=query))
