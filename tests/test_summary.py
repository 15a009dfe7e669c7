"""The summary and the template tags: what is said of a merchant in every state, and where the button leads."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.serializers.json import DjangoJSONEncoder
from django.template import Context, Template
from django.utils import timezone, translation

from mollie_onboarding.fields import Secret
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Organization, Status
from mollie_onboarding.summary import RequirementSummary, onboarding_summary
from tests.conftest import reread

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DASHBOARD = "https://my.mollie.com/dashboard/onboarding"
SCOPE = "organizations.read onboarding.read onboarding.write"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def connected(make_client_link):
    """A connected row; keywords replace the organization's columns."""

    def make(**columns: Any) -> ClientLink:
        organization = Organization.objects.create(
            **{
                "organization_id": "org_1",
                "name": "Jansen Holding",
                "scope": SCOPE,
                "onboarding_status": "needs-data",
                "dashboard_url": DASHBOARD,
                "synced_at": NOON - timedelta(hours=1),
                **columns,
            }
        )
        return make_client_link(status=Status.CONNECTED, organization=organization)

    return make


def asking(*requirements: dict[str, Any], name: str = "payments") -> list[dict[str, Any]]:
    """Stored capabilities: one, with these requirements."""
    return [{"name": name, "status": "disabled", "status_reason": "", "requirements": list(requirements)}]


def requirement(requirement_id: str = "needs-data", **columns: Any) -> dict[str, Any]:
    return {"id": requirement_id, "status": "requested", "due_at": "", "url": "", **columns}


def answer(row: ClientLink, **columns: Any) -> None:
    """The merchant's return from Mollie."""
    AuthorizationRequest.objects.create(
        **{
            "client_link": row,
            "state_digest": f"{row.pk}",
            "expires_at": NOON + timedelta(hours=1),
            "answered_at": NOON,
            **columns,
        }
    )


# Not connected.


def test_no_client_link_is_not_connected():
    summary = onboarding_summary(None)
    assert (summary.status, summary.headline, summary.is_done) == ("none", "Not connected", False)
    assert (summary.action_label, summary.action_url) == ("", "")
    assert summary.sentences == (
        "Shopwise handles payments through Mollie and asks you to connect this organization with it.",
    )


def test_no_client_link_leads_to_the_sign_up():
    summary = onboarding_summary(None, signup_url="/onboarding/signup/?for=x")
    assert (summary.action_label, summary.action_url) == ("Connect with Mollie", "/onboarding/signup/?for=x")


@pytest.mark.parametrize(
    ("columns", "status", "headline", "words", "label"),
    [
        ({"status": Status.DRAFT}, "ready", "Ready to connect", "asks you to connect", "Connect with Mollie"),
        ({"status": Status.READY}, "ready", "Ready to connect", "asks you to connect", "Connect with Mollie"),
        (
            {"status": Status.STARTED},
            "started",
            "Not finished at Mollie",
            "you can go on where you were",
            "Continue connecting with Mollie",
        ),
        (
            {"status": Status.DECLINED},
            "declined",
            "You said no at Mollie",
            "Nothing was connected",
            "Start again with Mollie",
        ),
        (
            {"status": Status.REJECTED},
            "error",
            "Mollie did not accept the details",
            "Shopwise must correct them first",
            "",
        ),
        (
            {"status": Status.STARTED, "problem": "organization_taken"},
            "error",
            "Not connected",
            "belongs to another customer of Shopwise",
            "Start again with Mollie",
        ),
        (
            {"status": Status.CANCELLED},
            "cancelled",
            "The invitation was withdrawn",
            "Shopwise has withdrawn this invitation",
            "",
        ),
    ],
)
def test_row_that_is_not_connected(make_client_link, columns, status, headline, words, label):
    row = make_client_link(**columns)
    summary = onboarding_summary(row)
    assert (summary.status, summary.headline, summary.action_label) == (status, headline, label)
    assert words in " ".join(summary.sentences)
    assert summary.action_url == (row.merchant_path() if label else "")
    assert not summary.is_done


