"""Import and export as operators see them: a file, a page that says what would become of it, and one press of a button."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import time_machine
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from import_export.tmp_storages import TempFolderStorage

from example_project.shop.spreadsheet import COUNT, HEADER, MISTAKES, demo_spreadsheet
from mollie_onboarding.admin import ClientLinkAdmin
from mollie_onboarding.admin.spreadsheets import UPLOAD_LIFETIME, SpreadsheetAdmin, Upload, UploadForm
from mollie_onboarding.models import Batch, BatchItem, ClientLink, Event
from mollie_onboarding.spreadsheets import importing
from mollie_onboarding.spreadsheets.columns import IMPORTED_COLUMNS
from mollie_onboarding.spreadsheets.importing import Import
from mollie_onboarding.spreadsheets.reading import Spreadsheet, UnreadableFileError
from tests.conftest import MERCHANT
from tests.test_admin import LIST, csrf, make_staff_with, said
from tests.test_importing import merchant
from tests.test_spreadsheets import make_csv, make_xlsx

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)

IMPORT = f"{LIST}import/"
PROCESS = f"{LIST}process_import/"
TEMPLATE = f"{LIST}import_template/"
EXPORT = f"{LIST}export/"
COLUMNS = list(merchant(1))


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch) -> Path:
    """Where files wait for the operator's answer."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Path(tmp_path)


def waiting(uploads: Path) -> list[str]:
    return [path.name for path in uploads.iterdir() if path.is_file()]


def csv_of(*rows: dict[str, str]) -> bytes:
    return make_csv(COLUMNS, *([row.get(column, "") for column in COLUMNS] for row in rows))


def upload(browser: Client, content: bytes, name: str = "merchants.csv") -> Any:
    file = SimpleUploadedFile(name, content)
    return browser.post(IMPORT, {"spreadsheet": file, **csrf(browser)})


def answer(browser: Client, page: Any, button: str, **fields: Any) -> Any:
    """Press a button of the page that shows what would become of the file."""
    forms = [dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for form in forms_of(page)]
    [hidden] = [form for form in forms if button in form]
    hidden = {name: hidden[name] for name in ("upload", "updates")}
    return browser.post(PROCESS, {**hidden, button: "1", **csrf(browser), **fields})


def forms_of(page: Any) -> list[str]:
    return re.findall(r"<form method=\"post\".*?</form>", page.content.decode(), re.DOTALL)


