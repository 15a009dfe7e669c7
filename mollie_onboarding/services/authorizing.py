"""The way to Mollie: a client link that works, and a state for it, at the moment of the click."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import ClientLinkUnusableError
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Status
from mollie_onboarding.mollie_api import client_link_authorization_url, plain_authorization_url
from mollie_onboarding.observing import observe
from mollie_onboarding.state import IssuedState, issue_state

from .creation import create_client_link

logger = logging.getLogger(__name__)

Flow = AuthorizationRequest.Flow


@dataclass(frozen=True)
class StartedAuthorization:
    """Where the merchant goes, and the secret to keep in this browser's cookie."""

    authorization_url: str = field(repr=False)
    browser_secret: str = field(repr=False)


@sensitive_variables()
def start_authorization(
    client_link: ClientLink, *, browser_secret: str, flow: Flow = Flow.CLIENT_LINK, language: str = ""
) -> StartedAuthorization:
    """Issue a state for this browser and give the address at Mollie that carries it.

    `flow` is the client link, made or renewed as needed, or Mollie's plain authorize address for an organization that
    exists already; a connection that was lost, or that needs a new consent, takes the latter. `language` is that of the
    page, where the merchant chose one: the way back leads to it. Raises
    `ClientLinkUnusableError` for a row that is cancelled, purged, or connected with nothing to ask for, and what
    `create_client_link` raises. RFC 6749 section 4.1.1, https://docs.mollie.com/reference/create-client-link,
    https://docs.mollie.com/reference/authorize
    """
    # Of the page that the merchant saw. The row is perhaps read anew below, and by then the address may be corrected.
    generation = client_link.link_generation
    if client_link.needs_reconnecting or client_link.needs_new_consent:
        flow = Flow.AUTHORIZE
    elif client_link.is_connected or client_link.is_cancelled:
        raise ClientLinkUnusableError(f"The client link is {client_link.status}.")
    if flow == Flow.CLIENT_LINK:
        client_link = create_client_link(client_link)
    approval_prompt = _approval_prompt(client_link)
    with transaction.atomic(durable=True):
        # Before the request is inserted: its foreign key would share-lock the row on MariaDB, and of two clicks each
        # would then wait for the other. It also tells a purge of this moment that somebody is on the way.
        if not _note_start(client_link, generation):
            raise ClientLinkUnusableError("The client link was purged, or the merchant's page is an old one.")
        issued = issue_state(
            client_link,
            flow=flow,
            browser_secret=browser_secret,
            now=timezone.now(),
            approval_prompt=approval_prompt,
            language=language,
        )
    url = _authorization_url(client_link, flow, issued, approval_prompt)
    observe(
        logger,
        logging.INFO,
        "authorization_started",
        "The merchant of client link %(client_link)s leaves for Mollie.",
        client_link=client_link.pk,
        flow=flow,
    )
    return StartedAuthorization(url, issued.browser_secret)


def _note_start(client_link: ClientLink, generation: int) -> bool:
    """Write the start to the row, with the move where there is one.

    False: it was purged or cancelled since it was read, or the address was corrected, and whoever pressed has the old
    one's link.
    """
    now = timezone.now()
    rows = ClientLink.objects.filter(link_generation=generation)
    first_start = Coalesce("started_at", Value(now))
    may_move = client_link.status in (Status.READY, Status.DECLINED)
    if may_move and rows.move(client_link.pk, Status.STARTED, started_at=first_start):
        return True
    rows = rows.filter(pk=client_link.pk, anonymized_at=client_link.anonymized_at)
    return bool(rows.update(updated_at=now, started_at=first_start))


def _approval_prompt(client_link: ClientLink) -> str:
    """As configured; but where the scopes have grown, the consent screen must show.

    With `auto`, adopters saw a returning merchant keep the smaller scope without a word. A consent by force revokes the
    earlier one, whose tokens it replaces here.
    """
    return "force" if client_link.needs_new_consent else conf.MOLLIE_ONBOARDING_APPROVAL_PROMPT


@sensitive_variables()
def _authorization_url(client_link: ClientLink, flow: Flow, issued: IssuedState, approval_prompt: str) -> str:
    address = (
        partial(client_link_authorization_url, client_link.url)
        if flow == Flow.CLIENT_LINK
        else partial(plain_authorization_url, redirect_uri=conf.MOLLIE_ONBOARDING_REDIRECT_URI)
    )
    return address(
        client_id=conf.MOLLIE_ONBOARDING_CLIENT_ID,
        state=issued.state,
        scopes=conf.MOLLIE_ONBOARDING_SCOPES,
        approval_prompt=approval_prompt,
        code_challenge=issued.code_challenge,
    )
