from __future__ import annotations

import pytest
from django.utils import translation
from django.utils.translation import gettext_lazy
from django_countries import countries

from mollie_onboarding.enumerations import LEGAL_ENTITIES
from mollie_onboarding.registers import (
    LEGAL_ENTITIES_WITHOUT_REGISTRATION_NUMBER,
    REGISTERS,
    REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES,
    NationalNumber,
    find_language,
    find_registration_number,
    find_vat_number,
)
from mollie_onboarding.validation import NUMBER, REGISTRATION_NUMBER_SHAPES
from tests.pages import Page

CODES = {code for entities in LEGAL_ENTITIES.values() for code in entities}


def test_countries_that_have_names():
    more = "IE PL CZ SK HU LT LV IS GR RO BG HR SI EE CY MT".split()

    assert set(REGISTERS) == {*LEGAL_ENTITIES, *more}
    assert set(REGISTERS) <= set(countries.countries)


@pytest.mark.parametrize("country", REGISTERS)
def test_names_and_examples_are_what_the_form_takes(country):
    for language in ("en", "nl", "fr", "de"):
        with translation.override(language):
            numbers = find_registration_number(country), find_vat_number(country)
        for number in numbers:
            assert number.name == number.name.strip()
            assert number.name
            assert len(number.language) == 2
            assert NUMBER.match(number.example)
            assert len(number.example) <= 50
            if number.has_digits_only:
                assert number.example.replace(".", "").isdigit()
    assert not numbers[1].has_digits_only  # a VAT number begins with the country


@pytest.mark.parametrize("country", REGISTRATION_NUMBER_SHAPES)
def test_examples_have_the_shape_that_is_checked(country):
    assert REGISTRATION_NUMBER_SHAPES[country].match(find_registration_number(country).example)


def test_digits_only_is_not_said_of_numbers_with_letters_or_hyphens():
    assert {country for country, register in REGISTERS.items() if not register.has_digits_only} == set(
        "AT CH CY DE ES FI GB HU IS IT LU MT SE".split()
    )


@pytest.mark.parametrize(
    ("country", "language", "name", "spoken"),
    [
        ("NL", "en", "KvK-nummer", "nl"),
        ("DE", "en", "Handelsregisternummer", "de"),
        ("FR", "en", "Numéro SIREN", "fr"),
        ("PL", "de", "Numer KRS lub NIP", "pl"),
        ("FI", "fi", "Y-tunnus", "fi"),
        ("FI", "sv", "FO-nummer", "sv"),
        ("FI", "en", "Y-tunnus", "fi"),
        ("BE", "en", "Ondernemingsnummer", "nl"),
        ("BE", "fr", "Numéro d'entreprise", "fr"),
        ("BE", "fr-be", "Numéro d'entreprise", "fr"),
        ("CH", "it", "IDI", "it"),
        ("LU", "de", "RCS-Nummer", "de"),
        ("NO", "nb", "Organisasjonsnummer", "nb"),
        ("NL", None, "KvK-nummer", "nl"),
    ],
)
def test_registration_number_by_the_name_of_its_country(country, language, name, spoken):
    with translation.override(language):
        number = find_registration_number(country)

    assert (number.name, number.language) == (name, spoken)


@pytest.mark.parametrize(
    ("country", "language", "name"),
    [
        ("NL", "en", "Btw-nummer"),
        ("BE", "fr", "Numéro de TVA"),
        ("AT", "en", "UID-Nummer"),
        ("IT", "en", "Partita IVA"),
        ("FI", "sv", "Momsnummer"),
        ("CH", "it", "Numero IVA"),
    ],
)
def test_vat_number_by_the_name_of_its_country(country, language, name):
    with translation.override(language):
        assert find_vat_number(country).name == name


@pytest.mark.parametrize(
    ("country", "legal_entity", "name"),
    [
        ("DE", "de-verein", "Vereinsregisternummer"),
        ("DE", "de-gmbh", "Handelsregisternummer"),
        ("AT", "at-verein", "ZVR-Zahl"),
        ("NL", "de-verein", "KvK-nummer"),
        ("NL", "nl-new-at-mollie", "KvK-nummer"),
    ],
)
def test_registration_number_of_a_legal_form(country, legal_entity, name):
    assert find_registration_number(country, legal_entity).name == name


@pytest.mark.parametrize("country", ["", "US", "XX"])
def test_countries_without_names(country):
    assert find_registration_number(country, "de-verein") is None
    assert find_vat_number(country) is None
    assert find_language(country) == ""


def test_legal_forms_are_those_of_the_list():
    assert set(REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES) <= CODES
    assert LEGAL_ENTITIES_WITHOUT_REGISTRATION_NUMBER <= CODES
    for number in REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES.values():
        assert NUMBER.match(number.example)


@pytest.mark.parametrize(
    ("country", "language"), [("NL", "nl"), ("BE", "nl"), ("CH", "de"), ("NO", "nb"), ("GB", "en")]
)
def test_language_of_legal_forms_is_not_that_of_the_page(country, language):
    with translation.override("fr"):
        assert find_language(country) == language


def test_description_names_the_language():
    number = NationalNumber('KvK-<"nummer', "nl", "12345678")

    description = Page(f"<p>{number.describe(gettext_lazy('Registration number'))}</p>")

    assert description.text == 'Registration number (KvK-<"nummer)'
    assert description.find("span")["lang"] == "nl"


def test_description_says_nothing_twice():
    number = NationalNumber("VAT number", "en", "GB123456789")

    assert number.describe("anything") == "VAT number"
    with translation.override("sv"):
        assert number.describe("VAT Number") == "VAT Number"
        assert number.describe("<b>Momsnummer") == '&lt;b&gt;Momsnummer <span lang="en">(VAT number)</span>'
