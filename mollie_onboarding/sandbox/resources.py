"""Mollie's resources as JSON; shapes of `mollie/openapi` `specs.yaml`, 2026-08-21."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.http import HttpRequest

from .addresses import address_of, dashboard_address_of
from .clients import EMBEDS, Page
from .errors import HAL_JSON
from .models import SandboxClientLink, SandboxOrganization
from .scopes import SCOPES, in_words

Resource = dict[str, Any]


def client_link(request: HttpRequest, link: SandboxClientLink, *, with_self: bool, host: str) -> Resource:
    """The answer that made a client link. `host` replaces the host of the link itself, '' leaves it alone."""
    href = dashboard_address_of(request, "client_link", client_link_id=link.pk)
    links = {"clientLink": _page(_moved(href, host)), "documentation": _documentation("create-client-link")}
    if with_self:
        links["self"] = _hal(f"{address_of(request, 'create_client_link')}/{link.pk}")
    return {"resource": "client-link", "id": link.pk, "_links": links}


def current_organization(request: HttpRequest, row: SandboxOrganization) -> Resource:
    return _organization(request, row, address_of(request, "organization"), "get-current-organization")


def organization(request: HttpRequest, row: SandboxOrganization) -> Resource:
    """The same for somebody who asks by its id, or has it embedded."""
    return _organization(request, row, _organization_address(request, row), "get-organization")


def _organization(request: HttpRequest, row: SandboxOrganization, address: str, page: str) -> Resource:
    resource = {
        "resource": "organization",
        "id": row.pk,
        "name": row.name,
        "email": row.email,
        "locale": row.locale,
        "registrationNumber": row.registration_number,
        "vatNumber": row.vat_number,
        "vatRegulation": "dutch",
        "_links": {
            "self": _hal(address),
            "dashboard": _page(dashboard_address_of(request, "dashboard", organization_id=row.pk)),
            "documentation": _documentation(page),
        },
    }
    # All four parts of an address are there, and texts; only the address as a whole may be missing.
    parts = ("streetAndNumber", "postalCode", "city", "country")
    postal = {name: row.address.get(name) or "" for name in parts}
    return {**resource, "address": postal} if row.address else resource


def _organization_address(request: HttpRequest, row: SandboxOrganization) -> str:
    return address_of(request, "get_organization", organization_id=row.pk)


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
            "organization": _hal(_organization_address(request, row)),
            "documentation": _documentation("get-onboarding-status"),
        },
    }


def partner(request: HttpRequest, *, is_partner: bool) -> Resource:
    """The partner status of whoever asks: also a merchant may."""
    links = {
        "self": _hal(address_of(request, "partner")),
        "documentation": _documentation("get-partner-status"),
    }
    if not is_partner:
        return {"resource": "partner", "partnerType": None, "isCommissionPartner": False, "_links": links}
    return {
        "resource": "partner",
        "partnerType": "oauth",
        "isCommissionPartner": False,
        "userAgentTokens": [],
        # No `partnerContractExpiresAt`: it is left out of a contract that has no end.
        "partnerContractSignedAt": "2025-02-03T09:30:00+00:00",
        "partnerContractUpdateAvailable": False,
        "_links": links,
    }


def capability_list(request: HttpRequest, row: SandboxOrganization) -> Resource:
    found = capabilities(request, row)
    links = {"documentation": _documentation("list-capabilities")}
    return {"count": len(found), "_embedded": {"capabilities": found}, "_links": links}


def capabilities(request: HttpRequest, row: SandboxOrganization) -> list[Resource]:
    """Those a test has set, else those that follow from the onboarding."""
    if row.capabilities is not None:
        return list(row.capabilities)
    return [
        _capability(request, row, "payments", row.can_receive_payments),
        _capability(request, row, "settlements", row.can_receive_settlements),
    ]


def _capability(request: HttpRequest, row: SandboxOrganization, name: str, enabled: bool) -> Resource:
    capability: Resource = {"resource": "capability", "name": name, "statusReason": None, "requirements": []}
    if enabled:
        return {**capability, "status": "enabled"}
    if row.status == SandboxOrganization.Status.IN_REVIEW:
        return {**capability, "status": "pending"}
    dashboard = _page(dashboard_address_of(request, "dashboard", organization_id=row.pk))
    needs_data = {
        "id": "needs-data",
        "status": "requested",
        "dueDate": None,
        "_links": {"dashboard": dashboard},
    }
    return {
        **capability,
        "status": "disabled",
        "statusReason": "onboarding-information-needed",
        "requirements": [needs_data],
    }


def permission_list(request: HttpRequest, granted: Collection[str]) -> Resource:
    found = [_listed(permission(request, scope, granted)) for scope in sorted(SCOPES)]
    links = {
        "self": _hal(address_of(request, "permissions")),
        "documentation": _documentation("list-permissions"),
    }
    return {"count": len(found), "_embedded": {"permissions": found}, "_links": links}


def permission(request: HttpRequest, scope: str, granted: Collection[str]) -> Resource:
    return {
        "resource": "permission",
        "id": scope,
        "description": in_words(scope),
        "granted": scope in granted,
        "_links": {
            "self": _hal(address_of(request, "permission", scope=scope)),
            "documentation": _documentation("get-permission"),
        },
    }


def client_list(
    request: HttpRequest, page: Page, embeds: Sequence[str], limit: int, *, host: str
) -> Resource:
    """One page of clients. `host` replaces the host of the link to the next page, '' leaves it alone."""

    def page_from(first_id: str) -> str:
        query = {"from": first_id, "limit": limit} | ({"embed": ",".join(embeds)} if embeds else {})
        return f"{address_of(request, 'list_clients')}?{urlencode(query, safe=',')}"

    return {
        "count": len(page.rows),
        "_embedded": {"clients": [_listed(client(request, row, embeds)) for row in page.rows]},
        "_links": {
            "self": _hal(request.build_absolute_uri()),
            "previous": _hal(page_from(page.previous_id)) if page.previous_id else None,
            "next": _hal(_moved(page_from(page.next_id), host)) if page.next_id else None,
            "documentation": _documentation("list-clients"),
        },
    }


def client(request: HttpRequest, row: SandboxOrganization, embeds: Sequence[str]) -> Resource:
    """A client as its partner sees it, with those embedded parts the merchant lets the partner see."""
    resource = {
        "resource": "client",
        "id": row.pk,
        "commission": None,
        # A space where ISO 8601 has a T, as in Mollie's own example.
        "organizationCreatedAt": row.signed_up_at.isoformat(" ", "seconds"),
        "_links": {
            "self": _hal(address_of(request, "get_client", organization_id=row.pk)),
            "organization": _hal(_organization_address(request, row)),
            # Mollie's own address; the sandbox itself answers for `me` only.
            "onboarding": _hal(address_of(request, "onboarding").removesuffix("me") + row.pk),
            "documentation": _documentation("get-client"),
        },
    }
    shown = {name: EMBEDDED[name](request, row) for name in embeds if row.shows(EMBEDS[name])}
    return {**resource, "_embedded": shown} if shown else resource


EMBEDDED: dict[str, Callable[[HttpRequest, SandboxOrganization], object]] = {
    "organization": organization,
    "onboarding": onboarding,
    "capabilities": capabilities,
}


def _listed(resource: Resource) -> Resource:
    """The same as an item of a list, where the list alone leads to its documentation."""
    links = {name: link for name, link in resource["_links"].items() if name != "documentation"}
    return {**resource, "_links": links}


def _moved(href: str, host: str) -> str:
    """The address on another host, '' = on its own."""
    return urlunsplit(urlsplit(href)._replace(netloc=host)) if host else href


def _hal(href: str) -> dict[str, str]:
    return {"href": href, "type": HAL_JSON}


def _page(href: str) -> dict[str, str]:
    return {"href": href, "type": "text/html"}


def _documentation(page: str) -> dict[str, str]:
    return _page(f"https://docs.mollie.com/reference/{page}")
