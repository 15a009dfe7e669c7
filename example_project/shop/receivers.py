"""What the platform does when mollie_onboarding has news."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.signals import merchant_connected

from .models import Shop


@receiver(merchant_connected, dispatch_uid="shop.store_organization_id")
def store_organization_id(client_link: ClientLink, organization: Organization, **kwargs: Any) -> None:
    """Note the organization at the shop. The signal may come twice, and twice the same is the same.

    A shop that has another one keeps it: whoever has its signed address can sign up a second time.
    """
    same = ["", organization.organization_id]
    shops = Shop.objects.with_reference(client_link.reference).filter(mollie_organization_id__in=same)
    shops.update(mollie_organization_id=organization.organization_id)
