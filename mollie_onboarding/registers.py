"""What a business calls its numbers, country by country: proper names, which nobody translates.

Mollie asks for a registration number and a VAT number. A merchant knows them by the name on their papers, and looks for
that name in a form. Examples show the usual way of writing and belong to nobody.
"""

from __future__ import annotations

from typing import NamedTuple

from django.utils import translation
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString

Names = dict[str, str]
"""A name by language. The first is used where the page speaks none of them."""


class NationalNumber(NamedTuple):
    """A number by its name in the country, which is in `language` for the ears of a screen reader."""

    name: str
    language: str
    example: str
    has_digits_only: bool = False

    def describe(self, label: str | Promise) -> str | SafeString:
        """The label with the national name, or that alone where the page speaks its language."""
        if self.is_in_the_language_of_the_page():
            return self.name
        if self.says_the_same_as(label):
            return str(label)
        return format_html('{} <span lang="{}">({})</span>', label, self.language, self.name)

    def is_in_the_language_of_the_page(self) -> bool:
        return self.language == (translation.get_language() or "")[:2]

    def says_the_same_as(self, label: str | Promise) -> bool:
        return self.name.casefold() == str(label).casefold()


class Register(NamedTuple):
    registration_number: Names
    example: str
    vat_number: Names
    vat_example: str
    has_digits_only: bool = False  # letters and hyphens never, so that a telephone may show digits


REGISTERS = {
    "AT": Register({"de": "Firmenbuchnummer"}, "FN 123456a", {"de": "UID-Nummer"}, "ATU12345678"),
    "BE": Register(
        {"nl": "Ondernemingsnummer", "fr": "Numéro d'entreprise", "de": "Unternehmensnummer"},
        "0123.456.789",
        {"nl": "Btw-nummer", "fr": "Numéro de TVA", "de": "Mehrwertsteuernummer"},
        "BE0123456789",
        has_digits_only=True,
    ),
    "BG": Register({"bg": "ЕИК"}, "123456789", {"bg": "ИН по ЗДДС"}, "BG123456789", has_digits_only=True),
    "CH": Register(
        {"de": "UID", "fr": "IDE", "it": "IDI"},
        "CHE-123.456.789",
        {"de": "MWST-Nummer", "fr": "Numéro de TVA", "it": "Numero IVA"},
        "CHE-123.456.789",
    ),
    "CY": Register(
        {"el": "Αριθμός εγγραφής", "en": "Registration number"},
        "HE 123456",
        {"el": "Αριθμός εγγραφής ΦΠΑ", "en": "VAT number"},
        "CY12345678X",
    ),
    "CZ": Register({"cs": "IČO"}, "12345678", {"cs": "DIČ"}, "CZ12345678", has_digits_only=True),
    "DE": Register({"de": "Handelsregisternummer"}, "HRB 12345", {"de": "USt-IdNr."}, "DE123456789"),
    "DK": Register(
        {"da": "CVR-nummer"}, "12345678", {"da": "Momsnummer"}, "DK12345678", has_digits_only=True
    ),
    "EE": Register(
        {"et": "Registrikood"}, "12345678", {"et": "KMKR number"}, "EE123456789", has_digits_only=True
    ),
    "ES": Register(
        {"es": "NIF", "ca": "NIF"}, "B12345678", {"es": "NIF-IVA", "ca": "NIF-IVA"}, "ESB12345678"
    ),
    "FI": Register(
        {"fi": "Y-tunnus", "sv": "FO-nummer"},
        "1234567-8",
        {"fi": "ALV-numero", "sv": "Momsnummer"},
        "FI12345678",
    ),
    "FR": Register(
        {"fr": "Numéro SIREN"},
        "123456789",
        {"fr": "Numéro de TVA intracommunautaire"},
        "FR12345678901",
        has_digits_only=True,
    ),
    "GB": Register({"en": "Company number"}, "01234567", {"en": "VAT number"}, "GB123456789"),
    "GR": Register(
        {"el": "Αριθμός ΓΕΜΗ"}, "123456789000", {"el": "ΑΦΜ"}, "EL123456789", has_digits_only=True
    ),
    "HR": Register(
        {"hr": "OIB"},
        "12345678901",
        {"hr": "PDV identifikacijski broj"},
        "HR12345678901",
        has_digits_only=True,
    ),
    "HU": Register({"hu": "Cégjegyzékszám"}, "01-09-123456", {"hu": "Közösségi adószám"}, "HU12345678"),
    "IE": Register({"en": "CRO number"}, "123456", {"en": "VAT number"}, "IE1234567AB", has_digits_only=True),
    "IS": Register({"is": "Kennitala"}, "450101-1230", {"is": "VSK-númer"}, "12345"),
    # A sole trader's codice fiscale has letters, and so has a REA number.
    "IT": Register(
        {"it": "Codice fiscale o numero REA"}, "12345678901", {"it": "Partita IVA"}, "IT12345678901"
    ),
    "LT": Register(
        {"lt": "Įmonės kodas"},
        "123456789",
        {"lt": "PVM mokėtojo kodas"},
        "LT123456789",
        has_digits_only=True,
    ),
    "LU": Register(
        {"fr": "Numéro RCS", "de": "RCS-Nummer"},
        "B123456",
        {"fr": "Numéro de TVA", "de": "Mehrwertsteuernummer"},
        "LU12345678",
    ),
    "LV": Register(
        {"lv": "Vienotais reģistrācijas numurs"},
        "40001234567",
        {"lv": "PVN reģistrācijas numurs"},
        "LV12345678901",
        has_digits_only=True,
    ),
    "MT": Register({"en": "Company registration number"}, "C 12345", {"en": "VAT number"}, "MT12345678"),
    "NL": Register(
        {"nl": "KvK-nummer"}, "12345678", {"nl": "Btw-nummer"}, "NL123456789B01", has_digits_only=True
    ),
    "NO": Register(
        {"nb": "Organisasjonsnummer"},
        "123456789",
        {"nb": "MVA-nummer"},
        "123456789MVA",
        has_digits_only=True,
    ),
    # Companies are in the KRS; sole traders are in the CEIDG, by their NIP. Both have ten digits.
    "PL": Register(
        {"pl": "Numer KRS lub NIP"}, "0000123456", {"pl": "NIP UE"}, "PL1234567890", has_digits_only=True
    ),
    "PT": Register({"pt": "NIPC"}, "123456789", {"pt": "NIF"}, "PT123456789", has_digits_only=True),
    "RO": Register(
        {"ro": "Cod unic de înregistrare (CUI)"},
        "12345678",
        {"ro": "Cod de înregistrare în scopuri de TVA"},
        "RO12345678",
        has_digits_only=True,
    ),
    "SE": Register(
        {"sv": "Organisationsnummer"}, "556012-3456", {"sv": "Momsregistreringsnummer"}, "SE123456789001"
    ),
    "SI": Register(
        {"sl": "Matična številka"}, "1234567000", {"sl": "ID za DDV"}, "SI12345678", has_digits_only=True
    ),
    "SK": Register({"sk": "IČO"}, "12345678", {"sk": "IČ DPH"}, "SK1234567890", has_digits_only=True),
}

