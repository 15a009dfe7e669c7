"""Spreadsheets as people and programs make them: what is understood, what is refused, and that nothing is calculated."""

from __future__ import annotations

import codecs
import csv
import zipfile
from datetime import date, datetime, timedelta
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from mollie_onboarding.enumerations import LEGAL_ENTITIES, LOCALES
from mollie_onboarding.models import ClientLink
from mollie_onboarding.spreadsheets import bombs, reading
from mollie_onboarding.spreadsheets.columns import (
    EXAMPLES,
    IMPORTED_COLUMNS,
    REQUIRED_COLUMNS,
    Header,
    HeaderError,
    find_column,
    label_of,
    neutralize,
    read_header,
    undo_neutralizing,
)
from mollie_onboarding.spreadsheets.reading import Spreadsheet, UnreadableFileError
from mollie_onboarding.spreadsheets.values import (
    find_country,
    read_country,
    read_date,
    read_legal_entity,
    read_locale,
    read_postal_code,
    read_registration_number,
    refuse_cell_error,
)
from mollie_onboarding.spreadsheets.writing import stream_csv, template_rows, template_sheets, write_xlsx
from tests.conftest import MERCHANT

HEADER = list(REQUIRED_COLUMNS)
ROW = [MERCHANT[column] for column in REQUIRED_COLUMNS]


def make_csv(*rows: list[str], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    file = StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode(encoding)


def make_xlsx(*rows: list[Any], **formats: str) -> bytes:
    """A workbook with one sheet; keywords are number formats by cell, such as A2."""
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    for cell, number_format in formats.items():
        workbook.active[cell].number_format = number_format
    file = BytesIO()
    workbook.save(file)
    return file.getvalue()


def rows_of(content: bytes) -> list[reading.Row]:
    return list(Spreadsheet(content).rows())


def test_columns_are_what_goes_to_mollie_and_the_reference():
    assert set(IMPORTED_COLUMNS) == {*reading_columns(), "reference"}
    assert set(EXAMPLES) == set(IMPORTED_COLUMNS)


def reading_columns() -> set[str]:
    return {
        field.name
        for field in ClientLink._meta.fields
        if field.name in MERCHANT or field.name in ("registration_office", "incorporation_date")
    }


def test_required_columns_are_those_of_the_form():
    required = {name for name in IMPORTED_COLUMNS if not ClientLink._meta.get_field(name).blank}
    assert set(REQUIRED_COLUMNS) == required


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("owner_email", "owner_email"),
        ("Owner E-mail", "owner_email"),
        ("EMAIL", "owner_email"),
        ("e-mail address", "owner_email"),
        ("owner.email", "owner_email"),
        ("givenName", "owner_given_name"),
        ("owner.givenName", "owner_given_name"),
        ("First name", "owner_given_name"),
        ("surname", "owner_family_name"),
        ("  Organisation-Name ", "organization_name"),
        ("Company", "organization_name"),
        ("streetAndNumber", "street_and_number"),
        ("ZIP", "postal_code"),
        ("Post code", "postal_code"),
        ("VAT no.", "vat_number"),
        ("VAT number", "vat_number"),
        ("legalEntity", "legal_entity"),
        ("KvK-nummer", "registration_number"),
        ("Numéro de TVA", "vat_number"),
        ("NUMERO DE TVA", "vat_number"),
        ("incorporationDate", "incorporation_date"),
        ("Reference", "reference"),
        ("Locale", "owner_locale"),
        ("status", None),
        ("", None),
    ],
)
def test_header_names_are_forgiven(name, column):
    assert find_column(name) == column


@pytest.mark.parametrize("language", ["de", "fr", "nl", "is"])
def test_labels_of_the_admin_are_known_in_its_language(language):
    with translation.override(language):
        labels = {column: label_of(column) for column in IMPORTED_COLUMNS}
        assert {column: find_column(label) for column, label in labels.items()} == {
            column: column for column in labels
        }


def test_labels_of_another_language_are_known_too():
    with translation.override("nl"):
        label = label_of("owner_family_name")
    assert label != label_of("owner_family_name")
    assert find_column(label) == "owner_family_name"


def test_unknown_columns_are_named():
    header = read_header([*HEADER, "Favourite colour", "", "Error"])
    assert header.unknown == ("Favourite colour",)
    assert header.name_of("country") == "country"
    assert header.name_of("city") == "city"


