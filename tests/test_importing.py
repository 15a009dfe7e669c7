"""What becomes of the rows of a spreadsheet: checked as the form checks, no merchant twice, all of them or none."""

from __future__ import annotations

import gc
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from mollie_onboarding.fields import Secret
from mollie_onboarding.models import Batch, BatchItem, ClientLink, Event, Organization, Status
from mollie_onboarding.models.authorization_requests import AuthorizationRequestQuerySet
from mollie_onboarding.models.client_link_queries import ClientLinkQuerySet
from mollie_onboarding.spreadsheets import importing
from mollie_onboarding.spreadsheets.duplicates import find_client_links
from mollie_onboarding.spreadsheets.importing import Becomes, Finding, Import, Report
from mollie_onboarding.spreadsheets.reading import Spreadsheet
from mollie_onboarding.spreadsheets.resource import ClientLinkResource
from mollie_onboarding.spreadsheets.writing import export_rows, stream_csv, write_xlsx, wrong_rows
from tests.conftest import MERCHANT
from tests.test_spreadsheets import make_csv
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)
committing = pytest.mark.django_db(databases=DATABASES, transaction=True)

JAN = {**MERCHANT, "reference": "shop-1"}


def file_of(*rows: dict[str, str], columns: list[str] | None = None) -> Spreadsheet:
    """A spreadsheet with the columns of the first row."""
    columns = columns or list(rows[0])
    return Spreadsheet(make_csv(columns, *([row.get(column, "") for column in columns] for row in rows)))


def merchant(number: int, **columns: str) -> dict[str, str]:
    return {
        **JAN,
        "reference": f"shop-{number}",
        "organization_name": f"Bakkerij {number}",
        "owner_email": f"owner-{number}@shops.example",
        **columns,
    }


def preview(*rows: dict[str, str], updates: bool = False, **options: Any) -> Report:
    return Import(file_of(*rows, **options), updates=updates).preview()


def write(
    *rows: dict[str, str], actor: Any, updates: bool = False, **options: Any
) -> tuple[Report, Batch | None]:
    run = Import(file_of(*rows, **options), updates=updates)
    return run.write(uuid.uuid4(), actor=actor, description="merchants.csv")


def reasons(report: Report) -> list[tuple[str, list[int], int]]:
    return [(group.sentence, group.rows, group.count) for group in report.skipped]


def counts(report: Report) -> dict[str, int]:
    return {str(becomes): count for becomes, count in report.counts.items() if count}


def test_every_column_is_imported(operator):
    cells = {**JAN, "registration_office": "Aachen", "incorporation_date": "2020-04-03"}
    write(cells, actor=operator)
    row = ClientLink.objects.get()
    stored = {column: getattr(row, column) for column in cells}
    assert stored == {**cells, "incorporation_date": date(2020, 4, 3)}
    assert row.created_by == operator
    assert row.status == Status.DRAFT
    event = Event.objects.get()
    assert (event.kind, event.client_link, event.actor) == ("created", row, operator)


@pytest.mark.parametrize("updates", [False, True])
def test_history_of_an_import_waits_for_no_signal(make_client_link, operator, updates):
    """Such an event has none, so `announce_overdue` must not find it."""
    make_client_link(**merchant(1, city="Utrecht"))
    write(merchant(1), merchant(2), actor=operator, updates=updates)
    assert Event.objects.count() == 1 + updates
    assert not Event.objects.filter(announced_at=None).exists()


def test_batch_is_prepared_and_not_started(operator):
    _report, batch = write(merchant(1), merchant(2), actor=operator)
    assert batch
    batch.refresh_from_db()
    assert (batch.source, batch.description, batch.count) == (Batch.Source.IMPORT, "merchants.csv", 2)
    assert (batch.created_by, batch.started_at) == (operator, None)
    assert {item.client_link for item in batch.items.all()} == set(ClientLink.objects.all())
    assert set(batch.items.values_list("outcome", flat=True)) == {BatchItem.Outcome.PENDING}


def test_preview_writes_nothing(django_assert_max_num_queries):
    with django_assert_max_num_queries(2):
        report = preview(merchant(1), merchant(2, country="XX"))
    assert counts(report) == {"new": 1, "wrong": 1}
    assert not ClientLink.objects.exists()


