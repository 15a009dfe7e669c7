from __future__ import annotations

from datetime import date

import pytest
import time_machine
from django_countries import countries

from mollie_onboarding.enumerations import (
    COUNTRIES_WITHOUT_POSTAL_CODE,
    LEGAL_ENTITIES,
    LOCALES,
    SCOPES,
)
from mollie_onboarding.validation import REGISTRATION_NUMBER_MODULES, find_errors, find_warnings
from tests.conftest import MERCHANT

ADDRESS = {"street_and_number": "Main Street 1", "city": "Somewhere", "postal_code": "1234"}

# A number as the register of the country writes it, and one with a slip of the pen.
REGISTRATION_NUMBERS = {
    "AT": ("FN 122119m", "FN 122119mm"),
    "BE": ("0403.019.261", "0403.019.262"),
    "CH": ("CHE-100.155.212", "CHE-100.155.213"),
    "DK": ("13585628", "13585627"),
    "ES": ("A28015865", "A28015866"),
    "FI": ("0112038-9", "0112038-8"),
    "FR": ("552 008 443", "552 008 444"),
    "NO": ("988 077 917", "988 077 918"),
    "PT": ("501 964 843", "501 964 844"),
    "SE": ("556016-0680", "556016-0681"),
}


def columns(messages):
    """The columns, each with a number of sentences in them; every sentence is a whole one."""
    for sentences in messages.values():
        assert all(str(sentence).strip().endswith(".") for sentence in sentences)
    return {column: len(sentences) for column, sentences in messages.items()}


def errors(**values):
    return columns(find_errors({"country": "NL", **values}))


def warnings(**values):
    return columns(find_warnings({"country": "NL", **values}))


def test_nothing_to_complain_of():
    assert find_errors(MERCHANT) == {}
    assert find_warnings(MERCHANT) == {}


@pytest.mark.parametrize("values", [{}, dict.fromkeys(MERCHANT), dict.fromkeys(MERCHANT, "")])
def test_nothing_known(values):
    # Whether a column may be empty is for the form, not for here.
    assert find_errors(values) == {}
    assert find_warnings(values) == {}


def test_several_errors_at_once():
    assert errors(country="XX", street_and_number="Main Street 1", vat_number="?") == {
        "country": 1,
        "city": 1,
        "postal_code": 1,
        "vat_number": 1,
    }


# Errors: what Mollie would refuse


@pytest.mark.parametrize("country", ["NL", "GB", "US", "JP"])
def test_country_known(country):
    assert errors(country=country) == {}


@pytest.mark.parametrize("country", ["XX", "nl", "NLD", "Netherlands", "UK", "N"])
def test_country_unknown(country):
    assert errors(country=country) == {"country": 1}


def test_address_without_street():
    assert errors(street_and_number="", city="", postal_code="") == {}
    assert errors(city="Amsterdam") == {}


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ({"city"}, {"city": 1}),
        ({"postal_code"}, {"postal_code": 1}),
        ({"city", "postal_code"}, {"city": 1, "postal_code": 1}),
        (set(), {}),
    ],
)
def test_address_with_street(missing, expected):
    assert errors(**{key: "" if key in missing else value for key, value in ADDRESS.items()}) == expected


@pytest.mark.parametrize("country", sorted(COUNTRIES_WITHOUT_POSTAL_CODE - {"AN"}))
def test_postal_code_may_be_missing(country):
    assert errors(**{**ADDRESS, "postal_code": ""}, country=country) == {}


@pytest.mark.parametrize("country", ["NL", "DE", "IE", "GB", "LU", "US", "MT"])
def test_postal_code_may_not_be_missing(country):
    assert errors(**{**ADDRESS, "postal_code": ""}, country=country) == {"postal_code": 1}


def test_city_is_needed_where_postal_codes_are_not():
    assert errors(street_and_number="Main Street 1", country="HK") == {"city": 1}


@pytest.mark.parametrize("locale", LOCALES)
def test_locale_known(locale):
    assert errors(owner_locale=locale) == {}


@pytest.mark.parametrize("locale", ["nl", "nl-NL", "NL_nl", "pt_BR", "xx_XX"])
def test_locale_unknown(locale):
    assert errors(owner_locale=locale) == {"owner_locale": 1}


@pytest.mark.parametrize("column", ["vat_number", "registration_number"])
@pytest.mark.parametrize(
    "number",
    [
        "12345678",
        "NL123456789B01",
        "CHE-100.155.212",
        "HRB 12345 B (Köln)",
        "552 008 443 R.C.S. Paris",
        "1/2+3&4,5",
    ],
)
def test_number_possible(column, number):
    assert errors(**{column: number}) == {}


@pytest.mark.parametrize("column", ["vat_number", "registration_number"])
@pytest.mark.parametrize(
    "number",
    ["none", "n/a", "-", "?", "-123", "<b>1</b>", "1;DROP", "1\n2", "1\t2", "=1+1", "@1", "1😀", "_1"],
)
def test_number_impossible(column, number):
    assert errors(**{column: number}) == {column: 1}