def test_return_that_is_being_worked_on_leaves_nothing_to_press(make_client_link):
    row = make_client_link(status=Status.STARTED)
    answer(row, claimed_until=NOON + timedelta(seconds=60))
    summary = onboarding_summary(row)
    assert (summary.status, summary.headline) == ("finishing", "Finishing the connection")
    assert (summary.action_label, summary.action_url, summary.is_done) == ("", "", False)


def test_return_that_was_interrupted_is_finished_by_the_button(make_client_link):
    row = make_client_link(status=Status.STARTED)
    answer(row, claimed_until=NOON, tokens=Secret("{}"))
    summary = onboarding_summary(row)
    assert (summary.status, summary.headline) == ("finishing", "One last step is missing")
    assert (summary.action_label, summary.action_url) == (
        "Finish connecting with Mollie",
        row.merchant_path(),
    )


def test_row_that_was_read_before_its_merchant_came_back_is_as_the_return_says(make_client_link):
    """A page reads the row first, and then the return that decides what it says."""
    row = make_client_link(status=Status.STARTED)
    answer(row, outcome="connected")
    organization = Organization.objects.create(organization_id="org_1", name="Bakkerij Jansen")
    ClientLink.objects.filter(pk=row.pk).update(status=Status.CONNECTED, organization=organization)
    assert onboarding_summary(row).status == "connected"


@pytest.mark.parametrize(
    ("connection", "headline", "words"),
    [
        ("lost", "Connection lost", "What you agreed to at Mollie no longer holds"),
        ("disconnected", "Disconnected", "Shopwise has ended the connection"),
    ],
)
def test_connection_that_has_ended(connected, connection, headline, words):
    row = connected(
        connection_status=connection,
        onboarding_status="completed",
        can_receive_payments=True,
        can_receive_settlements=True,
        capabilities=asking(requirement()),
    )
    summary = onboarding_summary(row)
    assert (summary.status, summary.headline) == ("lost", headline)
    assert words in summary.sentences[0]
    assert (summary.action_label, summary.action_url) == ("Connect with Mollie again", row.merchant_path())
    # What was read before is not true of the platform any more.
    assert not any((summary.is_done, summary.can_receive_payments, summary.can_receive_settlements))
    assert (summary.requirements, summary.dashboard_url, summary.read_at) == ((), "", None)


@pytest.mark.parametrize("status", [Status.DRAFT, Status.READY, Status.STARTED, Status.DECLINED])
def test_expired_link_is_asked_for_again(make_client_link, status):
    row = make_client_link(status=status, link_expires_at=NOON)
    summary = onboarding_summary(row)
    assert (summary.status, summary.headline) == ("expired", "Your link has expired")
    assert (summary.action_label, summary.action_url) == ("Get a new link", row.merchant_path())


@pytest.mark.parametrize(("status", "word"), [(Status.REJECTED, "error"), (Status.CANCELLED, "cancelled")])
def test_expired_link_says_nothing_where_there_is_nothing_to_press(make_client_link, status, word):
    summary = onboarding_summary(make_client_link(status=status, link_expires_at=NOON))
    assert (summary.status, summary.action_url) == (word, "")


def test_expired_link_of_a_lost_connection_is_still_lost(connected):
    row = connected(connection_status="lost")
    row.link_expires_at = NOON
    summary = onboarding_summary(row)
    assert (summary.status, summary.action_label) == ("lost", "Get a new link")


# Connected.


