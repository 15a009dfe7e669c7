"""The funnel in the admin: the page, the same numbers in lists and as CSV, and who may see it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mollie_onboarding.admin.funnel import StageFilter
from mollie_onboarding.models import Batch, BatchItem, ClientLink, Event, Stage, Status
from tests.pages import Page
from tests.test_funnel import NOW, ago, make_at, make_batch, make_row, sign_up

pytestmark = pytest.mark.django_db

FUNNEL = "/admin/mollie_onboarding/clientlink/funnel/"
CSV = "/admin/mollie_onboarding/clientlink/funnel.csv"
LIST = "/admin/mollie_onboarding/clientlink/"


@pytest.fixture(autouse=True)
def _clock(settings: Any) -> Iterator[None]:
    settings.TIME_ZONE = "UTC"
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def admin(operator: Any) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def rows_of(page: Page, name: str) -> list[list[str]]:
    """The cells of a table's body."""
    [body] = page.find("table", id=name).find_all("tbody")
    return [[cell.text for cell in row.find_all() if cell.tag in ("th", "td")] for row in body.find_all("tr")]


def plots(page: Page) -> list[Page]:
    return page.find_all("svg", role="img")


def listed(response: Any) -> set[Any]:
    return set(response.context["cl"].queryset.values_list("pk", flat=True))


# The page


def test_addresses_have_their_names():
    assert reverse("admin:mollie_onboarding_clientlink_funnel") == FUNNEL
    assert reverse("admin:mollie_onboarding_clientlink_funnel_csv") == CSV


def test_list_leads_to_the_funnel(admin):
    [link] = Page(admin.get(LIST)).find_all("a", href=FUNNEL)

    assert link.text == "Funnel"


def test_link_to_the_funnel_needs_no_more_than_to_view():
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_clientlink"))
    client = Client()
    client.force_login(user)

    [tools] = Page(client.get(LIST)).find_all("ul", class_="object-tools")

    assert [link.text for link in tools.find_all("a")] == ["Export", "Funnel"]


def test_page_without_a_merchant_is_one_sentence(admin):
    page = Page(admin.get(FUNNEL))

    assert page.find("p", id="empty").text == "No merchant was invited or signed up here yet."
    assert plots(page) == []
    assert [page.find_all("table", id=name) for name in ("stages", "weeks", "batches")] == [[], [], []]
    assert len(page.find_all("select")) == 3


def test_page_has_the_numbers_as_picture_and_as_table(admin):
    for stage in Stage:
        make_at(stage)
    make_at(Stage.OPENED, status=Status.CANCELLED)

    page = Page(admin.get(FUNNEL))

    assert rows_of(page, "stages") == [
        ["Invited or signed up", "7", "100%", "-", "-", "1", "0"],
        ["Opened by the merchant", "6", "86%", "86%", "1.0", "1", "1"],
        ["At Mollie", "4", "57%", "67%", "1.0", "1", "0"],
        ["Connected", "3", "43%", "75%", "1.0", "1", "0"],
        ["Payments enabled", "2", "29%", "67%", "1.0", "1", "0"],
        ["Completed", "1", "14%", "50%", "1.0", "-", "0"],
    ]
    steps, weeks = plots(page)
    assert [bar["width"] for bar in steps.find_all("rect")][1::2] == [
        "100%",
        "86%",
        "57%",
        "43%",
        "29%",
        "14%",
    ]
    assert len(weeks.find_all("g")) == len(rows_of(page, "weeks")) == 12


def test_newest_week_comes_first(admin):
    make_row(first_sent_at=ago(9), opened_at=ago(1))
    make_row(first_sent_at=ago(8))

    week, week_before, *_others = rows_of(Page(admin.get(FUNNEL)), "weeks")

    assert week[:2] == ["2027-03-01 W09", "0"]
    assert week_before[:4] == ["2027-02-22 W08", "2", "1 50%", "0 0%"]


def test_weeks_before_the_others_have_a_line(admin):
    make_row(first_sent_at=ago(500))

    assert rows_of(Page(admin.get(FUNNEL, {"weeks": "all"})), "weeks")[-1][:2] == ["Before", "1"]


