"""What people write into the cells, as the columns hold it. What is not understood is left for the validation to refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache

from django.conf.locale import LANG_INFO
from django.utils import translation
from django.utils.translation import gettext
from django_countries import countries

from mollie_onboarding.enumerations import LEGAL_ENTITIES, LOCALES, OTHER_LEGAL_ENTITY
from mollie_onboarding.languages import LANGUAGE_NAMES, NORWEGIAN

from .columns import simplify

COUNTRY_SYNONYMS = {
    "uk": "GB",
    "greatbritain": "GB",
    "england": "GB",
    "el": "GR",
    "holland": "NL",
    "usa": "US",
}
# Where a number with fewer digits lost its zeros in a spreadsheet program, which took it for a number.
POSTAL_CODE_DIGITS = {"DE": 5, "DK": 4, "ES": 5, "FI": 5, "FR": 5, "IT": 5, "NO": 4, "SK": 5}
REGISTRATION_NUMBER_DIGITS = {"BE": 10, "NL": 8}
# What a spreadsheet program shows in place of a value that it could not calculate.
CELL_ERROR = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)")
DECIMALS = re.compile(r"(\d+)\.0")  # of a number that a program made of text
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[T ].*)?")
DIGITS_ALONE = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[T ].*)?")  # with fewer nobody knows where the month ends
DAY_FIRST = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")  # with dots it is the day everywhere
DAY_OR_MONTH_FIRST = re.compile(r"(\d{1,2})([-/])(\d{1,2})\2(\d{4})")

KNOWN_LEGAL_ENTITIES = {OTHER_LEGAL_ENTITY, *(code for names in LEGAL_ENTITIES.values() for code in names)}

Cells = Mapping[str, str]
"""The texts of a row by column."""


def refuse_cell_error(text: str) -> str:
    if CELL_ERROR.fullmatch(text):
        raise ValueError(gettext("The spreadsheet program could not calculate this cell."))
    return text


def read_country(text: str, cells: Cells) -> str:
    """The two-letter code for a code or a name. Raises ValueError where it is neither."""
    if text and not (code := find_country(text)):
        raise ValueError(gettext("This is no country: give its two-letter code, such as NL, or its name."))
    return code if text else ""


def find_country(text: str) -> str:
    """The two-letter code for a code or a name, in English or in the current language; '' for what is neither."""
    if text.upper() in countries.countries:
        return text.upper()
    language = translation.get_language() or "en"
    names = _country_names("en") | _country_names(language)
    return names.get(simplify(text)) or names.get(simplify(text.lower().removeprefix("the ")), "")


@cache
def _country_names(language: str) -> dict[str, str]:
    with translation.override(language):
        names = {simplify(str(name)): code for code, name in countries}
    return {**COUNTRY_SYNONYMS, **{countries.alpha3(code).lower(): code for code in names.values()}, **names}


def read_locale(text: str, cells: Cells) -> str:
    """Mollie's locale for a locale or a language, by its code or name; for a language that of the row's country.

    Raises ValueError where Mollie does not offer it.
    """
    by_code = {simplify(locale): locale for locale in LOCALES}
    if locale := by_code.get(simplify(text)):
        return locale
    name, _, region = text.partition("(")
    language = _language_names().get(simplify(name), "")
    if not text:
        return ""
    if not language:
        raise ValueError(gettext("Choose one of the languages that Mollie offers."))
    country = simplify(region).upper() or _country_of(cells)
    usual = "en_GB" if language == "en" else f"{language}_{language.upper()}"
    ours = [locale for locale in LOCALES if locale.startswith(language)]
    wished = [locale for locale in (f"{language}_{country}", usual) if locale in ours]
    return (wished or ours)[0]


@cache
def _language_names() -> dict[str, str]:
    names = {simplify(word): "nb" for word in (*NORWEGIAN, "Norwegian", "Norsk")}
    for code, own_name in LANGUAGE_NAMES.items():
        info = LANG_INFO[code]
        names |= dict.fromkeys(map(simplify, (code, own_name, info["name"], info["name_local"])), code)
    return names


def read_legal_entity(text: str, cells: Cells) -> str:
    """Mollie's code for a code or a name. A name that several countries have is that of the row's country."""
    if text.lower() in KNOWN_LEGAL_ENTITIES:
        return text.lower()
    country, simple = _country_of(cells), simplify(text)
    # Of an unknown country nothing is known; that it is unknown is said of the country.
    return _legal_entities(country).get(simple, text) if country else ""


def _country_of(cells: Cells) -> str:
    return find_country(cells.get("country", ""))


@cache
def _legal_entities(country: str) -> dict[str, str]:
    """The country's codes by name, and by the abbreviation in brackets."""
    meanings: dict[str, set[str]] = {}
    for code, name in LEGAL_ENTITIES.get(country, {}).items():
        short = re.findall(r"\(([^)]+)\)", name)
        for word in (name, re.sub(r"\(.*?\)", "", name), *short):
            meanings.setdefault(simplify(word), set()).add(code)
    return {name: codes.pop() for name, codes in meanings.items() if len(codes) == 1}


def read_date(text: str, cells: Cells) -> date | None:
    """The day. A ValueError says what is wrong; day and month are never guessed."""
    if not text:
        return None
    if match := YEAR_FIRST.fullmatch(text):
        year, _, month, day = match.groups()
    elif match := DIGITS_ALONE.fullmatch(text):
        year, month, day = match.groups()
    elif match := DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
    elif match := DAY_OR_MONTH_FIRST.fullmatch(text):
        day, _, month, year = match.groups()
        if int(day) <= 12 and int(month) <= 12 and int(day) != int(month):
            raise ValueError(
                gettext("Day and month may be mixed up here: write the year first, such as 2020-04-03.")
            )
        if int(month) > 12:
            day, month = month, day
    else:
        raise ValueError(gettext("Write the date as year, month and day, such as 2020-04-03."))
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise ValueError(gettext("There is no such day.")) from None


def read_postal_code(text: str, cells: Cells) -> str:
    return _restore_zeros(text, cells, POSTAL_CODE_DIGITS)


def read_registration_number(text: str, cells: Cells) -> str:
    return _restore_zeros(text, cells, REGISTRATION_NUMBER_DIGITS)


def _restore_zeros(text: str, cells: Cells, digits: dict[str, int]) -> str:
    """A code that a spreadsheet program took for a number, as it was."""
    if match := DECIMALS.fullmatch(text):
        text = match[1]
    return text.zfill(digits.get(_country_of(cells), 0)) if text.isdecimal() else text


def read_text(text: str, cells: Cells) -> str:
    return text


READERS: dict[str, Callable[[str, Cells], str | date | None]] = {
    "country": read_country,
    "owner_locale": read_locale,
    "legal_entity": read_legal_entity,
    "incorporation_date": read_date,
    "postal_code": read_postal_code,
    "registration_number": read_registration_number,
}
