"""Mass assignment: what a form, a spreadsheet or an operator writes are the columns that they show, and no other."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.db import models
from django.utils import timezone

from mollie_onboarding.models import BODY_COLUMNS, Batch, ClientLink, Organization
from mollie_onboarding.spreadsheets.columns import IMPORTED_COLUMNS
from tests.conftest import MERCHANT, Browser, reread

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

SIGNUP = "/onboarding/signup/"
# Written by the sign-up itself, and by Mollie's answer to it: not by what was posted, as the test sees.
FIELDS = [field for field in ClientLink._meta.concrete_fields if field.name not in BODY_COLUMNS]


def evil_value(field: models.Field[Any, Any], owners: dict[str, Any]) -> str:
    """A value that the column would take, and that the sign-up never gives it."""
    if field.name in owners:
        return str(owners[field.name].pk)
    if field.choices:
        return str([value for value, _ in field.flatchoices if value][-1])
    return {
        "UUIDField": str(uuid.UUID(int=7)),
        "DateTimeField": (timezone.now() + timedelta(days=3650)).isoformat(),
        "BooleanField": "1",
    }.get(field.get_internal_type(), "77")


@pytest.fixture
def evil(db):
    """Every column that is none of the form's, with a value that must not come there."""
    user = get_user_model().objects.create_user("victim")
    owners = {
        "organization": Organization.objects.create(organization_id="org_victim"),
        "batch": Batch.objects.create(id=uuid.uuid4(), count=0),
        "user": user,
        "created_by": user,
    }
    values = {field.name: evil_value(field, owners) for field in FIELDS}
    return values | {f"{field.name}_id": values[field.name] for field in FIELDS if field.is_relation}


def taken(row: ClientLink, posted: dict[str, str]) -> list[str]:
    """The columns that hold what was posted for them, as the column's own type: a box that is ticked is True, not "1"."""
    return [
        field.attname
        for field in FIELDS
        if field.attname in posted and field.to_python(posted[field.attname]) == getattr(row, field.attname)
    ]


def test_every_value_would_be_seen_in_its_column(evil, make_client_link):
    row = make_client_link()
    assert taken(row, evil) == []
    for field in FIELDS:
        setattr(row, field.attname, field.to_python(evil[field.attname]))
    assert taken(row, evil) == [field.attname for field in FIELDS]


@pytest.mark.parametrize("place", ["form", "address", "both"])
def test_sign_up_takes_no_column_that_is_not_in_the_form(sandbox, evil, place):
    address = f"{SIGNUP}?{urlencode(evil)}"
    browser = Browser(enforce_csrf_checks=True)
    response = browser.submit(
        address if place != "form" else SIGNUP, **MERCHANT, **(evil if place != "address" else {})
    )
    assert response.status_code == 200
    row = ClientLink.objects.get()
    assert taken(row, evil) == []
    assert (row.reference, row.user, row.organization, row.status) == ("", None, None, "started")


def test_sign_up_never_writes_a_row_that_the_form_names(sandbox, evil, make_client_link):
    row = make_client_link(reference="shop-7")
    before = {**vars(reread(row)), "_state": None}
    browser = Browser(enforce_csrf_checks=True)
    for name in ("id", "pk", "client_link", "reference", "submission_digest", "token"):
        browser.submit(f"{SIGNUP}?{name}={row.pk}", **{**MERCHANT, "city": "Evilstadt", name: str(row.pk)})
    assert {**vars(reread(row)), "_state": None} == before


def test_merchant_page_takes_no_column_at_all(sandbox, evil, make_client_link):
    row = make_client_link()
    Browser(enforce_csrf_checks=True).press(
        row, **{**evil, "city": "Evilstadt", "owner_email": "evil@evil.example"}
    )
    row = reread(row)
    assert (row.city, row.owner_email) == (MERCHANT["city"], MERCHANT["owner_email"])
    assert taken(row, evil) == []


def test_admin_form_takes_no_column_that_it_does_not_show(world, evil):
    row = reread(world.client_links["draft"])
    shown = {"reference", "user", "user_id", "reminders_excluded"}
    hidden = {name: value for name, value in evil.items() if name not in shown}
    browser = Browser()
    browser.force_login(world.operator)
    path = f"/admin/mollie_onboarding/clientlink/{row.pk}/change/"
    assert browser.post(path, {**MERCHANT, "reference": "shop-7", **hidden}).status_code == 302
    after = reread(row)
    assert after.reference == "shop-7"
    assert changed(row, after) == {"reference", "updated_at", "organization_name"}
    assert taken(after, hidden) == []


def changed(before: ClientLink, after: ClientLink) -> set[str]:
    fields = ClientLink._meta.concrete_fields
    return {f.attname for f in fields if getattr(before, f.attname) != getattr(after, f.attname)}


def test_spreadsheet_takes_no_column_that_is_not_imported():
    assert set(IMPORTED_COLUMNS) == {*BODY_COLUMNS, "reference"}
