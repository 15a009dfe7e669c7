"""Files that an operator may be handed by anybody: whatever is in them, they are read or refused, and never half imported."""

from __future__ import annotations

import html
import re
import tempfile
from functools import cache
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from mollie_onboarding.models import Batch, ClientLink, Event
from mollie_onboarding.spreadsheets.importing import Import
from mollie_onboarding.spreadsheets.reading import Spreadsheet, UnreadableFileError
from tests.test_admin import LIST
from tests.test_importing import merchant
from tests.test_spreadsheets import make_csv, make_xlsx

from .examples import MARKS, dump, undone
from .profiles import fuzzed
from .values import bent, texts, words

pytestmark = MARKS

COLUMNS = list(merchant(1))
GOOD = [list(merchant(number).values()) for number in (1, 2, 3)]

cells = (
    texts
    | words
    | st.sampled_from(["NL", "Nederland", "2020-04-03", "3.4.2020", "#REF!", "=1+1", "00001", "1.0"])
)


@st.composite
def tables(draw: Any) -> list[list[str]]:
    """Rows of merchants, with cells changed, moved, missing and added."""
    rows = [list(row) for row in [COLUMNS, *GOOD]]
    for _ in range(draw(st.integers(0, 5))):
        row = draw(st.sampled_from(rows))
        place = draw(st.integers(0, len(row) - 1)) if row else 0
        match draw(st.sampled_from(["replace", "bend", "remove", "add", "double"])):
            case "replace" if row:
                row[place] = draw(cells)
            case "bend" if row:
                row[place] = draw(bent(row[place]))
            case "remove" if row:
                del row[place]
            case "add":
                row.insert(place, draw(cells))
            case _:
                rows.append(list(row))
    return rows


@st.composite
def csv_files(draw: Any) -> bytes:
    text = make_csv(
        *(
            [cell.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for cell in row]
            for row in draw(tables())
        ),
        delimiter=draw(st.sampled_from(",;\t|")),
    ).decode()
    text = draw(st.sampled_from(["", "", "\ufeff", "sep=;\r\n"])) + text
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "cp1252", "utf-7", "utf-32"]))
    return damaged(draw, text.encode(encoding, "replace"))


def damaged(draw: Any, content: bytes) -> bytes:
    """The file with a few bytes changed, cut off or put in; mostly as it is."""
    if draw(st.integers(0, 3)):
        return content
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(start + 200, len(content))))
    return content[:start] + draw(st.binary(max_size=20)) + content[end:]


@cache
def a_workbook() -> bytes:
    return make_xlsx(COLUMNS, *GOOD)


@given(content=csv_files() | st.binary(max_size=200))
@fuzzed(share=35)
def test_csv_of_any_content_is_read_or_refused(operator, content):
    check_file(content, operator)


@given(data=st.data())
@fuzzed(share=10)
def test_damaged_workbook_is_read_or_refused(operator, data):
    check_file(damaged(data.draw, damaged(data.draw, a_workbook())), operator)


def check_file(content: bytes, operator: Any) -> None:
    with undone():
        before = dump()
        try:
            expected = Import(Spreadsheet(content)).preview()
        except UnreadableFileError:
            assert dump() == before
            return
        assert dump() == before  # a look writes nothing
        batch_id = "0b7a4d1c-3a2c-4c1e-9d53-1f2a3b4c5d6e"
        report, _batch = Import(Spreadsheet(content)).write(batch_id, actor=operator, description="x")
        assert (report.new, report.wrong) == (expected.new, expected.wrong)
        check_rows(report.new)


def right_rows(content: bytes) -> int:
    try:
        return Import(Spreadsheet(content)).preview().new
    except UnreadableFileError:
        return 0


def check_rows(count: int) -> None:
    rows = ClientLink.objects.all()
    assert len(rows) == count == Event.objects.filter(kind="created").count()
    for row in rows:
        row.full_clean()
        assert not any(
            "\0" in str(value) for value in row.body_values().values()
        )  # PostgreSQL would say so itself
        assert (row.status, row.send_requested_at, row.organization_id) == ("draft", None, None)


@given(
    content=csv_files(),
    name=texts,
    answer=st.sampled_from(["confirm", "wrong_rows", "cancel", "other"]),
    bending=st.none() | texts,
)
@fuzzed(share=5)
def test_pages_of_the_import_take_any_file(operator, content, name, answer, bending, tmp_path_factory):
    browser = Client()
    browser.force_login(operator)
    with pytest.MonkeyPatch.context() as patch, undone():
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("uploads")))
        name = "".join(character for character in name if character.isprintable())[:200]
        expected = right_rows(content)
        page = browser.post(f"{LIST}import/", {"spreadsheet": SimpleUploadedFile(f"{name}.csv", content)})
        assert page.status_code == 200
        assert not ClientLink.objects.exists()
        found = re.search(r'name="upload" value="([^"]*)"', page.content.decode())
        upload = html.unescape(found[1]) if found else ""
        if bending is not None:
            upload = bending + upload[len(bending) :]
        response = browser.post(
            f"{LIST}process_import/", {"upload": upload.encode("utf-8", "replace").decode(), answer: "1"}
        )
        assert response.status_code in (200, 302)
        if answer != "confirm" or bending:
            assert not ClientLink.objects.exists()
            assert not Batch.objects.exists()
        elif found:
            assert ClientLink.objects.count() == expected
        check_rows(ClientLink.objects.count())
