"""Spreadsheets that we make: the export, the template, and the rows that were wrong. No cell is a formula."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import IO, Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django_countries import countries
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.utils import get_column_letter

from mollie_onboarding.enumerations import LEGAL_ENTITIES, LOCALES, OTHER_LEGAL_ENTITY
from mollie_onboarding.models import ClientLink, label_of

from .columns import (
    ERROR_COLUMN,
    EXAMPLES,
    EXPLANATIONS,
    IMPORTED_COLUMNS,
    REQUIRED_COLUMNS,
    is_error_column,
    neutralize,
    undo_neutralizing,
)
from .importing import Import
from .resource import ClientLinkResource

CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PAGE_SIZE = 1000  # client links that are in memory at once
COLUMN_WIDTH = 22  # characters

Cells = Iterable[str]


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def stream_csv(rows: Iterable[Cells]) -> Iterator[str]:
    """The file line by line. With a byte order mark, so that Excel reads it as UTF-8."""
    # Each cell in quotes: a semicolon in one would begin a cell of its own in other countries' Excel.
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff"
    for row in rows:
        yield writer.writerow([neutralize(text) for text in row])


def write_xlsx(sheets: dict[str, Iterable[Cells]]) -> IO[bytes]:
    """The file, in a temporary one that is open at its beginning, with one sheet for each name."""
    workbook = Workbook(write_only=True)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        sheet.freeze_panes = "A2"
        rows = iter(rows)
        header = list(next(rows, ()))
        for number in range(1, len(header) + 1):
            sheet.column_dimensions[get_column_letter(number)].width = COLUMN_WIDTH
        for row in chain([header], rows):
            sheet.append([_text_cell(sheet, text) for text in row])
    file = tempfile.TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    workbook.save(file)
    file.seek(0)
    return file


def _text_cell(sheet: Any, text: str) -> Any:
    """What openpyxl writes as a text; it never meets a formula, which begins with an apostrophe by now."""
    text = ILLEGAL_CHARACTERS_RE.sub("", neutralize(text))
    if not text.startswith("#"):
        return text or None
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # not the error that it may look like
    return cell


def export_rows(client_links: QuerySet[ClientLink]) -> Iterator[Cells]:
    """The header and the client links, oldest first: what an import takes, and how far each is."""
    fields = ClientLinkResource().get_export_fields()
    yield [field.column_name for field in fields]
    for row in _in_pages(client_links.select_related("organization")):
        yield [_as_text(field.get_value(row)) for field in fields]


def _in_pages(client_links: QuerySet[ClientLink]) -> Iterator[ClientLink]:
    # Not by a cursor of the database: MariaDB's client would take in all rows at once.
    ordered = client_links.order_by("created_at", "pk")
    page = list(ordered[:PAGE_SIZE])
    while page:
        yield from page
        last = page[-1]
        following = Q(created_at__gt=last.created_at) | Q(created_at=last.created_at, pk__gt=last.pk)
        page = list(ordered.filter(following)[:PAGE_SIZE])


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    return "" if value is None else str(value)


def wrong_rows(run: Import) -> Iterator[Cells]:
    """The rows that could not be imported as they were, and in a column before them what is wrong."""
    # Before them: a row with too many cells keeps them, and stays wrong until somebody has looked at it.
    kept = [place for place, name in enumerate(run.header.names) if not is_error_column(name)]
    yield [ERROR_COLUMN, *(run.header.names[place] for place in kept)]
    for texts, error in run.wrong_rows():
        # As they are read: an apostrophe that an export put before a text is put there once more.
        cells = [undo_neutralizing(text) for text in texts]
        more = cells[len(run.header.names) :]
        yield [error, *(cells[place] for place in kept if place < len(cells)), *more]


def template_rows() -> Iterator[Cells]:
    """An empty spreadsheet: the header alone, so that nobody imports an example."""
    yield IMPORTED_COLUMNS


def template_sheets() -> dict[str, Iterable[Cells]]:
    """The template with a sheet that explains its columns, and one of the codes that may be in them."""
    return {
        gettext("Merchants"): template_rows(),
        gettext("Columns"): _explain(),
        gettext("Codes"): _list_codes(),
    }


def _explain() -> Iterator[Cells]:
    yield [gettext("Column"), gettext("Meaning"), gettext("Required"), gettext("Example"), gettext("Note")]
    for column in IMPORTED_COLUMNS:
        required = gettext("yes") if column in REQUIRED_COLUMNS else gettext("no")
        yield [column, label_of(column), required, EXAMPLES[column], str(EXPLANATIONS.get(column, ""))]


def _list_codes() -> Iterator[Cells]:
    yield [gettext("Column"), gettext("Code"), gettext("Meaning")]
    for code, name in countries:
        yield ["country", code, str(name)]
    for locale in LOCALES:
        yield ["owner_locale", locale, ""]
    for entities in LEGAL_ENTITIES.values():
        for code, name in entities.items():
            yield ["legal_entity", code, name]
    yield ["legal_entity", OTHER_LEGAL_ENTITY, gettext("Another legal form")]
