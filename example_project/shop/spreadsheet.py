"""A spreadsheet of 500 merchants to import in the admin, seven of whom are wrong, each in a way of its own."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

FILE_NAME = "merchants.csv"
COUNT = 500
# As the platform's own books call them: the import knows them all the same.
HEADER = (
    "Reference", "Company name", "Country", "First name", "Last name", "E-mail", "Language", "Street", "ZIP code",
    "Town", "Company number", "VAT no.", "Legal form", "Founded",
)  # fmt: skip
TRADES = {
    "Bakery": ("Bakkerij", "Bäckerei", "Boulangerie"),
    "Books": ("Boekhandel", "Buchhandlung", "Librairie"),
    "Cheese": ("Kaaswinkel", "Käseladen", "Fromagerie"),
    "Coffee": ("Koffiebranderij", "Kaffeerösterei", "Torréfaction"),
    "Flowers": ("Bloemist", "Blumenhaus", "Fleuriste"),
    "Toys": ("Speelgoedwinkel", "Spielwaren", "Jouets"),
    "Wine": ("Wijnhandel", "Weinhandlung", "Caviste"),
}
GIVEN_NAMES = "Anna Bram Clara Daan Eva Finn Greta Hugo Ines Jonas Kim Lars Mila Noah Olga Paul Rosa Sem Tess Vera".split()
FAMILY_NAMES = (
    "Bakker Becker Bernard Bos Dekker Dubois Fischer Hoffmann Jansen Klein Lambert Meyer Mulder Petit Richter "
    "Schmitt Smit Visser Vos Wagner Weber Wolf Zimmermann"
).split()


class Place(NamedTuple):
    country: str
    language: str
    street: str
    postal_code: str
    city: str
    legal_form: str


PLACES = (
    Place("Netherlands", "Dutch", "Oudegracht", "3511 AB", "Utrecht", "BV"),
    Place("Germany", "German", "Lindenstraße", "04109", "Leipzig", "GmbH"),
    Place("France", "French", "Rue de la République", "69002", "Lyon", "SARL"),
    Place("BE", "nl-BE", "Veldstraat", "9000", "Gent", "be-bv"),
    Place("Austria", "de", "Herrengasse", "8010", "Graz", "Einzelunternehmen"),
)
# What is wrong, by row as a spreadsheet program numbers it: the first merchant is in row 2.
MISTAKES = {
    23: ("E-mail", "mila.vos@"),
    81: ("Country", "Atlantis"),
    147: ("Company name", ""),
    202: ("Town", ""),
    288: ("Founded", "03/04/2019"),
    359: ("VAT no.", "applied for"),
    431: ("First name", "www.win-a-prize.example"),
}


def demo_rows() -> list[list[str]]:
    """The header and the merchants, always the same ones."""
    return [list(HEADER), *(_merchant(number) for number in range(2, COUNT + 2))]


def _merchant(number: int) -> list[str]:
    place = PLACES[number % len(PLACES)]
    given_name = GIVEN_NAMES[number * 7 % len(GIVEN_NAMES)]
    family_name = FAMILY_NAMES[number * 5 % len(FAMILY_NAMES)]
    in_dutch, in_german, in_french = list(TRADES.values())[number * 3 % len(TRADES)]
    trade = {"Germany": in_german, "Austria": in_german, "France": in_french}.get(place.country, in_dutch)
    cells = [
        f"shop-{2000 + number}",
        f"{trade} {family_name} {number}",
        place.country,
        given_name,
        family_name,
        f"{given_name}.{family_name}.{number}@shops.example".lower(),
        place.language,
        f"{place.street} {number % 90 + 1}",
        place.postal_code,
        place.city,
        "",
        "",
        place.legal_form,
        f"{1980 + number % 40}-{number % 12 + 1:02}-{number % 28 + 1:02}",
    ]
    if mistake := MISTAKES.get(number):
        name, wrong = mistake
        cells[HEADER.index(name)] = wrong
    return cells


def demo_spreadsheet() -> bytes:
    """The rows as CSV, with the byte order mark by which Excel knows UTF-8."""
    file = StringIO()
    csv.writer(file).writerows(demo_rows())
    return file.getvalue().encode("utf-8-sig")


def write_spreadsheet() -> Path:
    """Put the file beside the demo's database. Gives its path."""
    path: Path = settings.DIRECTORY / FILE_NAME  # type: ignore[misc]  # of the example's settings
    path.write_bytes(demo_spreadsheet())
    return path