def content_of(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def table(page: Any, name: str) -> list[list[str]]:
    """The body of a table, as texts."""
    found = re.search(rf'<table id="{name}">.*?<tbody>(.*?)</tbody>', page.content.decode(), re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL) if found else []
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


# The way that most files go.


def test_five_hundred_merchants_of_whom_seven_are_wrong(staff, operator):
    page = upload(staff, demo_spreadsheet())
    text = page.content.decode()
    assert "<strong>493</strong> rows are right" in text
    assert "<strong>7</strong> rows are wrong" in text
    errors = table(page, "errors")
    assert [(int(row), merchant, column, value) for row, merchant, column, value, _sentence in errors] == [
        (row, f"shop-{2000 + row}", column, text) for row, (column, text) in MISTAKES.items()
    ]
    assert len({sentence for *_row, sentence in errors}) == 7
    assert "Download the wrong rows before you import" in text
    assert len(table(page, "sample")) == 20
    assert not ClientLink.objects.exists()
    assert "Import the 493 right rows" in text

    page = answer(staff, page, "confirm")
    assert said(page) == ["493 merchants were imported.", "7 rows were left out."]
    assert ClientLink.objects.count() == COUNT - 7
    batch = Batch.objects.get()
    assert (batch.count, batch.source, batch.description) == (493, "import", "merchants.csv")
    assert (batch.created_by, batch.started_at) == (operator, None)
    assert batch.items.filter(outcome=BatchItem.Outcome.PENDING).count() == 493
    assert Event.objects.filter(kind="created", actor=operator).count() == 493
    assert ClientLink.objects.get(reference="shop-2024").owner_locale == "de_AT"
    assert not ClientLink.objects.filter(send_requested_at__isnull=False).exists()
    assert not ClientLink.objects.exclude(delivery_status="").exists()


def test_wrong_rows_are_corrected_and_uploaded_again(staff):
    page = upload(staff, demo_spreadsheet())
    wrong = answer(staff, page, "wrong_rows")
    assert wrong.headers["Content-Disposition"].startswith('attachment; filename="wrong-rows-')
    content = content_of(wrong).decode()
    answer(staff, page, "confirm")
    assert content.startswith('\ufeff"error","' + '","'.join(HEADER))
    right = ("mila.vos@shops.example", "Germany", "Librairie", "Lyon", "2019-04-03", "", "Sem")
    for row, mended in zip(MISTAKES, right, strict=True):
        column, mistake = MISTAKES[row]
        assert mistake in content
        content = mend(content, row, column, mended)
    page = answer(staff, upload(staff, content.encode()), "confirm")
    assert said(page)[-1] == "7 merchants were imported."
    assert ClientLink.objects.count() == COUNT


def mend(content: str, row: int, column: str, text: str) -> str:
    lines = content.split("\r\n")
    [place] = [place for place, line in enumerate(lines) if f'"shop-{2000 + row}"' in line]
    cells = lines[place].strip('"').split('","')
    cells[HEADER.index(column) + 1] = text
    lines[place] = '"' + '","'.join(cells) + '"'
    return "\r\n".join(lines)


def test_xlsx_comes_back_as_xlsx(staff):
    content = make_xlsx(COLUMNS, list(merchant(1).values()), list(merchant(2, country="Atlantis").values()))
    sentence = "This is no country: give its two-letter code, such as NL, or its name."
    page = upload(staff, content, "merchants.xlsx")
    assert table(page, "errors") == [["3", "shop-2", "country", "Atlantis", sentence]]
    wrong = answer(staff, page, "wrong_rows")
    assert wrong.headers["Content-Type"].endswith("sheet")
    header, row = openpyxl.load_workbook(BytesIO(content_of(wrong))).active.iter_rows(values_only=True)
    assert header == ("error", *COLUMNS)
    assert row[0] == f"country: {sentence}"


def test_page_says_what_it_does_not_know(staff):
    content = make_csv([*COLUMNS, "Colour <b>"], [*merchant(1, vat_number="NL1").values(), "red"])
    page = upload(staff, content)
    assert "These columns are not known and are left out: Colour &lt;b&gt;" in page.content.decode()
    assert table(page, "warnings")[0][:4] == ["2", "shop-1", "vat_number", "NL1"]
    assert "Download the wrong rows before" not in page.content.decode()
    assert "<strong>1</strong> warning<" in page.content.decode()


def test_page_counts_what_it_does_not_show(staff):
    page = upload(staff, csv_of(*(merchant(number, country="") for number in range(103))))
    assert len(table(page, "errors")) == 100
    assert "and 3 more" in page.content.decode()
    assert 'name="confirm"' not in page.content.decode()


def test_same_size_of_page_for_a_large_file(staff):
    small = len(upload(staff, csv_of(*map(merchant, range(150)))).content)
    large = len(upload(staff, csv_of(*map(merchant, range(1500)))).content)
    assert large - small < 500


def test_page_says_how_many_are_skipped_for_each_reason(staff, make_client_link):
    for number in range(12):
        make_client_link(**merchant(number))
    doubled = [merchant(number) for number in range(100, 125)]
    page = upload(staff, csv_of(*(merchant(number) for number in range(12)), *doubled, *doubled))
    rows = table(page, "skipped")
    assert rows[0] == ["The merchant is here already.", "2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more"]
    assert rows[1] == ["The same merchant is in row 14.", "39"]
    assert len(rows) == 20
    assert "<p>and 6 more</p>" in page.content.decode()


# Merchants who are here already.


def test_known_merchants_are_skipped_or_updated_as_the_operator_says(staff, make_client_link, operator):
    row = make_client_link(**merchant(1, city="Utrecht"))
    page = upload(staff, csv_of(merchant(1), merchant(2)))
    assert table(page, "skipped") == [["The merchant is here already.", "2"]]
    assert "1 merchant is here already and is skipped." in page.content.decode()
    page = answer(staff, page, "preview")
    assert not table(page, "skipped")
    assert "(1 updates a merchant)" in page.content.decode()
    back = answer(staff, page, "preview")
    assert table(back, "skipped")
    page = answer(staff, page, "confirm")
    assert said(page) == ["1 merchant was imported.", "1 merchant was updated."]
    row.refresh_from_db()
    assert row.city == "Amsterdam"
    assert row.events.get().actor == operator
    assert Batch.objects.get().count == 2


def test_file_that_changes_nothing(staff, make_client_link):
    make_client_link(**merchant(1))
    page = upload(staff, csv_of(merchant(1)))
    page = answer(staff, page, "preview")
    assert "<strong>1</strong> row changes nothing" in page.content.decode()
    assert 'name="confirm"' not in page.content.decode()
    hidden = {"upload": page.context["upload"], "updates": "1", "confirm": "1"}
    page = staff.post(PROCESS, {**hidden, **csrf(staff)})
    assert said(page) == ["Nothing was imported."]
    assert not Batch.objects.exists()


# One file, one import.


def test_second_press_imports_nothing(staff):
    page = upload(staff, csv_of(merchant(1)))
    answer(staff, page, "confirm")
    again = answer(staff, page, "confirm")
    assert said(again)[-1] == "This file was imported already."
    assert ClientLink.objects.count() == Batch.objects.count() == 1
    # Also where the merchants are gone meanwhile: it would be another import.
    ClientLink.objects.all().delete()
    answer(staff, page, "confirm")
    assert not ClientLink.objects.exists()


def test_press_that_meets_the_first_one_on_its_way_imports_nothing(staff, monkeypatch):
    page = upload(staff, csv_of(merchant(1)))
    write = Import.write

    def overtaken(self: Import, *args: Any, **kwargs: Any) -> Any:
        write(Import(self.spreadsheet), *args, **kwargs)
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Import, "write", overtaken)
    response = answer(staff, page, "confirm")
    assert response.status_code == 302
    assert ClientLink.objects.count() == Batch.objects.count() == 1