@pytest.mark.parametrize("code", ["nl-bv", "other", "xx-new-form-2", "be-s-bvba"])
def test_legal_entity_possible(code):
    assert errors(legal_entity=code) == {}


@pytest.mark.parametrize(
    "code", ["NL-BV", "nl_bv", "nl-", "-bv", "nl--bv", "Besloten Vennootschap", "nl bv", "b.v."]
)
def test_legal_entity_impossible(code):
    assert errors(legal_entity=code) == {"legal_entity": 1}


@pytest.mark.parametrize(
    ("founded", "is_refused"),
    [
        (date(2026, 10, 3), True),
        (date(2026, 10, 2), False),
        (date(2020, 2, 29), False),
        (date(1288, 6, 16), False),  # Stora Kopparberg, the oldest company there is a deed of
        (date(1000, 1, 1), False),
        (date(999, 12, 31), True),
        (date(202, 1, 1), True),  # 0202-01-01: two digits too few, then a browser's zeros
        (date(20, 1, 1), True),
    ],
)
def test_incorporation_date(settings, founded, is_refused):
    settings.TIME_ZONE = "Europe/Amsterdam"
    # Where the site is it is the 2nd already.
    with time_machine.travel("2026-10-01T22:30:00Z", tick=False):
        assert errors(incorporation_date=founded) == ({"incorporation_date": 1} if is_refused else {})


def test_incorporation_date_says_what_is_wrong():
    [future] = find_errors({"incorporation_date": date(9999, 1, 1)})["incorporation_date"]
    [short] = find_errors({"incorporation_date": date(202, 1, 1)})["incorporation_date"]

    assert future == "This date is in the future."
    assert short == "Enter the year with four digits."


NAMES = ("organization_name", "owner_given_name", "owner_family_name")


@pytest.mark.parametrize("column", NAMES)
@pytest.mark.parametrize(
    "name",
    [
        *(
            "d'Arc",
            "d\N{RIGHT SINGLE QUOTATION MARK}Arc",
            "O'Neill-Smith",
            "van 't Hof",
            "Łukasz",
            "José María",
            "Jr.",
            "J.P.",
            "Sammy Davis Jr.",
        ),
        *("Þór", "Ñandú", "Βασίλης", "Müller (geb. Maier)", "Smith, PhD", "Maria & Jan", "Noor 2", "Bo"),
        "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}\N{RIGHT-TO-LEFT MARK}",
        "می\N{ZERO WIDTH NON-JOINER}خواهم",
        "Wwwilhelm",
    ],
)
def test_name_possible(column, name):
    assert errors(**{column: name}) == {}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Booking.com B.V.",
            "A/S Fisk",
            "www.jansen.example B.V.",
            "Yahoo! @Home",
            "Jansen <&> Co",
            "C:\\ B.V.",
        ),
        *("24/7 Fitness", "Fish // Chips", "Jansen: Bakkers"),
    ],
)
def test_organization_may_be_called(name):
    assert errors(organization_name=name) == {}


@pytest.mark.parametrize("column", NAMES)
@pytest.mark.parametrize(
    "name",
    [
        "your account is blocked, log in at https://evil.example/x",
        *("https://evil.example", "HTTP://evil.example", "x://y", "://"),
        *(
            "Jan\nJansen",
            "Jan\r\nBcc: a@b.example",
            "Jan\tJansen",
            "Jan\x00",
            "Jan\x7f",
            "Jan\x85",
            "Jan\u2028",
            "Jan\u2029",
        ),
        *("Jan \N{RIGHT-TO-LEFT OVERRIDE}", "\N{LEFT-TO-RIGHT EMBEDDING}Jan", "\N{FIRST STRONG ISOLATE}Jan"),
    ],
)
def test_name_impossible(column, name):
    assert find_errors({column: name}) == {
        column: ["Leave web addresses and special characters out of names."]
    }


@pytest.mark.parametrize("column", ["owner_given_name", "owner_family_name"])
@pytest.mark.parametrize(
    "name",
    [
        "www.evil.example",
        "WWW.evil.example",
        "evil.example/x",
        "evil.example\\x",
        "a@evil.example",
        "<b",
        "b>",
    ],
)
def test_name_impossible_for_a_person(column, name):
    assert errors(**{column: name}) == {column: 1}


