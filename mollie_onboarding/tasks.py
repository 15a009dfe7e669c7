"""Background entry points, through Django's Tasks API. Each carries an id at most and is only a nudge: the row is the truth."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import django

from . import services

if TYPE_CHECKING or django.VERSION >= (
    6,
    0,
):  # pragma: no cover (one of the two runs, by the version of Django)
    from django.tasks import task
else:  # pragma: no cover
    from django_tasks import task


@task()
def send_onboarding_link(client_link_id: str) -> None:
    services.send_onboarding_link(uuid.UUID(client_link_id))


@task()
def queue_batch(batch_id: str) -> None:
    services.feed_batch(uuid.UUID(batch_id))


@task()
def revoke_tokens(organization_pk: str) -> None:
    services.revoke_tokens(int(organization_pk))


@task()
def send_connected_notice(client_link_id: str) -> None:
    services.send_connected_notice(uuid.UUID(client_link_id))


@task()
def send_onboarding_reminders() -> None:
    services.request_reminders()