def test_second_tab_finds_what_the_first_has_imported(staff):
    first, second = (upload(staff, csv_of(merchant(1), merchant(2))) for _ in range(2))
    answer(staff, first, "confirm")
    response = answer(staff, second, "confirm")
    assert said(response)[-2:] == ["Nothing was imported.", "2 rows were left out."]
    assert ClientLink.objects.count() == 2
    assert Batch.objects.count() == 1


# The file holds personal data.


def test_file_is_gone_after_the_import(staff, uploads):
    page = upload(staff, csv_of(merchant(1)))
    assert len(waiting(uploads)) == 1
    answer(staff, page, "confirm")
    assert waiting(uploads) == []


def test_another_file_is_chosen_after_the_first_is_gone(staff, uploads):
    page = upload(staff, csv_of(merchant(1)))
    fields = {"upload": page.context["upload"], "cancel": "another"}
    page = staff.post(PROCESS, {**fields, **csrf(staff)}, follow=True)
    assert page.redirect_chain == [(IMPORT, 302)]
    assert waiting(uploads) == []
    assert not ClientLink.objects.exists()


def test_file_is_gone_after_cancelling(staff, uploads):
    page = upload(staff, csv_of(merchant(1)))
    response = answer(staff, page, "cancel")
    assert said(response) == ["Nothing was imported."]
    assert response.url == LIST
    assert waiting(uploads) == []
    page = answer(staff, page, "confirm")
    assert said(page)[-1] == "The uploaded file is not here any more. Upload it again."
    assert page.url == IMPORT


