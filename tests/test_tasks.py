"""The background entry points: one id in, one service called."""

from __future__ import annotations

import pytest
from django.core import mail
from django.utils import timezone

from mollie_onboarding import tasks
from mollie_onboarding.models import ClientLink, Organization, Status

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


def test_send_onboarding_link_mails_the_row_of_the_id(sandbox, make_client_link):
    row = make_client_link(send_requested_at=timezone.now())
    other = make_client_link(send_requested_at=timezone.now())

    tasks.send_onboarding_link.call(str(row.pk))

    row.refresh_from_db()
    other.refresh_from_db()
    assert len(mail.outbox) == 1
    assert row.send_count == 1
    assert other.send_count == 0


def test_send_connected_notice_mails_the_row_of_the_id(make_client_link):
    organization = Organization.objects.create(organization_id="org_1")
    columns = {
        "status": Status.CONNECTED,
        "organization": organization,
        "notice_requested_at": timezone.now(),
    }
    row = make_client_link(**columns)
    make_client_link(**columns)

    tasks.send_connected_notice.call(str(row.pk))

    assert len(mail.outbox) == 1
    assert not ClientLink.objects.filter(pk=row.pk, notice_requested_at__isnull=False).exists()


@pytest.mark.parametrize("task", [tasks.send_onboarding_link, tasks.send_connected_notice])
def test_task_refuses_what_is_no_id(task):
    with pytest.raises(ValueError, match="UUID"):
        task.call("jan@bakkerij-jansen.example")
