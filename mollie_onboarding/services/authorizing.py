"""The way to Mollie: a client link that works, and a state for it, at the moment of the click."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import ClientLinkUnusableError
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Status
from mollie_onboarding.mollie_api import client_link_authorization_url, plain_authorization_url
from mollie_onboarding.state import issue_state

from .creation import create_client_link

Flow = AuthorizationRequest.Flow


@dataclass(frozen=True)
class StartedAuthorization:
    """Where the merchant goes, and the secret to keep in this browser's cookie."""

    authorization_url: str = field(repr=False)
    browser_secret: str = field(repr=False)


@sensitive_variables()
def start_authorization(
    client_link: ClientLink, *, browser_secret: str, flow: Flow = Flow.CLIENT_LINK
) -> StartedAuthorization:
    """Issue a state for this browser and give the address at Mollie that carries it.

    `flow` is the client link, made or renewed as needed, or Mollie's plain authorize address for an organization that
    exists already; a connection that was lost takes the latter. Raises `ClientLinkUnusableError` for a row that is
    cancelled or connected, and what `create_client_link` raises. RFC 6749 section 4.1.1,
    https://docs.mollie.com/reference/create-client-link, https://docs.mollie.com/reference/authorize
    """
    if client_link.needs_reconnecting:
        flow = Flow.AUTHORIZE
    elif client_link.is_connected or client_link.is_cancelled:
        raise ClientLinkUnusableError(f"The client link is {client_link.status}.")
    if flow == Flow.CLIENT_LINK:
        client_link = create_client_link(client_link)
    with transaction.atomic(durable=True):
        # Before the request is inserted: its foreign key would share-lock the row on MariaDB, and of two clicks each
        # would then wait for the other.
        if client_link.status in (Status.READY, Status.DECLINED):
            ClientLink.objects.move(client_link.pk, Status.STARTED)
        issued = issue_state(client_link, flow=flow, browser_secret=browser_secret, now=timezone.now())
    return StartedAuthorization(_authorization_url(client_link, flow, issued.state), issued.browser_secret)


@sensitive_variables()
def _authorization_url(client_link: ClientLink, flow: Flow, state: str) -> str:
    client_id = conf.MOLLIE_ONBOARDING_CLIENT_ID
    scopes = conf.MOLLIE_ONBOARDING_SCOPES
    approval_prompt = conf.MOLLIE_ONBOARDING_APPROVAL_PROMPT
    if flow == Flow.CLIENT_LINK:
        return client_link_authorization_url(
            client_link.url, client_id=client_id, state=state, scopes=scopes, approval_prompt=approval_prompt
        )
    return plain_authorization_url(
        client_id=client_id,
        state=state,
        scopes=scopes,
        approval_prompt=approval_prompt,
        redirect_uri=conf.MOLLIE_ONBOARDING_REDIRECT_URI,
    )