def test_header_without_a_required_column_is_refused():
    with pytest.raises(HeaderError, match=r"These columns are missing: country, e-mail address\."):
        read_header([name for name in HEADER if name not in ("country", "owner_email")])


def test_header_with_two_columns_of_one_meaning_is_refused():
    with pytest.raises(HeaderError, match=r"Two columns mean the same: owner_email and E-mail\."):
        read_header([*HEADER, "E-mail"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NL", "NL"),
        ("nl", "NL"),
        ("Netherlands", "NL"),
        ("The Netherlands", "NL"),
        ("NLD", "NL"),
        ("UK", "GB"),
        ("Österreich", "AT"),
        ("Austria", "AT"),
        ("", ""),
    ],
)
def test_country_by_code_or_name(text, code):
    with translation.override("de"):
        assert read_country(text, {}) == code


def test_country_that_is_none_is_refused():
    assert find_country("Atlantis") == ""
    with pytest.raises(ValueError, match="This is no country"):
        read_country("Atlantis", {})


@pytest.mark.parametrize(
    ("text", "country", "locale"),
    [
        ("nl_NL", "BE", "nl_NL"),
        ("nl-be", "NL", "nl_BE"),
        ("NL", "", "nl_NL"),
        ("nl", "BE", "nl_BE"),
        ("Dutch", "NL", "nl_NL"),
        ("Nederlands", "Netherlands", "nl_NL"),
        ("Deutsch (AT)", "DE", "de_AT"),
        ("German", "Switzerland", "de_CH"),
        ("en", "FR", "en_GB"),
        ("Norwegian", "NO", "nb_NO"),
        ("no", "", "nb_NO"),
        ("sv", "", "sv_SE"),
        ("Danish", "", "da_DK"),
        ("", "NL", ""),
    ],
)
def test_locale_by_code_or_language(text, country, locale):
    assert read_locale(text, {"country": country}) == locale


def test_every_locale_is_known():
    assert [read_locale(locale, {}) for locale in LOCALES] == list(LOCALES)


def test_locale_that_mollie_does_not_offer_is_refused():
    with pytest.raises(ValueError, match="Choose one of the languages that Mollie offers"):
        read_locale("Klingon", {})


@pytest.mark.parametrize(
    ("text", "country", "code"),
    [
        ("nl-bv", "NL", "nl-bv"),
        ("NL-BV", "", "nl-bv"),
        ("BV", "NL", "nl-bv"),
        ("B.V.", "Netherlands", "nl-bv"),
        ("Besloten Vennootschap", "BE", "be-bv"),
        ("Besloten Vennootschap (BV)", "NL", "nl-bv"),
        ("Stichting", "BE", "be-stichting"),
        ("gmbh", "AT", "at-gmbh"),
        ("other", "", "other"),
        ("xx-new-form", "NL", "xx-new-form"),
        ("GmbH", "Atlantis", ""),
        ("", "NL", ""),
    ],
)
def test_legal_form_by_code_or_name(text, country, code):
    assert read_legal_entity(text, {"country": country}) == code