def test_form_shows_what_was_chosen_and_leads_back(admin, operator):
    row = make_at(Stage.OPENED)
    batch = make_batch([row], description="Spring", created_by=operator)
    sign_up(2)

    page = Page(admin.get(FUNNEL, {"weeks": "4", "source": "signup"}))
    assert {select["name"]: chosen(select) for select in page.find_all("select")} == {
        "weeks": "Last 4 weeks",
        "source": "By the sign-up page",
        "batch": "All batches",
    }
    assert rows_of(page, "stages")[0][:2] == ["Signed up", "1"]
    of_batch = Page(admin.get(FUNNEL, {"batch": batch.pk.hex}))
    assert chosen(of_batch.find("select", name="batch")).endswith("Spring (1, operator)")
    assert chosen(of_batch.find("select", name="weeks")) == "All weeks"
    assert rows_of(of_batch, "stages")[0][:2] == ["Invited", "1"]
    assert "whatever the period" in of_batch.find("p", id="of-batch").text
    assert not page.find_all("p", id="of-batch")


def test_form_can_be_sent_with_what_it_shows(admin):
    """A browser sends no form where what is required has no value, and all batches is none."""
    selects = Page(admin.get(FUNNEL)).find_all("select")

    assert [select["name"] for select in selects if "required" in select.attributes] == []


def chosen(select: Page) -> str:
    [option] = [option for option in select.find_all("option") if "selected" in option.attributes]
    return option.text


@pytest.mark.parametrize(
    "query", ["weeks=7", "weeks=&source=x", "batch=1", "batch=" + 32 * "0", "source=%00", "weeks=%F0"]
)
def test_words_that_mean_nothing_are_no_error(admin, query):
    make_at(Stage.OPENED)

    assert admin.get(f"{FUNNEL}?{query}").status_code == 200


def test_old_batch_can_still_be_chosen(admin):
    old = make_batch([make_at(Stage.OPENED)], days=90, description="The first")
    for _ in range(25):
        make_batch([])

    page = Page(admin.get(FUNNEL, {"batch": str(old.pk)}))

    assert chosen(page.find("select", name="batch")).endswith("The first (1)")
    assert len(rows_of(page, "batches")) == 20


def test_batches_have_their_line_and_lead_to_their_funnel(admin):
    batch = make_batch([make_at(Stage.OPENED), make_at(Stage.INVITED)], description="Spring <b>sale</b>")

    page = Page(admin.get(FUNNEL))

    [[name, *numbers]] = rows_of(page, "batches")
    assert name == "2027\u201103\u201103 12:00 Spring <b>sale</b> (2)"
    assert numbers == ["2", "1 50%", "0 0%", "0 0%", "0 0%", "0 0%"]
    [link] = page.find("table", id="batches").find_all("a")
    assert link["href"] == f"?batch={batch.pk.hex}"


def test_who_waits_longest_is_named_and_linked(admin):
    row = make_at(Stage.OPENED, organization_name="Kaas & Zo")

    page = Page(admin.get(FUNNEL))

    [link] = page.find_all("a", href=f"{LIST}{row.pk}/change/")
    assert link.text == "Kaas & Zo"


def test_page_has_no_script_or_style_of_its_own(admin):
    for stage in Stage:
        make_batch([make_at(stage)])

    [content] = Page(admin.get(FUNNEL)).find_all("div", id="content")

    assert content.find_all("script") == content.find_all("style") == []
    assert not [element for element in content.find_all() if "style" in element.attributes]


# The same numbers in the list


