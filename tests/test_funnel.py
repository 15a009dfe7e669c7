"""How many merchants came how far: by stage, week and batch, with true medians, and never rising."""

from __future__ import annotations

import random
import statistics
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mollie_onboarding.funnel import (
    SHOWN_BATCHES,
    Counts,
    Selection,
    Source,
    build_funnel,
    count_batches,
    count_weeks,
    draw_steps,
    draw_weeks,
)
from mollie_onboarding.funnel.counts import percentage
from mollie_onboarding.funnel.plots import _round_up
from mollie_onboarding.funnel.weeks import begin_of, mondays
from mollie_onboarding.models import Batch, BatchItem, ClientLink, Organization, Stage, Status
from tests.conftest import MERCHANT

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 3, 12, 0, tzinfo=UTC)  # a Wednesday
DAY = timedelta(days=1)
EVER = Selection(weeks=None)


@pytest.fixture(autouse=True)
def _clock(settings: Any) -> Iterator[None]:
    settings.TIME_ZONE = "UTC"
    with time_machine.travel(NOW, tick=False):
        yield


def ago(days: float) -> datetime:
    return NOW - days * DAY


LONG_AGO = ago(400)
MADE = iter(range(10**9))


def make_organization(**columns: Any) -> Organization:
    return Organization.objects.create(organization_id=f"org_{next(MADE)}", **columns)


def make_row(*, created_at: datetime = LONG_AGO, **columns: Any) -> ClientLink:
    row = ClientLink.objects.create(**{**MERCHANT, **columns})
    ClientLink.objects.filter(pk=row.pk).update(created_at=created_at)
    return row


def make_at(stage: Stage, *, since: float = 5, **columns: Any) -> ClientLink:
    """Invited 10 days ago, and then one stage each day until this one, reached `since` days ago."""
    order = list(Stage)
    days = {other: since + order.index(stage) - number for number, other in enumerate(order)}
    at = {other: ago(days[other]) for other in order[: order.index(stage) + 1]}
    if stage in (Stage.PAYMENTS, Stage.COMPLETED):
        columns["organization"] = make_organization(
            payments_enabled_at=at[Stage.PAYMENTS], completed_at=at.get(Stage.COMPLETED)
        )
    return make_row(
        first_sent_at=at[Stage.INVITED],
        opened_at=at.get(Stage.OPENED),
        started_at=at.get(Stage.STARTED),
        connected_at=at.get(Stage.CONNECTED),
        **columns,
    )


def sign_up(days: float, **columns: Any) -> ClientLink:
    at = ago(days)
    return make_row(created_at=at, opened_at=at, **columns)


def reached(selection: Selection = EVER) -> tuple[int, ...]:
    return tuple(step.count for step in build_funnel(selection, timezone.now()).steps)


def waiting(selection: Selection = EVER) -> tuple[int, ...]:
    return tuple(step.waiting for step in build_funnel(selection, timezone.now()).steps)


# Stages


def test_each_stage_implies_those_before_it():
    for stage in Stage:
        make_at(stage)

    assert reached() == (6, 5, 4, 3, 2, 1)
    assert waiting() == (1, 1, 1, 1, 1, 1)


def test_connected_without_an_opening_counts_as_opened():
    make_row(first_sent_at=ago(5), connected_at=ago(2))

    assert reached() == (1, 1, 1, 1, 0, 0)


def test_completed_without_payments_counts_as_both():
    make_row(first_sent_at=ago(5), connected_at=ago(2), organization=make_organization(completed_at=ago(1)))

    assert reached() == (1, 1, 1, 1, 1, 1)


def test_who_was_never_mailed_and_never_came_is_not_counted():
    make_row(created_at=ago(1))

    assert reached() == (0, 0, 0, 0, 0, 0)
    assert build_funnel(EVER, NOW).is_empty


def test_who_declined_still_waits():
    make_at(Stage.STARTED, status=Status.DECLINED)

    assert waiting() == (0, 0, 1, 0, 0, 0)