@pytest.mark.parametrize("country", LEGAL_ENTITIES)
def test_every_legal_form_is_known_by_its_name(country):
    for code, name in LEGAL_ENTITIES[country].items():
        assert read_legal_entity(name, {"country": country}) == code


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2020-04-03", date(2020, 4, 3)),
        ("2020/4/3", date(2020, 4, 3)),
        ("20200403", date(2020, 4, 3)),
        ("20200403 00:00:00", date(2020, 4, 3)),
        ("2020-04-03T00:00:00", date(2020, 4, 3)),
        ("3.4.2020", date(2020, 4, 3)),
        ("03. 04. 2020", date(2020, 4, 3)),
        ("23/04/2020", date(2020, 4, 23)),
        ("04/23/2020", date(2020, 4, 23)),
        ("05-05-2020", date(2020, 5, 5)),
        ("", None),
    ],
)
def test_date_that_means_one_day(text, day):
    assert read_date(text, {}) == day


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("03/04/2020", "Day and month may be mixed up"),
        ("3-4-2020", "Day and month may be mixed up"),
        ("2020-02-30", "There is no such day"),
        ("31/31/2020", "There is no such day"),
        ("3 April 2020", "Write the date as year, month and day"),
        ("43924", "Write the date as year, month and day"),
        ("202011", "Write the date as year, month and day"),
        ("2020111", "Write the date as year, month and day"),
        ("202004-03", "Write the date as year, month and day"),
        ("03042020", "There is no such day"),
        ("03/04/20", "Write the date as year, month and day"),
    ],
)
def test_date_that_does_not(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_date(text, {})


@pytest.mark.parametrize(
    ("text", "country", "code"),
    [
        ("1234.0", "BE", "1234"),
        ("1067", "DE", "01067"),
        ("1067.0", "Germany", "01067"),
        ("1067", "NL", "1067"),
        ("1015 CW", "NL", "1015 CW"),
        ("", "DE", ""),
    ],
)
def test_postal_code_that_a_program_took_for_a_number(text, country, code):
    assert read_postal_code(text, {"country": country}) == code


def test_registration_number_that_a_program_took_for_a_number():
    assert read_registration_number("1234567", {"country": "NL"}) == "01234567"
    assert read_registration_number("HRB 12", {"country": "DE"}) == "HRB 12"


def test_cell_that_could_not_be_calculated_is_refused():
    assert refuse_cell_error("N/A") == "N/A"
    with pytest.raises(ValueError, match="could not calculate"):
        refuse_cell_error("#REF!")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv_in_every_dialect(delimiter, encoding):
    row = ['Café Zoë; "bar", und | mehr', "DE", "Zoë", "Müller", "zoe@cafe.example"]
    spreadsheet = Spreadsheet(make_csv(HEADER, row, delimiter=delimiter, encoding=encoding))
    assert spreadsheet.header == Header(tuple(HEADER), {name: place for place, name in enumerate(HEADER)})
    assert list(spreadsheet.rows()) == [(2, row)]


def test_csv_in_big_endian_utf_16():
    content = codecs.BOM_UTF16_BE + make_csv(HEADER, ROW).decode().encode("utf-16-be")
    assert rows_of(content) == [(2, ROW)]


def test_csv_with_the_line_in_which_excel_names_the_delimiter():
    assert rows_of(b"sep=;\r\n" + make_csv(HEADER, ROW, delimiter=";")) == [(3, ROW)]


def test_csv_that_is_utf_8_beyond_the_first_block():
    row = [*ROW[:2], "a" * 65530 + "ëëëëëëëë", *ROW[3:]]
    assert rows_of(make_csv(HEADER, row)) == [(2, row)]


def test_rows_are_numbered_as_a_spreadsheet_program_does():
    content = make_csv([], HEADER, [], [*ROW[:4], "a\nb"], [" ", ""], ROW)
    assert [number for number, _cells in rows_of(content)] == [4, 6]


def test_spaces_around_a_text_are_no_part_of_it():
    assert rows_of(make_csv(HEADER, [f"\u00a0 {text} " for text in ROW])) == [(2, ROW)]


@pytest.mark.parametrize("content", [b"", b"\n\n , \n", make_xlsx([])])
def test_file_that_is_empty(content):
    with pytest.raises(UnreadableFileError, match="The file is empty"):
        Spreadsheet(content)


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\0\1\2", b"\xd0\xcf\x11\xe0\0\0 an old Excel file", codecs.BOM_UTF16_LE + b"a"]
)
def test_file_that_is_no_spreadsheet(content):
    with pytest.raises(UnreadableFileError, match="This is not a CSV or XLSX file"):
        Spreadsheet(content)


@pytest.mark.parametrize("rows", [[[*HEADER, *["more"] * 16_384]], [HEADER, [*ROW, *["more"] * 16_384]]])
def test_csv_with_more_columns_than_a_spreadsheet_can_have_is_refused(rows):
    with pytest.raises(UnreadableFileError, match="This is not a CSV or XLSX file"):
        rows_of(make_csv(*rows))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_csv_with_a_null_byte_is_refused(encoding):
    content = make_csv(HEADER, ["Bakkerij\0", *ROW[1:]], encoding=encoding)
    with pytest.raises(UnreadableFileError, match="This is not a CSV or XLSX file"):
        rows_of(content)


def test_file_without_a_header_is_refused():
    with pytest.raises(UnreadableFileError, match="These columns are missing"):
        Spreadsheet(make_csv(ROW))


def test_cell_that_is_too_long_for_any_column_is_refused():
    with pytest.raises(UnreadableFileError, match="This is not a CSV or XLSX file"):
        rows_of(make_csv(HEADER, ["a" * 200_000, *ROW[1:]]))


def test_file_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "MAX_SIZE", 1024 * 1024)
    with pytest.raises(UnreadableFileError, match="The file is larger than 1 MB"):
        Spreadsheet(b"a" * (1024 * 1024 + 1))


