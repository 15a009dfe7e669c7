"""The columns of a spreadsheet of merchants, and the many names that people give them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from gettext import GNUTranslations
from pathlib import Path

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import BODY_COLUMNS, ClientLink, label_of
from mollie_onboarding.registers import REGISTERS, REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES

REQUIRED_COLUMNS = ("organization_name", "country", "owner_given_name", "owner_family_name", "owner_email")
# What an import writes, and nothing else: the order is that of the template and of the export.
IMPORTED_COLUMNS = (
    "reference",
    *REQUIRED_COLUMNS,
    *(name for name in BODY_COLUMNS if name not in REQUIRED_COLUMNS),
)
ERROR_COLUMN = "error"  # of the spreadsheet of wrong rows
LOCALE_DIRECTORY = Path(__file__).parent.parent / "locale"

SYNONYMS = {
    "reference": "id, external id, customer id, customer number, merchant id, merchant number, our reference, ref",
    "organization_name": "name, organization, organisation, organisation name, company, company name, business, "
    "business name, merchant, merchant name, shop, shop name, trade name, firm",
    "country": "country code, country name, address country, organization country",
    "owner_given_name": "first name, firstname, forename, contact first name, owner first name",
    "owner_family_name": "last name, surname, contact last name, owner last name, owner surname",
    "owner_email": "email, e-mail, mail, mail address, email address, contact email, owner email address",
    "owner_locale": "locale, language, owner language, contact language",
    "street_and_number": "street, address, street address, street and house number, street and no, address line 1, "
    "address street and number",
    "postal_code": "postcode, post code, zip, zip code, zipcode, address postal code",
    "city": "town, place, address city",
    "registration_number": "company number, registration no, company registration number, chamber of commerce, "
    "chamber of commerce number, coc, coc number, kvk, hrb, siren, siret, reg no",
    "vat_number": "vat, vat no, vat id, tax number, btw, tva, ust id nr, ust id, ust id nummer",
    "legal_entity": "legal entity, legal form, entity type, company type, legal type",
    "registration_office": "register court, court of registration",
    "incorporation_date": "founded, founded on, founding date, foundation date, date of foundation, incorporated on",
}


def simplify(text: str) -> str:
    """A name without case, accents, and everything that is no letter or digit: `E-Mail ` and `email` are the same."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if character.isalnum())


class HeaderError(Exception):
    """The first row cannot be read as columns. Says why, in words for the operator."""


@dataclass(frozen=True)
class Header:
    """Which cell of a row holds which column."""

    names: tuple[str, ...]  # as the file has them
    places: dict[str, int]  # by column
    unknown: tuple[str, ...] = field(default=())

    def name_of(self, column: str) -> str:
        """What the file calls a column; the column's own name where it has none of that kind."""
        return self.names[self.places[column]] if column in self.places else column


def read_header(cells: Sequence[str]) -> Header:
    """The columns of a spreadsheet by its first row. Raises `HeaderError` where one is missing or doubtful."""
    places: dict[str, int] = {}
    unknown: list[str] = []
    for place, name in enumerate(cells):
        column = find_column(name)
        if column is None:
            if name and not is_error_column(name):
                unknown.append(name)
        elif column in places:
            raise HeaderError(
                gettext("Two columns mean the same: %(first)s and %(second)s.")
                % {"first": cells[places[column]], "second": name}
            )
        else:
            places[column] = place
    if missing := [label_of(column) for column in REQUIRED_COLUMNS if column not in places]:
        raise HeaderError(
            gettext("These columns are missing: %(columns)s.") % {"columns": ", ".join(missing)}
        )
    return Header(tuple(cells), places, tuple(unknown))


def is_error_column(name: str) -> bool:
    """Whether a header cell names the column that a spreadsheet of wrong rows has before the others."""
    return simplify(name) == ERROR_COLUMN


def count_known(cells: Iterable[str]) -> int:
    """How many of the cells name a column: by that the delimiter of a CSV file is known."""
    return sum(find_column(cell) is not None for cell in cells)


