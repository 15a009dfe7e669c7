"""Lists of a million rows: nothing is counted to the end, and each filter and the search have an index to go by."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.paginator import EmptyPage
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding.admin import large_lists
from mollie_onboarding.models import (
    ClientLink,
    Organization,
    Status,
    count_up_to,
    distinct_values,
    having_words,
    organizations,
)
from mollie_onboarding.models.client_links import SEARCHED_COLUMNS
from mollie_onboarding.models.indexes import PostgresIndex, WordIndex
from tests.conftest import MERCHANT

LIST = "/admin/mollie_onboarding/clientlink/"
ORGANIZATIONS = "/admin/mollie_onboarding/organization/"
on_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL")

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(operator) -> Client:
    browser = Client()
    browser.force_login(operator)
    return browser


@pytest.fixture
def make_organization() -> Any:
    def make(**columns: Any) -> Organization:
        number = Organization.objects.count()
        return Organization.objects.create(
            **{"organization_id": f"org_{number}", "name": f"Organization {number}", **columns}
        )

    return make


def make(count: int, **columns: Any) -> list[ClientLink]:
    """Client link requests, the first the newest."""
    rows = ClientLink.objects.bulk_create(ClientLink(**{**MERCHANT, **columns}) for _ in range(count))
    for age, row in enumerate(rows):
        row.created_at = timezone.now() - timedelta(minutes=age)
    ClientLink.objects.bulk_update(rows, ["created_at"])
    return rows


def found(staff: Client, **query: Any) -> list[Any]:
    return list(staff.get(LIST, query).context["cl"].result_list)


# Counting.


@pytest.fixture
def counted_to_5(monkeypatch):
    monkeypatch.setattr(large_lists, "MOST_COUNTED", 5)
    monkeypatch.setattr("mollie_onboarding.admin.health.MOST_COUNTED", 5)
    monkeypatch.setattr("mollie_onboarding.admin.large_lists.LargeListAdmin.list_per_page", 2)


@pytest.mark.parametrize(("rows", "words"), [(5, "5 client links"), (6, ">5 client links")])
def test_list_says_when_it_is_longer_than_it_counts(staff, counted_to_5, rows, words):
    make(rows)

    page = html.unescape(staff.get(LIST).content.decode())

    assert f"\n{words}\n" in page
    assert f"Select all {words}" in page
    assert f"All {words.split()[0]} selected" in page


def test_number_of_a_longer_list_stays_right_with_thousands_separated(
    staff, counted_to_5, settings, monkeypatch
):
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(large_lists, "bounded", lambda count: large_lists.MoreThan(10_000))
    make(1)

    assert "\n&gt;10,000 client links" in staff.get(LIST).content.decode().replace("\n>", "\n&gt;")


def test_page_behind_the_last_one_is_the_last_one(staff, counted_to_5):
    rows = make(9)

    assert found(staff, p=3) == found(staff, p=4000) == rows[4:5]
    assert staff.get(LIST, {"p": 0}).status_code == 302


def test_paginator_refuses_a_page_before_the_first():
    with pytest.raises(EmptyPage):
        large_lists.BoundedPaginator(ClientLink.objects.order_by("pk"), 10).page(0)


def test_selection_across_pages_holds_also_what_was_not_counted(staff, counted_to_5):
    make(9)
    fields = {"action": "cancel", "select_across": "1", "_selected_action": ClientLink.objects.first().pk}

    page = staff.post(LIST, fields)

    assert page.context["affected_count"] == 9


def test_counts_of_the_organizations_are_bounded(staff, counted_to_5, make_organization):
    for _ in range(6):
        make_organization()
    make_organization(connection_status="lost")

    page = html.unescape(staff.get(ORGANIZATIONS).content.decode())

    assert ">Connected: >5</a>" in page
    assert ">Connection lost: 1</a>" in page


def test_count_up_to_stops_and_knows_empty_sets():
    make(3, country="BE")

    sets = [ClientLink.objects.filter(country=country) for country in ("BE", "FR")]

    assert count_up_to(2, [*sets, ClientLink.objects.filter(pk__in=[])]) == [2, 0, 0]
    assert count_up_to(4, sets) == [3, 0]


@pytest.mark.parametrize("query", ["", "attention=yes", "status__exact=draft", "q=jansen", "q=nobody"])
@pytest.mark.parametrize("path", [LIST, ORGANIZATIONS])
def test_nothing_is_counted_without_a_limit(staff, make_organization, path, query):
    make_organization()
    make(3)
    query = query if path == LIST or query.startswith("q=") else ""

    with CaptureQueriesContext(connection) as queries:
        assert staff.get(f"{path}?{query}").status_code == 200

    assert any(" LIMIT 2001" in query["sql"] for query in queries)
    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    for statement in counting:
        assert statement.count("COUNT(") == statement.count(" LIMIT ")
    assert not any("DISTINCT" in query["sql"] for query in queries)


# What filters offer.


def test_distinct_values_are_in_order_and_no_more_than_asked_for():
    for country in ("NL", "BE", "DE", "BE"):
        make(2, country=country)

    assert distinct_values(ClientLink.objects.all(), "country", 60) == ["BE", "DE", "NL"]
    assert distinct_values(ClientLink.objects.all(), "country", 2) == ["BE", "DE"]
    assert distinct_values(Organization.objects.all(), "onboarding_status", 60) == []


@pytest.mark.parametrize("most", [60, 1])
def test_needs_new_consent_however_many_scopes_there_are(make_organization, monkeypatch, most):
    monkeypatch.setattr(organizations, "MOST_SCOPES", most)
    for scope in ("a b", "b a c", "a", "ab b", ""):
        make_organization(name=scope, scope=scope)
    make_organization(name="gone", scope="a", connection_status="disconnected")

    lacking = Organization.objects.needing_consent(["a", "b"])

    assert {row.name for row in lacking} == {"a", "ab b"}
    assert not Organization.objects.needing_consent([]).exists()


# The search.


SEARCHES = [
    ("jans bakk", True),
    ("JANSEN", True),
    ("jan@bakk", True),
    ("bakkerij-jansen.example", True),
    ("shop-7", True),
    ("cl_exact", True),
    ("  cl_exact ", True),
    ("cl_exac", False),
    ("jansen nobody", False),
]


@on_postgres
@pytest.mark.parametrize(("text", "is_found"), SEARCHES)
def test_words_are_found_by_their_beginnings(staff, text, is_found):
    [row] = make(1, reference="shop-7", mollie_id="cl_exact")
    make(1, organization_name="Other", owner_email="o@other.example", mollie_id="cl_exactly")

    assert found(staff, q=text) == [row] * is_found


@pytest.mark.parametrize(
    "text",
    ["!&|:*()", "'", "''' OR", "\\", "a:*", "!jansen", "<-> & |", "%", "_", "\N{EN DASH}", "x" * 5000, "né " * 500, "1e5 -3.2 é́", "ß İ ǅ", "<b> &amp; http://a.b/c?d=%20"],
)  # fmt: skip
@pytest.mark.parametrize("path", [LIST, ORGANIZATIONS])
def test_odd_searches_do_no_harm(staff, make_organization, path, text):
    make(1)
    make_organization()

    assert staff.get(path, {"q": text}).status_code == 200


@on_postgres
@pytest.mark.parametrize(
    "name",
    [
        "1e5 3.5 007",
        "Müller & Søn ApS",
        "Ærøskøbing\N{EN DASH}Å",
        "www.a-b.nl/x?y=1",
        "a_b_c <i>x</i>",
        "ΣΊΣΥΦΟΣ",
        "中文 名",
    ],
)
def test_each_word_of_a_name_finds_it(name):
    [row] = make(1, organization_name=name)
    words = re.findall(r"[^\W_]+", name)

    for text in (name, *words, *(word[: len(word) // 2 + 1] for word in words)):
        assert list(ClientLink.objects.filter(having_words(text, SEARCHED_COLUMNS))) == [row], text


@on_postgres
def test_search_for_many_words_passes_over_the_last(staff):
    [row] = make(1)

    assert found(staff, q="jan " * 10 + "nobody") == [row]
    assert found(staff, q="jan " * 9 + "nobody") == []


@pytest.fixture
def frequent(counted_to_5, monkeypatch) -> list[ClientLink]:
    """Ten rows of one name among thirty, and a search that looks at the newest four first."""
    monkeypatch.setattr(large_lists, "has_word_indexes", lambda rows: True)
    if connection.vendor != "postgresql":
        monkeypatch.setattr(
            large_lists, "having_words", lambda text, columns: Q(organization_name__icontains=text)
        )
    monkeypatch.setattr(large_lists, "NEWEST", 4)
    monkeypatch.setattr(large_lists, "MOST_PAGES", 2)
    rows = make(30, organization_name="Other", owner_email="o@other.example")
    wanted = [row for age, row in enumerate(rows) if age in {0, 2, 20, 21, 22, 23, 24, 25, 26, 29}]
    ClientLink.objects.filter(pk__in=[row.pk for row in wanted]).update(organization_name="Bakkerij")
    return wanted


def test_frequent_word_is_looked_for_among_the_newest_first(staff, frequent):
    with CaptureQueriesContext(connection) as queries:
        assert found(staff, q="bakkerij") == frequent[:2]

    [statement] = [query["sql"] for query in queries if "OFFSET 3" in query["sql"]]
    assert "NULLS LAST" not in statement
    assert sum("organization_name" in query["sql"] for query in queries) == 2  # one counts


def test_frequent_word_of_old_rows_is_found_by_the_index(staff, frequent):
    assert found(staff, q="bakkerij", p=2) == frequent[2:4]
    assert found(staff, q="bakkerij", p=3) == frequent[2:4]  # there are two pages


def test_rarer_word_is_found_by_the_index_and_in_the_order_of_the_list(staff, frequent):
    ClientLink.objects.filter(pk__in=[row.pk for row in frequent[5:]]).update(organization_name="Other")

    assert [*found(staff, q="bakkerij"), *found(staff, q="bakkerij", p=2)] == frequent[:4]
    assert found(staff, q="bakkerij", p=3) == frequent[4:5]


def test_frequent_word_can_be_sorted_by_name(staff, frequent):
    for number, row in enumerate(frequent):
        ClientLink.objects.filter(pk=row.pk).update(organization_name=f"Bakkerij {number}")

    assert found(staff, q="bakkerij", o=1) == frequent[:2]
    assert found(staff, q="bakkerij", o=-1) == frequent[:-3:-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Jan@Bakk", "'Jan':* & 'Bakk':*"),
        ("!&|:*()'\\ _%", None),
        ("x" * 200, f"'{'x' * 100}':*"),
        ("a " * 11, " & ".join(["'a':*"] * 10)),
    ],
)
def test_text_becomes_words_and_nothing_else(text, words):
    condition = having_words(text, SEARCHED_COLUMNS)

    if words is None:
        assert condition == Q(pk__in=[])
    else:
        sql, values = ClientLink.objects.filter(condition).query.sql_with_params()
        assert " @@ to_tsquery('pg_catalog.simple'::regconfig, %s)" in sql
        assert words in values


def test_postgres_reads_the_lost_organizations_first(monkeypatch):
    monkeypatch.setattr(connection, "vendor", "postgresql")

    sql = str(ClientLink.objects.needing_attention(timezone.now()).query)

    assert "organization_id` = ANY(ARRAY(SELECT" in sql.replace('"', "`")


# Indexes.


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (PostgresIndex(fields=["name"], name="scale"), ["(name)"]),
        (PostgresIndex(fields=["name"], name="scale", where_set="scope"), ["(name)", "WHERE scope IS NOT NULL"]),
        (WordIndex(fields=["name", "country"], name="scale"), ["((to_tsvector(", "name || ' ' || country"]),
    ],
)  # fmt: skip
@pytest.mark.skipif(connection.vendor == "mysql", reason="its schema editor knows no condition")
@pytest.mark.django_db(transaction=True)
def test_index_as_postgres_is_told(monkeypatch, index, words):
    monkeypatch.setattr(connection, "vendor", "postgresql")
    with connection.schema_editor(collect_sql=True) as editor:
        editor.add_index(Organization, index)
        editor.remove_index(Organization, index)

    made, gone = (line.replace('"', "").replace("`", "") for line in editor.collected_sql if "INDEX" in line)

    assert made.startswith("CREATE INDEX scale ON")
    assert [part for part in words if part not in made] == [], made
    assert gone.startswith("DROP INDEX")


@pytest.mark.parametrize(
    "index",
    [
        PostgresIndex(fields=["name"], name="scale_plain"),
        PostgresIndex(fields=["name"], name="scale_set", where_set="note"),
        WordIndex(fields=["name", "note"], name="scale_words"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_index_comes_and_goes_on_every_database(index):
    """Also while SQLite makes a table anew, which it does for most changes of one."""
    options = {"indexes": [index]}
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField()), ("note", models.TextField(null=True))]  # fmt: skip
    state = ProjectState()
    state.add_model(ModelState("mollie_onboarding", "Scale", fields, options))
    model = state.apps.get_model("mollie_onboarding", "Scale")
    with connection.schema_editor() as editor:
        editor.create_model(model)
    try:
        assert (index.name in _indexes(model)) is (connection.vendor == "postgresql")
        with connection.schema_editor() as editor:
            editor.remove_index(model, index)
        assert index.name not in _indexes(model)
        with connection.schema_editor() as editor:
            editor.add_index(model, index)
        with connection.schema_editor() as editor:
            editor.add_field(model, _named(models.IntegerField(default=1), "extra"))
        assert (index.name in _indexes(model)) is (connection.vendor == "postgresql")
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(model)


def _named(field: models.Field, name: str) -> models.Field:
    field.set_attributes_from_name(name)
    return field


def _indexes(model: type[models.Model]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, model._meta.db_table)


@pytest.mark.parametrize("index", [*ClientLink._meta.indexes, *Organization._meta.indexes])
def test_index_survives_a_migration(index):
    path, args, kwargs = index.deconstruct()

    assert path.startswith(("mollie_onboarding.models.indexes.", "django.db.models."))
    assert index.clone() == index
    assert type(index)(*args, **kwargs) == index


@on_postgres
@pytest.mark.parametrize(
    ("path", "query", "index"),
    [
        (LIST, "attention=yes", "mollie_cl_status.*mollie_cl_problem.*mollie_cl_identity.*send_requested_at.*mollie_cl_delivery.*(organization_id|mollie_cl_status)"),
        (LIST, "attention=identity", "mollie_cl_identity"),
        (LIST, "attention=consent", "mollie_org_scope|clientlink_organization_id|mollie_cl_status"),
        (LIST, "status__exact=rejected", "mollie_cl_status"),
        (LIST, "expired=yes", "expires_at"),
        (LIST, "expired=no", "expires_at"),
        (LIST, "delivery_status__exact=bounced", "mollie_cl_delivery"),
        (LIST, "problem__exact=mail_failed", "mollie_cl_problem"),
        (LIST, "country=BE", "mollie_cl_country"),
        (LIST, "created_at__gte=2020-01-01 00:00:00%2B00:00", "(clientlink_created_at|mollie_cl_).*Index Cond: .*created_at >="),
        (LIST, "stage=opened", "mollie_cl_stage"),
        (LIST, "stage=payments", "mollie_org_stage"),
        (LIST, "stage=opened.12.all.", "mollie_cl_stage"),
        (LIST, "q=jans", "mollie_cl_words"),
        (LIST, "q=cl_1", "mollie_cl_words.*mollie_id"),
        (ORGANIZATIONS, "connection_status__exact=lost", "mollie_org_connection"),
        (ORGANIZATIONS, "health=stale", "synced_at|mollie_org_connection"),
        (ORGANIZATIONS, "health=missing", "missing_since|mollie_org_connection"),
        (ORGANIZATIONS, "health=consent", "mollie_org_scope|mollie_org_connection"),
        (ORGANIZATIONS, "health=error", "mollie_org_error|mollie_org_connection"),
        (ORGANIZATIONS, "health=revocation", "mollie_org_revocation"),
        (ORGANIZATIONS, "onboarding_status=completed", "mollie_org_onboarding"),
        (ORGANIZATIONS, "can_receive_payments__exact=1", "mollie_org_payments"),
        (ORGANIZATIONS, "can_receive_settlements__exact=0", "mollie_org_settlements"),
        (ORGANIZATIONS, "q=org", "mollie_org_words.*organization_id"),
    ],
)  # fmt: skip
def test_each_filter_and_the_search_have_an_index(staff, make_organization, path, query, index):
    """The counting shows it: it has no order, so no other index but that of the filter is of any use to it."""
    make_organization(onboarding_status="completed", scope="organizations.read")
    make(3)
    with CaptureQueriesContext(connection) as queries:
        assert staff.get(f"{path}?{query}").status_code == 200
    table = "clientlink" if path == LIST else "organization"
    about = [query["sql"] for query in queries if f"mollie_onboarding_{table}" in query["sql"]]

    plans = [_plan(statement) for statement in about]

    assert len(about) >= 2
    for plan in plans:
        assert "Seq Scan on mollie_onboarding_" not in plan
    [counting] = [plan for plan, sql in zip(plans, about, strict=True) if sql.count(" LIMIT 2001") == 1]
    assert re.search(index, counting.replace("\n", " ")), counting


def _plan(statement: str) -> str:
    """How PostgreSQL would do it if reading a table were dear, as it is where the table is large."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement.replace('%', '%%')}", [])
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("status", [Status.REJECTED, Status.DRAFT])
def test_needs_attention_says_each_row_once(status):
    """A row may need it for several reasons."""
    rows = make(2, status=status, problem=ClientLink.Problem.MAIL_FAILED, delivery_status="failed")

    needing = ClientLink.objects.needing_attention(timezone.now())

    assert sorted(row.pk for row in needing) == sorted(row.pk for row in rows)
