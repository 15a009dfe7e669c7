"""Ending a client link before the merchant is connected."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Case, F, Value, When

from mollie_onboarding.models import (
    NO_CLIENT_LINK,
    AuthorizationRequest,
    BatchItem,
    ClientLink,
    Reason,
    Status,
)

from .queueing import NOT_QUEUED


def cancel_client_link(client_link: ClientLink, *, actor: Any = None) -> bool:
    """Cancel: mails sent before lead nowhere, a merchant on the way back is not connected. False: too late.

    The client link at Mollie cannot be withdrawn (there is no such call); without a state of ours it connects nobody.
    """
    with transaction.atomic():
        # Requests before the row: the order in which a merchant's return takes its locks. No value changes here.
        AuthorizationRequest.objects.filter(client_link=client_link.pk, outcome="").update(outcome="")
        event = ClientLink.objects.move(
            client_link.pk,
            Status.CANCELLED,
            actor=actor,
            link_generation=F("link_generation") + 1,
            # What was mailed was mailed; only what waits is taken out of the queue.
            delivery_status=Case(
                When(delivery_status=ClientLink.DeliveryStatus.QUEUED, then=Value("")),
                default=F("delivery_status"),
            ),
            problem="",
            **NO_CLIENT_LINK,
            **NOT_QUEUED,
        )
        if event:
            AuthorizationRequest.objects.void([client_link.pk])
            BatchItem.objects.settle(client_link.pk, BatchItem.Outcome.SKIPPED, Reason.CANCELLED)
    return event is not None
