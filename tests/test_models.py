from __future__ import annotations

import uuid
from datetime import date, timedelta
from itertools import product

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from mollie_onboarding.fields import Secret
from mollie_onboarding.links import read_link
from mollie_onboarding.models import (
    BODY_COLUMNS,
    MOVES,
    AuthorizationRequest,
    CallBudget,
    ClientLink,
    Event,
    MailQuota,
    Organization,
    Status,
)
from tests.conftest import MERCHANT

pytestmark = pytest.mark.django_db

# The design's own words, not derived from MOVES.
ALLOWED = {
    ("draft", "ready"),
    ("draft", "rejected"),
    ("rejected", "draft"),
    ("ready", "started"),
    ("ready", "rejected"),
    ("started", "declined"),
    ("started", "rejected"),
    ("declined", "started"),
    # an edit of an unconnected row
    ("ready", "draft"),
    ("started", "draft"),
    ("declined", "draft"),
    # any but cancelled, also a connected one that connects again
    *((origin, "connected") for origin in Status.values if origin != "cancelled"),
    # any but connected; a cancelled row is not cancelled twice
    *((origin, "cancelled") for origin in Status.values if origin not in ("connected", "cancelled")),
}


@pytest.fixture
def organization():
    return Organization.objects.create(organization_id="org_1")


@pytest.mark.parametrize(("origin", "to"), list(product(Status.values, Status.values)))
def test_move_happens_only_where_the_table_allows_it(make_client_link, organization, origin, to):
    row = make_client_link(status=origin, organization=organization)

    event = ClientLink.objects.move(row.pk, Status(to))

    row.refresh_from_db()
    if (origin, to) in ALLOWED:
        assert event is not None
        assert row.status == to
        assert Event.objects.get(client_link=row) == event
    else:
        assert event is None
        assert row.status == origin
        assert not Event.objects.exists()


def test_move_moves_one_row_only(make_client_link):
    row, other = make_client_link(), make_client_link()

    ClientLink.objects.move(row.pk, Status.READY)

    other.refresh_from_db()
    assert other.status == Status.DRAFT


def test_move_keeps_the_conditions_of_its_set(make_client_link):
    row = make_client_link(idempotency_key="ours")

    assert ClientLink.objects.filter(idempotency_key="theirs").move(row.pk, Status.READY) is None
    assert ClientLink.objects.filter(idempotency_key="ours").move(row.pk, Status.READY) is not None


def test_moves_name_every_status():
    assert set(MOVES) == set(Status)


def test_move_records_who_did_it(make_client_link, operator):
    row = make_client_link()

    ClientLink.objects.move(row.pk, Status.CANCELLED, actor=operator)

    assert Event.objects.get().actor == operator


def test_save_of_a_stale_instance_leaves_the_flow_alone(make_client_link):
    stale = make_client_link()
    ClientLink.objects.move(stale.pk, Status.READY, url="https://my.mollie.com/x", mollie_id="cl_x")

    stale.reference = "shop 7"
    stale.save()

    row = ClientLink.objects.get()
    assert (row.status, row.url, row.reference) == (Status.READY, "https://my.mollie.com/x", "shop 7")


def test_save_without_a_change_writes_nothing(make_client_link, django_assert_num_queries):
    row = make_client_link()
    with django_assert_num_queries(0):
        row.save()


def test_save_with_update_fields_writes_other_columns_as_django_does(make_client_link):
    row = make_client_link()
    row.link_expires_at = timezone.now()
    row.save(update_fields=["link_expires_at"])
    assert ClientLink.objects.get().link_expires_at == row.link_expires_at


