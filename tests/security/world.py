"""A platform with a merchant in every state, so that an address is tried on whatever can lie behind it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from mollie_onboarding.fields import Secret
from mollie_onboarding.links import sign_link
from mollie_onboarding.models import (
    AuthorizationRequest,
    Batch,
    BatchItem,
    ClientLink,
    DeliveryStatus,
    Event,
    Organization,
    Problem,
    Status,
)
from mollie_onboarding.state import digest, new_secret
from tests.conftest import MERCHANT
from tests.connected import SCOPE

DAY = timedelta(days=1)
Connection = Organization.ConnectionStatus
Outcome = BatchItem.Outcome

# A browser session is no data of the platform's: the test client and Django write it when they log somebody in.
NOT_COMPARED = {"django_session"}


class World:
    """The rows, by what is particular to each of them, and who looks at them."""

    def __init__(self) -> None:
        self.now = timezone.now()
        users = get_user_model().objects
        self.operator = users.create_superuser("operator", "operator@shopwise.example", "secret")
        self.merchant = users.create_user("merchant", "jan@bakkerij-jansen.example", "secret")
        self.group = Group.objects.create(name="support")
        self.states: dict[str, str] = {}
        self.browser_secret = new_secret()
        self.organizations = dict(self._organizations())
        self.client_links = dict(self._client_links())
        self.batches = dict(self._batches())
        for row in self.client_links.values():
            Event.objects.record("created", client_link_id=row.pk, actor=self.operator)
        for organization in self.organizations.values():
            Event.objects.record("connected", organization=organization)

    def _organizations(self) -> Iterator[tuple[str, Organization]]:
        particulars: dict[str, dict[str, Any]] = {
            "well": {"onboarding_status": "in-review"},
            "lost": {"connection_status": Connection.LOST, "ended_at": self.now},
            "ended": {
                "connection_status": Connection.DISCONNECTED,
                "ended_at": self.now,
                "pending_revocation": Secret("refresh_pending"),
            },
            "lacking": {"scope": "organizations.read", "missing_since": self.now - DAY},
        }
        for name, columns in particulars.items():
            defaults = {
                "name": f"Organization {name}",
                "access_token": Secret(f"access_{name}"),
                "refresh_token": Secret(f"refresh_{name}"),
                "access_token_expires_at": self.now + timedelta(minutes=1),
                "scope": SCOPE,
                "authorized_at": self.now - DAY,
            }
            yield name, Organization.objects.create(organization_id=f"org_{name}", **{**defaults, **columns})

    def _client_links(self) -> Iterator[tuple[str, ClientLink]]:
        at_mollie = {
            "url": "https://my.mollie.com/dashboard/client-link/cl_x",
            "issued_at": self.now,
            "expires_at": self.now + 30 * DAY,
        }
        particulars: dict[str, dict[str, Any]] = {
            "draft": {},
            "ready": {"status": Status.READY, **at_mollie},
            "stale": {"status": Status.READY, **at_mollie, "expires_at": self.now - DAY},
            "started": {"status": Status.STARTED, **at_mollie},
            "finishing": {"status": Status.STARTED, **at_mollie},
            "declined": {"status": Status.DECLINED, **at_mollie, "decline_count": 1},
            "rejected": {
                "status": Status.REJECTED,
                "error_status": 422,
                "error_field": "owner.email",
                "error_detail": "The email is invalid",
            },
            "connected": {"organization": self.organizations["well"], "status": Status.CONNECTED},
            "lost": {"organization": self.organizations["lost"], "status": Status.CONNECTED},
            "ended": {"organization": self.organizations["ended"], "status": Status.CONNECTED},
            "lacking": {"organization": self.organizations["lacking"], "status": Status.CONNECTED},
            "cancelled": {"status": Status.CANCELLED},
            "expired": {"link_expires_at": self.now - DAY},
            "queued": {"send_requested_at": self.now, "send_not_before": self.now},
            "bounced": {"delivery_status": DeliveryStatus.BOUNCED, "last_sent_at": self.now, "send_count": 1},
            "clash": {"problem": Problem.ORGANIZATION_TAKEN, "refused_organization_id": "org_well"},
            "of a user": {"user": self.merchant},
            "excluded": {"reminders_excluded": True},
        }
        for name, columns in particulars.items():
            row = ClientLink(**{**MERCHANT, "organization_name": f"Merchant {name}", **columns})
            row.save()
            self._request(name, row)
            yield name, row

    def _request(self, name: str, row: ClientLink) -> None:
        """The merchant's visit to Mollie, for those who went there."""
        if row.status not in (Status.STARTED, Status.DECLINED):
            return
        self.states[name] = new_secret()
        columns: dict[str, Any] = {}
        if name == "finishing":
            tokens = {"access_token": "a", "refresh_token": "r", "expires_at": self.now.isoformat()}
            columns = {
                "tokens": Secret(json.dumps(tokens)),
                "answered_at": self.now,
                "exchanged_at": self.now,
                "claimed_until": self.now - DAY,
            }
        AuthorizationRequest.objects.create(
            client_link=row,
            flow=AuthorizationRequest.Flow.CLIENT_LINK,
            state_digest=digest(self.states[name]),
            browser_digest=digest(self.browser_secret),
            scope=SCOPE,
            approval_prompt="auto",
            expires_at=self.now + DAY,
            **columns,
        )

    def _batches(self) -> Iterator[tuple[str, Batch]]:
        for name, columns in {
            "prepared": {},
            "running": {"started_at": self.now, "started_by": self.operator},
            "cancelled": {"started_at": self.now, "cancelled_at": self.now},
        }.items():
            batch = Batch.objects.create(id=uuid.uuid4(), count=2, created_by=self.operator, **columns)
            for merchant, outcome in (("draft", Outcome.PENDING), ("ready", Outcome.FAILED)):
                BatchItem.objects.create(
                    batch=batch, client_link=self.client_links[merchant], outcome=outcome, at=self.now
                )
            yield name, batch

    def tokens(self) -> list[str]:
        """What may stand in the address of a merchant page: of each row, of an older generation, and nonsense."""
        links = [sign_link(row.pk, row.link_generation) for row in self.client_links.values()]
        return [*links, sign_link(self.client_links["ready"].pk, 0), "nonsense"]

    def keys_of(self, model_name: str) -> list[Any]:
        """Which objects the admin's pages of a model are tried on."""
        rows: dict[str, list[Any]] = {
            "clientlink": list(self.client_links.values()),
            "organization": list(self.organizations.values()),
            "batch": list(self.batches.values()),
            "user": [self.operator, self.merchant],
            "group": [self.group],
        }
        return [row.pk for row in rows[model_name]]

    def content_type_id(self) -> int:
        return int(ContentType.objects.get_for_model(ClientLink).pk)


def dump() -> dict[str, list[str]]:
    """Every value of every table of the platform, as the database holds it."""
    tables = sorted(set(connection.introspection.table_names()) - NOT_COMPARED)
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found