@pytest.mark.parametrize("error", [RuntimeError, IntegrityError])
def test_file_whose_import_failed_is_kept_for_another_try(staff, uploads, monkeypatch, error):
    page = upload(staff, csv_of(merchant(1)))

    def fail(*args: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(importing, "_write_new", fail)
        with pytest.raises(error):
            answer(staff, page, "confirm")
    assert len(waiting(uploads)) == 1
    assert not Batch.objects.exists()
    answer(staff, page, "confirm")
    assert ClientLink.objects.count() == 1


def test_abandoned_file_is_gone_with_the_next_upload(staff, uploads):
    upload(staff, csv_of(merchant(1)))
    upload(staff, csv_of(merchant(2)))
    assert len(waiting(uploads)) == 2
    later = timezone.now() + UPLOAD_LIFETIME + UPLOAD_LIFETIME / 10
    with time_machine.travel(later, tick=False):
        upload(staff, csv_of(merchant(3)))
    assert len(waiting(uploads)) == 1


def test_file_that_somebody_else_deleted_is_no_error(staff, uploads):
    page = upload(staff, csv_of(merchant(1)))
    for name in waiting(uploads):
        (uploads / name).unlink()
    response = answer(staff, page, "cancel")
    assert said(response) == ["Nothing was imported."]


class StubbornStorage(TempFolderStorage):
    def remove(self) -> None:
        raise PermissionError


class ForgetfulStorage(TempFolderStorage):
    """As a cache is."""

    def read(self) -> None:
        return None


def test_file_that_cannot_be_deleted_is_logged(staff, settings, caplog):
    settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = f"{__name__}.StubbornStorage"
    answer(staff, upload(staff, csv_of(merchant(1))), "confirm")
    assert ClientLink.objects.count() == 1
    assert "An uploaded spreadsheet could not be deleted." in caplog.text
    assert "owner-1@" not in caplog.text


def test_file_that_the_cache_forgot_is_asked_for_again(staff, settings):
    settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = f"{__name__}.ForgetfulStorage"
    page = answer(staff, upload(staff, csv_of(merchant(1))), "confirm")
    assert said(page) == ["The uploaded file is not here any more. Upload it again."]


def test_file_may_wait_in_the_cache(staff, settings, uploads):
    settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = "import_export.tmp_storages.CacheStorage"
    answer(staff, upload(staff, csv_of(merchant(1))), "confirm")
    assert ClientLink.objects.count() == 1
    assert waiting(uploads) == []


def test_file_of_another_operator_is_not_shown(staff):
    page = upload(staff, csv_of(merchant(1)))
    other = make_staff_with("add_clientlink", "change_clientlink", "view_clientlink")
    for button in ("confirm", "wrong_rows", "cancel", "preview"):
        hidden = {"upload": page.context["upload"], button: "1"}
        response = other.post(PROCESS, {**hidden, **csrf(other)})
        assert (response.status_code, response.url) == (302, IMPORT)
    assert not ClientLink.objects.exists()
    answer(staff, page, "confirm")
    assert ClientLink.objects.count() == 1


@pytest.mark.parametrize("signed", ["", "{}x", "x{}", "secret.csv"])
def test_name_of_the_file_cannot_be_made_up(staff, uploads, signed):
    (uploads / "secret.csv").write_bytes(csv_of(merchant(1)))
    page = upload(staff, csv_of(merchant(2)))
    hidden = {"upload": signed.format(page.context["upload"]), "confirm": "1"}
    assert staff.post(PROCESS, {**hidden, **csrf(staff)}).url == IMPORT
    assert not ClientLink.objects.exists()


def test_page_that_was_left_open_for_long_is_over(staff):
    page = upload(staff, csv_of(merchant(1)))
    with time_machine.travel(timezone.now() + UPLOAD_LIFETIME * 1.1, tick=False):
        assert answer(staff, page, "confirm").url == IMPORT
    assert not ClientLink.objects.exists()


# Files that are none, and people who may not.


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"%PDF-1.7\0", "This is not a CSV or XLSX file."),
        (b" ", "The file is empty."),
        (
            make_csv(["Company"], ["x"]),
            "These columns are missing: country, given name, family name, e-mail address.",
        ),
        (make_csv(COLUMNS, [""] * len(COLUMNS)), "There are no rows below the names of the columns."),
        (make_csv([*COLUMNS, "E-mail"]), "Two columns mean the same: owner_email and E-mail."),
    ],
)
def test_file_that_is_refused_is_not_kept(staff, uploads, content, sentence):
    page = upload(staff, content)
    assert sentence in page.content.decode()
    assert waiting(uploads) == []


def test_file_that_is_broken_further_down_is_not_kept(staff, uploads):
    content = csv_of(*map(merchant, range(700))) + b'"' + b"a" * 200_000 + b'"\n'
    page = upload(staff, content)
    assert "This is not a CSV or XLSX file." in page.content.decode()
    assert waiting(uploads) == []
    assert not ClientLink.objects.exists()


def test_form_asks_for_a_file(staff):
    page = staff.get(IMPORT)
    text = page.content.decode()
    assert all(f"<code>{column}</code>" in text for column in IMPORTED_COLUMNS)
    assert "This field is required." in staff.post(IMPORT, csrf(staff)).content.decode()


