"""What an operator decides: identities confirmed, problems ticked off, organizations shared."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, Organization, Status
from tests.conftest import authorization_url
from tests.threads import in_threads

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)

IdentityCheck = ClientLink.IdentityCheck
Problem = ClientLink.Problem


def attention() -> list[ClientLink]:
    return list(ClientLink.objects.needing_attention(timezone.now()))


@pytest.fixture
def differing(make_client_link) -> ClientLink:
    organization = Organization.objects.create(organization_id="org_1")
    return make_client_link(
        status=Status.CONNECTED, organization=organization, identity_check=IdentityCheck.DIFFERS
    )


def test_review_confirms_the_identity_and_takes_it_off_the_list(differing, operator):
    assert attention() == [differing]

    assert services.mark_reviewed(differing, actor=operator)

    differing.refresh_from_db()
    assert differing.identity_check == IdentityCheck.CONFIRMED
    assert attention() == []
    event = differing.events.get()
    assert (event.kind, event.actor, event.data) == ("reviewed", operator, {"identity_check": "differs"})


@pytest.mark.parametrize("problem", ["other_organization", "organization_taken", "authorization_failed"])
def test_review_ticks_off_a_problem(make_client_link, problem):
    row = make_client_link(problem=problem)

    assert services.mark_reviewed(row)

    row.refresh_from_db()
    assert (row.problem, row.identity_check) == ("", IdentityCheck.UNKNOWN)
    assert attention() == []
    assert row.events.get().data == {"problem": problem}


def test_review_ticks_off_both_at_once(differing):
    ClientLink.objects.update(problem=Problem.OTHER_ORGANIZATION)
    differing.refresh_from_db()

    assert services.mark_reviewed(differing)

    assert differing.events.get().data == {"identity_check": "differs", "problem": "other_organization"}


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"problem": Problem.MAIL_FAILED},
        {"problem": Problem.MOLLIE_REFUSED},
        {"status": Status.REJECTED},
        {"status": Status.CANCELLED, "problem": Problem.ORGANIZATION_TAKEN},
    ],
)
def test_review_leaves_what_looking_does_not_mend(make_client_link, columns):
    row = make_client_link(**columns)

    assert services.points_to_review(row) == {}
    assert not services.mark_reviewed(row)

    assert list(ClientLink.objects.values_list("problem", "status")) == [(row.problem, row.status)]
    assert not row.events.exists()


def test_second_operator_changes_nothing(differing):
    second = ClientLink.objects.get()

    assert services.mark_reviewed(differing)
    assert not services.mark_reviewed(second)

    assert differing.events.count() == 1


def test_what_came_up_since_the_row_was_read_stays_open(make_client_link):
    row = make_client_link(problem=Problem.AUTHORIZATION_FAILED)
    ClientLink.objects.update(problem=Problem.ORGANIZATION_TAKEN)

    assert not services.mark_reviewed(row)

    assert ClientLink.objects.get().problem == Problem.ORGANIZATION_TAKEN


@pytest.mark.django_db(databases=DATABASES, transaction=True)
@pytest.mark.parametrize("decide", [services.mark_reviewed, services.allow_sharing])
def test_two_operators_at_once_make_one_decision(make_client_link, decide):
    make_client_link(problem=Problem.ORGANIZATION_TAKEN, refused_organization_id="org_1")
    rows = [ClientLink.objects.get(), ClientLink.objects.get()]  # both read before either decides

    decisions = in_threads(2, lambda: decide(rows.pop()))

    assert sorted(decisions) == [False, True]
    assert ClientLink.objects.get().events.count() == 1


def test_sharing_is_allowed_and_the_problem_over(make_client_link, operator):
    row = make_client_link(problem=Problem.ORGANIZATION_TAKEN, refused_organization_id="org_1")

    assert services.allow_sharing(row, actor=operator)

    row.refresh_from_db()
    assert (row.may_share_organization, row.problem) == (True, "")
    assert attention() == []
    event = row.events.get()
    assert (event.kind, event.actor, event.data) == (
        "sharing_allowed",
        operator,
        {"organization_id": "org_1"},
    )
    assert not services.allow_sharing(row)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"problem": Problem.OTHER_ORGANIZATION},
        {"problem": Problem.ORGANIZATION_TAKEN, "status": Status.CANCELLED},
    ],
)
def test_sharing_is_not_allowed_where_nothing_was_refused_for_it(make_client_link, columns):
    row = make_client_link(**columns)

    assert not services.allow_sharing(row)

    row.refresh_from_db()
    assert not row.may_share_organization
    assert not row.events.exists()


def test_sharing_is_not_allowed_for_an_organization_that_the_operator_has_not_seen(make_client_link):
    row = make_client_link(problem=Problem.ORGANIZATION_TAKEN, refused_organization_id="org_1")
    ClientLink.objects.update(refused_organization_id="org_2")

    assert not services.allow_sharing(row)

    row.refresh_from_db()
    assert not row.may_share_organization


@pytest.mark.django_db(databases=DATABASES, transaction=True)
def test_merchant_who_may_share_connects_with_the_next_return(sandbox, browser, make_client_link):
    first, second = make_client_link(), make_client_link(organization_name="Second")
    browser.come_back(sandbox.visit(authorization_url(browser.press(first))))
    taken = Organization.objects.get()

    def connect_second() -> ClientLink:
        url = authorization_url(browser.press(second))
        browser.come_back(sandbox.visit(url, organization_id=taken.organization_id))
        return ClientLink.objects.get(pk=second.pk)

    refused = connect_second()
    assert (refused.problem, refused.refused_organization_id) == ("organization_taken", taken.organization_id)
    assert services.allow_sharing(refused)

    connected = connect_second()
    assert (connected.organization, connected.problem) == (taken, "")