@pytest.mark.parametrize(
    ("facts", "headline", "sentences", "label"),
    [
        (
            ("needs-data", False, False),
            "Mollie needs more data",
            ("Mollie needs more data from you before you can receive payments.",),
            "Continue at Mollie",
        ),
        (
            ("needs-data", True, False),
            "Mollie needs more data",
            (
                "You can receive payments. Mollie needs more data from you before it pays out to your bank"
                " account.",
            ),
            "Continue at Mollie",
        ),
        (
            ("in-review", False, False),
            "Mollie is checking the data",
            (
                "Mollie has your data and is checking it. You can receive payments after that.",
                "You need not do anything now.",
            ),
            "",
        ),
        (
            ("in-review", True, False),
            "Mollie is checking the data",
            (
                "You can receive payments. Mollie is checking your data before it pays out to your bank"
                " account.",
                "You need not do anything now.",
            ),
            "",
        ),
        (
            ("completed", True, True),
            "Everything is done",
            (
                "Mollie has checked your data. You can receive payments, and Mollie pays out to your bank"
                " account.",
            ),
            "",
        ),
    ],
)
def test_documented_combinations_have_words_of_their_own(connected, facts, headline, sentences, label):
    status, payments, settlements = facts
    row = connected(
        onboarding_status=status, can_receive_payments=payments, can_receive_settlements=settlements
    )
    summary = onboarding_summary(row)
    assert (summary.status, summary.headline, summary.sentences) == ("connected", headline, sentences)
    assert (summary.can_receive_payments, summary.can_receive_settlements) == (payments, settlements)
    assert summary.is_done is (status == "completed")
    assert (summary.action_label, summary.action_url) == (label, DASHBOARD if label else "")
    assert summary.dashboard_url == DASHBOARD


PAYMENTS = {False: "You cannot receive payments yet.", True: "You can receive payments."}
SETTLEMENTS = {
    False: "Mollie cannot pay out to your bank account yet.",
    True: "Mollie can pay out to your bank account.",
}


@pytest.mark.parametrize(
    ("status", "payments", "settlements", "headline", "more"),
    [
        ("needs-data", False, True, "Mollie needs more data", ()),
        ("needs-data", True, True, "Mollie needs more data", ()),
        ("in-review", False, True, "Mollie is checking the data", ("You need not do anything now.",)),
        ("in-review", True, True, "Mollie is checking the data", ("You need not do anything now.",)),
        ("completed", False, False, "Mollie has checked your data", ()),
        ("completed", True, False, "Mollie has checked your data", ()),
        ("completed", False, True, "Mollie has checked your data", ()),
        ("", True, False, "Connected with Mollie", ()),
    ],
)
def test_other_combinations_are_told_value_by_value(connected, status, payments, settlements, headline, more):
    row = connected(
        onboarding_status=status, can_receive_payments=payments, can_receive_settlements=settlements
    )
    summary = onboarding_summary(row)
    assert summary.headline == headline
    assert summary.sentences == (PAYMENTS[payments], SETTLEMENTS[settlements], *more)
    assert not summary.is_done
    assert bool(summary.action_url) is (status != "in-review")


@pytest.mark.parametrize("facts", [(False, False), (True, False), (True, True)])
def test_unknown_status_is_shown_as_it_came(connected, facts):
    payments, settlements = facts
    row = connected(
        onboarding_status="under-<siege>", can_receive_payments=payments, can_receive_settlements=settlements
    )
    summary = onboarding_summary(row)
    assert summary.headline == "Connected with Mollie"
    assert summary.sentences == (
        "Mollie calls your status “under-<siege>”.",
        PAYMENTS[payments],
        SETTLEMENTS[settlements],
    )
    assert (summary.is_done, summary.action_url) == (False, DASHBOARD)


def test_connection_that_was_not_read_yet_is_not_done(connected):
    row = connected(onboarding_status="", dashboard_url="", synced_at=None)
    summary = onboarding_summary(row)
    assert summary.sentences == ("Your consent has arrived. Mollie's dashboard shows what is next.",)
    assert (summary.is_done, summary.read_at, summary.is_stale) == (False, None, True)
    assert (summary.action_label, summary.action_url) == ("See what is next", row.merchant_path())
    # An expired page would be a dead end: nobody who is connected is mailed a new link.
    row.link_expires_at = NOON
    assert onboarding_summary(row).action_url == ""