def test_name_of_the_file_is_shortened_for_the_batch(staff):
    answer(staff, upload(staff, csv_of(merchant(1)), f"{'a' * 300}.csv"), "confirm")
    assert len(Batch.objects.get().description) == 100


@pytest.mark.parametrize("codenames", [["view"], ["view", "add"], ["view", "change"]])
def test_import_needs_the_right_to_add_and_to_change(codenames):
    browser = make_staff_with(*(f"{name}_clientlink" for name in codenames))
    assert "import_link" not in browser.get(LIST).content.decode()
    assert browser.get(IMPORT).status_code == 403
    assert browser.get(TEMPLATE).status_code == 403
    assert upload(browser, csv_of(merchant(1))).status_code == 403
    assert browser.post(PROCESS, csrf(browser)).status_code == 403


def test_export_needs_the_right_to_view():
    browser = make_staff_with("add_clientlink")
    assert browser.post(EXPORT, {"format": "csv", **csrf(browser)}).status_code == 403
    assert browser.get(EXPORT).status_code == 403


def test_everything_asks_for_a_token_against_forgery(staff):
    staff.get(IMPORT)
    for path in (IMPORT, PROCESS, EXPORT):
        assert staff.post(path, {"format": "csv"}).status_code == 403


def test_looking_changes_nothing(staff):
    assert staff.get(PROCESS).status_code == 302
    assert staff.get(EXPORT).status_code == 200
    assert not LogEntry.objects.exists()


# After the import.


class BatchAdmin(admin.ModelAdmin):
    pass


@pytest.fixture
def batch_admin() -> Iterator[None]:
    """The page of a batch, whichever it is."""
    registered = admin.site.is_registered(Batch)
    if not registered:
        admin.site.register(Batch, BatchAdmin)
    yield
    if not registered:
        admin.site.unregister(Batch)


@pytest.fixture
def _batch_page(batch_admin, settings):
    """The addresses of the admin, read anew."""
    from importlib import reload

    from django.urls import clear_url_caches

    from tests import urls

    clear_url_caches()
    reload(urls)
    yield
    clear_url_caches()


@pytest.mark.usefixtures("_batch_page")
def test_operator_comes_to_the_batch(staff):
    page = answer(staff, upload(staff, csv_of(merchant(1))), "confirm")
    assert page.url == f"/admin/mollie_onboarding/batch/{Batch.objects.get().pk}/change/"


@pytest.mark.usefixtures("_batch_page")
def test_operator_who_may_not_see_batches_comes_to_the_list():
    browser = make_staff_with("add_clientlink", "change_clientlink", "view_clientlink")
    page = answer(browser, upload(browser, csv_of(merchant(1))), "confirm")
    assert page.url == LIST


def test_import_is_in_the_log_of_the_admin(staff, operator):
    answer(staff, upload(staff, csv_of(merchant(1))), "confirm")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (operator, str(Batch.objects.get().pk))
    assert entry.get_change_message() == "Imported from a spreadsheet."


def test_file_that_is_too_large_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr("mollie_onboarding.admin.spreadsheets.MAX_SIZE", 1000)
    file = SimpleUploadedFile("merchants.csv", b"a" * 5000)
    UploadForm({}, {"spreadsheet": file}).is_valid()
    assert file.tell() == 1001


# Export, and the template.


def export(browser: Client, chosen: str, query: str = "") -> bytes:
    return content_of(browser.post(f"{EXPORT}{query}", {"format": chosen, **csrf(browser)}))


def test_export_of_the_list_as_it_is_filtered(staff, make_client_link):
    make_client_link(**merchant(1, country="DE"))
    make_client_link(**merchant(2))
    assert f'href="{EXPORT}?country=DE"' in staff.get(f"{LIST}?country=DE").content.decode()
    assert "as it is filtered" in staff.get(f"{EXPORT}?country=DE").content.decode()
    german = export(staff, "csv", "?country=DE").decode()
    assert "shop-1" in german
    assert "shop-2" not in german
    assert "shop-2" in export(staff, "csv", "?q=Bakkerij+2").decode()
    assert "shop-1" not in export(staff, "csv", "?q=Bakkerij+2").decode()


