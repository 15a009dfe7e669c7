"""By which index a conditional update finds its row on MariaDB: that is the order in which it takes its locks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding.models import AuthorizationRequest, ClientLink, Organization, Status

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "mysql", reason="asks MariaDB for its plan"),
]


def verbs(row: ClientLink, request: AuthorizationRequest, organization: Organization) -> dict[str, Any]:
    now = timezone.now()
    rows, organizations = ClientLink.objects, Organization.objects
    return {
        "claim": lambda: AuthorizationRequest.objects.claim(request, now),
        "claim_resumption": lambda: AuthorizationRequest.objects.claim_resumption(request.pk, now),
        "claim_issuing": lambda: rows.claim_issuing(row.pk, now),
        "claim_sending": lambda: rows.claim_sending(row.pk, now),
        "claim_notice": lambda: rows.claim_notice(row.pk, now),
        "note_opening": lambda: rows.note_opening(row.pk, now),
        "start": lambda: rows.move(row.pk, Status.STARTED),
        "connect": lambda: rows.move(row.pk, Status.CONNECTED, organization=organization),
        "edit": lambda: rows.move(row.pk, Status.DRAFT, kind="edited"),
        "cancel": lambda: rows.move(row.pk, Status.CANCELLED),
        "claim_refresh": lambda: organizations.claim_refresh(organization.pk, 0, now),
        "claim_check": lambda: organizations.claim_check(organization.pk, now),
        "hold": lambda: organizations.hold(organization.pk),
    }


@pytest.mark.parametrize("verb", verbs(None, None, None))
@pytest.mark.parametrize("others", [0, 3])
def test_one_row_is_found_by_its_key(make_client_link, verb, others):
    """In tables of few rows too, where any index seems as good."""
    now = timezone.now()
    for number in range(others + 1):
        row = make_client_link(
            status=Status.READY, send_requested_at=now, notice_requested_at=now, sending_until=None
        )
        organization = Organization.objects.create(organization_id=f"org_{number}")
        request = AuthorizationRequest.objects.create(
            client_link=row, state_digest=f"{number}", expires_at=now + timedelta(hours=1)
        )
    with CaptureQueriesContext(connection) as captured:
        verbs(row, request, organization)[verb]()
    updates = [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]
    assert updates
    for sql in updates:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql.replace('%', '%%')}")
            keys = [step[[column[0] for column in cursor.description].index("key")] for step in cursor]
        assert set(keys) <= {"PRIMARY", None}, (keys, sql)
