"""The platform's own idea of a merchant. Its id is the `reference` of the merchant's client links."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.db import models
from django.urls import reverse

from mollie_onboarding.links import sign_reference
from mollie_onboarding.models import ClientLink


class ShopQuerySet(models.QuerySet["Shop"]):
    def with_reference(self, reference: str) -> ShopQuerySet:
        """The shop that a client link is for: none where the merchant found the sign-up page without us."""
        return self.filter(pk=reference) if reference.isdecimal() else self.none()


class Shop(models.Model):
    name = models.CharField(max_length=255)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="shops")
    contact_email = models.EmailField("contact e-mail address", max_length=254)
    website = models.URLField(blank=True)
    mollie_organization_id = models.CharField("organization at Mollie", max_length=64, blank=True)

    objects = ShopQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def find_client_link(self) -> ClientLink | None:
        """How far this shop is with Mollie: the connected client link, else the latest."""
        rows = ClientLink.objects.select_related("organization").filter(reference=str(self.pk))
        rows = rows.exclude(status=ClientLink.Status.CANCELLED).order_by("-created_at")
        return rows.filter(status=ClientLink.Status.CONNECTED).first() or rows.first()

    def sign_up_path(self) -> str:
        """The sign-up page, told by a signed value which shop it is for, and where the merchant goes on at the end."""
        query = {"for": sign_reference(str(self.pk)), "next": reverse("shop:dashboard")}
        return f"{reverse('mollie_onboarding:signup')}?{urlencode(query)}"
