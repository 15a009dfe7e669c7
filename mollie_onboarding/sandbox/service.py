"""The sandbox as a Python API: for its own pages, and for tests that play merchant, Mollie and bad luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict
from django.urls import get_resolver

from . import authorization
from .addresses import URLCONF
from .authorization import AuthorizationRequest, SentBackError
from .conf import conf
from .models import (
    Authorization,
    Call,
    CallWindow,
    Fault,
    IdempotentAnswer,
    SandboxClientLink,
    SandboxOrganization,
    Switch,
    Token,
)

# Dependent rows first.
MODELS = (
    Token,
    Authorization,
    SandboxClientLink,
    SandboxOrganization,
    IdempotentAnswer,
    Fault,
    Switch,
    Call,
    CallWindow,
)


def reset() -> None:
    """Forget everything."""
    for model in MODELS:
        model._default_manager.all().delete()


def add_fault(operation: str, kind: str, *, times: int | None = 1, **options: Any) -> Fault:
    """Let the next `times` calls of an operation fail; None means all of them, until cleared.

    Options by kind: rate_limited(retry_after), server_error(status, detail), unavailable_html(status), slow(seconds),
    wrong_host(host), validation(field, detail), unauthorized(detail), conflict(detail), status(status, body, cached),
    replayed_error(status, detail). Raises `ValueError` for an unknown operation or kind, and for less than one time.
    """
    if times is not None and times < 1:
        raise ValueError("a fault strikes at least once")
    return Fault.objects.create(
        operation=Fault.Operation(operation), kind=Fault.Kind(kind), remaining=times, options=options
    )


def clear_faults() -> None:
    Fault.objects.all().delete()


def set_switch(name: str, on: bool) -> None:
    """Raises `ValueError` for an unknown name."""
    switch = Switch.Name(name)
    if on:
        Switch.objects.get_or_create(name=switch)
    else:
        Switch.objects.filter(name=switch).delete()


def approve(
    client_link_id: str,
    *,
    state: str,
    scope: str,
    organization_id: str | None = None,
    approval_prompt: str = "auto",
) -> str:
    """Visit a client link, press Allow, and return the callback URL; without an organization a new one signs up.

    Returns the callback URL with an error if the sandbox sends the visitor back at once. Raises `DeadPageError`.
    """
    params = _client_link_params(state, scope, approval_prompt)
    try:
        request = authorization.read_client_link_request(client_link_id, params)
    except SentBackError as sent_back:
        return sent_back.callback_url
    return authorization.allow(request, organization_id)


def deny(client_link_id: str, *, state: str, scope: str, error: str = "access_denied") -> str:
    """Visit a client link, press Deny (or let it fail otherwise), and return the callback URL."""
    params = _client_link_params(state, scope, "auto")
    try:
        request = authorization.read_client_link_request(client_link_id, params)
    except SentBackError as sent_back:
        return sent_back.callback_url
    return authorization.refuse(request, error)


def visit(
    url: str, *, decision: str = "allow", organization_id: str | None = None, error: str = "server_error"
) -> str:
    """Go where the platform has sent the merchant, decide, and return the callback URL.

    `url` is a client link or an authorize URL with its whole query, `decision` one of allow, deny, fail.
    Raises `DeadPageError`, and `ValueError` if no consent screen lives at the address.
    """
    try:
        request = _read_url(url)
    except SentBackError as sent_back:
        return sent_back.callback_url
    return decide(request, decision, organization_id=organization_id, error=error)


def decide(
    request: AuthorizationRequest,
    decision: str,
    *,
    organization_id: str | None = None,
    error: str = "server_error",
    name: str = "",
    email: str = "",
) -> str:
    """Press a button of the consent screen and return the callback URL. Raises `ValueError`, `DeadPageError`."""
    match decision:
        case "allow":
            return authorization.allow(request, organization_id, name=name, email=email)
        case "deny":
            return authorization.refuse(request)
        case "fail" if error in authorization.ERRORS:
            return authorization.refuse(request, error)
    raise ValueError(f"no such decision: {decision}, {error}")


def sign_up(name: str, email: str = "owner@example.org", **columns: Any) -> SandboxOrganization:
    """A merchant who has a Mollie account already, without any client link."""
    return authorization.sign_up(name=name, email=email, **columns)


def revoke_authorizations(organization_id: str) -> int:
    """The merchant revokes the app's access in the dashboard; nobody tells the app. Returns how many it had."""
    return Authorization.objects.filter(organization=organization_id).revoke()


