"""The sign-up form of mollie_onboarding, with what Shopwise knows already and one question more."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest

from mollie_onboarding.forms import SignupForm
from mollie_onboarding.models import ClientLink

from .models import Shop


class ShopSignupForm(SignupForm):
    website = forms.URLField(label="Website", required=False, assume_scheme="https")

    @classmethod
    def initial_for(cls, request: HttpRequest, reference: str) -> dict[str, Any]:
        """The user's own name and address, and the name of the shop, which nobody else gets to see."""
        initial = super().initial_for(request, reference)
        shop = Shop.objects.with_reference(reference).filter(owner_id=request.user.pk).first()
        if shop is not None:
            initial |= {
                "organization_name": shop.name,
                "owner_email": shop.contact_email,
                "website": shop.website,
            }
        return initial

    def store_extra(self, client_link: ClientLink) -> None:
        """Note the website at the shop, when the form is its owner's. Sent twice, it writes the same twice."""
        shops = Shop.objects.with_reference(client_link.reference).filter(owner_id=client_link.user_id)
        shops.update(website=self.cleaned_data["website"])
