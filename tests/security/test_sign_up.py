"""Mass assignment: what a form, a spreadsheet or an operator writes are the columns that they show, and no other."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import models
from django.utils import timezone

from mollie_onboarding.models import BODY_COLUMNS, ClientLink, Organization
from mollie_onboarding.spreadsheets.columns import IMPORTED_COLUMNS
from tests.conftest import MERCHANT, Browser, reread

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

SIGNUP = "/onboarding/signup/"
# Written by the sign-up itself, and by Mollie's answer to it: not by what was posted, as the test sees.
OTHERS = sorted({field.name for field in ClientLink._meta.concrete_fields} - set(BODY_COLUMNS))


def evil_value(field: models.Field[Any, Any], organization: Organization, user: Any) -> str:
    """A value that the column would take, and that the sign-up never gives it."""
    if field.name == "user" or field.name == "created_by":
        return str(user.pk)
    if field.name == "organization":
        return str(organization.pk)
    if field.choices:
        return str([value for value, _ in field.flatchoices if value][-1])
    return {
        "UUIDField": str(uuid.UUID(int=7)),
        "DateTimeField": (timezone.now() + timedelta(days=3650)).isoformat(),
        "BooleanField": "1",
        "ForeignKey": "1",
    }.get(field.get_internal_type(), "77")


@pytest.fixture
def evil(db):
    """Every column that is none of the form's, with a value that must not come there."""
    organization = Organization.objects.create(organization_id="org_victim")
    user = get_user_model().objects.create_user("victim")
    fields = [ClientLink._meta.get_field(name) for name in OTHERS]
    values = {field.name: evil_value(field, organization, user) for field in fields}
    return values | {f"{field.name}_id": values[field.name] for field in fields if field.is_relation}


def columns_of(row: ClientLink) -> dict[str, str]:
    return {
        field.attname: value.isoformat()
        if hasattr(value := getattr(row, field.attname), "isoformat")
        else str(value)
        for field in ClientLink._meta.concrete_fields
        if field.name in OTHERS
    }


@pytest.mark.parametrize("place", ["form", "address", "both"])
def test_sign_up_takes_no_column_that_is_not_in_the_form(sandbox, evil, place):
    address = f"{SIGNUP}?" + "&".join(f"{name}={value}" for name, value in evil.items() if "+" not in value)
    browser = Browser(enforce_csrf_checks=True)
    response = browser.submit(
        address if place != "form" else SIGNUP, **MERCHANT, **(evil if place != "address" else {})
    )
    assert response.status_code == 200
    row = columns_of(ClientLink.objects.get())
    taken = [name for name, value in row.items() if evil.get(name, "nothing") == value]
    assert taken == []
    assert (row["reference"], row["user_id"], row["organization_id"], row["status"]) == (
        "",
        "None",
        "None",
        "started",
    )


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
    assert [name for name, value in columns_of(row).items() if evil.get(name, "nothing") == value] == []


def test_admin_form_takes_no_column_that_it_does_not_show(world, evil):
    row = world.client_links["draft"]
    shown = {"reference", "user", "reminders_excluded"}
    hidden = {name: value for name, value in evil.items() if name not in shown | {"user_id"}}
    browser = Browser()
    browser.force_login(world.operator)
    path = f"/admin/mollie_onboarding/clientlink/{row.pk}/change/"
    assert browser.post(path, {**MERCHANT, "reference": "shop-7", **hidden}).status_code == 302
    row = reread(row)
    assert row.reference == "shop-7"
    assert [name for name, value in columns_of(row).items() if hidden.get(name, "nothing") == value] == []


def test_spreadsheet_takes_no_column_that_is_not_imported():
    assert set(IMPORTED_COLUMNS) == {*BODY_COLUMNS, "reference"}