def test_nothing_else_of_the_row_is_written(operator):
    cells = {
        **JAN, "status": "connected", "user": str(operator.pk), "user_id": str(operator.pk),
        "organization_id": "1", "delivery_status": "sent", "mollie_id": "cl_1",
        "link_generation": "7", "created_by": "", "may_share_organization": "1", "onboarding_status": "completed",
        "last_sent_at": "2020-01-01", "reminder_count": "3",
    }  # fmt: skip
    write(cells, actor=operator)
    row = ClientLink.objects.get()
    assert (row.status, row.user_id, row.organization_id, row.mollie_id) == (Status.DRAFT, None, None, None)
    assert (row.delivery_status, row.link_generation, row.reminder_count) == ("", 1, 0)
    assert (row.last_sent_at, row.may_share_organization) == (None, False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"owner_email": "mila@"}, "Enter a valid email address."),
        ({"country": "Atlantis"}, "This is no country: give its two-letter code, such as NL, or its name."),
        ({"organization_name": ""}, "This field cannot be blank."),
        ({"organization_name": "a" * 256}, "Ensure this value has at most 255 characters (it has 256)."),
        ({"city": ""}, "Enter the city that goes with the street."),
        ({"incorporation_date": "2120-01-01"}, "This date is in the future."),
        ({"incorporation_date": "#REF!"}, "The spreadsheet program could not calculate this cell."),
        ({"owner_locale": "Klingon"}, "Choose one of the languages that Mollie offers."),
        ({"vat_number": "none"}, "This is not a VAT number: one looks like NL123456789B01."),
        ({"owner_given_name": "www.x.example"}, "Leave web addresses and special characters out of names."),
    ],
)
def test_wrong_row_is_named_with_its_column(change, sentence):
    [column] = change
    columns = [*MERCHANT, "incorporation_date"]
    report = preview(merchant(1), merchant(2), {**merchant(3), **change}, columns=columns)
    assert counts(report) == {"new": 2, "wrong": 1}
    merchant_of_row = {"organization_name": merchant(3)["organization_name"], **change}["organization_name"]
    known_by = merchant_of_row or merchant(3)["owner_email"]
    assert report.errors == [Finding(4, column, sentence, known_by, change[column])]


def test_wrong_row_without_a_reference_is_known_by_its_name():
    report = preview({**JAN, "reference": "", "country": "Atlantis"})
    assert [(finding.merchant, finding.value) for finding in report.errors] == [
        (JAN["organization_name"], "Atlantis")
    ]


@pytest.mark.parametrize(("country", "example"), [("AT", "ATU12345678"), ("US", "NL123456789B01")])
def test_example_of_a_vat_number_is_one_of_the_country(country, example):
    report = preview(merchant(1, vat_number="applied for", country=country))
    assert report.errors[0].sentence == f"This is not a VAT number: one looks like {example}."


def test_column_is_called_what_the_file_calls_it():
    content = make_csv(
        ["Company", "Country", "First name", "Surname", "E-mail", "Street"],
        ["Bakkerij", "NL", "Jan", "Jansen", "jan@", "Keizersgracht 1"],
    )
    report = Import(Spreadsheet(content)).preview()
    assert [(finding.row, finding.column) for finding in report.errors] == [
        (2, "E-mail"),
        (2, "city"),
        (2, "postal code"),
    ]


def test_row_with_more_cells_than_columns_is_wrong():
    content = make_csv(list(JAN), [*JAN.values(), "", "lost"])
    report = Import(Spreadsheet(content)).preview()
    assert report.errors == [Finding(2, "", "This row has more cells than there are columns.", "shop-1")]


def test_row_that_ends_early_has_empty_cells():
    columns = [*(name for name in JAN if name != "vat_number"), "vat_number"]
    content = make_csv(columns, [JAN[name] for name in columns[:-1]])
    assert counts(Import(Spreadsheet(content)).preview()) == {"new": 1}


def test_warning_does_not_stop_a_row():
    report = preview(merchant(1, vat_number="NL000000000B00"))
    assert counts(report) == {"new": 1}
    [warning] = report.warnings
    assert (report.warning_count, warning.row, warning.column) == (1, 2, "vat_number")


def test_preview_shows_the_first_of_each_kind_only():
    wrong = [merchant(number, country="") for number in range(1000, 1120)]
    doubtful = [merchant(number, vat_number="NL1") for number in range(2000, 2030)]
    doubled = [*doubtful, *doubtful]
    report = preview(*wrong, *doubled)
    assert (report.wrong, report.error_count, len(report.errors)) == (120, 120, 100)
    assert (report.warning_count, len(report.warnings)) == (30, 20)
    assert (report.skipped_count, len(report.skipped)) == (30, 20)
    assert (report.right, len(report.sample)) == (30, 20)