def test_who_was_cancelled_is_counted_and_waits_no_more():
    make_at(Stage.OPENED)
    make_at(Stage.OPENED, status=Status.CANCELLED)

    [_invited, opened, *_] = build_funnel(EVER, NOW).steps
    assert (opened.count, opened.waiting, opened.left) == (2, 1, 1)


def test_whose_connection_ended_has_left_and_whose_was_lost_has_not():
    connections = Organization.ConnectionStatus
    make_at(Stage.CONNECTED, organization=make_organization(connection_status=connections.DISCONNECTED))
    make_at(Stage.CONNECTED, organization=make_organization(connection_status=connections.LOST))

    connected = build_funnel(EVER, NOW).steps[3]
    assert (connected.count, connected.waiting, connected.left) == (2, 1, 1)


def test_shares_are_of_all_and_of_the_stage_before():
    for stage in (Stage.INVITED, Stage.INVITED, Stage.OPENED, Stage.STARTED):
        make_at(stage)

    steps = build_funnel(EVER, NOW).steps
    assert [step.share for step in steps] == [100, 50, 25, 0, 0, 0]
    assert [step.share_of_previous for step in steps] == [None, 50, 50, 0, None, None]


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 0, None), (0, 3, 0), (1, 3, 33), (1, 1000, 1), (999, 1000, 99), (1000, 1000, 100)],
)
def test_percentage_is_all_only_of_all(part, whole, expected):
    assert percentage(part, whole) == expected


numbers = st.integers(0, 10**6)


@given(st.lists(st.tuples(st.sampled_from(Stage), st.booleans(), numbers)))
def test_stages_never_rise(found):
    counts = Counts.of(found)

    assert list(counts.reached) == sorted(counts.reached, reverse=True)
    assert counts.total == sum(number for _, _, number in found)
    following = (*counts.reached[1:], 0)
    assert all(
        count == stay + left + later
        for count, stay, left, later in zip(
            counts.reached, counts.waiting, counts.left, following, strict=True
        )
    )


moments = st.none() | st.integers(-30, 400).map(ago)
ROWS = st.fixed_dictionaries(
    {
        "created_at": st.integers(0, 400).map(ago),
        "first_sent_at": moments,
        "opened_at": moments,
        "started_at": moments,
        "connected_at": moments,
        "status": st.sampled_from([Status.DRAFT, Status.STARTED, Status.CANCELLED]),
    }
)
SELECTIONS = st.builds(Selection, st.sampled_from([4, 12, 52, None]), st.sampled_from(Source))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=6), SELECTIONS)
def test_stages_never_rise_whatever_is_in_the_rows(transactional_rows, found, selection):
    with transactional_rows():
        for columns in found:
            make_row(**columns)
        funnel = build_funnel(selection, NOW)

        counts = [step.count for step in funnel.steps]
        assert counts == sorted(counts, reverse=True)
        for week in funnel.weeks:
            assert list(week.counts.reached) == sorted(week.counts.reached, reverse=True)
        # Each way to the same number gives the same number.
        for step in funnel.steps:
            assert selection.find_waiting(selection.find(NOW), step.stage).count() == step.waiting
            assert len(step.longest) == (0 if step.is_last else min(step.waiting, 10))


@pytest.fixture
def transactional_rows() -> Any:
    """A place for rows that are gone when it is left: hypothesis runs a test many times in one transaction."""

    @contextmanager
    def place() -> Iterator[None]:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    return place


# Where merchants come from, and when


def test_sources_are_apart_and_all_is_their_sum():
    make_at(Stage.OPENED)
    sign_up(3)
    sign_up(3, started_at=ago(2))

    assert reached(Selection(None, Source.INVITED)) == (1, 1, 0, 0, 0, 0)
    assert reached(Selection(None, Source.SIGNED_UP)) == (2, 2, 1, 0, 0, 0)
    assert reached(EVER) == (3, 3, 1, 0, 0, 0)


