"""The Clients API: the partner looks at its clients."""

from __future__ import annotations

from django.http import HttpResponse

from mollie_onboarding.sandbox import resources
from mollie_onboarding.sandbox.bearer import require_partner
from mollie_onboarding.sandbox.clients import find, read_embeds, read_limit, read_page

from .serving import Exchange, api_view, hal

SCOPE = "clients.read"


@api_view(lambda request: "clients", "GET")
def list_clients(exchange: Exchange) -> HttpResponse:
    require_partner(exchange.request, SCOPE)
    return exchange.work(lambda: _list_clients(exchange))


def _list_clients(exchange: Exchange) -> HttpResponse:
    request = exchange.request
    embeds, limit = read_embeds(request.GET), read_limit(request.GET)
    page = read_page(request.GET.get("from", ""), limit)
    return hal(resources.client_list(request, page, embeds, limit, host=exchange.foreign_host))


@api_view(lambda request: "clients", "GET")
def get_client(exchange: Exchange, organization_id: str) -> HttpResponse:
    require_partner(exchange.request, SCOPE)
    return exchange.work(lambda: _get_client(exchange, organization_id))


def _get_client(exchange: Exchange, organization_id: str) -> HttpResponse:
    request = exchange.request
    embeds = read_embeds(request.GET)
    return hal(resources.client(request, find(organization_id), embeds))