def test_skipped_rows_are_together_by_reason(make_client_link):
    for number in range(30):
        make_client_link(**merchant(number))
    ClientLink.objects.filter(reference="shop-25").update(status=Status.CANCELLED)
    report = preview(*(merchant(number) for number in range(30)))
    assert reasons(report) == [
        ("The merchant is here already.", list(range(2, 12)), 29),
        ("The client link is cancelled.", [27], 1),
    ]
    assert [group.more for group in report.skipped] == [19, 0]


# Merchants who are here already.


def test_same_reference_is_skipped(make_client_link):
    make_client_link(reference="shop-1")
    report = preview(merchant(1), merchant(2))
    assert counts(report) == {"skipped": 1, "new": 1}
    assert reasons(report) == [("The merchant is here already.", [2], 1)]
    assert report.could_be_updated == 1


def test_reference_in_another_case_is_another_merchant(make_client_link):
    make_client_link(reference="SHOP-1")
    assert counts(preview(merchant(1))) == {"new": 1}


def test_same_address_and_organization_are_skipped_however_they_are_written(make_client_link):
    make_client_link(owner_email="Jan@Bakkerij-Jansen.example", organization_name="Bakkerij Jansen")
    same = {**JAN, "reference": "", "owner_email": "jan@BAKKERIJ-jansen.example"}
    assert counts(preview({**same, "organization_name": "bakkerij  jansen"})) == {"skipped": 1}
    assert counts(preview({**same, "organization_name": "Bakkerij Jansen Zuid"})) == {"new": 1}


@pytest.mark.parametrize(("here", "given"), [("shop-1", ""), ("", "shop-1"), ("", "")])
def test_same_address_and_organization_are_known_where_a_reference_is_missing(
    make_client_link, operator, here, given
):
    row = make_client_link(reference=here, city="Utrecht")
    report, _batch = write({**JAN, "reference": given}, actor=operator, updates=True)
    assert counts(report) == {"updated": 1}
    row.refresh_from_db()
    assert (row.reference, row.city) == (here or given, "Amsterdam")


@pytest.mark.parametrize("updates", [False, True])
def test_second_shop_of_an_owner_is_another_merchant(make_client_link, operator, updates):
    """Also where both have one name: the platform's own reference says that they are two."""
    first = make_client_link(reference="shop-1", city="Utrecht")
    report, _batch = write({**JAN, "reference": "shop-2"}, actor=operator, updates=updates)
    assert counts(report) == {"new": 1}
    first.refresh_from_db()
    assert (first.reference, first.city) == ("shop-1", "Utrecht")
    assert ClientLink.objects.exclude(pk=first.pk).get().reference == "shop-2"


def test_two_shops_of_an_owner_in_one_file(operator):
    shops = [{**JAN, "reference": reference} for reference in ("shop-1", "shop-2", "")]
    report, _batch = write(*shops, actor=operator)
    assert counts(report) == {"new": 2, "skipped": 1}
    assert reasons(report) == [("The same merchant is in row 3.", [4], 1)]


@pytest.mark.parametrize("size", [1, 500])
@pytest.mark.parametrize(("here", "first"), [("", "shop-1"), ("shop-1", ""), ("shop-1", "shop-1")])
def test_second_shop_in_the_file_of_a_merchant_who_is_here(
    make_client_link, operator, monkeypatch, size, here, first
):
    monkeypatch.setattr(importing, "CHUNK_SIZE", size)
    row = make_client_link(reference=here, city="Utrecht")
    shops = [{**JAN, "reference": reference} for reference in (first, "shop-2")]
    previewed = preview(*shops, updates=True)
    report, _batch = write(*shops, actor=operator, updates=True)
    assert counts(previewed) == counts(report) == {"updated": 1, "new": 1}
    row.refresh_from_db()
    assert (row.reference, row.city) == ("shop-1", "Amsterdam")


def test_shop_with_a_reference_below_the_same_one_without(make_client_link):
    make_client_link(reference="", city="Utrecht")
    report = preview({**JAN, "reference": ""}, JAN, updates=True)
    assert reasons(report) == [("The same merchant is in row 2.", [3], 1)]


def test_empty_reference_is_no_reference(make_client_link):
    make_client_link(reference="", owner_email="other@shops.example")
    assert counts(preview({**JAN, "reference": ""})) == {"new": 1}