def test_sign_up_that_is_mailed_later_stays_one():
    sign_up(30, first_sent_at=ago(2))

    assert reached(Selection(None, Source.SIGNED_UP)) == (1, 1, 0, 0, 0, 0)
    [begun] = [week for week in count_weeks(EVER, NOW) if week.counts.total]
    assert begun.monday == date(2027, 2, 1)  # with the sign-up, not with the mail
    assert build_funnel(EVER, NOW).steps[1].median_days is None  # no mail made anybody open


def test_link_that_was_passed_on_without_a_mail_counts_as_invited():
    make_row(created_at=ago(9), opened_at=ago(2))

    assert reached(Selection(None, Source.INVITED)) == (1, 1, 0, 0, 0, 0)


def test_first_stage_is_called_what_it_is():
    sign_up(1)

    labels = {source: str(build_funnel(Selection(None, source), NOW).steps[0].label) for source in Source}
    assert labels == {"all": "Invited or signed up", "invited": "Invited", "signup": "Signed up"}


def test_period_is_this_week_and_those_before():
    for days in (0, 2, 23, 24, 400):
        make_row(first_sent_at=ago(days))

    assert reached(Selection(4)) == (3, 0, 0, 0, 0, 0)  # the Monday of the fourth week was 23 days ago
    assert reached(Selection(52))[0] == 4
    assert reached(EVER)[0] == 5


def test_weeks_are_each_there_and_empty_ones_too():
    make_row(first_sent_at=ago(0))
    make_row(first_sent_at=ago(15), opened_at=ago(1))

    weeks = count_weeks(Selection(4), NOW)

    assert [week.name for week in weeks] == ["2027-W06", "2027-W07", "2027-W08", "2027-W09"]
    assert [week.counts.reached[:2] for week in weeks] == [(0, 0), (1, 1), (0, 0), (1, 0)]


def test_without_a_period_weeks_begin_with_the_first():
    make_row(first_sent_at=ago(9))

    assert [week.name for week in count_weeks(EVER, NOW)] == ["2027-W08", "2027-W09"]


def test_what_was_a_year_ago_is_one_line():
    make_row(first_sent_at=ago(400))
    make_row(first_sent_at=ago(800))

    weeks = count_weeks(EVER, NOW)

    assert len(weeks) == 53
    assert (weeks[0].monday, weeks[0].name, weeks[0].counts.total) == (None, "", 2)


def test_nobody_ever_has_no_weeks():
    assert count_weeks(EVER, NOW) == []


def test_weeks_begin_at_midnight_where_the_site_is(settings):
    settings.TIME_ZONE = "Europe/Amsterdam"
    # Midnight in Amsterdam is 23:00 UTC the day before.
    make_row(first_sent_at=datetime(2027, 2, 28, 22, 59, 59, tzinfo=UTC))
    make_row(first_sent_at=datetime(2027, 2, 28, 23, 0, tzinfo=UTC))

    assert [week.counts.total for week in count_weeks(Selection(4), NOW)] == [0, 0, 1, 1]


def test_weeks_are_the_sites_and_not_the_visitors(settings):
    settings.TIME_ZONE = "Europe/Amsterdam"
    make_row(first_sent_at=datetime(2027, 2, 28, 23, 0, tzinfo=UTC))

    with timezone.override(ZoneInfo("America/New_York")):
        assert [week.counts.total for week in count_weeks(Selection(4), NOW)] == [0, 0, 0, 1]


def test_week_in_which_the_clocks_change_is_an_hour_shorter(settings):
    settings.TIME_ZONE = "Europe/Amsterdam"
    monday, following = mondays(2, datetime(2027, 3, 31, 12, 0, tzinfo=UTC))  # they change on Sunday 28 March

    first, second = (begin_of(day).astimezone(UTC) for day in (monday, following))
    assert second - first == timedelta(days=7, hours=-1)
    with time_machine.travel(datetime(2027, 3, 31, 12, 0, tzinfo=UTC), tick=False):
        make_row(first_sent_at=datetime(2027, 3, 28, 21, 59, 59, tzinfo=UTC))
        make_row(first_sent_at=datetime(2027, 3, 28, 22, 0, tzinfo=UTC))
        assert [week.counts.total for week in count_weeks(Selection(4), timezone.now())] == [0, 0, 1, 1]