# Warnings: what may be a slip and may be right


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("NL815839091B01", "NL"),
        ("NL 8158.39.091.B01", "NL"),
        ("nl815839091b01", "NL"),
        ("BE0428759497", "BE"),
        ("DE136695976", "DE"),
        ("EL094259216", "GR"),
        ("BE0428759497", ""),
    ],
)
def test_vat_number_plausible(number, country):
    assert warnings(vat_number=number, country=country) == {}


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("NL815839092B01", "NL"),
        ("815839091B01", "NL"),
        ("NL815839091", "NL"),
        ("BE0428759497", "NL"),
        ("GR094259216", "GR"),  # the Union says EL
        ("EL094259216", "NL"),
        ("DE136695977", ""),
        ("GB980780684", "GB"),  # not of the Union any more
        ("CHE-107.787.577 IVA", "CH"),
        ("ABC", "NL"),
    ],
)
def test_vat_number_doubtful(number, country):
    assert warnings(vat_number=number, country=country) == {"vat_number": 1}


def test_registration_number_modules_are_all_tested():
    assert REGISTRATION_NUMBERS.keys() == REGISTRATION_NUMBER_MODULES.keys()


@pytest.mark.parametrize("country", REGISTRATION_NUMBERS)
def test_registration_number_with_check_digits(country):
    right, wrong = REGISTRATION_NUMBERS[country]

    assert warnings(registration_number=right, country=country) == {}
    assert warnings(registration_number=wrong, country=country) == {"registration_number": 1}
    assert errors(registration_number=wrong, country=country) == {}


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("NL", "30204462"),
        ("NL", " 01234567 "),
        ("DE", "HRB 12345"),
        ("DE", "hrb12345B"),
        ("DE", "HRA 1"),
        ("DE", "GnR 123"),
        ("DE", "PR 12"),
        ("DE", "VR 1234567 KI"),
        ("DE", "GsR 1"),
        ("DE", "12345"),
        ("GB", "01234567"),
        ("GB", "123456"),
        ("GB", "OC123456"),
        ("GB", "sc123456"),
        ("US", "whatever 1"),
        ("", "whatever 1"),
    ],
)
def test_registration_number_by_shape(country, number):
    assert warnings(registration_number=number, country=country) == {}


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("NL", "3020446"),
        ("NL", "302044621"),
        ("NL", "NL123456"),
        ("DE", "HRB"),
        ("DE", "HRX 123"),
        ("DE", "HRB 12345678"),
        ("DE", "HRB 123 ABCD"),
        ("GB", "12345"),
        ("GB", "123456789"),
        ("GB", "O1234567"),
    ],
)
def test_registration_number_of_another_shape(country, number):
    assert warnings(registration_number=number, country=country) == {"registration_number": 1}


@pytest.mark.parametrize(
    ("code", "country", "is_doubted"),
    [
        ("nl-bv", "NL", False),
        ("be-bv", "NL", True),
        ("other", "NL", False),
        ("other", "US", False),
        ("nl-new-form", "NL", True),  # Mollie may have added it
        ("nl-bv", "US", True),
        ("nl-bv", "", True),
    ],
)
def test_legal_entity_doubted(code, country, is_doubted):
    values = {"legal_entity": code, "country": country}

    assert warnings(**values) == ({"legal_entity": 1} if is_doubted else {})
    assert errors(**values) == {}


@pytest.mark.parametrize(("country", "is_doubted"), [("DE", False), ("NL", True), ("AT", True), ("", True)])
def test_registration_office_doubted(country, is_doubted):
    expected = {"registration_office": 1} if is_doubted else {}

    assert warnings(registration_office="aachen", country=country) == expected
    assert errors(registration_office="aachen", country=country) == {}


@pytest.mark.parametrize("column", ["owner_given_name", "owner_family_name"])
@pytest.mark.parametrize(
    ("name", "is_doubted"),
    [("J", True), ("12", True), ("1", True), ("Bo", False), ("J2", False), ("Ö.", False)],
)
def test_name_doubted(column, name, is_doubted):
    assert warnings(**{column: name}) == ({column: 1} if is_doubted else {})
    assert errors(**{column: name}) == {}


# The copies of Mollie's lists


def test_lists_are_complete():
    # The counts of docs.mollie.com and mollie/openapi, as of 2026-08-21.
    assert len(LOCALES) == len(set(LOCALES)) == 28
    assert len(LEGAL_ENTITIES) == 15
    assert sum(map(len, LEGAL_ENTITIES.values())) == 207
    assert len(SCOPES) == 61
    assert len(COUNTRIES_WITHOUT_POSTAL_CODE) == 67


def test_lists_name_real_countries():
    codes = {*LEGAL_ENTITIES, *COUNTRIES_WITHOUT_POSTAL_CODE, *(locale[3:] for locale in LOCALES)}

    assert codes - set(countries.countries) <= {"AN"}  # the Netherlands Antilles, which are no more


def test_legal_entities_belong_to_their_country():
    for country, entities in LEGAL_ENTITIES.items():
        for code, name in entities.items():
            assert code.startswith(f"{country.lower()}-")
            assert name.strip() == name != ""
            assert errors(legal_entity=code, country=country) == {}
            assert warnings(legal_entity=code, country=country) == {}