def test_update_or_create_edits_by_the_rules(make_client_link):
    """As a platform that keeps its rows up to date: Django saves with `update_fields` then."""
    old = make_client_link(
        reference="shop 7", status=Status.READY, url="https://my.mollie.com/x", mollie_id="cl_x"
    )

    row, created = ClientLink.objects.update_or_create(
        reference="shop 7", defaults={"owner_email": "piet@bakkerij-jansen.example"}
    )

    assert not created
    for found in (row, ClientLink.objects.get()):
        assert found.owner_email == "piet@bakkerij-jansen.example"
        assert (found.status, found.url, found.link_generation) == (Status.DRAFT, "", old.link_generation + 1)
    assert Event.objects.get(kind="edited").data == {"columns": ["owner_email"]}


def test_save_with_update_fields_keeps_the_other_edits_for_later(make_client_link, operator):
    row = make_client_link()
    row.owner_email = "piet@bakkerij-jansen.example"
    row.user = operator
    row.link_expires_at = expires_at = timezone.now()
    row.save(update_fields=["user", "link_expires_at", "reference"])
    stored = ClientLink.objects.get()
    assert (stored.user, stored.link_expires_at) == (operator, expires_at)
    assert stored.owner_email == "jan@bakkerij-jansen.example"

    row.save()

    stored.refresh_from_db()
    assert (stored.owner_email, stored.link_generation) == (
        "piet@bakkerij-jansen.example",
        row.link_generation,
    )


def test_rows_of_bulk_create_can_be_edited(django_assert_num_queries):
    [row] = ClientLink.objects.bulk_create([ClientLink(**MERCHANT)])
    with django_assert_num_queries(0):
        row.save()
    row.city = "Utrecht"
    row.save()
    assert ClientLink.objects.get().city == "Utrecht"
    assert Event.objects.get().data == {"columns": ["city"]}


@pytest.mark.parametrize(
    "status", [Status.READY, Status.STARTED, Status.DECLINED, Status.REJECTED, Status.DRAFT]
)
@pytest.mark.parametrize("column", BODY_COLUMNS)
def test_edit_of_a_body_column_voids_the_client_link(make_client_link, status, column):
    now = timezone.now()
    row = make_client_link(
        status=status,
        url="https://my.mollie.com/x",
        mollie_id="cl_x",
        issued_at=now,
        expires_at=now,
        idempotency_key="key",
        attempt_started_at=now,
        attempt_digest="d",
        issuing_until=now,
        error_status=422,
        error_field="name",
        error_detail="No.",
        problem=ClientLink.Problem.MAIL_FAILED,
    )
    setattr(row, column, date(2020, 1, 1) if column == "incorporation_date" else "zz")

    row.save()

    row = ClientLink.objects.get()
    assert row.status == Status.DRAFT
    assert (row.url, row.mollie_id, row.idempotency_key, row.attempt_digest) == ("", None, "", "")
    assert (row.issued_at, row.expires_at, row.attempt_started_at, row.issuing_until) == (None,) * 4
    assert (row.error_status, row.error_field, row.error_detail, row.problem) == (None, "", "", "")
    [event] = Event.objects.all()
    assert (event.kind, event.data) == ("edited", {"columns": [column]})


def test_edit_of_the_reference_voids_nothing(make_client_link):
    row = make_client_link(status=Status.READY, url="https://my.mollie.com/x", mollie_id="cl_x")
    row.reference = "shop 7"
    row.save()
    assert ClientLink.objects.get().status == Status.READY
    assert not Event.objects.exists()


@pytest.mark.parametrize("status", [Status.CONNECTED, Status.CANCELLED])
def test_edit_of_a_finished_row_does_not_revive_it(make_client_link, organization, status):
    row = make_client_link(status=status, organization=organization)
    row.city = "Utrecht"
    row.save()
    row = ClientLink.objects.get()
    assert (row.status, row.city) == (status, "Utrecht")


def test_edit_of_the_address_kills_older_mails(make_client_link):
    row = make_client_link(delivery_status=ClientLink.DeliveryStatus.SENT)
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()
    assert (row.link_generation, row.delivery_status) == (2, "")