def test_week_at_the_turn_of_the_year_has_the_iso_year():
    [week] = count_weeks(Selection(weeks=1), datetime(2027, 1, 2, 12, 0, tzinfo=UTC))

    assert (week.monday, week.name) == (date(2026, 12, 28), "2026-W53")


def test_each_moment_is_in_the_week_that_a_calendar_says():
    draw = random.Random(7)  # noqa: S311 (which moments is no secret)
    moments = [NOW - timedelta(seconds=draw.randrange(360 * 86400)) for _ in range(60)]
    for moment in moments:
        make_row(first_sent_at=moment)

    found = {week.name: week.counts.total for week in count_weeks(Selection(52), NOW) if week.counts.total}

    names = [f"{year}-W{week:02}" for year, week, _day in (moment.isocalendar() for moment in moments)]
    assert found == {name: names.count(name) for name in names}


# Batches


def make_batch(
    rows: list[ClientLink],
    *,
    days: float = 1,
    outcome: str = "sent",
    mailed: float | None = 200,
    **columns: Any,
) -> Batch:
    """A batch that was started so many days ago. It mailed them before all that the rows here have reached, if nobody says when."""
    batch = Batch.objects.create(started_at=ago(days), count=len(rows), **columns)
    at = ago(days if mailed is None else mailed)
    BatchItem.objects.bulk_create(
        BatchItem(batch=batch, client_link=row, outcome=outcome, at=at) for row in rows
    )
    return batch


def test_batches_count_whom_they_mailed():
    opened, invited, other = make_at(Stage.OPENED), make_at(Stage.INVITED), make_at(Stage.COMPLETED)
    first = make_batch([opened, invited], days=3)
    second = make_batch([invited], days=2)
    make_batch([other], days=1, outcome="skipped")
    Batch.objects.create()  # prepared only

    empty, *others = count_batches()

    assert empty.counts.total == 0
    assert [(cohort.batch, cohort.counts.reached[:3]) for cohort in others] == [
        (second, (1, 0, 0)),
        (first, (2, 1, 0)),
    ]
    assert reached(Selection(None, batch_id=first.pk)) == (2, 1, 0, 0, 0, 0)


def test_batch_is_credited_with_what_came_after_its_mail():
    """Invited, opened and connected long before: none of it is the doing of the batch that mails them today."""
    # Invited 10 days ago at the latest, then a stage each day.
    long_connected = make_at(Stage.CONNECTED, since=7)
    opened_before = make_at(Stage.OPENED, since=6)
    opened_since = make_at(Stage.OPENED, since=3)
    started_since = make_at(Stage.STARTED, since=4.5)  # and opened before it
    left = make_at(Stage.CONNECTED, since=2, status=Status.CANCELLED)
    rows = [long_connected, opened_before, opened_since, started_since, left]
    earlier = make_batch(rows, days=60)
    batch = make_batch(rows, days=5, mailed=5)
    funnel = build_funnel(Selection(None, batch_id=batch.pk), NOW)

    counts = {cohort.batch: cohort.counts for cohort in count_batches()}
    assert counts[batch].reached == (5, 3, 2, 1, 0, 0)
    assert counts[earlier].reached == (5, 5, 3, 2, 0, 0)
    assert tuple(step.count for step in funnel.steps) == (5, 3, 2, 1, 0, 0)
    assert [step.waiting for step in funnel.steps] == [2, 1, 1, 0, 0, 0]
    assert [step.left for step in funnel.steps] == [0, 0, 0, 1, 0, 0]
    assert funnel.steps[0].label == "Invited"
    assert [(merchant.client_link_id, merchant.since) for merchant in funnel.steps[1].longest] == [
        (opened_since.pk, ago(3))
    ]
    assert {(merchant.client_link_id, merchant.since) for merchant in funnel.steps[0].longest} == {
        (row.pk, ago(5)) for row in (long_connected, opened_before)
    }
    # From its mail to the opening; between what came before it there are no days of the batch's.
    assert [step.median_days for step in funnel.steps] == [None, 1.5, 1, 1, None, None]
    [week] = [week for week in funnel.weeks if week.counts.total]
    assert (week.monday, week.counts.total) == (date(2027, 2, 22), 5)


