"""The public sign-up form. It takes what goes to Mollie, and nothing else of the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from .enumerations import (
    LEGAL_ENTITIES,
    LOCALES,
    OTHER_LEGAL_ENTITY,
    REGISTRATION_OFFICE_COUNTRIES,
    REGISTRATION_OFFICE_EXAMPLE,
)
from .models import BODY_COLUMNS, ClientLink

# The languages by their own names: whoever looks for theirs reads it.
LANGUAGE_NAMES = {
    "ca": "Català",
    "cs": "Čeština",
    "da": "Dansk",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fi": "Suomi",
    "fr": "Français",
    "hu": "Magyar",
    "is": "Íslenska",
    "it": "Italiano",
    "lt": "Lietuvių",
    "lv": "Latviešu",
    "nb": "Norsk bokmål",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "sk": "Slovenčina",
    "sv": "Svenska",
}

if TYPE_CHECKING:
    ClientLinkForm = forms.ModelForm[ClientLink]
else:
    ClientLinkForm = forms.ModelForm

Choices = list[tuple[str, Any]]


def country_choices() -> Choices:
    """Every country by its name in the current language."""
    return [("", _("Choose a country")), *((code, name) for code, name in countries)]


def locale_choices() -> Choices:
    """The locales of Mollie's login screen; the country is named where a language has more than one."""
    return [
        ("", _("The language of the browser")),
        *((locale, f"{LANGUAGE_NAMES[locale[:2]]} ({locale[3:]})") for locale in LOCALES),
    ]


def legal_entity_choices(country: str = "") -> Choices:
    """The legal forms of a country by their own names; of every country, in groups, where none is chosen."""
    names = dict(countries)
    other = (OTHER_LEGAL_ENTITY, _("Another legal form"))
    if country:
        return [("", _("I do not know")), *LEGAL_ENTITIES.get(country, {}).items(), other]
    groups = [(names[code], list(entities.items())) for code, entities in LEGAL_ENTITIES.items()]
    return [("", _("I do not know")), *sorted(groups, key=lambda group: group[0]), other]


def default_locale() -> str:
    """The first locale of the page's language, '' when Mollie has none for it."""
    language = (translation.get_language() or "")[:2]
    if language == "en":
        return "en_GB"
    ours = [locale for locale in LOCALES if language and locale.startswith(language)]
    usual = f"{language}_{language.upper()}"
    return usual if usual in ours else next(iter(ours), "")


class LegalEntityInput(forms.TextInput):
    """A text field that suggests the known codes with their names; any other code may be typed."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        list_id = f"{name}_suggestions"
        options = format_html_join(
            "",
            '<option value="{}">{}</option>',
            [item for entities in LEGAL_ENTITIES.values() for item in entities.items()],
        )
        field = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        return format_html('{}<datalist id="{}">{}</datalist>', field, list_id, options)


class DayInput(forms.DateInput):
    input_type = "date"  # the browser's own calendar; it takes and gives ISO 8601


class SignupForm(ClientLinkForm):
    """Owner, organization, address and register columns of a client link, checked by `ClientLink.clean`."""

    class Meta:
        model = ClientLink
        fields = (
            "organization_name",
            "country",
            "street_and_number",
            "postal_code",
            "city",
            "legal_entity",
            "registration_number",
            "registration_office",
            "vat_number",
            "incorporation_date",
            "owner_given_name",
            "owner_family_name",
            "owner_email",
            "owner_locale",
        )

    # Whoever posts the same nonce again pressed the button twice, or corrects what they sent.
    nonce = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        country = self._chosen_country()
        self.fields["country"] = forms.ChoiceField(
            label=self.fields["country"].label, choices=country_choices
        )
        self.fields["owner_locale"] = forms.ChoiceField(
            label=self.fields["owner_locale"].label,
            choices=locale_choices,
            required=False,
            initial=default_locale,
        )
        # A CharField with a list: Mollie may know more legal forms than the list does.
        self.fields["legal_entity"].widget = forms.Select(choices=legal_entity_choices(country))
        if country and country not in REGISTRATION_OFFICE_COUNTRIES:
            self.fields["registration_office"].widget = forms.HiddenInput()
        self.fields["registration_office"].help_text = _(
            "In Germany: the seat of the register court, for example %(example)s."
        ) % {"example": REGISTRATION_OFFICE_EXAMPLE}
        self.fields["postal_code"].help_text = _("Leave the postal code out if your country has none.")
        self._set_attributes()

    def _chosen_country(self) -> str:
        # Not by self["country"], which would remember the field before it is replaced.
        return str((self.data if self.is_bound else self.initial).get("country") or "")

    def _set_attributes(self) -> None:
        """Tell browsers and phones what each field is. html.spec.whatwg.org, section Autofill"""
        attributes: dict[str, dict[str, str]] = {
            "organization_name": {"autocomplete": "organization"},
            "country": {"autocomplete": "country"},
            "street_and_number": {"autocomplete": "address-line1"},
            "postal_code": {"autocomplete": "postal-code"},
            "city": {"autocomplete": "address-level2"},
            "registration_number": {"autocomplete": "off"},
            "vat_number": {"autocomplete": "off", "autocapitalize": "characters"},
            "incorporation_date": {"autocomplete": "off"},
            "owner_given_name": {"autocomplete": "given-name"},
            "owner_family_name": {"autocomplete": "family-name"},
            "owner_email": {"autocomplete": "email", "inputmode": "email"},
            "owner_locale": {"autocomplete": "language"},
        }
        self.fields["incorporation_date"].widget = DayInput(format="%Y-%m-%d")
        for name, values in attributes.items():
            self.fields[name].widget.attrs.update(values)

    def add_refusal(self, column: str, sentence: str) -> None:
        """Show Mollie's refusal at the field that it names, at the top when it names none of ours."""
        self.add_error(
            column if column in self.fields else None, _("Mollie says: %(sentence)s") % {"sentence": sentence}
        )


assert set(SignupForm.Meta.fields) == set(BODY_COLUMNS)  # noqa: S101 (mass assignment: no column more)