def test_file_with_too_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 2)
    assert len(rows_of(make_csv(HEADER, ROW, ROW))) == 2
    with pytest.raises(UnreadableFileError, match="The file has more than 2 rows"):
        rows_of(make_csv(HEADER, ROW, ROW, ROW))


def test_xlsx_as_programs_write_it():
    header = [*HEADER, "postal_code", "registration_number", "incorporation_date", "reference", "city"]
    row = [*ROW, 1234.0, 1234567, datetime(2020, 4, 3), 7, "=UPPER(A2)"]
    content = make_xlsx(header, [None] * 3, row, G3="00000000", H3="dd/mm/yyyy")
    content = with_part(content, "xl/worksheets/sheet1.xml", b"<v>1234</v>", b"<v>1234.0</v>")
    # The formula was never calculated by the program that wrote the file.
    assert rows_of(content) == [(3, [*ROW, "1234", "01234567", "2020-04-03", "7"])]


def test_xlsx_with_the_value_of_a_formula():
    content = with_part(
        make_xlsx(HEADER, [*ROW[:4], "=LOWER(A1)"]),
        "xl/worksheets/sheet1.xml",
        b"<f>LOWER(A1)</f><v />",
        b"<f>LOWER(A1)</f><v>jan@example.org</v>",
    )
    content = with_part(content, "xl/worksheets/sheet1.xml", b'<c r="E2">', b'<c r="E2" t="str">')
    assert rows_of(content) == [(2, [*ROW[:4], "jan@example.org"])]


