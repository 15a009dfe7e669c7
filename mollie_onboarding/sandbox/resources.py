"""Mollie's resources as JSON; shapes of `mollie/openapi` `specs.yaml`, 2026-08-21."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from .addresses import address_of, dashboard_address_of
from .errors import HAL_JSON
from .models import SandboxClientLink, SandboxOrganization

Resource = dict[str, Any]


def client_link(request: HttpRequest, link: SandboxClientLink, *, with_self: bool, host: str) -> Resource:
    """The answer that made a client link. `host` replaces the host of the link itself, '' leaves it alone."""
    href = dashboard_address_of(request, "client_link", client_link_id=link.pk)
    if host:
        href = href.replace(f"//{href.split('/')[2]}/", f"//{host}/", 1)
    links = {"clientLink": _page(href), "documentation": _documentation("create-client-link")}
    if with_self:
        links["self"] = _hal(f"{address_of(request, 'create_client_link')}/{link.pk}")
    return {"resource": "client-link", "id": link.pk, "_links": links}


def organization(request: HttpRequest, row: SandboxOrganization) -> Resource:
    return {
        "resource": "organization",
        "id": row.pk,
        "name": row.name,
        "email": row.email,
        "locale": row.locale,
        "address": row.address,
        "registrationNumber": row.registration_number,
        "vatNumber": row.vat_number,
        "vatRegulation": "dutch",
        "_links": {
            "self": _hal(address_of(request, "organization")),
            "dashboard": _page(dashboard_address_of(request, "dashboard", organization_id=row.pk)),
            "documentation": _documentation("get-current-organization"),
        },
    }


def onboarding(request: HttpRequest, row: SandboxOrganization) -> Resource:
    return {
        "resource": "onboarding",
        "name": row.name,
        "status": row.status,
        "canReceivePayments": row.can_receive_payments,
        "canReceiveSettlements": row.can_receive_settlements,
        "signedUpAt": row.signed_up_at.isoformat(timespec="seconds"),
        "_links": {
            "self": _hal(address_of(request, "onboarding")),
            "dashboard": _page(dashboard_address_of(request, "dashboard", organization_id=row.pk)),
            "organization": _hal(address_of(request, "organization")),
            "documentation": _documentation("get-onboarding-status"),
        },
    }


def _hal(href: str) -> dict[str, str]:
    return {"href": href, "type": HAL_JSON}


def _page(href: str) -> dict[str, str]:
    return {"href": href, "type": "text/html"}


def _documentation(page: str) -> dict[str, str]:
    return _page(f"https://docs.mollie.com/reference/{page}")
