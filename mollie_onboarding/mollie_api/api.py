"""The operations of Mollie's API that this package uses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import InvalidGrantError, MollieConnectionError

from .addresses import is_allowed_url
from .data import (
    DEFAULT_EXPIRES_IN,
    Capability,
    ClientLinkData,
    ClientPage,
    CreatedClientLink,
    OnboardingStatus,
    OrganizationInfo,
    Tokens,
)
from .reading import get_href, get_object, get_objects, get_text
from .resources import read_capabilities, read_client_page, read_onboarding_status, read_organization
from .transport import Bearer, Transport, app_credentials

CREATE_CLIENT_LINK = "POST /v2/client-links"  # as `RateLimit.endpoint` names it
CLIENTS_PER_PAGE = 250  # the most; docs.mollie.com/reference/list-clients
MAX_LIST = 20_000_000  # bytes of a page of clients with everything embedded


class MollieAPI(Transport):
    """The door to Mollie. Build one for each flow: its calls share `TIME_BUDGET` seconds.

    Every method raises `MollieConnectionError` when there is no usable answer and `MollieResponseError` when Mollie
    says no.
    """

    def create_client_link(self, data: ClientLinkData, *, idempotency_key: str) -> CreatedClientLink:
        """Make a client link with the partner's token. Used again within the hour, the key brings the same link.

        Raises `IdempotencyKeyReusedError` when the key was used for another body.
        https://docs.mollie.com/reference/create-client-link
        """
        answer = self._send(
            "POST",
            "/v2/client-links",
            auth=Bearer(conf.MOLLIE_ONBOARDING_ACCESS_TOKEN),
            body=data.to_body(),
            idempotency_key=idempotency_key,
        )
        client_link_id = get_text(answer, "id", 64)
        url = get_href(answer, "clientLink")
        if not client_link_id or not is_allowed_url(url):
            # It may have been spoilt on the way, and the same key brings it whole. Repeated like this it is Mollie's own,
            # and stays so for an hour.
            raise MollieConnectionError(
                "Mollie's answer names no client link, or one at a host that is not in MOLLIE_ONBOARDING_LINK_HOSTS.",
                needs_new_key=self.was_replayed,
            )
        return CreatedClientLink(client_link_id, url)

    @sensitive_variables()
    def exchange_code(self, code: str, *, redirect_uri: str = "", code_verifier: str = "") -> Tokens:
        """Redeem an authorization code. Never tried twice: the code lives 30 seconds and works once.

        `code_verifier` is '' where the authorization request had no challenge. Raises `InvalidGrantError` for a void
        code. RFC 6749 section 4.1.3, RFC 7636 section 4.5,
        https://docs.mollie.com/reference/oauth-generate-tokens
        """
        return self._request_tokens(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": code_verifier,
            }
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
            self._send("DELETE", "/oauth2/tokens", auth=app_credentials(), body=body)
        except InvalidGrantError:
            return

    @sensitive_variables()
    def get_current_organization(self, access_token: str) -> OrganizationInfo:
        """The organization that a token belongs to. Needs the scope `organizations.read`.

        https://docs.mollie.com/reference/get-current-organization
        """
        answer = self._send("GET", "/v2/organizations/me", auth=Bearer(access_token))
        info = read_organization(answer)
        if info is None:
            raise MollieConnectionError("Mollie's answer names no organization.")
        return info

    @sensitive_variables()
    def get_onboarding_status(self, access_token: str) -> OnboardingStatus:
        """How far the merchant is with Mollie. Needs the scope `onboarding.read`.

        https://docs.mollie.com/reference/get-onboarding-status
        """
        return read_onboarding_status(self._send("GET", "/v2/onboarding/me", auth=Bearer(access_token)))

    @sensitive_variables()
    def list_capabilities(self, access_token: str) -> tuple[Capability, ...]:
        """What the merchant can do, and what is missing. Needs the scope `onboarding.read`; beta at Mollie.

        https://docs.mollie.com/reference/list-capabilities
        """
        return read_capabilities(self._send("GET", "/v2/capabilities", auth=Bearer(access_token)))

    def list_clients(self, start: str = "") -> ClientPage:
        """The partner's clients, 250 at a time, with everything that their scopes let Mollie embed.

        `start` is the `following` of the page before. Needs `clients.read` on the partner's token. Raises
        `MollieResponseError` with status 400 for a `start` that Mollie no longer knows.
        https://docs.mollie.com/reference/list-clients
        """
        parameters = {"embed": "organization,onboarding,capabilities", "limit": str(CLIENTS_PER_PAGE)}
        if start:
            parameters["from"] = start
        answer = self._send(
            "GET",
            f"/v2/clients?{urlencode(parameters)}",
            auth=Bearer(conf.MOLLIE_ONBOARDING_ACCESS_TOKEN),
            max_answer=MAX_LIST,
        )
        return read_client_page(answer)

    def list_permissions(self) -> dict[str, bool]:
        """The scopes that Mollie knows, and whether the partner's token holds them.

        https://docs.mollie.com/reference/list-permissions
        """
        answer = self._send("GET", "/v2/permissions", auth=Bearer(conf.MOLLIE_ONBOARDING_ACCESS_TOKEN))
        permissions = get_objects(get_object(answer, "_embedded"), "permissions")
        return {get_text(item, "id", 100): item.get("granted") is True for item in permissions}

    def get_partner_type(self) -> str:
        """What kind of partner the platform's own organization is: `oauth`, `signuplink`, `useragent`, or '' for none.

        https://docs.mollie.com/reference/get-partner-status
        """
        partner = Bearer(conf.MOLLIE_ONBOARDING_ACCESS_TOKEN)
        return get_text(self._send("GET", "/v2/organizations/me/partner", auth=partner), "partnerType", 50)

    @sensitive_variables()
    def _request_tokens(self, fields: dict[str, str], idempotency_key: str = "") -> Tokens:
        # Form encoding is what RFC 6749 asks for. Empty fields are left out, as Mollie wants it.
        body = urlencode({key: value for key, value in fields.items() if value}).encode()
        answer = self._send(
            "POST",
            "/oauth2/tokens",
            auth=app_credentials(),
            body=body,
            content_type="application/x-www-form-urlencoded",
            idempotency_key=idempotency_key,
        )
        access_token = get_text(answer, "access_token", 4096)
        if not access_token:
            # As above; and a new key would come with a refresh token that this answer may have replaced.
            raise MollieConnectionError(
                "Mollie's answer holds no access token.", needs_new_key=self.was_replayed
            )
        return Tokens(
            access_token=access_token,
            refresh_token=get_text(answer, "refresh_token", 4096),
            expires_at=timezone.now() + timedelta(seconds=_expires_in(answer)),
            scope=" ".join(get_text(answer, "scope", 2000).split()),
            was_replayed=self.was_replayed,
        )


def _expires_in(answer: dict[str, Any]) -> int:
    """Seconds, from a number or a numeric text; Mollie's usual hour when there is nothing sensible."""
    text = get_text(answer, "expires_in", 9)
    return int(text) if text.isascii() and text.isdigit() and int(text) else DEFAULT_EXPIRES_IN