def move_onboarding(
    organization_id: str, status: str, can_receive_payments: bool, can_receive_settlements: bool
) -> None:
    """Set the onboarding status; any status is taken. Raises `SandboxOrganization.DoesNotExist`."""
    _set(
        organization_id,
        status=status,
        can_receive_payments=can_receive_payments,
        can_receive_settlements=can_receive_settlements,
    )


def set_capabilities(organization_id: str, capabilities: Sequence[Mapping[str, Any]] | None) -> None:
    """Set the capabilities as Mollie would give them, `_links` included; None has them follow from the status again.

    Raises `SandboxOrganization.DoesNotExist`.
    """
    _set(organization_id, capabilities=None if capabilities is None else list(capabilities))


def rename(organization_id: str, name: str) -> None:
    """The merchant changes the organization's name. Raises `SandboxOrganization.DoesNotExist`."""
    _set(organization_id, name=name)


def add_clients(count: int, **columns: Any) -> list[str]:
    """Make many organizations that are clients without an authorization; `columns` are the same for all.

    Returns their ids, which sort in the order they were made in.
    """
    # Sign-ups draw a number without a leading zero, so these ids never meet theirs.
    latest = SandboxOrganization.objects.filter(pk__lt="org_1").order_by("-pk").first()
    first = 1 if latest is None else int(latest.pk.removeprefix("org_")) + 1
    rows = [
        SandboxOrganization(id=f"org_{number:08}", **{**_client_columns(number), **columns})
        for number in range(first, first + count)
    ]
    return [row.pk for row in SandboxOrganization.objects.bulk_create(rows)]


def remove_client(organization_id: str) -> None:
    """Take an organization off the partner's list of clients, without ending what it authorized.

    A new authorization brings it back. Raises `SandboxOrganization.DoesNotExist`.
    """
    _set(organization_id, is_client=False, is_listed=False)


def calls(operation: str | None = None) -> Sequence[Call]:
    """The API calls so far, oldest first. `tokens` finds exchange, refresh and revoke alike."""
    found = Call.objects.all()
    if operation == "tokens":
        return list(found.filter(operation__in=["tokens", "exchange", "refresh", "revoke"]))
    return list(found if operation is None else found.filter(operation=operation))


def _set(organization_id: str, **columns: Any) -> None:
    if not SandboxOrganization.objects.filter(pk=organization_id).update(**columns):
        raise SandboxOrganization.DoesNotExist(organization_id)


def _client_columns(number: int) -> dict[str, Any]:
    return {"name": f"Client {number}", "email": f"owner{number}@example.org", "is_client": True}


def _client_link_params(state: str, scope: str, approval_prompt: str) -> QueryDict:
    params = {
        "client_id": conf.client_id, "state": state, "scope": scope, "approval_prompt": approval_prompt,
    }  # fmt: skip
    return QueryDict(urlencode(params))


def _read_url(url: str) -> AuthorizationRequest:
    parts = urlsplit(url)
    params = QueryDict(parts.query)
    if parts.path.endswith("/" + get_resolver(URLCONF).reverse("authorize")):
        return authorization.read_authorize_request(params)
    _, found, client_link_id = parts.path.rpartition("/dashboard/client-link/")
    if not found:
        raise ValueError(f"no consent screen at {parts.path}")
    return authorization.read_client_link_request(client_link_id, params)