def test_same_merchant_twice_in_the_file_is_imported_once(operator):
    report, _batch = write(merchant(1), merchant(2), merchant(1), merchant(2, reference=""), actor=operator)
    assert counts(report) == {"new": 2, "skipped": 2}
    assert reasons(report) == [
        ("The same merchant is in row 2.", [4], 1),
        ("The same merchant is in row 3.", [5], 1),
    ]
    assert report.could_be_updated == 0
    assert ClientLink.objects.count() == 2


def test_wrong_row_is_no_merchant_that_another_could_double():
    assert counts(preview(merchant(1, country=""), merchant(1))) == {"wrong": 1, "new": 1}


def test_same_merchant_far_apart_in_the_file(monkeypatch, operator):
    monkeypatch.setattr(importing, "CHUNK_SIZE", 2)
    report, _batch = write(*map(merchant, (1, 2, 3, 4, 1)), actor=operator)
    assert counts(report) == {"new": 4, "skipped": 1}


def test_update_writes_what_the_file_has_and_nothing_more(make_client_link, operator):
    row = make_client_link(reference="shop-1", city="Utrecht", user=operator, registration_office="Aachen")
    columns = [
        "reference",
        "organization_name",
        "country",
        "owner_given_name",
        "owner_family_name",
        "owner_email",
        "city",
    ]
    report, batch = write({**JAN, "owner_given_name": ""}, actor=operator, updates=True, columns=columns)
    assert counts(report) == {"updated": 1}
    row.refresh_from_db()
    assert (row.city, row.registration_office, row.user) == ("Amsterdam", "Aachen", operator)
    assert row.owner_given_name == "Jan"  # an empty cell leaves what is there
    event = Event.objects.get()
    assert (event.kind, event.actor, event.data) == ("edited", operator, {"columns": ["city"]})
    assert batch
    assert [item.client_link for item in batch.items.all()] == [row]


def test_update_reads_a_cell_with_the_country_that_is_there(make_client_link, operator):
    row = make_client_link(reference="shop-1", legal_entity="")
    write({**JAN, "country": "", "legal_entity": "Stichting"}, actor=operator, updates=True)
    row.refresh_from_db()
    assert (row.country, row.legal_entity) == ("NL", "nl-stichting")


def test_update_takes_the_client_link_at_mollie_away(make_client_link, operator):
    row = make_client_link(
        reference="shop-1",
        status=Status.READY,
        mollie_id="cl_1",
        url="https://my.mollie.com/x",
        city="Utrecht",
    )
    write(JAN, actor=operator, updates=True)
    row.refresh_from_db()
    assert (row.status, row.mollie_id, row.url) == (Status.DRAFT, None, "")


def test_update_that_changes_nothing_is_said(make_client_link, operator):
    make_client_link(reference="shop-1")
    report, batch = write(JAN, actor=operator, updates=True)
    assert (counts(report), batch, report.unchanged) == ({"unchanged": 1}, None, 1)
    assert not Event.objects.exists()
    assert not Batch.objects.exists()


def test_update_that_is_wrong_leaves_the_merchant_alone(make_client_link, operator):
    row = make_client_link(reference="shop-1", city="Utrecht")
    # The second of the two finds the merchant as it is, not as the first would have left it.
    report, _batch = write(
        {**JAN, "owner_email": "mila@", "city": "Gouda"}, {**JAN, "city": ""}, actor=operator, updates=True
    )
    assert counts(report) == {"wrong": 1, "unchanged": 1}
    row.refresh_from_db()
    assert row.city == "Utrecht"


def test_one_merchant_is_updated_by_one_row(make_client_link, operator):
    row = make_client_link(reference="shop-1", city="Utrecht")
    by_name = {**JAN, "reference": "", "city": "Gouda"}
    report, _batch = write({**JAN, "owner_email": "new@shops.example"}, by_name, actor=operator, updates=True)
    assert counts(report) == {"updated": 1, "skipped": 1}
    assert reasons(report) == [("The same merchant is in row 2.", [3], 1)]
    row.refresh_from_db()
    assert (row.reference, row.city) == ("shop-1", "Amsterdam")


def test_reference_is_the_surer_sign(make_client_link, operator):
    by_reference = make_client_link(reference="shop-1", owner_email="a@b.example", organization_name="Other")
    by_name = make_client_link(reference="shop-2")
    write({**JAN, "city": "Gouda"}, actor=operator, updates=True)
    by_reference.refresh_from_db()
    by_name.refresh_from_db()
    assert (by_reference.city, by_name.city) == ("Gouda", "Amsterdam")