OTHER_SPELLINGS = [
    "JAN@Bakkerij-Jansen.example",
    '"jan"@bakkerij-jansen.example',
    "jan@bakkerij-jansen.EXAMPLE",
]


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
@pytest.mark.parametrize("delivery", ["bounced", "complained"])
def test_another_spelling_of_the_address_is_the_same_recipient(make_client_link, spelling, delivery):
    invited_at = timezone.now()
    row = make_client_link(
        owner_email="jan@bakkerij-jansen.example",
        delivery_status=delivery,
        mail_id="m1",
        invited_at=invited_at,
        status=Status.READY,
        mollie_id="cl_1",
    )
    request = AuthorizationRequest.objects.create(
        client_link=row, state_digest="s", browser_digest="b", expires_at=timezone.now()
    )

    row.owner_email = spelling
    row.save()

    row = ClientLink.objects.get()
    assert (row.delivery_status, row.mail_id, row.invited_at) == (delivery, "m1", invited_at)
    assert row.link_generation == 1  # the mailed link lives
    request.refresh_from_db()
    assert (request.outcome, request.browser_digest) == ("", "b")
    # Mollie gets it as it is written now.
    assert (row.owner_email, row.status, row.mollie_id) == (spelling, Status.DRAFT, None)
    assert Event.objects.get().data == {"columns": ["owner_email"]}


def test_recipient_is_told_from_the_one_that_is_stored(make_client_link):
    """Of two operators, the second to save had the page open when the first one wrote another address."""
    row = make_client_link(owner_email="jan@bakkerij-jansen.example")
    first, second = ClientLink.objects.get(), ClientLink.objects.get()
    first.owner_email = "piet@bakkerij-jansen.example"
    first.save()
    ClientLink.objects.update(delivery_status="bounced")

    second.owner_email = "Jan@bakkerij-jansen.example"
    second.save()

    row.refresh_from_db()
    assert (row.owner_email, row.delivery_status) == ("Jan@bakkerij-jansen.example", "")
    assert row.link_generation == 3


def test_edit_of_a_row_that_was_deleted_is_an_error_and_no_history(make_client_link):
    row = make_client_link()
    ClientLink.objects.all().delete()
    row.city = "Utrecht"
    with pytest.raises(ClientLink.DoesNotExist):
        row.save()
    assert not Event.objects.exists()


def test_rows_are_locked_in_one_order_some_at_a_time(make_client_link):
    keys = {make_client_link().pk for _ in range(20)}
    ordered = ClientLink.objects.in_lock_order({*keys, deleted := uuid.uuid4()})
    assert deleted in ordered
    ordered.remove(deleted)
    assert ordered == list(ClientLink.objects.order_by("pk").values_list("pk", flat=True))


def test_row_can_be_edited_twice(make_client_link):
    row = make_client_link()
    row.city = "Utrecht"
    row.save()
    row.city = "Delft"
    row.save()
    assert ClientLink.objects.get().city == "Delft"


def test_clean_normalises_what_people_type():
    row = ClientLink(
        **{**MERCHANT, "country": "nl", "vat_number": "nl 8158 39091 b01", "city": "  Amsterdam "}
    )
    row.full_clean()
    assert (row.country, row.vat_number, row.city) == ("NL", "NL815839091B01", "Amsterdam")


def test_clean_refuses_what_mollie_would_refuse():
    row = ClientLink(**{**MERCHANT, "city": "", "owner_locale": "xx_XX"})
    with pytest.raises(ValidationError) as refused:
        row.full_clean()
    assert set(refused.value.message_dict) == {"city", "owner_locale"}


def test_connected_row_needs_an_organization(make_client_link):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_client_link(status=Status.CONNECTED)


def test_unknown_status_is_refused_by_the_database(make_client_link):
    row = make_client_link()
    with pytest.raises(IntegrityError), transaction.atomic():
        ClientLink.objects.filter(pk=row.pk).update(status="lost")