@pytest.mark.parametrize(("age", "is_stale"), [(timedelta(hours=23), False), (timedelta(hours=24), True)])
def test_reading_of_yesterday_is_stale(connected, age, is_stale):
    summary = onboarding_summary(connected(synced_at=NOON - age))
    assert (summary.read_at, summary.is_stale) == (NOON - age, is_stale)


def test_new_consent_comes_first_and_stops_nothing(connected):
    row = connected(
        scope="onboarding.read",
        onboarding_status="completed",
        can_receive_payments=True,
        can_receive_settlements=True,
    )
    summary = onboarding_summary(row)
    assert (summary.status, summary.needs_new_consent, summary.is_done) == ("connected", True, True)
    assert summary.sentences[0].startswith("Shopwise asks for more permissions at Mollie")
    assert len(summary.sentences) == 2
    assert (summary.action_label, summary.action_url) == (
        "Agree to more permissions at Mollie",
        row.merchant_path(),
    )
    row.link_expires_at = NOON
    assert onboarding_summary(row).action_label == "Get a new link"


def test_new_consent_leaves_something_to_do_during_the_review(connected):
    summary = onboarding_summary(connected(scope="onboarding.read", onboarding_status="in-review"))
    assert "You need not do anything now." not in summary.sentences


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://my.mollie.com/", "//evil.example", "https://[", "x"]
)
def test_dashboard_is_a_web_address_or_nothing(connected, url):
    row = connected(dashboard_url=url, capabilities=asking(requirement(url=url)))
    summary = onboarding_summary(row)
    assert (summary.dashboard_url, summary.requirements[0].url) == ("", "")
    assert summary.action_url == row.merchant_path()


# Requirements.


def test_requirement_has_words_a_date_and_a_link(connected):
    due_at = NOON + timedelta(days=9)
    url = f"{DASHBOARD}/documents"
    row = connected(
        capabilities=asking(requirement(status="currently-due", due_at=due_at.isoformat(), url=url))
    )
    summary = onboarding_summary(row)
    assert summary.requirements == (
        RequirementSummary("Give Mollie the data that it still needs", "payments", due_at, False, url),
    )
    assert (summary.action_label, summary.action_url) == ("Continue at Mollie", url)


@pytest.mark.parametrize(
    ("requirement_id", "text"),
    [
        ("needs-data", "Give Mollie the data that it still needs"),
        ("process-first-payment", "Receive a first payment"),
        ("upload-passport_copy", "Upload passport copy"),
        ("VAT-number", "VAT number"),
        ("---", "---"),
        ("<b>", "<b>"),
    ],
)
def test_requirement_is_named_in_words(connected, requirement_id, text):
    summary = onboarding_summary(connected(capabilities=asking(requirement(requirement_id))))
    assert [item.text for item in summary.requirements] == [text]


def test_requirement_of_two_capabilities_is_shown_once(connected):
    later, sooner = NOON + timedelta(days=9), NOON + timedelta(days=3)
    row = connected(
        capabilities=[
            *asking(requirement(due_at=later.isoformat())),
            *asking(requirement(due_at=sooner.isoformat()), name="settlements"),
            *asking(requirement(status="past-due"), requirement(), name="card-issuing"),
            *asking(requirement("process-first-payment"), name=""),
        ]
    )
    first, second = onboarding_summary(row).requirements
    assert first.capability == "payments, payouts and card issuing"
    assert (first.due_at, first.is_overdue) == (sooner, True)
    assert (second.capability, second.due_at, second.is_overdue) == ("", None, False)


def test_requirement_with_links_of_its_own_is_shown_for_each(connected):
    row = connected(
        capabilities=[
            *asking(requirement(url=f"{DASHBOARD}/1")),
            *asking(requirement(url=f"{DASHBOARD}/2"), name="settlements"),
        ]
    )
    assert [item.url for item in onboarding_summary(row).requirements] == [f"{DASHBOARD}/1", f"{DASHBOARD}/2"]