@pytest.mark.parametrize("updates", [False, True])
@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"status": Status.CANCELLED}, "The client link is cancelled."),
        ({"status": Status.CONNECTED}, "The merchant is connected."),
        ({"anonymized_at": timezone.now()}, "The personal data of the merchant were erased."),
    ],
)
def test_merchant_who_is_out_of_reach_is_skipped(make_client_link, operator, updates, columns, sentence):
    if columns.get("status") == Status.CONNECTED:
        columns = {**columns, "organization": Organization.objects.create(organization_id="org_1")}
    row = make_client_link(reference="shop-1", city="Utrecht", **columns)
    report, batch = write(JAN, actor=operator, updates=updates)
    assert (counts(report), batch) == ({"skipped": 1}, None)
    assert reasons(report) == [(sentence, [2], 1)]
    assert report.could_be_updated == 0
    row.refresh_from_db()
    assert row.city == "Utrecht"


def meanwhile(monkeypatch: Any, happens: Callable[[], object]) -> None:
    """Between the moment in which the merchants are looked up and the one in which they are written."""

    def find_and_go_on(cells: Any) -> Any:
        found = find_client_links(cells)
        happens()
        return found

    monkeypatch.setattr(importing, "find_client_links", find_and_go_on)


def test_merchant_who_connects_during_the_import_is_skipped(make_client_link, operator, monkeypatch):
    row = make_client_link(reference="shop-1", city="Utrecht")
    organization = Organization.objects.create(organization_id="org_1")
    rows = ClientLink.objects.filter(pk=row.pk)
    meanwhile(monkeypatch, lambda: rows.update(status=Status.CONNECTED, organization=organization))
    report, batch = write(JAN, actor=operator, updates=True)
    assert (counts(report), batch) == ({"skipped": 1}, None)
    assert reasons(report) == [("The merchant is connected.", [2], 1)]
    assert report.sample == []
    assert rows.get().city == "Utrecht"


def test_nobody_is_locked_before_all_rows_are_judged(make_client_link, operator, monkeypatch):
    """A merchant who comes back from Mollie waits for the lock, and the code is good for 30 seconds."""
    monkeypatch.setattr(importing, "CHUNK_SIZE", 2)
    rows = [make_client_link(**merchant(number, city="Utrecht")) for number in range(5)]
    hold = ClientLinkQuerySet.hold
    steps: list[Any] = []

    def noting(self: Any, pks: Any, **options: Any) -> Any:
        steps.extend(pks)
        return hold(self, pks, **options)

    monkeypatch.setattr(ClientLinkQuerySet, "hold", noting)
    meanwhile(monkeypatch, lambda: steps.append("judged"))
    report, _batch = write(*map(merchant, range(5)), actor=operator, updates=True)
    assert counts(report) == {"updated": 5}
    # In one order through the whole file, which is the one of whoever locks many of them.
    keys = ClientLink.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    assert steps == ["judged"] * 3 + list(keys.values_list("pk", flat=True))


def test_code_of_a_merchant_whose_address_stays_can_be_exchanged_meanwhile(
    make_client_link, operator, monkeypatch
):
    """Up to the tokens a return writes to its request alone."""
    make_client_link(**merchant(1, city="Utrecht"))
    moved = make_client_link(**merchant(2, owner_email="old@shops.example"))
    hold = AuthorizationRequestQuerySet.hold
    locked: set[Any] = set()

    def noting(self: Any, pks: Any) -> None:
        locked.update(pks)
        hold(self, pks)

    monkeypatch.setattr(AuthorizationRequestQuerySet, "hold", noting)
    report, _batch = write(merchant(1), merchant(2), actor=operator, updates=True)
    assert counts(report) == {"updated": 2}
    assert locked == {moved.pk}


