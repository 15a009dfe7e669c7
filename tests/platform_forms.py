"""Forms as a platform might write them: `MOLLIE_ONBOARDING_SIGNUP_FORM` names one of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db import IntegrityError
from django_countries.fields import Country

from mollie_onboarding.forms import SignupForm
from mollie_onboarding.models import ClientLink


class AsksForTheWebsite(SignupForm):
    """With fields of its own, stored in a table of its own; the users' table stands for it."""

    website = forms.URLField(label="Website", assume_scheme="https", help_text="Where customers find you.")
    accept_terms = forms.BooleanField(label="I accept the terms", required=False)
    campaign = forms.CharField(required=False, widget=forms.HiddenInput)

    @classmethod
    def initial_for(cls, request: Any, reference: str) -> dict[str, Any]:
        return {**super().initial_for(request, reference), "country": "BE", "campaign": f"for {reference}"}

    def store_extra(self, client_link: ClientLink) -> None:
        get_user_model().objects.update_or_create(
            username=str(client_link.pk), defaults={"last_name": self.cleaned_data["website"]}
        )


class CannotStore(SignupForm):
    def store_extra(self, client_link: ClientLink) -> None:
        raise IntegrityError("a constraint of the platform's")


class CannotStoreACorrection(SignupForm):
    def store_extra(self, client_link: ClientLink) -> None:
        if client_link.city != "Amsterdam":
            raise IntegrityError("a constraint of the platform's")


class LeavesOutTheVatNumber(SignupForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["vat_number"]


class LeavesOut(SignupForm):
    left_out: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.left_out:
            del self.fields[name]


class LeavesOutThePostalCode(LeavesOut):
    left_out = ("postal_code", "legal_entity")


class LeavesOutTheOwner(LeavesOut):
    left_out = ("owner_email", "owner_given_name", "owner_family_name", "organization_name", "nonce")


class LeavesOutTheCountry(LeavesOut):
    left_out = ("country",)


class NeedsARequest(SignupForm):
    def __init__(self, *args: Any, request: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class HidesTheOwner(SignupForm):
    """The platform knows who it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner_email"].widget = forms.HiddenInput()


class AsksForMuch(SignupForm):
    """With inputs of several values, of several parts, and with a file."""

    prefix = "shop"
    sells = forms.MultipleChoiceField(choices=[("shoes", "Shoes"), ("hats", "Hats"), ("coats", "Coats")])
    opened = forms.SplitDateTimeField(required=False)
    newsletter = forms.BooleanField(required=False, initial=True)
    source = forms.CharField(initial="fair", disabled=True)
    passport = forms.FileField()

    @classmethod
    def initial_for(cls, request: Any, reference: str) -> dict[str, Any]:
        return {"country": Country("BE")}

    def store_extra(self, client_link: ClientLink) -> None:
        get_user_model().objects.create(
            username=str(client_link.pk), last_name=self.cleaned_data["passport"].read().decode()
        )


class WritesTheReference(SignupForm):
    class Meta(SignupForm.Meta):
        fields = (*SignupForm.Meta.fields, "reference")


class DeclaresTheStatus(SignupForm):
    status = forms.CharField(required=False)
    return_url = None


class WritesEverything(SignupForm):
    class Meta(SignupForm.Meta):
        fields = "__all__"


class LacksTheCity(SignupForm):
    class Meta(SignupForm.Meta):
        fields = tuple(name for name in SignupForm.Meta.fields if name != "city")


class SneaksInTheReference(SignupForm):
    """Past the check: the fields come only when the form is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._meta.fields = [*self._meta.fields, "reference", "user"]
        for name in ("reference", "status", "return_url", "url"):
            self.fields[name] = forms.CharField(required=False)
        self.fields["user"] = forms.ModelChoiceField(get_user_model().objects.all(), required=False)

    def clean(self) -> dict[str, Any]:
        self.instance.status = ClientLink.Status.CONNECTED
        self.instance.link_generation = 99
        return super().clean()