def test_xlsx_with_the_texts_in_a_part_of_their_own():
    """As Excel writes it: each text once, and no cell where one is empty."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    sheet_type = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    texts = [*HEADER, "reference", *ROW]
    header = "".join(f'<c r="{"ABCDEF"[place]}1" t="s"><v>{place}</v></c>' for place in range(6))
    row = "".join(
        f'<c r="{"ABCDE"[place]}9" t="s"><v>{place + 6}</v></c>' for place in range(5) if place != 2
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{sheet_type}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{sheet_type}.sharedStrings+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}"><sheets>'
        '<sheet name="Sheet" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/sharedStrings.xml": f"<sst {main}>{''.join(f'<si><t>{text}</t></si>' for text in texts)}</sst>",
        "xl/worksheets/sheet1.xml": f'<worksheet {main}><dimension ref="A1"/><sheetData><row r="1">{header}</row>'
        f'<row r="9">{row}</row></sheetData></worksheet>',
    }
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    assert rows_of(file.getvalue()) == [(9, [*ROW[:2], "", *ROW[3:]])]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2020, 4, 3), "2020-04-03"),
        (datetime(2020, 4, 3, 12, 30), "2020-04-03T12:30:00"),
        (1.5, "1.5"),
        (True, "True"),
        (12345678901, "12345678901"),
        (timedelta(days=1), "1 day, 0:00:00"),
    ],
)
def test_value_of_an_xlsx_cell(value, text):
    content = make_xlsx([*HEADER, "reference"], [*ROW, value])
    assert rows_of(content)[0][1][-1] == text


def test_date_without_a_time_of_day():
    class Cell:
        value = date(2020, 4, 3)

    assert reading._text_of(Cell()) == "2020-04-03"


def with_part(content: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """The archive, with something replaced in one of its parts."""
    file = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(content)) as before,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for part in before.infolist():
            text = before.read(part)
            if part.filename == name:
                assert old in text, text
                text = text.replace(old, new)
            after.writestr(part.filename, text)
    return file.getvalue()


def test_xlsx_that_unpacks_to_a_huge_file_is_refused(monkeypatch):
    content = make_xlsx(HEADER, *[ROW] * 100)
    monkeypatch.setattr(bombs, "MAX_UNPACKED_SIZE", 20_000)
    with pytest.raises(UnreadableFileError, match="The XLSX file is too large"):
        Spreadsheet(content)


def test_xlsx_with_a_huge_part_that_is_held_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr(bombs, "MAX_UNPACKED_TEXTS", 5_000)
    with pytest.raises(UnreadableFileError, match="The XLSX file is too large"):
        Spreadsheet(make_xlsx(HEADER, ROW))


@pytest.mark.parametrize("before", [b"", b"<!--" + b"x" * 5000 + b"-->", b"<!--" + b"x" * 100_000 + b"-->"])
def test_xlsx_that_defines_texts_that_multiply_is_refused(before):
    bomb = before + b'<!DOCTYPE workbook [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><workbook '
    content = with_part(make_xlsx(HEADER, ROW), "xl/workbook.xml", b"<workbook ", bomb)
    with pytest.raises(UnreadableFileError, match="The XLSX file is too large"):
        Spreadsheet(content)


def test_part_of_any_name_that_defines_texts_is_refused():
    content = with_part(make_xlsx(HEADER, ROW), "xl/styles.xml", b"<styleSheet ", b"<!DOCTYPE x><styleSheet ")
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as before, zipfile.ZipFile(file, "w") as after:
        for part in before.infolist():
            after.writestr(part.filename.replace("styles.xml", "styles"), before.read(part))
        after.writestr("xl/media/logo.png", b"no XML" * 100_000)
    with pytest.raises(UnreadableFileError, match="The XLSX file is too large"):
        Spreadsheet(file.getvalue())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"</row></sheetData>", b"<c/>" * 2000 + b"</row></sheetData>"),
        (b"</row></sheetData>", b"<row/>" * 3000 + b"</row></sheetData>"),
        (b"</row></sheetData>", b"</row></sheetData>" + b"<c/>" * 2000),
        (b"</row></sheetData>", b"</row>" + b'<x:row xmlns:x="x"/>' * 2000 + b"</sheetData>"),
    ],
)
def test_xlsx_with_a_multitude_of_small_elements_is_refused(monkeypatch, old, new):
    monkeypatch.setattr(bombs, "MAX_ELEMENTS", 1500)
    monkeypatch.setattr(bombs, "MAX_EMPTIED", 2500)
    content = make_xlsx(HEADER, *[ROW] * 1000)  # more elements, but not of one row
    assert len(rows_of(content)) == 1000
    with pytest.raises(UnreadableFileError, match="The XLSX file is too large"):
        Spreadsheet(with_part(content, "xl/worksheets/sheet1.xml", old, new))


def test_xlsx_with_an_endless_element_is_refused():
    attributes = b"".join(b' a%d=""' % number for number in range(400_000))
    content = with_part(
        make_xlsx(HEADER, ROW), "xl/worksheets/sheet1.xml", b'<row r="2"', b'<row r="2"' + attributes
    )
    with pytest.raises(UnreadableFileError, match="The XLSX file is too large"):
        Spreadsheet(content)


def test_xlsx_is_looked_through_once(monkeypatch):
    spreadsheet = Spreadsheet(make_xlsx(HEADER, ROW))
    monkeypatch.setattr(bombs, "MAX_ELEMENTS", 0)
    assert list(spreadsheet.rows()) == [(2, ROW)]


def test_xlsx_that_is_damaged_is_refused():
    content = make_xlsx(HEADER, ROW)
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        Spreadsheet(with_part(content, "xl/workbook.xml", b"<workbook", b"<workbok"))
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        rows_of(with_part(content, "xl/worksheets/sheet1.xml", b"</row></sheetData>", b"</sheetData>"))


@pytest.mark.parametrize(
    ("local", "central", "value"),
    [
        (6, 8, 1),  # encrypted
        (8, 10, 9),  # packed in a way that Python does not know
        (8, 10, 12),  # bz2, which it is not
    ],
)
def test_xlsx_that_cannot_be_unpacked_is_refused(local, central, value):
    content = bytearray(make_xlsx(HEADER, ROW))
    for signature, place in ((b"PK\3\4", local), (b"PK\1\2", central)):
        start = content.find(signature)
        while start >= 0:
            content[start + place] = value
            start = content.find(signature, start + 1)
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        Spreadsheet(bytes(content))


def test_xlsx_with_a_part_that_openpyxl_does_not_expect_is_refused():
    content = make_xlsx(HEADER, ROW)
    content = with_part(content, "xl/workbook.xml", b"<sheet ", b'<sheet colour="red" ')
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        Spreadsheet(content)


def test_xlsx_with_a_text_longer_than_a_cell_can_hold_is_refused():
    name = "xl/worksheets/sheet1.xml"
    content = with_part(make_xlsx(HEADER, ["Bakkerij", *ROW[1:]]), name, b"Bakkerij", b"Bakkerij" * 5000)
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        rows_of(content)


def test_number_format_is_no_way_to_make_long_texts():
    content = make_xlsx([*HEADER, "reference"], [*ROW, 7], F2="0" * 7)
    assert rows_of(content)[0][1][-1] == "0000007"
    content = with_part(content, "xl/styles.xml", b'"0000000"', b'"%s"' % (b"0" * 1_000_000))
    assert rows_of(content)[0][1][-1] == "7"


def test_xlsx_whose_rows_never_end_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROW_NUMBER", 1000)
    content = make_xlsx(HEADER, ROW)
    last = with_part(content, "xl/worksheets/sheet1.xml", b'<row r="2"', b'<row r="1000"')
    assert rows_of(last) == [(1000, ROW)]
    beyond = with_part(content, "xl/worksheets/sheet1.xml", b'<row r="2"', b'<row r="20000"')
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        rows_of(beyond)


def test_archive_that_is_no_workbook_is_refused():
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UnreadableFileError, match="The XLSX file is damaged"):
        Spreadsheet(file.getvalue())


FORMULAS = [
    "=1+1",
    "+31 20 123 45 67",
    "-5",
    "@SUM(A1)",
    "\t=1",
    "\rx",
    "\nx",
    "  =1",
    '"=1"',
    "'=1",
    "\u200b=1",
    "\ufeff@x",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\x01=1",
    "\x1b \x7f@x",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_lessons_32_formula_is_neutralised(text):
    assert neutralize(text) == f"'{text}"
    assert undo_neutralizing(neutralize(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Bakkerij", "a=b", "1-2", "O'Neill", "'s-Hertogenbosch", "(020) 123", "é@x"]
)
def test_text_that_is_no_formula_stays_as_it_is(text):
    assert neutralize(text) == text
    assert undo_neutralizing(text) == text


@given(st.text(st.sampled_from("'\" \t\r\n=+-@a1\uff1d\u200b\ufeff") | st.characters(), max_size=8))
def test_neutralising_is_undone_whatever_the_text(text):
    assert undo_neutralizing(neutralize(text)) == text
    assert not neutralize(text).startswith(tuple("=+-@\t\r"))


def test_lessons_32_csv_neutralises_and_quotes_every_cell():
    written = "".join(stream_csv([["=1", "a;=2", 'b"c']]))
    assert written == '\ufeff"\'=1","a;=2","b""c"\r\n'


def test_xlsx_has_texts_only():
    texts = [*FORMULAS, "#N/A", "12", "2020-04-03", "a\x01b"]
    with write_xlsx({"Sheet": [texts]}) as file:
        cells = [cell for [*row] in openpyxl.load_workbook(file).active for cell in row]
    assert {cell.data_type for cell in cells} == {"s"}
    read = [undo_neutralizing(cell.value) for cell in cells]
    # XML has one kind of line end, and no control characters.
    assert read == [
        *(ILLEGAL_CHARACTERS_RE.sub("", text).replace("\r", "\n") for text in FORMULAS),
        *("#N/A", "12", "2020-04-03", "ab"),
    ]


def test_template_is_a_header_that_is_read():
    content = "".join(stream_csv(template_rows())).encode()
    spreadsheet = Spreadsheet(content)
    assert list(spreadsheet.header.places) == list(IMPORTED_COLUMNS)
    assert spreadsheet.header.unknown == ()
    assert list(spreadsheet.rows()) == []


def test_template_explains_its_columns():
    with write_xlsx(template_sheets()) as file:
        content = file.read()
    assert list(Spreadsheet(content).header.places) == list(IMPORTED_COLUMNS)
    _merchants, columns, codes = openpyxl.load_workbook(BytesIO(content)).worksheets
    explained = {row[0]: row for row in columns.iter_rows(values_only=True)}
    assert set(explained) == {"Column", *IMPORTED_COLUMNS}
    assert explained["country"][:4] == ("country", "country", "yes", "NL")
    listed = list(codes.iter_rows(values_only=True))
    assert ("legal_entity", "nl-bv", "Besloten Vennootschap (BV)") in listed
    assert ("country", "NL", "Netherlands") in listed


@pytest.mark.parametrize("sheets", [{"Sheet": [["a", "b"], ["c"]]}, {"Sheet": iter([["a", "b"]])}])
def test_columns_are_wide_enough_to_be_read(sheets):
    with write_xlsx(sheets) as file:
        sheet = openpyxl.load_workbook(file).active
    assert [sheet.column_dimensions[letter].width for letter in "AB"] == [22, 22]


def test_sheet_without_rows_is_empty():
    with write_xlsx({"Sheet": []}) as file:
        assert list(openpyxl.load_workbook(file).active.values) == []