@committing
@pytest.mark.skipif(not connection.features.has_select_for_update, reason="SQLite locks everything")
def test_others_work_on_while_the_file_is_read(make_client_link, operator, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_SIZE", 1)
    rows = [make_client_link(**merchant(number, city="Utrecht")) for number in range(2)]
    content_type = ContentType.objects.get_for_model(ClientLink)
    results: list[Any] = []

    def lock() -> int:
        with transaction.atomic():
            return len(ClientLink.objects.select_for_update(nowait=True).filter(pk=rows[0].pk))

    def log() -> int:
        LogEntry.objects.create(user=operator, content_type=content_type, action_flag=CHANGE)
        return LogEntry.objects.count()

    meanwhile(monkeypatch, lambda: results.extend(in_threads(1, lambda: (lock(), log()))))
    write(merchant(0), merchant(1), actor=operator, updates=True)
    assert results == [(1, 1), (1, 2)]


def test_merchant_who_is_deleted_during_the_import_is_skipped(make_client_link, operator, monkeypatch):
    make_client_link(**merchant(1, city="Utrecht"))
    kept = make_client_link(**merchant(2, city="Utrecht"))
    meanwhile(monkeypatch, lambda: ClientLink.objects.exclude(pk=kept.pk).delete())
    report, batch = write(merchant(1), merchant(2), actor=operator, updates=True)
    assert counts(report) == {"skipped": 1, "updated": 1}
    assert reasons(report) == [("The personal data of the merchant were erased.", [2], 1)]
    assert [item.client_link for item in batch.items.all()] == [kept]


def test_updates_take_one_statement_for_each_merchant_and_a_few_for_all(
    make_client_link, operator, django_assert_max_num_queries
):
    for number in range(50):
        make_client_link(**merchant(number, city="Utrecht", owner_email=f"old-{number}@shops.example"))
    file = file_of(*(merchant(number) for number in range(50)))
    ContentType.objects.get_for_model(BatchItem)
    with django_assert_max_num_queries(50 + 20):
        report, batch = Import(file, updates=True).write(uuid.uuid4(), actor=operator, description="")
    assert counts(report) == {"updated": 50}
    assert set(ClientLink.objects.values_list("city", "link_generation")) == {("Amsterdam", 2)}
    assert Event.objects.filter(kind="edited", actor=operator).count() == 50
    assert batch.count == 50


def test_merchant_who_was_cancelled_and_added_again_is_the_new_one(make_client_link):
    make_client_link(reference="shop-1")
    make_client_link(reference="shop-1", status=Status.CANCELLED)
    assert preview(JAN).could_be_updated == 1


def test_updated_merchant_waits_for_a_mail_only_without_one(make_client_link, operator):
    sent = {
        "first_sent_at": timezone.now(),
        "last_sent_at": timezone.now(),
        "send_count": 1,
        "city": "Utrecht",
    }
    mailed = make_client_link(**{**merchant(1), **sent})
    moved = make_client_link(**{**merchant(2), **sent})
    make_client_link(**{**merchant(3), "city": "Utrecht", "delivery_status": "complained"})
    new_address = merchant(2, owner_email="new@shops.example")
    report, batch = write(merchant(1), new_address, merchant(3), actor=operator, updates=True)
    assert counts(report) == {"updated": 3}
    assert batch
    assert [item.client_link for item in batch.items.all()] == [moved]
    mailed.refresh_from_db()
    assert mailed.city == "Amsterdam"


@pytest.mark.parametrize("delivery", ["bounced", "complained", "sent"])
def test_address_in_other_letters_is_mailed_no_more_than_before(make_client_link, operator, delivery):
    now = timezone.now()
    row = make_client_link(**merchant(1), delivery_status=delivery, first_sent_at=now, last_sent_at=now)
    report, batch = write(merchant(1, owner_email="OWNER-1@Shops.example"), actor=operator, updates=True)
    assert (counts(report), batch) == ({"updated": 1}, None)
    row.refresh_from_db()
    assert row.owner_email == "OWNER-1@Shops.example"
    assert (row.delivery_status, row.link_generation) == (delivery, 1)


# All or nothing, and once.


def fail_at(monkeypatch: Any, number: int, *, once: bool = False) -> None:
    """The database fails with that many chunks to be written, and from then on."""
    calls = []
    bulk_create = QuerySet.bulk_create

    def failing(self: Any, rows: Any, *args: Any, **kwargs: Any) -> Any:
        if self.model is ClientLink:
            calls.append(1)
            if len(calls) == number or (len(calls) > number and not once):
                raise OperationalError("gone")
        return bulk_create(self, rows, *args, **kwargs)

    monkeypatch.setattr(QuerySet, "bulk_create", failing)


@committing
def test_failure_in_the_middle_leaves_nothing(monkeypatch, operator):
    monkeypatch.setattr(importing, "CHUNK_SIZE", 2)
    fail_at(monkeypatch, 3)
    with pytest.raises(OperationalError):
        write(*map(merchant, range(10)), actor=operator)
    assert not ClientLink.objects.exists()
    assert not Batch.objects.exists()
    assert not Event.objects.exists()


@committing
def test_deadlock_in_the_middle_is_tried_again(monkeypatch, operator):
    monkeypatch.setattr(importing, "CHUNK_SIZE", 2)
    fail_at(monkeypatch, 3, once=True)
    report, batch = write(*map(merchant, range(10)), actor=operator)
    assert counts(report) == {"new": 10}
    assert ClientLink.objects.count() == BatchItem.objects.count() == batch.count == 10


def test_failure_within_a_row_is_none_of_the_rows(monkeypatch):
    def failing(self: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(ClientLink, "clean", failing)
    with pytest.raises(OperationalError):
        preview(JAN)


@committing
def test_second_run_with_the_same_id_is_refused(operator):
    batch_id = uuid.uuid4()
    for expected in (1, 1):
        try:
            Import(file_of(JAN)).write(batch_id, actor=operator, description="")
        except IntegrityError:
            assert ClientLink.objects.count() == expected
    assert ClientLink.objects.count() == 1


@committing
def test_two_presses_at_one_moment_import_once(operator):
    batch_id = uuid.uuid4()
    rows = list(map(merchant, range(30)))

    def press() -> Any:
        return Import(file_of(*rows)).write(batch_id, actor=operator, description="")

    results = in_threads(3, press)
    assert sum(isinstance(result, IntegrityError) for result in results) == 2, results
    assert ClientLink.objects.count() == BatchItem.objects.count() == Event.objects.count() == 30
    assert Batch.objects.count() == 1


@committing
def test_two_files_with_the_same_merchants_at_one_moment(operator):
    """Two operators, or two tabs."""
    rows = list(map(merchant, range(30)))
    results = in_threads(3, lambda: write(*rows, actor=operator)[0].new)
    assert sorted(results) == [0, 0, 30]
    assert ClientLink.objects.count() == 30


# Memory.


def peak_of(size: int, work: Callable[[Import], object], **options: Any) -> int:
    """The most bytes that Python holds beyond what it held before, the file excepted."""
    run = Import(file_of(*map(merchant, range(size))), **options)
    gc.collect()
    tracemalloc.start()
    try:
        work(run)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(monkeypatch, operator):
    monkeypatch.setattr(importing, "CHUNK_SIZE", 50)

    def imported(run: Import) -> None:
        run.write(uuid.uuid4(), actor=operator, description="")

    def forget() -> None:
        Batch.objects.all().delete()
        ClientLink.objects.all().delete()

    # What was never done before is kept for the next time, by Django say.
    peak_of(50, imported)
    peak_of(50, imported, updates=True)
    forget()
    previewed = [peak_of(size, Import.preview) for size in (100, 500)]
    written, updated = [], []
    for size in (100, 500):
        written.append(peak_of(size, imported))
        ClientLink.objects.update(city="Utrecht")
        updated.append(peak_of(size, imported, updates=True))
        assert Event.objects.filter(kind="edited").count() == size
        forget()

    # Five times the rows. Of each row a digest is kept, to find it twice; a chunk is in memory as a whole.
    for name, (few, many) in {"preview": previewed, "new": written, "updates": updated}.items():
        assert many < 2 * few, (name, few, many)


# Out again.


def test_export_is_what_an_import_takes(operator):
    rows = [
        merchant(1, organization_name="=cmd|'/c calc'!A1", registration_number="+31", city="-Amsterdam"),
        merchant(2, organization_name="'@home", street_and_number='\'t Hoekje 1, "boven"; links'),
        merchant(3, incorporation_date="2020-04-03"),
    ]
    for row in rows:
        row.pop("registration_number", None)
        ClientLink.objects.create(**{**row, "incorporation_date": row.get("incorporation_date")})
    before = list(ClientLink.objects.order_by("reference").values())
    for content in ("".join(stream_csv(everything())).encode(), xlsx_of_everything()):
        report = Import(Spreadsheet(content), updates=True).preview()
        assert (counts(report), report.errors) == ({"unchanged": 3}, [])
        ClientLink.objects.all().delete()
        Import(Spreadsheet(content)).write(uuid.uuid4(), actor=operator, description="")
        after = list(ClientLink.objects.order_by("reference").values())
        columns = ClientLinkResource().get_export_headers()[:15]
        assert [[row[name] for name in columns] for row in after] == [
            [row[name] for name in columns] for row in before
        ]


def everything() -> Any:
    return export_rows(ClientLink.objects.all())


def xlsx_of_everything() -> bytes:
    with write_xlsx({"Merchants": everything()}) as file:
        return file.read()


def test_export_has_no_secret_and_says_how_far_each_is(make_client_link):
    organization = Organization.objects.create(
        organization_id="org_1", onboarding_status="in-review", access_token=Secret("access_canary")
    )
    row = make_client_link(
        status=Status.CONNECTED, organization=organization, url="https://my.mollie.com/canary", mollie_id="cl_canary",
        delivery_status="sent", last_sent_at=timezone.now(), reminder_count=2, submission_digest="canary",
    )  # fmt: skip
    header, cells = everything()
    found = dict(zip(header, cells, strict=True))
    assert found["status"] == "connected"
    assert (found["delivery_status"], found["reminder_count"]) == ("sent", "2")
    assert (found["organization_id"], found["onboarding_status"]) == ("org_1", "in-review")
    assert found["last_sent_at"] == timezone.localtime(row.last_sent_at).isoformat(timespec="seconds")
    assert "canary" not in str(cells)
    assert str(row.pk) not in str(cells)


def test_export_takes_the_rows_page_by_page(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("mollie_onboarding.spreadsheets.writing.PAGE_SIZE", 2)
    now = timezone.now()
    ClientLink.objects.bulk_create(ClientLink(**merchant(number)) for number in range(5))
    ClientLink.objects.update(created_at=now)  # at one moment: the id decides
    with django_assert_num_queries(4):
        _header, *rows = everything()
    assert sorted(cells[0] for cells in rows) == [f"shop-{number}" for number in range(5)]


def test_wrong_rows_can_be_corrected_and_uploaded_again():
    content = make_csv(
        ["Error", *JAN],
        ["", *merchant(1).values()],
        ["old", *merchant(2, country="=1+1").values()],
        ["", *merchant(3).values(), "too much"],
    )
    written = "".join(stream_csv(wrong_rows(Import(Spreadsheet(content)))))
    again = Spreadsheet(written.encode())
    assert again.header.names[0] == "error"
    assert again.header.unknown == ()
    first, second = (cells for _number, cells in again.rows())
    assert first[0] == "country: This is no country: give its two-letter code, such as NL, or its name."
    assert "'=1+1" in first
    assert second[-1] == "too much"
    assert Import(again).preview().wrong == 2
    mended = Spreadsheet(written.replace("'=1+1", "NL").replace(',"too much"', "").encode())
    assert counts(Import(mended).preview()) == {"new": 2}


@pytest.mark.parametrize("name", ["error", "Error:", " ERROR "])
def test_wrong_rows_have_one_column_of_errors(name):
    content = make_csv([*JAN, name], [*merchant(1, country="").values(), "old"])
    header, cells = wrong_rows(Import(Spreadsheet(content)))
    assert header == ["error", *JAN]
    assert "old" not in cells


def test_wrong_rows_of_an_export_keep_their_references(make_client_link, operator):
    row = make_client_link(**merchant(1, reference="-12"))
    exported = "".join(stream_csv(export_rows(ClientLink.objects.all())))
    spoilt = Spreadsheet(exported.replace(row.owner_email, "jan@").encode())
    corrected = "".join(stream_csv(wrong_rows(Import(spoilt, updates=True)))).replace("jan@", "jan@b.example")
    report = Import(Spreadsheet(corrected.encode()), updates=True).preview()
    assert counts(report) == {"updated": 1}


def test_actor_may_be_any_user(make_client_link):
    user = get_user_model().objects.create_user("somebody")
    write(merchant(1), actor=user)
    assert ClientLink.objects.get().created_by == user


def test_kinds_have_a_name_each():
    assert [str(becomes) for becomes in Becomes] == ["new", "updated", "unchanged", "skipped", "wrong"]


@pytest.mark.parametrize("space", ["\x1f", "\x85", "\u2003"])
@pytest.mark.parametrize("column", ["owner_given_name", "owner_family_name", "organization_name"])
def test_cell_of_nothing_but_space_is_an_empty_one(column, space):
    """Also of those that no spreadsheet program shows, and that are left when a cell is read."""
    report = preview(merchant(1, **{column: space}))
    assert (report.new, report.wrong) == (0, 1)
    assert [finding.column for finding in report.errors] == [column]
