"""The endpoints a platform calls: who may, what is done, what is answered."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import get_random_string

from mollie_onboarding.sandbox import resources, schema
from mollie_onboarding.sandbox import tokens as token_endpoint
from mollie_onboarding.sandbox.bearer import Caller, authenticate, identify, require_partner
from mollie_onboarding.sandbox.clients import find_organization
from mollie_onboarding.sandbox.errors import MollieRefusalError, OAuthRefusalError
from mollie_onboarding.sandbox.models import SandboxClientLink
from mollie_onboarding.sandbox.scopes import SCOPES

from .serving import Exchange, api_view, hal


@api_view(lambda request: "client_links", "POST")
def create_client_link(exchange: Exchange) -> HttpResponse:
    require_partner(exchange.request, "clients.write")
    return exchange.once("partner", lambda: _create_client_link(exchange))


def _create_client_link(exchange: Exchange) -> HttpResponse:
    request = exchange.request
    data = schema.check_client_link(_json_body(request))
    # Both prefixes occur in Mollie's documents, and `self` in one example of three. Mere variety: that two calls at
    # the same moment may count alike does no harm.
    number = SandboxClientLink.objects.count()
    prefix = "cl" if number % 2 == 0 else "csr"
    link = SandboxClientLink.objects.create(id=f"{prefix}_{get_random_string(21)}", data=data)
    with_self, host = number % 3 == 0, exchange.foreign_host
    return hal(resources.client_link(request, link, with_self=with_self, host=host), 201)


def _json_body(request: HttpRequest) -> object:
    if request.content_type != "application/json":
        raise MollieRefusalError(415, "Content-Type has to be application/json")
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise MollieRefusalError(400, "The body is not JSON") from error


@api_view(lambda request: "organization", "GET")
def organization(exchange: Exchange) -> HttpResponse:
    row = authenticate(exchange.request, "organizations.read").organization
    return exchange.work(lambda: hal(resources.current_organization(exchange.request, row)))


@api_view(lambda request: "organization", "GET")
def get_organization(exchange: Exchange, organization_id: str) -> HttpResponse:
    caller = authenticate(exchange.request, "organizations.read")
    return exchange.work(lambda: _get_organization(exchange.request, caller, organization_id))


def _get_organization(request: HttpRequest, caller: Caller, organization_id: str) -> HttpResponse:
    return hal(resources.organization(request, find_organization(caller, organization_id)))


@api_view(lambda request: "onboarding", "GET")
def onboarding(exchange: Exchange) -> HttpResponse:
    row = authenticate(exchange.request, "onboarding.read").organization
    return exchange.work(lambda: hal(resources.onboarding(exchange.request, row)))


@api_view(lambda request: "partner", "GET")
def partner(exchange: Exchange) -> HttpResponse:
    caller = authenticate(exchange.request, "organizations.read")
    return exchange.work(lambda: hal(resources.partner(exchange.request, is_partner=caller.is_partner)))


@api_view(lambda request: "capabilities", "GET")
def capabilities(exchange: Exchange) -> HttpResponse:
    row = authenticate(exchange.request, "onboarding.read").organization
    return exchange.work(lambda: hal(resources.capability_list(exchange.request, row)))


@api_view(lambda request: "permissions", "GET")
def permissions(exchange: Exchange) -> HttpResponse:
    granted = identify(exchange.request).scopes
    return exchange.work(lambda: hal(resources.permission_list(exchange.request, granted)))


@api_view(lambda request: "permissions", "GET")
def permission(exchange: Exchange, scope: str) -> HttpResponse:
    granted = identify(exchange.request).scopes
    return exchange.work(lambda: _permission(exchange.request, scope, granted))


def _permission(request: HttpRequest, scope: str, granted: frozenset[str]) -> HttpResponse:
    if scope not in SCOPES:
        raise MollieRefusalError(404, f"There is no permission with the id '{scope}'")
    return hal(resources.permission(request, scope, granted))


def _token_operation(request: HttpRequest) -> str:
    """Which of the three things the token endpoint is asked for; plain `tokens` if that cannot be told."""
    if request.method == "DELETE":
        return "revoke"
    try:
        grant_type = token_endpoint.read_params(request).get("grant_type", "")
    except OAuthRefusalError:
        return "tokens"
    return {"authorization_code": "exchange", "refresh_token": "refresh"}.get(grant_type, "tokens")


@api_view(_token_operation, "POST", "DELETE")
def tokens(exchange: Exchange) -> HttpResponse:
    request = exchange.request
    params = token_endpoint.read_params(request)
    client_id = token_endpoint.authenticate_client(request, params)
    if request.method == "DELETE":
        return exchange.work(lambda: _revoke(params))
    return exchange.once(f"client {client_id}", lambda: JsonResponse(token_endpoint.grant(params)))


def _revoke(params: token_endpoint.Params) -> HttpResponse:
    token_endpoint.revoke(params)
    return HttpResponse(status=204)