def test_claim_for_issuing_is_taken_once_and_runs_out(make_client_link):
    row = make_client_link()
    now = timezone.now()
    assert ClientLink.objects.claim_issuing(row.pk, now)
    assert not ClientLink.objects.claim_issuing(row.pk, now + timedelta(seconds=59))
    assert ClientLink.objects.claim_issuing(row.pk, now + timedelta(seconds=60))


def test_claim_for_sending_needs_a_row_that_is_due(make_client_link):
    now = timezone.now()
    row = make_client_link()
    assert not ClientLink.objects.claim_sending(row.pk, now)
    ClientLink.objects.update(send_requested_at=now, send_not_before=now + timedelta(minutes=1))
    assert not ClientLink.objects.claim_sending(row.pk, now)
    assert ClientLink.objects.claim_sending(row.pk, now + timedelta(minutes=1))
    assert not ClientLink.objects.claim_sending(row.pk, now + timedelta(minutes=5))
    assert ClientLink.objects.claim_sending(row.pk, now + timedelta(minutes=6))


def test_usable_url_outlives_the_merchants_visit(make_client_link, settings):
    settings.MOLLIE_ONBOARDING_STATE_LIFETIME = timedelta(hours=24)
    now = timezone.now()
    row = make_client_link(url="https://my.mollie.com/x", expires_at=now + timedelta(hours=24))
    assert row.has_usable_url(now)
    assert not row.has_usable_url(now + timedelta(seconds=1))
    assert not make_client_link(expires_at=now + timedelta(days=9)).has_usable_url(now)
    assert not make_client_link(url="https://my.mollie.com/x").has_usable_url(now)


def test_own_link_that_was_never_mailed_expires_by_the_rows_age(make_client_link):
    row = make_client_link()
    assert not row.has_expired_link(row.created_at + timedelta(days=89))
    assert row.has_expired_link(row.created_at + timedelta(days=90))


def test_merchant_link_names_row_and_generation(make_client_link):
    row = make_client_link(link_generation=3)
    assert read_link(row.merchant_path().split("/")[-2]) == (row.pk, 3)
    assert row.merchant_url() == "https://platform.example" + row.merchant_path()


def test_expired_and_needing_attention(make_client_link, organization):
    now = timezone.now()
    past = now - timedelta(minutes=11)
    expired = make_client_link(expires_at=past, status=Status.READY)
    make_client_link(expires_at=past, status=Status.CONNECTED, organization=organization)
    make_client_link(expires_at=past, status=Status.CANCELLED)
    assert list(ClientLink.objects.expired(now)) == [expired]
    assert expired.is_expired
    rows = {
        make_client_link(status=Status.REJECTED),
        make_client_link(problem=ClientLink.Problem.MAIL_FAILED),
        make_client_link(identity_check=ClientLink.IdentityCheck.DIFFERS),
        make_client_link(send_requested_at=past),
    }
    make_client_link(send_requested_at=now)
    assert set(ClientLink.objects.needing_attention(now)) == rows


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ({"reference": "7"}, {"reference": "7"}, True),
        ({"reference": "7"}, {"reference": "8"}, False),
        ({"reference": ""}, {"reference": ""}, False),
    ],
)
def test_same_merchant_by_reference(make_client_link, ours, theirs, same):
    assert make_client_link(**ours).is_same_merchant(make_client_link(**theirs)) is same


def test_same_merchant_by_user_or_row(make_client_link, operator):
    row = make_client_link(user=operator)
    assert row.is_same_merchant(make_client_link(user=operator))
    assert row.is_same_merchant(row)
    assert not make_client_link().is_same_merchant(make_client_link())


def test_ids_are_told_apart_by_case(make_client_link):
    Organization.objects.create(organization_id="org_Ab")
    Organization.objects.create(organization_id="org_aB")
    assert Organization.objects.get(organization_id="org_aB").organization_id == "org_aB"
    make_client_link(mollie_id="cl_Ab")
    make_client_link(mollie_id="cl_aB")