def find_column(name: str) -> str | None:
    """The column that a header cell means; None for one that is not known."""
    simple = simplify(name)
    if column := _english_names().get(simple):
        return column
    # The current language before the others: what two of them use differently is known in one's own.
    own = {simplify(label_of(column)): column for column in IMPORTED_COLUMNS}
    return own.get(simple) or _foreign_names().get(simple)


@cache
def _english_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for column in IMPORTED_COLUMNS:
        # Mollie's own names are these in camelCase, the owner's and the address's with what they belong to before.
        own = [column, column.removeprefix("owner_"), _source_label(column), *SYNONYMS[column].split(",")]
        names |= dict.fromkeys(map(simplify, own), column)
    return names


@cache
def _foreign_names() -> dict[str, str]:
    """The labels in all languages that we have, and what the registers of the countries call their numbers.

    What means one column here and another one there is left out.
    """
    meanings: dict[str, set[str]] = {}
    for name, column in (*_translated_labels(), *_names_of_numbers()):
        meanings.setdefault(simplify(name), set()).add(column)
    return {name: columns.pop() for name, columns in meanings.items() if name and len(columns) == 1}


def _translated_labels() -> Iterator[tuple[str, str]]:
    # Our own catalogues only, and not for long: Django would load those of every app, and keep them.
    for path in LOCALE_DIRECTORY.glob("*/LC_MESSAGES/django.mo"):
        with path.open("rb") as file:
            catalogue = GNUTranslations(file)
        for column in IMPORTED_COLUMNS:
            yield catalogue.gettext(_source_label(column)), column


def _names_of_numbers() -> Iterator[tuple[str, str]]:
    for register in REGISTERS.values():
        for name in register.registration_number.values():
            yield name, "registration_number"
        for name in register.vat_number.values():
            yield name, "vat_number"
    for number in REGISTRATION_NUMBERS_OF_LEGAL_ENTITIES.values():
        yield number.name, "registration_number"


def _source_label(column: str) -> str:
    """The label as it is in the source, in English."""
    label = ClientLink._meta.get_field(column).verbose_name  # type: ignore[union-attr]  # a column, no relation
    return str(label._args[0])  # type: ignore[union-attr]  # of Django's lazy text


EXPLANATIONS = {
    "reference": _("The platform's own id of the merchant."),
    "country": _("The two-letter code, such as NL, or the name."),
    "owner_locale": _("A language or a locale, such as nl or nl_NL."),
    "legal_entity": _("Mollie's code, such as nl-bv, or the name."),
    "incorporation_date": _("As year, month and day, such as 2020-04-03."),
}
EXAMPLES = {
    "reference": "shop-1001",
    "organization_name": "Bakkerij Jansen",
    "country": "NL",
    "owner_given_name": "Jan",
    "owner_family_name": "Jansen",
    "owner_email": "jan@bakkerij-jansen.example",
    "owner_locale": "nl_NL",
    "street_and_number": "Keizersgracht 126",
    "postal_code": "1015 CW",
    "city": "Amsterdam",
    "registration_number": "30204462",
    "vat_number": "NL815839091B01",
    "legal_entity": "nl-bv",
    "registration_office": "aachen",
    "incorporation_date": "2020-04-03",
}

# An apostrophe before what a spreadsheet program would take for a formula. owasp.org/www-community/attacks/CSV_Injection
# Space, quotes and what is invisible may be lost on the way, so that what follows them comes to the front: no
# XLSX has control characters. The full-width signs count as the plain ones in East Asian versions.
_FORMULA = re.compile(
    "[\\s'\"\\0-\\x1f\\x7f-\\x9f\\ufeff\\u200b-\\u200f\\u2060\\u00ad]*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]"
)


def neutralize(text: str) -> str:
    """The text of a cell so that no spreadsheet program calculates it."""
    return f"'{text}" if _FORMULA.match(text) else text


def undo_neutralizing(text: str) -> str:
    """What `neutralize` was given, whatever that was."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text
