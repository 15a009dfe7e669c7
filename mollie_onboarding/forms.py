"""The public sign-up form. It takes what goes to Mollie, and nothing else of the row."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from django import forms
from django.forms.boundfield import BoundField
from django.http import HttpRequest
from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_real import parse_accept_lang_header
from django_countries import countries

from .enumerations import (
    COUNTRIES_WITHOUT_POSTAL_CODE,
    LEGAL_ENTITIES,
    LOCALES,
    OTHER_LEGAL_ENTITY,
    REGISTRATION_OFFICE_COUNTRIES,
    REGISTRATION_OFFICE_EXAMPLE,
)
from .languages import LANGUAGE_NAMES
from .models import BODY_COLUMNS, ClientLink
from .registers import REGISTERS, find_language, find_registration_number, find_vat_number

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
    """The legal forms of a country by their own names; without a country only what holds in every one."""
    return [
        ("", _("I do not know")),
        *LEGAL_ENTITIES.get(country, {}).items(),
        (OTHER_LEGAL_ENTITY, _("Another legal form")),
    ]


def default_locale(country: str = "") -> str:
    """The page's language as it is spoken in the country, else in its first one; '' when Mollie has none for it."""
    language = (translation.get_language() or "")[:2]
    ours = [locale for locale in LOCALES if language and locale.startswith(language)]
    usual = "en_GB" if language == "en" else f"{language}_{language.upper()}"
    wished = [locale for locale in (f"{language}_{country}", usual) if locale in ours]
    return next(iter([*wished, *ours]), "")


def preset_country(given: str, accept_language: str) -> str:
    """The country to begin with, '' for none: the one that the address gives, else that of the browser's languages.

    A browser says `de-AT` or only `de`; the first language with a country that we know a register of decides. Others are
    left out because many browsers are in American English wherever they are.
    """
    if given.upper() in countries.countries:
        return given.upper()
    accepted = parse_accept_lang_header(accept_language.lower())
    regions = (_region_of(tag) for tag, weight in accepted if weight > 0)
    return next((region for region in regions if region in LEGAL_ENTITIES or region in REGISTERS), "")


def _region_of(tag: str) -> str:
    """The country that a language tag names, '' for none. RFC 5646, section 2.1"""
    # A single letter begins an extension, in which two letters mean something else.
    _language, *subtags = [*takewhile(lambda subtag: len(subtag) != 1, tag.split("-"))] or [""]
    return next((subtag.upper() for subtag in subtags if len(subtag) == 2), "")


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


class LegalEntitySelect(forms.Select):
    """Legal forms in the language of their country, which a screen reader is told."""

    def __init__(self, country: str, choices: Choices) -> None:
        super().__init__(choices=choices)
        self.country = country

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        if value in LEGAL_ENTITIES.get(self.country, {}):
            option["attrs"]["lang"] = find_language(self.country)
        return option


class DayInput(forms.DateInput):
    input_type = "date"  # the browser's own calendar; it takes and gives ISO 8601