def test_what_is_overdue_comes_first_and_then_by_date(connected):
    def due(days: int) -> str:
        return (NOON + timedelta(days=days)).isoformat()

    row = connected(
        capabilities=asking(
            requirement("some-day"),
            requirement("in-9-days", due_at=due(9)),
            requirement("said-to-be-late", status="past-due"),
            requirement("in-3-days", due_at=due(3)),
            requirement("since-2-days", status="currently-due", due_at=due(-2)),
        )
    )
    found = onboarding_summary(row).requirements
    assert [(item.text, item.is_overdue) for item in found] == [
        ("Since 2 days", True),
        ("Said to be late", True),
        ("In 3 days", False),
        ("In 9 days", False),
        ("Some day", False),
    ]


@pytest.mark.parametrize(("status", "label"), [("in-review", "Continue at Mollie"), ("completed", "")])
def test_requirement_without_a_link_while_mollie_needs_no_data(connected, status, label):
    row = connected(
        onboarding_status=status,
        can_receive_payments=True,
        can_receive_settlements=status == "completed",
        capabilities=asking(requirement("process-first-payment")),
    )
    summary = onboarding_summary(row)
    assert summary.action_label == label
    assert "You need not do anything now." not in summary.sentences
    if status == "completed":
        assert (summary.headline, summary.is_done) == ("Mollie asks for something more", True)


@pytest.mark.parametrize(
    "capabilities",
    [
        None,
        {},
        "payments",
        7,
        [None, "payments", [], 7],
        [{}],
        [{"name": "payments", "requirements": None}],
        [{"name": "payments", "requirements": {"id": "needs-data"}}],
        [{"name": "payments", "requirements": ["needs-data", None, 7, [], {}]}],
        [{"name": "payments", "requirements": [{"id": None}, {"id": ["x"]}, {"id": ""}, {"id": "\x00"}]}],
    ],
)
def test_odd_capabilities_are_left_out(connected, capabilities):
    row = connected()
    assert row.organization is not None
    row.organization.capabilities = capabilities
    assert onboarding_summary(row).requirements == ()