def test_who_waits_in_a_batch_is_found_by_the_same_word_in_the_list():
    row = make_at(Stage.OPENED, since=9)
    batch = make_batch([row], mailed=5)
    selection = Selection.from_text(Selection(None, batch_id=batch.pk).to_text())
    rows = selection.find(NOW)

    assert list(selection.find_waiting(rows, Stage.INVITED)) == [row]
    assert not selection.find_waiting(rows, Stage.OPENED).exists()


def test_batch_can_be_asked_about_a_period_by_code():
    batch = make_batch([make_at(Stage.OPENED)], mailed=100)

    assert reached(Selection(4, batch_id=batch.pk))[0] == 0
    assert reached(Selection(52, batch_id=batch.pk))[0] == 1


def test_last_twenty_batches_are_shown():
    made = [make_batch([], days=days) for days in range(SHOWN_BATCHES + 1, 0, -1)]

    assert [cohort.batch for cohort in count_batches()] == made[:0:-1]


# Days between


def days_of(found: list[float], *, before: str = "first_sent_at", after: str = "opened_at") -> None:
    for days in found:
        make_row(**{"first_sent_at": ago(300), before: ago(200), after: ago(200 - days)})


@pytest.mark.parametrize("found", [[3], [1, 2], [9, 1, 4], [0.5, 0.5, 7, 100], [2, 2, 2, 2, 30]])
def test_median_is_the_true_one(found):
    days_of(found)

    assert build_funnel(EVER, NOW).steps[1].median_days == pytest.approx(statistics.median(found))


def test_medians_of_every_pair():
    make_at(Stage.COMPLETED)  # a day for each
    make_row(first_sent_at=ago(50), opened_at=ago(47))

    medians = [step.median_days for step in build_funnel(EVER, NOW).steps]
    assert medians == [None, 2, 1, 1, 1, 1]


def test_stage_that_is_only_implied_has_no_days():
    make_row(first_sent_at=ago(50), connected_at=ago(47))

    assert [step.median_days for step in build_funnel(EVER, NOW).steps] == [None] * 6


def test_organization_that_could_receive_payments_before_it_connected_has_no_days():
    make_at(Stage.CONNECTED, organization=make_organization(payments_enabled_at=ago(200)))

    payments = build_funnel(EVER, NOW).steps[4]
    assert (payments.count, payments.median_days) == (1, None)


# Who waits


def test_longest_wait_comes_first_and_ten_are_shown():
    rows = {days: make_at(Stage.OPENED, since=days) for days in range(1, 13)}
    make_at(Stage.OPENED, since=90, status=Status.CANCELLED)
    make_at(Stage.STARTED, since=95)

    opened = build_funnel(EVER, NOW).steps[1]

    assert [merchant.client_link_id for merchant in opened.longest] == [
        rows[days].pk for days in range(12, 2, -1)
    ]
    assert opened.longest[0].since == ago(12)
    assert opened.waiting == 12


def test_waiting_row_without_a_name_is_called_by_its_id():
    row = make_at(Stage.OPENED)
    ClientLink.objects.filter(pk=row.pk).update(organization_name="")

    [merchant] = build_funnel(EVER, NOW).steps[1].longest
    assert merchant.name == str(row.pk)


# Selections as words


