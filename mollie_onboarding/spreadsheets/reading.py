"""CSV and XLSX files as rows of text. They are read on the way: a file is in memory, its rows are not."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from io import BytesIO, TextIOWrapper
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, is_zipfile
from zlib import error as ZlibError  # noqa: N812 (named as what it is)

from django.utils.translation import gettext
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from .bombs import is_bomb
from .columns import Header, HeaderError, count_known, read_header

MAX_SIZE = 30 * 1024 * 1024  # bytes; 100,000 rows of a CSV file have about 20 million
MAX_ROWS = 100_000
MAX_CELLS = 100  # of a row
MAX_ROW_NUMBER, MAX_COLUMNS = 1_048_576, 16_384  # Excel's
DELIMITERS = ",;\t|"
MAX_TEXT = 32_767  # characters of a cell, as in Excel
ZEROS = re.compile(r"0{1,255}")  # a number format that shows leading zeros; Excel has no longer one

# What openpyxl and zipfile raise. RuntimeError: encrypted, or packed in a way that Python does not know; OSError: bz2;
# TypeError: a part that is not as openpyxl expects it.
DAMAGES = (
    BadZipFile,
    InvalidFileException,
    LookupError,
    ParseError,
    ValueError,
    EOFError,
    ZlibError,
    RuntimeError,
    OSError,
    TypeError,
)

Row = tuple[int, list[str]]
"""The number that a spreadsheet program gives the row, and its texts."""


class UnreadableFileError(Exception):
    """The file is no spreadsheet that we read. Says why, in words for the operator."""


class Spreadsheet:
    """The header, and the rows that are not empty: as often as they are asked for."""

    def __init__(self, content: bytes) -> None:
        """Raises `UnreadableFileError`."""
        if len(content) > MAX_SIZE:
            size = MAX_SIZE // 1024**2
            raise UnreadableFileError(gettext("The file is larger than %(size)d MB.") % {"size": size})
        self.content = content
        self.is_safe = False  # to unpack; known once it was looked at
        self.is_xlsx = is_zipfile(BytesIO(content))
        try:
            first = next(self._rows(), None)
            if first is None:
                raise UnreadableFileError(gettext("The file is empty."))
            self.header: Header = read_header(first[1])
        except HeaderError as exc:
            raise UnreadableFileError(str(exc)) from None

    def rows(self) -> Iterator[Row]:
        """Each row below the header. Raises `UnreadableFileError` where the file is broken or has too many."""
        for count, row in enumerate(islice(self._rows(), 1, None)):
            if count == MAX_ROWS:
                text = gettext("The file has more than %(count)d rows.") % {"count": MAX_ROWS}
                raise UnreadableFileError(text)
            yield row

    def _rows(self) -> Iterator[Row]:
        rows = _read_xlsx(self.content) if self.is_xlsx else _read_csv(self.content)
        try:
            if self.is_xlsx and not self.is_safe:
                if is_bomb(self.content):
                    raise UnreadableFileError(gettext("The XLSX file is too large."))
                self.is_safe = True
            yield from ((number, cells) for number, cells in rows if any(cells))
        except (csv.Error, UnicodeError):
            raise UnreadableFileError(gettext("This is not a CSV or XLSX file.")) from None
        except DAMAGES:
            raise UnreadableFileError(gettext("The XLSX file is damaged.")) from None


def _read_csv(content: bytes) -> Iterator[Row]:
    encoding = _find_encoding(content)
    lines = TextIOWrapper(BytesIO(content), encoding=encoding, newline="")
    start, delimiter = 1, _find_delimiter(content, encoding)
    if re.fullmatch(r"sep=.\s*", lines.readline(), re.IGNORECASE):
        start = 2  # Excel's own line, which it does not show, but counts
    else:
        lines.seek(0)
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), start):
        # Null characters there may be in UTF-16; PostgreSQL takes none.
        if len(cells) > MAX_COLUMNS or any("\0" in cell for cell in cells):
            raise UnreadableFileError(gettext("This is not a CSV or XLSX file."))
        yield number, [cell.strip(" \u00a0") for cell in cells]


def _find_encoding(content: bytes) -> str:
    """UTF-8 or UTF-16 as far as it can be, else what Western Europe's Excel writes."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in content:
        raise UnreadableFileError(gettext("This is not a CSV or XLSX file."))
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), 65536):
            decoder.decode(content[start : start + 65536])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _find_delimiter(content: bytes, encoding: str) -> str:
    """The one with which most columns are known by their names."""
    beginning = TextIOWrapper(BytesIO(content), encoding=encoding, newline="").read(10_000)
    lines = [line for line in beginning.splitlines() if line.strip("".join((DELIMITERS, " ")))]
    if lines and (match := re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE)):
        return match[1]

    def known(delimiter: str) -> int:
        return count_known(next(csv.reader(lines[:1], delimiter=delimiter), []))

    return max(DELIMITERS, key=known)


def _read_xlsx(content: bytes) -> Iterator[Row]:
    """The first sheet, with the values of its formulas."""
    workbook = load_workbook(BytesIO(content), read_only=True, data_only=True)
    try:
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # some programs write wrong ones
        rows: Iterable[Any] = sheet.iter_rows(max_col=MAX_CELLS)
        previous: Any = None
        for number, cells in enumerate(rows, 1):
            if number > MAX_ROW_NUMBER:
                raise ValueError
            # For rows that the sheet passes over openpyxl makes up one, and gives it again and again.
            if cells is previous:
                continue
            previous = cells
            texts = [_text_of(cell) for cell in cells]
            while texts and not texts[-1]:
                texts.pop()
            yield number, texts
    finally:
        workbook.close()


def _text_of(cell: Any) -> str:
    """What the cell says, as somebody would have typed it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    # Many cells may share one text, but not what is left of it without the space at its ends.
    if len(text) > MAX_TEXT:
        raise ValueError
    text = text.strip(" \u00a0")
    if isinstance(value, int) and ZEROS.fullmatch(cell.number_format or ""):
        return text.zfill(len(cell.number_format))
    return text