@pytest.mark.parametrize(
    "due_at",
    [None, 7, "soon", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", {}],
)
def test_odd_due_date_is_none(connected, due_at):
    row = connected(
        capabilities=asking(requirement(due_at=due_at, status={"odd": 1}, url=["https://x.example"]))
    )
    [found] = onboarding_summary(row).requirements
    assert (found.due_at, found.is_overdue, found.url) == (None, False, "")


def test_due_date_without_a_time_or_zone_is_read(connected):
    row = connected(capabilities=asking(requirement(due_at="2026-12-24")))
    [found] = onboarding_summary(row).requirements
    assert found.due_at == timezone.make_aware(datetime(2026, 12, 24))


def test_long_words_of_mollie_are_cut(connected):
    row = connected(capabilities=asking(requirement("x" * 10_000), name="y" * 10_000))
    [found] = onboarding_summary(row).requirements
    assert (len(found.text), len(found.capability)) == (100, 50)


# For programs.


def test_summary_is_json_and_plain_text(connected):
    summary = onboarding_summary(
        connected(capabilities=asking(requirement(due_at="2026-12-24T12:00:00+00:00")))
    )
    data = json.loads(json.dumps(asdict(summary), cls=DjangoJSONEncoder))
    assert data["headline"] == "Mollie needs more data"
    assert data["requirements"] == [
        {
            "text": "Give Mollie the data that it still needs",
            "capability": "payments",
            "due_at": "2026-12-24T12:00:00Z",
            "is_overdue": False,
            "url": "",
        }
    ]
    assert data["read_at"] == "2026-11-22T11:00:00Z"


def test_secret_link_is_not_in_the_repr(make_client_link):
    row = make_client_link()
    summary = onboarding_summary(row)
    assert summary.action_url == row.merchant_path()
    assert summary.action_url not in repr(summary)


def test_summary_speaks_the_active_language(make_client_link):
    row = make_client_link(status=Status.DECLINED)
    with translation.override("nl"):
        assert onboarding_summary(row).headline == "U gaf bij Mollie geen toestemming"
    assert onboarding_summary(row).headline == "You said no at Mollie"


def test_summary_costs_one_query_at_most(make_client_link, connected, django_assert_num_queries):
    with django_assert_num_queries(0):
        onboarding_summary(None)
    row = connected(capabilities=asking(requirement()))
    with django_assert_num_queries(0):
        onboarding_summary(row)
    cancelled = make_client_link(status=Status.CANCELLED)
    with django_assert_num_queries(0):
        onboarding_summary(cancelled)
    started = make_client_link(status=Status.STARTED)
    with django_assert_num_queries(1):
        onboarding_summary(started)
    Organization.objects.update(connection_status="lost")
    lost = reread(row)
    with django_assert_num_queries(1):
        onboarding_summary(lost)


# The template tags.


def render(source: str, **context: Any) -> str:
    return Template("{% load mollie_onboarding %}" + source).render(Context(context)).strip()


@pytest.mark.parametrize(
    ("status", "label"),
    [
        (Status.DRAFT, "Connect with Mollie"),
        (Status.READY, "Connect with Mollie"),
        (Status.STARTED, "Continue connecting with Mollie"),
        (Status.DECLINED, "Start again with Mollie"),
    ],
)
def test_button_leads_to_the_merchant_page(make_client_link, status, label):
    row = make_client_link(status=status)
    text = render("{% connect_with_mollie row %}", row=row)
    assert text == (f'<a class="mollie-onboarding-button" href="{row.merchant_path()}">{label}</a>')


def test_button_leads_to_mollie_where_the_merchant_goes_on_there(connected):
    text = render("{% connect_with_mollie row css_class='btn' %}", row=connected())
    assert text == (f'<a class="btn" href="{DASHBOARD}" rel="noreferrer">Continue at Mollie</a>')


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"connection_status": "lost"}, "Connect with Mollie again"),
        ({"connection_status": "disconnected"}, "Connect with Mollie again"),
        ({"scope": "onboarding.read"}, "Agree to more permissions at Mollie"),
    ],
)
def test_button_of_a_row_that_must_agree_again(connected, columns, label):
    row = connected(**columns)
    text = render("{% connect_with_mollie row %}", row=row)
    assert f'href="{row.merchant_path()}"' in text
    assert f">{label}</a>" in text


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"onboarding_status": "in-review"}, "Mollie is checking the data"),
        (
            {"onboarding_status": "completed", "can_receive_payments": True, "can_receive_settlements": True},
            "Everything is done",
        ),
    ],
)
def test_nothing_to_press_is_a_short_text(connected, columns, words):
    text = render("{% connect_with_mollie row %}", row=connected(**columns))
    assert text == f'<span class="mollie-onboarding-status">{words}</span>'


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.REJECTED, "Mollie did not accept the details"),
        (Status.CANCELLED, "The invitation was withdrawn"),
    ],
)
def test_row_that_cannot_go_on_has_no_button(make_client_link, status, words):
    text = render("{% connect_with_mollie row %}", row=make_client_link(status=status))
    assert "href" not in text
    assert f">{words}</span>" in text


@pytest.mark.parametrize("context", [{}, {"row": None}, {"row": ""}])
def test_button_without_a_client_link(context):
    assert ">Not connected</span>" in render("{% connect_with_mollie row %}", **context)
    text = render("{% connect_with_mollie row signup_url=url %}", url="/signup/?a=1&b=2", **context)
    assert 'href="/signup/?a=1&amp;b=2"' in text
    assert ">Connect with Mollie</a>" in text


def test_summary_tag_gives_the_summary(connected):
    row = connected(capabilities=asking(requirement("<script>")))
    source = (
        "{% onboarding_summary row as summary %}{{ summary.headline }}: {{ summary.requirements.0.text }}"
        "{% onboarding_summary missing signup_url='/s/' as other %} {{ other.action_url }}"
    )
    assert render(source, row=row) == "Mollie needs more data: &lt;script&gt; /s/"