A_BATCH = uuid.UUID("6b9f1c0e-6a0f-4d55-9d4b-0d8f6f6f8a11")


@given(SELECTIONS)
@example(Selection(None, Source.INVITED, A_BATCH))
def test_selection_survives_an_address(selection):
    assert Selection.from_text(selection.to_text()) == selection


@pytest.mark.parametrize("text", ["", ".", "7.nobody.x", "....", "12.all.\x00", "٤", "12"])
def test_words_that_mean_nothing_are_the_default(text):
    assert Selection.from_text(text) == Selection()


def test_batch_is_not_a_question_of_when():
    assert Selection.parse("4", "all", str(A_BATCH)).weeks is None


# Statements


def test_statements_do_not_depend_on_what_there_is():
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            build_funnel(Selection(), NOW)
        return len(captured)

    make_batch([make_at(Stage.INVITED)])
    few = count()
    for stage in Stage:
        make_batch([make_at(stage, since=since) for since in range(1, 5)])

    assert count() == few <= 14


# Pictures

SVG = "{http://www.w3.org/2000/svg}"


def read_svg(source: str) -> ElementTree.Element:
    root = ElementTree.fromstring(source)  # noqa: S314 (our own)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in {"svg", "g", "title", "desc", "rect", "text", "line"}
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_picture_of_the_stages_has_their_numbers():
    for stage in (Stage.INVITED, Stage.OPENED, Stage.COMPLETED):
        make_at(stage)

    root = read_svg(draw_steps(build_funnel(EVER, NOW).steps))

    assert root.attrib["role"] == "img"
    described = {name: root.attrib[f"aria-{name}"] for name in ("labelledby", "describedby")}
    ids = {element.attrib.get("id"): element.text for element in root}
    assert ids[described["labelledby"]] == "How far the merchants came"
    assert ids[described["describedby"]].startswith("Invited or signed up: 3, Opened by the merchant: 2")
    assert texts(root)[:4] == ["Invited or signed up", "3 · 100%", "Opened by the merchant", "2 · 67%"]
    widths = [bar.attrib["width"] for bar in root.iter(f"{SVG}rect") if "track" not in bar.attrib["class"]]
    assert widths == ["100%", "67%", "33%", "33%", "33%", "33%"]


def test_picture_of_nobody_is_well_formed():
    root = read_svg(draw_steps(build_funnel(EVER, NOW).steps))

    assert texts(root)[:2] == ["Invited or signed up", "0"]


@pytest.mark.parametrize("weeks", [4, 12, 52, None])
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_picture_of_the_weeks_has_a_column_for_each(weeks, language):
    make_at(Stage.COMPLETED, since=1)
    make_row(first_sent_at=ago(500), opened_at=ago(499))
    selection = Selection(weeks)
    cohorts = count_weeks(selection, NOW)

    with translation.override(language):
        root = read_svg(draw_weeks(cohorts))

    columns = root.findall(f"{SVG}g")
    assert len(columns) == len(cohorts)
    assert 2 <= len([column for column in columns if column.find(f"{SVG}text") is not None]) <= 6
    day, _colon, numbers = (columns[-2].findtext(f"{SVG}title") or "").partition(": ")
    assert "22" in day
    assert numbers.count(" 1") == 6
    assert len(columns[-2].findall(f"{SVG}rect")) == 6
    assert len(columns[-3].findall(f"{SVG}rect")) == 0


def test_words_of_a_picture_are_escaped(monkeypatch):
    make_at(Stage.OPENED)
    with translation.override("en"):
        monkeypatch.setattr("mollie_onboarding.funnel.plots._", lambda text: f"<{text} & more>")
        assert "<How" not in str(draw_steps(build_funnel(EVER, NOW).steps))


@given(st.integers(1, 10**7))
def test_axis_ends_at_a_round_number(number):
    top = _round_up(number)

    assert number <= top <= max(number + 1, number * 1.25)
    assert top % 2 == 0
