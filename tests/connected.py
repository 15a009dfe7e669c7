"""Organizations that are connected here and at the sandbox, without a walk through the browser for each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from mollie_onboarding.fields import Secret
from mollie_onboarding.models import Organization
from mollie_onboarding.sandbox.models import Authorization, Token

SCOPE = "organizations.read onboarding.read onboarding.write"


def connect(sandbox: Any, count: int, *, scope: str = SCOPE, **columns: Any) -> list[Organization]:
    """As many clients at the sandbox, whose tokens are in rows of ours; `columns` are the same for all of these."""
    ids = sandbox.add_clients(count)
    _authorize(ids, scope)
    now = timezone.now()
    defaults = {
        "access_token_expires_at": now + timedelta(hours=1),
        "scope": scope,
        "authorized_at": now - timedelta(days=1),
    }
    rows = [
        Organization(
            organization_id=organization_id,
            access_token=Secret(f"access_{organization_id}"),
            refresh_token=Secret(f"refresh_{organization_id}"),
            **{**defaults, **columns},
        )
        for organization_id in ids
    ]
    Organization.objects.bulk_create(rows)
    # They were there before the test looks at the list.
    Organization.objects.filter(organization_id__in=ids).update(created_at=now - timedelta(days=1))
    return list(Organization.objects.filter(organization_id__in=ids).order_by("organization_id"))


def _authorize(organization_ids: list[str], scope: str) -> None:
    authorizations = Authorization.objects.bulk_create(
        Authorization(organization_id=organization_id, scope=scope, code=f"code_{organization_id}")
        for organization_id in organization_ids
    )
    for kind, prefix in ((Token.Kind.ACCESS, "access"), (Token.Kind.REFRESH, "refresh")):
        Token.objects.bulk_create(
            Token(authorization=row, kind=kind, value=f"{prefix}_{row.organization_id}")
            for row in authorizations
        )
