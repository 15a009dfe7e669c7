"""XLSX files that are made to fill the memory: small ones that unpack to huge ones, and XML of what is never written.

openpyxl guards against none of it; with defusedxml only against texts that multiply themselves.
"""

from __future__ import annotations

from io import BytesIO
from xml.parsers import expat
from zipfile import ZipFile, ZipInfo

from openpyxl.xml.constants import SHEET_MAIN_NS

MAX_UNPACKED_SIZE = 400 * 1024 * 1024  # bytes of a sheet, which is read on the way
MAX_UNPACKED_TEXTS = 80 * 1024 * 1024  # bytes of the part with the texts, which is not
# Elements that are in memory together, of about 300 bytes each; and rows or texts, of which openpyxl keeps an empty one.
MAX_ELEMENTS = 500_000
MAX_EMPTIED = 2_000_000
EMPTIED = (f"{SHEET_MAIN_NS}}}row", f"{SHEET_MAIN_NS}}}si")
MAX_TOKEN = 1024 * 1024  # bytes of a tag or a comment, if not twice that
MAX_PROLOG = 64 * 1024  # bytes of an XML file before its first element


def is_bomb(content: bytes) -> bool:
    """Whether the file takes far more memory than its size and the rows of a merchants' spreadsheet let expect.

    Raises what `zipfile` and `zlib` raise for a damaged one.
    """
    with ZipFile(BytesIO(content)) as archive:
        parts = archive.infolist()
        texts = sum(part.file_size for part in parts if "worksheets/" not in part.filename)
        too_large = sum(part.file_size for part in parts) > MAX_UNPACKED_SIZE or texts > MAX_UNPACKED_TEXTS
        return too_large or any(
            _has_document_type(archive, part) or _has_too_many_elements(archive, part) for part in parts
        )


def _has_document_type(archive: ZipFile, part: ZipInfo) -> bool:
    """Whether the part is XML that begins with one, as the parser finds it; or with so much else that nobody knows."""
    with archive.open(part) as file:
        beginning = file.read(MAX_PROLOG)
    parser = expat.ParserCreate()
    found: list[bool] = []  # the first of what decides it
    parser.StartDoctypeDeclHandler = lambda *args: found.append(True)
    parser.StartElementHandler = lambda *args: found.append(False)
    try:
        parser.Parse(beginning)
    except expat.ExpatError:
        return found[:1] == [True]  # no XML, or damaged
    return found[0] if found else len(beginning) == MAX_PROLOG


class _TooManyElementsError(Exception):
    pass


class _ElementCounter:
    """Counts what openpyxl has of a part in memory: every element, but what is in those that it is done with."""

    def __init__(self) -> None:
        self.kept = 0
        self.done = 0
        self.begun: list[int] = []  # how many there were before each of those that it is not done with

    def start(self, name: str, attributes: object) -> None:
        if name in EMPTIED:
            self.begun.append(self.kept)
        self.kept += 1
        if self.kept > MAX_ELEMENTS:
            raise _TooManyElementsError

    def end(self, name: str) -> None:
        if name in EMPTIED:
            self.kept = self.begun.pop()
            self.done += 1
            if self.done > MAX_EMPTIED:
                raise _TooManyElementsError


def _has_too_many_elements(archive: ZipFile, part: ZipInfo) -> bool:
    """One row may have millions of empty cells: small in the file, and each of them an object in memory.

    And one element may have millions of attributes, which are in memory before anybody can count them.
    """
    counter, parser = _ElementCounter(), expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.EndElementHandler = counter.start, counter.end
    with archive.open(part) as file:
        try:
            while chunk := file.read(MAX_TOKEN):
                parser.Parse(chunk)
                if file.tell() - parser.CurrentByteIndex > 2 * MAX_TOKEN:
                    return True
        except expat.ExpatError:
            pass  # no XML, or damaged: openpyxl comes no further either
        except _TooManyElementsError:
            return True
    return False