# Legal forms that have a register of their own, or another number than the companies of their country.
REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES = {
    "at-verein": NationalNumber("ZVR-Zahl", "de", "1234567890", has_digits_only=True),
    "de-eingetragene-genossenschaft": NationalNumber("Genossenschaftsregisternummer", "de", "GnR 123"),
    "de-partnergesellschaft": NationalNumber("Partnerschaftsregisternummer", "de", "PR 123"),
    "de-verein": NationalNumber("Vereinsregisternummer", "de", "VR 1234"),
    "fr-association": NationalNumber("Numéro RNA ou SIREN", "fr", "W123456789"),
}

# Legal forms that no register gives a number to.
LEGAL_ENTITIES_WITHOUT_REGISTRATION_NUMBER = frozenset(
    "at-gesbr de-freiberufler de-nev gb-general-partnership gb-sole-trader".split()
)


def find_registration_number(country: str, legal_entity: str = "") -> NationalNumber | None:
    """What the country calls its registration number; None for a country that is not known here."""
    if number := REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES.get(legal_entity):
        return number if legal_entity.startswith(f"{country.lower()}-") else find_registration_number(country)
    if register := REGISTERS.get(country):
        return _choose(register.registration_number, register.example, register.has_digits_only)
    return None


def find_vat_number(country: str) -> NationalNumber | None:
    """What the country calls its VAT number; None for a country that is not known here."""
    if register := REGISTERS.get(country):
        return _choose(register.vat_number, register.vat_example)
    return None


def find_language(country: str) -> str:
    """The language of the names that Mollie's list gives the country's legal forms; '' for an unknown country."""
    return next(iter(REGISTERS[country].registration_number)) if country in REGISTERS else ""


def _choose(names: Names, example: str, has_digits_only: bool = False) -> NationalNumber:
    """In the page's language where the country speaks it."""
    spoken = (translation.get_language() or "")[:2]
    language = spoken if spoken in names else next(iter(names))
    return NationalNumber(names[language], language, example, has_digits_only)
