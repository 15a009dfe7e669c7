"""From Mollie's objects to ours. What is missing or of another type is left empty: one odd item stops no others."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mollie_onboarding.exceptions import MollieConnectionError

from .addresses import is_dashboard_url
from .data import Capability, ClientInfo, ClientPage, OnboardingStatus, OrganizationInfo, Requirement
from .reading import get_datetime, get_href, get_object, get_objects, get_text

MAX_CAPABILITIES = 50  # of one organization, and of requirements of one capability; Mollie names two


def read_organization(answer: dict[str, Any]) -> OrganizationInfo | None:
    """docs.mollie.com/reference/get-organization; None without a usable id."""
    organization_id = _organization_id(answer)
    if not organization_id:
        return None
    return OrganizationInfo(
        id=organization_id,
        name=get_text(answer, "name", 255),
        country=get_text(get_object(answer, "address"), "country", 2),
        registration_number=get_text(answer, "registrationNumber", 50),
        vat_number=get_text(answer, "vatNumber", 50),
    )


def _organization_id(answer: dict[str, Any]) -> str:
    organization_id = get_text(answer, "id", 64)
    return organization_id if re.fullmatch(r"\w+", organization_id, re.ASCII) else ""


def read_onboarding_status(answer: dict[str, Any]) -> OnboardingStatus:
    """docs.mollie.com/reference/get-onboarding-status"""
    return OnboardingStatus(
        status=get_text(answer, "status", 50),
        can_receive_payments=answer.get("canReceivePayments") is True,
        can_receive_settlements=answer.get("canReceiveSettlements") is True,
        signed_up_at=get_datetime(answer, "signedUpAt"),
        dashboard_url=_dashboard_url(answer),
    )


def read_capabilities(answer: dict[str, Any]) -> tuple[Capability, ...]:
    """docs.mollie.com/reference/list-capabilities"""
    items = get_objects(get_object(answer, "_embedded"), "capabilities")
    return tuple(_capability(item) for item in items[:MAX_CAPABILITIES] if get_text(item, "name", 50))


def _capability(item: dict[str, Any]) -> Capability:
    requirements = get_objects(item, "requirements")[:MAX_CAPABILITIES]
    return Capability(
        name=get_text(item, "name", 50),
        status=get_text(item, "status", 50),
        status_reason=get_text(item, "statusReason", 100),
        requirements=tuple(_requirement(item) for item in requirements if get_text(item, "id", 100)),
    )


def _requirement(item: dict[str, Any]) -> Requirement:
    due_at = get_datetime(item, "dueDate")
    return Requirement(
        id=get_text(item, "id", 100),
        status=get_text(item, "status", 50),
        due_at=due_at.isoformat() if due_at else "",
        url=_dashboard_url(item),
    )


def read_client_page(answer: dict[str, Any]) -> ClientPage:
    """docs.mollie.com/reference/list-clients. Raises `MollieConnectionError` where there is no list: it is not an empty one."""
    items = get_object(answer, "_embedded").get("clients")
    if not isinstance(items, list):
        raise MollieConnectionError("Mollie's answer holds no list of clients.")
    clients = tuple(_client(item) for item in items if isinstance(item, dict) and _organization_id(item))
    return ClientPage(clients, unreadable=len(items) - len(clients), following=_following(answer))


def _client(item: dict[str, Any]) -> ClientInfo:
    embedded = get_object(item, "_embedded")
    organization = read_organization(get_object(embedded, "organization"))
    onboarding = get_object(embedded, "onboarding")
    return ClientInfo(
        organization_id=_organization_id(item),
        organization=organization if organization and organization.id == _organization_id(item) else None,
        onboarding=read_onboarding_status(onboarding) if get_text(onboarding, "status", 50) else None,
        capabilities=_embedded_capabilities(embedded),
    )


def _embedded_capabilities(embedded: dict[str, Any]) -> tuple[Capability, ...] | None:
    """Whether the list itself is embedded, or the answer of /v2/capabilities, is not documented: both are read."""
    value = embedded.get("capabilities")
    if isinstance(value, list):
        return read_capabilities({"_embedded": embedded})
    return read_capabilities(value) if isinstance(value, dict) and "_embedded" in value else None


def _following(answer: dict[str, Any]) -> str:
    """Where the next page begins. Only that is taken of Mollie's address: the token goes nowhere but to `API_URL`."""
    try:
        query = parse_qs(urlsplit(get_href(answer, "next")).query)
    except ValueError:
        return ""
    return query.get("from", [""])[0]


def _dashboard_url(answer: dict[str, Any]) -> str:
    url = get_href(answer, "dashboard")
    return url if is_dashboard_url(url) else ""