SELECTIONS: list[dict[str, str]] = [
    {},
    {"weeks": "4"},
    {"weeks": "all"},
    {"weeks": "all", "source": "signup"},
    {"weeks": "52", "source": "invited"},
    {"batch": "batch"},
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_number_in_the_funnel_is_the_number_in_the_list(admin, selection):
    rows = [make_at(stage, since=since) for stage in Stage for since in (1, 40, 200, 500)]
    make_at(Stage.OPENED, status=Status.CANCELLED)
    sign_up(3)
    sign_up(60, started_at=ago(50), first_sent_at=ago(2))
    make_row(created_at=ago(1))
    batch = make_batch(rows[::3])
    query = {**selection, **({"batch": batch.pk.hex} if "batch" in selection else {})}

    page = Page(admin.get(FUNNEL, query))

    found = {}
    for line in page.find("table", id="stages").find_all("tr")[1:]:
        for link in line.find_all("a"):
            found[line.find("th").text] = int(link.text)
            assert len(listed(admin.get(str(link["href"])))) == int(link.text)
            same = [other for other in page.find_all("a") if other["href"] == link["href"]]
            assert len(same) == 2  # below whom it names, too
    assert len(found) >= (2 if selection.get("source") == "signup" else 4)
    assert all(found.values())


def test_link_names_its_selection_in_the_list(admin):
    make_at(Stage.OPENED)
    batch = make_batch([make_at(Stage.STARTED)], description="Spring")

    response = admin.get(LIST, {"stage": f"started.all.invited.{batch.pk.hex}"})

    [chosen_one] = [
        line for line in Page(response).find_all("li", class_="selected") if "At Mollie" in line.text
    ]
    assert (
        chosen_one.text
        == "At Mollie, All weeks, Invited by the platform, 2027\u201103\u201103 12:00 Spring (1)"
    )


@pytest.mark.parametrize("stage", Stage)
def test_list_alone_filters_by_stage(admin, stage):
    rows = {stage: make_at(stage, since=500) for stage in Stage}
    make_at(stage, status=Status.CANCELLED)

    assert listed(admin.get(LIST, {"stage": stage.value})) == {rows[stage].pk}


@pytest.mark.parametrize("value", ["nothing", "", ".12", "nothing.12.all."])
def test_unknown_stage_filters_nothing(admin, value):
    make_at(Stage.OPENED)
    make_row()

    assert len(listed(admin.get(LIST, {"stage": value}))) == 2


def test_batch_that_is_gone_is_not_named(admin):
    response = admin.get(LIST, {"stage": f"opened.all.all.{32 * '1'}"})

    assert listed(response) == set()
    assert "Opened by the merchant, All weeks, All merchants" in response.content.decode()


# CSV


def read_csv(response: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(response.content.decode().splitlines()))


def test_csv_has_the_weeks(admin):
    make_at(Stage.COMPLETED, since=1)
    make_row(first_sent_at=ago(8))

    response = admin.get(CSV, {"weeks": "4"})

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="funnel.csv"'
    lines = read_csv(response)
    assert [line["week"] for line in lines] == ["2027-W06", "2027-W07", "2027-W08", "2027-W09"]
    assert lines[2] == {
        "week": "2027-W08",
        "monday": "2027-02-22",
        **{
            "entered": "2",
            "opened": "1",
            "started": "1",
            "connected": "1",
            "payments": "1",
            "completed": "1",
        },
    }


@pytest.mark.parametrize("language", ["en", "nl"])
def test_csv_has_the_batches(admin, language):
    older = make_batch([make_at(Stage.CONNECTED), make_at(Stage.OPENED)], days=2, description="Spring; 2027")
    newer = make_batch([make_at(Stage.COMPLETED)], days=1)

    response = admin.get(CSV, {"table": "batches"}, headers={"accept-language": language})

    assert response.headers["Content-Disposition"] == 'attachment; filename="funnel-batches.csv"'
    first, second = read_csv(response)
    assert (first["batch"], first["description"], first["completed"]) == (newer.pk.hex, "", "1")
    assert second == {
        "batch": older.pk.hex,
        "started_at": "2027-03-01T12:00:00+00:00",
        "description": "Spring; 2027",
        "invited": "2",
        "opened": "2",
        "started": "1",
        "connected": "1",
        "payments": "0",
        "completed": "0",
    }


@pytest.mark.parametrize("language", ["en", "nl"])
def test_csv_has_the_stages_and_the_days_between(admin, language):
    for days in (1, 2, 6):
        make_row(first_sent_at=ago(8), opened_at=ago(8 - days))
    make_row(first_sent_at=ago(8), status=Status.CANCELLED)

    response = admin.get(CSV, {"table": "steps", "weeks": "4"}, headers={"accept-language": language})

    assert response.headers["Content-Disposition"] == 'attachment; filename="funnel-steps.csv"'
    entered, opened, started, *others = read_csv(response)
    assert entered == {
        "stage": "entered", "merchants": "4", "of_all": "100", "of_previous": "", "median_days": "",
        "waiting": "0", "left": "1",
    }  # fmt: skip
    assert opened == {
        "stage": "opened", "merchants": "3", "of_all": "75", "of_previous": "75", "median_days": "2.0",
        "waiting": "3", "left": "0",
    }  # fmt: skip
    assert [started["stage"], *(line["stage"] for line in others)] == Stage.values[2:]
    assert (started["of_all"], started["of_previous"], started["median_days"]) == ("0", "0", "")


def test_csv_of_nobody_has_no_shares(admin):
    lines = read_csv(admin.get(CSV, {"table": "steps"}))

    assert {(line["merchants"], line["of_all"], line["of_previous"]) for line in lines} == {("0", "", "")}
    assert read_csv(admin.get(CSV, {"table": "batches"})) == []


def test_csv_of_a_table_that_is_not_there_is_that_of_the_weeks(admin):
    assert "monday" in read_csv(admin.get(CSV, {"table": "nonsense"}))[0]


@pytest.mark.parametrize("table", ["weeks", "batches", "steps"])
def test_csv_has_no_formula_and_no_name(admin, table):
    make_row(first_sent_at=ago(500), organization_name="=cmd()")
    make_batch([make_at(Stage.OPENED, organization_name="@SUM(1)")], description="+1")

    content = admin.get(CSV, {"weeks": "all", "table": table}).content.decode()

    cells = [cell for line in csv.reader(content.splitlines()) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "SUM" not in content
    assert len(cells) > 7


def test_csv_calls_the_weeks_before_the_others_so(admin):
    make_row(first_sent_at=ago(500))

    assert read_csv(admin.get(CSV, {"weeks": "all"}))[0]["week"] == "before"


def test_page_links_the_csv_of_its_selection(admin):
    sign_up(100)
    make_batch([make_at(Stage.OPENED)])
    query = {"weeks": "52", "source": "signup"}

    links = [
        str(link["href"])
        for link in Page(admin.get(FUNNEL, query)).find_all("a")
        if str(link["href"]).startswith(CSV)
    ]

    asked_for = [parse_qs(urlsplit(link).query) for link in links]
    selected = {"weeks": ["52"], "source": ["signup"]}
    assert asked_for == [{"table": [name], **selected} for name in ("steps", "weeks", "batches")]
    steps, weeks, batches = (read_csv(admin.get(link)) for link in links)
    assert steps[0]["merchants"] == "1"
    assert sum(int(line["entered"]) for line in weeks) == 1
    assert [line["invited"] for line in batches] == ["1"]


# Who may look, and that looking changes nothing


@pytest.mark.parametrize("path", [FUNNEL, CSV])
@pytest.mark.parametrize(
    ("permission", "status"),
    [("view_clientlink", 200), ("change_clientlink", 200), ("view_organization", 403), ("view_batch", 403)],
)
def test_who_may_view_client_links_may_view_the_funnel(path, permission, status):
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    client = Client()
    client.force_login(user)

    assert client.get(path).status_code == status


@pytest.mark.parametrize("path", [FUNNEL, CSV])
def test_nobody_else_sees_it(path):
    response = Client().get(path)

    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/")


def test_looking_changes_nothing(admin):
    rows = [make_at(stage) for stage in Stage]
    make_batch(rows)
    before = list(ClientLink.objects.order_by("pk").values())
    admin.get(FUNNEL)

    with CaptureQueriesContext(connection) as captured:
        admin.get(FUNNEL)
        admin.get(CSV)

    assert not [query["sql"] for query in captured if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert list(ClientLink.objects.order_by("pk").values()) == before
    assert Event.objects.count() == 0
    assert Batch.objects.count() == 1
    assert BatchItem.objects.count() == 6


def test_statements_do_not_depend_on_what_there_is(admin, count):
    def read() -> int:
        response, statements = count(lambda: admin.get(FUNNEL))
        assert response.status_code == 200
        return len(statements)

    make_batch([make_at(Stage.OPENED)])
    few = read()
    for stage in Stage:
        make_batch([make_at(stage, since=since) for since in range(1, 5)])

    assert read() == few <= 18


def test_list_offers_the_stages(admin):
    [stages] = [spec for spec in admin.get(LIST).context["cl"].filter_specs if isinstance(spec, StageFilter)]

    assert [value for value, _label in stages.lookup_choices] == Stage.values