def test_unknown_onboarding_status_is_shown_as_it_came():
    assert Organization(onboarding_status="under-siege").onboarding_status_label == "under-siege"
    assert (
        Organization(onboarding_status="in-review").onboarding_status_label == "Mollie is checking the data"
    )


def test_organization_covers_a_scope():
    organization = Organization(scope="a.read b.read")
    assert organization.covers("b.read")
    assert not organization.covers("b.read c.read")


def test_names_of_rows(make_client_link, organization):
    row = make_client_link()
    request = AuthorizationRequest(pk=7)
    assert str(row) == "Bakkerij Jansen"
    assert str(organization) == "org_1"
    assert str(Organization(organization_id="org_2", name="Jansen")) == "Jansen (org_2)"
    assert str(request) == "7"
    assert str(CallBudget(remaining=3)) == "3"
    assert str(MailQuota(count=2)) == "2"
    assert str(Event.objects.record("created", client_link_id=row.pk)).startswith("created 20")


def test_row_of_another_id_is_a_new_row(make_client_link):
    row = ClientLink(pk=uuid.uuid4(), **MERCHANT)
    row.save()
    assert ClientLink.objects.get().pk == row.pk


def test_edit_of_the_address_forgets_who_pressed_the_button(make_client_link):
    row = make_client_link()
    request = AuthorizationRequest.objects.create(
        client_link=row, state_digest="s", browser_digest="b", expires_at=timezone.now(), tokens=Secret("t")
    )
    row.owner_email = "piet@bakkerij-jansen.example"
    row.save()
    request.refresh_from_db()
    assert (request.outcome, request.tokens, request.browser_digest) == ("cancelled", None, "")


def test_edit_of_anything_else_leaves_the_requests_alone(make_client_link):
    row = make_client_link()
    AuthorizationRequest.objects.create(
        client_link=row, state_digest="s", browser_digest="b", expires_at=timezone.now()
    )
    row.city = "Utrecht"
    row.save()
    assert AuthorizationRequest.objects.get().outcome == ""


def test_refreshed_row_counts_nothing_as_its_own_edit(make_client_link):
    row = make_client_link()
    theirs = ClientLink.objects.get()
    theirs.owner_email = "piet@bakkerij-jansen.example"
    theirs.save()
    ClientLink.objects.move(row.pk, Status.READY, url="https://my.mollie.com/x")
    row.refresh_from_db()
    row.save()
    row.refresh_from_db(fields=["city"])
    row.save()
    row = ClientLink.objects.get()
    assert (row.status, row.link_generation) == (Status.READY, 2)


def test_refresh_of_one_column_keeps_the_edits_of_others(make_client_link):
    row = make_client_link()
    row.city = "Utrecht"
    row.refresh_from_db(fields=["user"])
    row.save()
    assert ClientLink.objects.get().city == "Utrecht"


def test_edit_of_a_deferred_column_is_written(make_client_link):
    make_client_link()
    row = ClientLink.objects.only("country").get()
    row.city = "Utrecht"
    row.save()
    assert ClientLink.objects.get().city == "Utrecht"


def test_cancelled_and_connected_rows_need_no_attention_for_an_old_mail(make_client_link, organization):
    make_client_link(status=Status.CANCELLED, delivery_status="failed", problem="mail_failed")
    make_client_link(status=Status.CONNECTED, organization=organization, delivery_status="failed")
    assert not ClientLink.objects.needing_attention(timezone.now()).exists()


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.CONNECTED, Status.REJECTED])
def test_claim_for_issuing_is_not_given_for_a_row_that_needs_no_link(make_client_link, organization, status):
    row = make_client_link(status=status, organization=organization)
    assert not ClientLink.objects.claim_issuing(row.pk, timezone.now())