class SignupForm(ClientLinkForm):
    """Owner, organization, address and register columns of a client link, checked by `ClientLink.clean`."""

    class Meta:
        model = ClientLink
        fields = (
            "country",  # first: it decides what the others are called
            "organization_name",
            "legal_entity",
            "registration_number",
            "registration_office",
            "vat_number",
            "incorporation_date",
            "street_and_number",
            "postal_code",
            "city",
            "owner_given_name",
            "owner_family_name",
            "owner_email",
            "owner_locale",
        )

    # Whoever posts the same nonce again pressed the button twice, or corrects what they sent.
    nonce = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.country = self._chosen("country")
        self.legal_entity = self._chosen("legal_entity")
        # It is not offered any more: the merchant chooses one of the new country, or none.
        self.had_another_country = self._has_another_country()
        if self.had_another_country:
            self.legal_entity = self.initial["legal_entity"] = ""
        self.fields["country"] = forms.ChoiceField(
            label=self.fields["country"].label, choices=country_choices
        )
        self.fields["owner_locale"] = forms.ChoiceField(
            label=self.fields["owner_locale"].label,
            choices=locale_choices,
            required=False,
            initial=default_locale(self.country),
        )
        self._offer_legal_entities()
        self._name_numbers()
        self.fields["registration_office"].help_text = _(
            "In Germany: the seat of the register court, for example %(example)s."
        ) % {"example": REGISTRATION_OFFICE_EXAMPLE}
        if not self.country or self.country in COUNTRIES_WITHOUT_POSTAL_CODE:
            self.fields["postal_code"].help_text = _("Leave the postal code out if your country has none.")
        self._set_attributes()

    def _chosen(self, name: str) -> str:
        # Not by self[name], which would remember the field before it is replaced.
        value = self.data.get(self.add_prefix(name)) if self.is_bound else self.initial.get(name)
        return str(value or "").strip()

    def _offer_legal_entities(self) -> None:
        """A select for a field that takes any code: Mollie may know more legal forms than the list does."""
        choices = legal_entity_choices(self.country)
        if self.legal_entity not in dict(choices):
            names = LEGAL_ENTITIES.get(self.legal_entity[:2].upper(), {})
            choices.append((self.legal_entity, names.get(self.legal_entity, self.legal_entity)))
        self.fields["legal_entity"].widget = LegalEntitySelect(self.country, choices)
        if not self.country:
            self.fields["legal_entity"].help_text = _("Choose the country to see its legal forms.")

    def _has_another_country(self) -> bool:
        """Whether the legal form is known as another country's, because the merchant changed the country only."""
        home = self.legal_entity[:2].upper()
        return (
            self.country in countries.countries
            and home != self.country
            and self.legal_entity in LEGAL_ENTITIES.get(home, {})
        )

    def _name_numbers(self) -> None:
        """Call the numbers what the country calls them, and show how they are written."""
        numbers = {
            "registration_number": find_registration_number(self.country, self.legal_entity),
            "vat_number": find_vat_number(self.country),
        }
        for name, number in numbers.items():
            if number:
                field = self.fields[name]
                field.label = number.describe(field.label or "")
                field.help_text = _("For example: %(example)s") % {"example": number.example}
                if number.has_digits_only:
                    field.widget.attrs["inputmode"] = "numeric"

    def _set_attributes(self) -> None:
        """Tell browsers and phones what each field is. html.spec.whatwg.org, sections Autofill and Input modalities

        No `section-…`: it is one business and its contact, which a browser may fill in at one touch.
        """
        proper_name = {"autocapitalize": "words", "spellcheck": "false"}
        number = {"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        attributes: dict[str, dict[str, str]] = {
            "country": {"autocomplete": "country"},
            "organization_name": {"autocomplete": "organization", **proper_name},
            "registration_number": number,
            "registration_office": {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"},
            "vat_number": number,
            "incorporation_date": {"autocomplete": "off"},
            "street_and_number": {"autocomplete": "address-line1", **proper_name},
            "postal_code": {**number, "autocomplete": "postal-code"},
            "city": {"autocomplete": "address-level2", **proper_name},
            "owner_given_name": {"autocomplete": "given-name", **proper_name},
            "owner_family_name": {"autocomplete": "family-name", **proper_name},
            "owner_email": {
                "autocomplete": "email",
                "inputmode": "email",
                "autocapitalize": "none",
                "spellcheck": "false",
                "enterkeyhint": "go",  # the last that is typed: here Enter is meant, as it sends the form everywhere
            },
            "owner_locale": {"autocomplete": "language"},
        }
        self.fields["incorporation_date"].widget = DayInput(format="%Y-%m-%d")
        for name, values in attributes.items():
            self.fields[name].widget.attrs.update(values)

    # What is wrong.

    def clean_legal_entity(self) -> str:
        """A code that is in no list may be a new one of Mollie's; one of another country's list is a mistake."""
        if self.had_another_country:
            raise forms.ValidationError(_("Choose a legal form of this country."))
        return str(self.cleaned_data["legal_entity"])

    def add_error(self, field: str | None, error: Any) -> None:
        """What `ClientLink.clean` finds in a field that the platform's form leaves out is said at the top."""
        if field is None and hasattr(error, "error_dict"):
            for name, errors in error.error_dict.items():
                super().add_error(name if name in self.fields else None, errors)
        else:
            super().add_error(field, error)

    def add_refusal(self, column: str, sentence: str) -> None:
        """Show Mollie's refusal at the field that it names, at the top when it names none of ours."""
        self.add_error(
            column if column in self.fields else None, _("Mollie says: %(sentence)s") % {"sentence": sentence}
        )

    # What of the form the page shows at once.

    def needs_registration_office(self) -> bool:
        """Where it is asked for, and where somebody would miss it: what was entered, or is refused, must be seen."""
        return self.country in REGISTRATION_OFFICE_COUNTRIES or self._is_in_use("registration_office")

    def has_more_numbers(self) -> bool:
        return self._is_in_use("vat_number") or self._is_in_use("incorporation_date")

    def has_another_language(self) -> bool:
        """Whether the merchant chose another language at Mollie than this page has."""
        field = self["owner_locale"]
        return bool(field.errors) or (field.value() or "")[:2] != default_locale()[:2]

    def _is_in_use(self, name: str) -> bool:
        return name in self.fields and bool(self[name].value() or self[name].errors)

    @classmethod
    def initial_for(cls, request: HttpRequest, reference: str) -> dict[str, Any]:
        """What an empty form begins with, by field: the name and e-mail address of the logged-in user.

        For a platform to extend. `reference` is the one that the platform signed, '' without; whoever was given the
        signed value may hold it, so show only what belongs to `request.user`. Nothing else of the address is to be
        taken: anybody can write one.
        """
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return {}
        names = {"owner_given_name": "first_name", "owner_family_name": "last_name", "owner_email": "email"}
        # A user model of the platform's own may lack them.
        return {column: getattr(user, name, "") for column, name in names.items()}

    def extra_fields(self) -> list[BoundField]:
        """The visible fields that a platform added. The page shows them after ours."""
        return [field for field in self.visible_fields() if field.name not in BODY_COLUMNS]

    def store_extra(self, client_link: ClientLink) -> None:
        """Store what the platform's own fields hold, `self.cleaned_data`, in the platform's own tables.

        For a platform to fill in. It runs in one transaction with the client link, which is saved already, and again
        when the form comes again, corrected or by a double click: the same twice must be the same as once.
        """