@pytest.mark.parametrize("chosen", ["csv", "xlsx"])
def test_export_comes_back_by_an_import(staff, make_client_link, chosen):
    row = make_client_link(**merchant(1, organization_name="=HYPERLINK(1)"))
    content = export(staff, chosen)
    row.delete()
    answer(staff, upload(staff, content, f"merchants.{chosen}"), "confirm")
    assert ClientLink.objects.get().organization_name == "=HYPERLINK(1)"


def test_export_is_in_the_log_of_the_admin(staff, operator):
    export(staff, "csv", "?q=jan%40secret.example")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_change_message()) == (operator, "Exported as CSV.")
    assert "secret" not in str(vars(entry))


def test_export_by_a_filter_that_cannot_be_read_leads_to_the_list(staff):
    response = staff.post(f"{EXPORT}?created_at__gte=yesterday", {"format": "csv", **csrf(staff)})
    assert (response.status_code, response.url) == (302, f"{LIST}?e=1")
    assert not LogEntry.objects.exists()


def test_export_in_an_unknown_format_is_refused(staff):
    response = staff.post(EXPORT, {"format": "pdf", **csrf(staff)})
    assert response.status_code == 200
    assert "Select a valid choice" in response.content.decode()


def test_template_is_a_file_that_can_be_imported(staff):
    spreadsheet = Spreadsheet(content_of(staff.get(TEMPLATE)))
    assert spreadsheet.is_xlsx
    assert not Spreadsheet(content_of(staff.get(f"{TEMPLATE}?format=csv"))).is_xlsx
    page = upload(staff, content_of(staff.get(TEMPLATE)))
    assert page.context["form"].errors == {
        "spreadsheet": ["There are no rows below the names of the columns."]
    }


@pytest.mark.parametrize("chosen", ["csv", "xlsx"])
def test_template_is_no_export_by_its_name(staff, chosen):
    response = staff.get(f"{TEMPLATE}?format={chosen}")
    assert response.headers["Content-Disposition"] == f'attachment; filename="merchants-template.{chosen}"'
    response.close()


# Without django-import-export.

WITHOUT = """
import json, sys
for name in {blocked}:
    sys.modules[name] = None  # as if it were not installed
import django
from django.conf import settings
from tests import settings as ours
values = {{name: getattr(ours, name) for name in dir(ours) if name.isupper()}}
values["INSTALLED_APPS"] = [app for app in ours.INSTALLED_APPS if app not in {left_out}]
values["DATABASES"] = {{
    alias: {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}} for alias in ("default", "mollie_sandbox")
}}
settings.configure(**values)
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import IntegrityError
from django.test import Client
call_command("check")
call_command("migrate", verbosity=0)
browser = Client()
browser.force_login(get_user_model().objects.create_superuser("operator"))
page = browser.get("/admin/mollie_onboarding/clientlink/")
statuses = [browser.get("/admin/mollie_onboarding/clientlink/" + name + "/").status_code for name in ("import", "export")]
print(json.dumps([page.status_code, "import_link" in page.content.decode(), "export_link" in page.content.decode(), statuses]))
"""


@pytest.mark.parametrize(
    ("blocked", "left_out"),
    [
        (["import_export", "tablib", "openpyxl"], ["import_export"]),
        ([], ["import_export"]),
        (["openpyxl"], []),
    ],
)
def test_admin_works_without_spreadsheets(blocked, left_out):
    code = WITHOUT.format(blocked=blocked, left_out=left_out)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    # An address of no view is taken for the id of a row, which there is none of: back to the start page.
    assert json.loads(done.stdout.splitlines()[-1]) == [200, False, False, [302, 302]]


def test_admin_is_the_one_with_spreadsheets_here():
    assert issubclass(ClientLinkAdmin, SpreadsheetAdmin)


def test_upload_says_nothing_of_the_file_but_to_its_operator():
    user = get_user_model()(pk=1)
    signed = Upload("stored", "name.csv", "batch", "1").sign()
    assert Upload.read(signed, user) == Upload("stored", "name.csv", "batch", "1")
    assert Upload.read(signed, get_user_model()(pk=2)) is None


def test_merchant_of_the_tests_is_right():
    assert Import(Spreadsheet(make_csv(list(MERCHANT), list(MERCHANT.values())))).preview().right == 1
    with pytest.raises(UnreadableFileError):
        Spreadsheet(b"")
