"""The API: one call in, one answer out; faults strike on the way (see `faults`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import get_random_string
from django.views.decorators.csrf import csrf_exempt

from mollie_onboarding.sandbox import faults, idempotency, resources, schema
from mollie_onboarding.sandbox import tokens as token_endpoint
from mollie_onboarding.sandbox.bearer import authenticate, require_partner
from mollie_onboarding.sandbox.errors import HAL_JSON, MollieRefusalError, OAuthRefusalError, RefusalError
from mollie_onboarding.sandbox.models import Call, Fault, SandboxClientLink
from mollie_onboarding.sandbox.server import DroppedResponse

from .common import View, sandbox_view


@dataclass(frozen=True)
class Exchange:
    """One API call, and the fault it drew."""

    request: HttpRequest
    fault: Fault | None

    def work(self, work: Callable[[], HttpResponse]) -> HttpResponse:
        """Do the work, unless the fault has it come to something else."""
        answer = faults.worked_out_answer(self.fault) if self.fault else None
        return answer or work()

    def once(self, credential: str, work: Callable[[], HttpResponse]) -> HttpResponse:
        """The same, once per idempotency key."""
        return idempotency.once(self.request, credential, lambda: self.work(work))


Endpoint = Callable[[Exchange], HttpResponse]


def api_view(operation_of: Callable[[HttpRequest], str], *methods: str) -> Callable[[Endpoint], View]:
    def decorate(endpoint: Endpoint) -> View:
        # Programs call with credentials of their own; no browser's cookie counts here.
        @csrf_exempt
        @sandbox_view
        def view(request: HttpRequest) -> HttpResponse:
            if request.method not in methods:
                return _method_not_allowed(methods)
            return _serve(request, operation_of(request), endpoint)

        return view

    return decorate


def _serve(request: HttpRequest, operation: str, endpoint: Endpoint) -> HttpResponse:
    """Record the call, draw a fault, answer."""
    fault = faults.claim(operation)
    call = Call.objects.create(
        operation=operation,
        method=request.method or "",
        path=request.path,
        idempotency_key=idempotency.key_of(request),
        fault=fault.kind if fault else "",
    )
    response = _answer(Exchange(request, fault), endpoint)
    response["RateLimit-Policy"] = f'"{operation}";q=20;w=3;mollie-burst=60'
    response["RateLimit"] = f'"{operation}";r=19;t=3'
    call.replayed = idempotency.REPLAYED in response
    call.status = None if isinstance(response, DroppedResponse) else response.status_code
    call.save(update_fields=["replayed", "status"])
    return response


def _answer(exchange: Exchange, endpoint: Endpoint) -> HttpResponse:
    fault, request = exchange.fault, exchange.request
    early_answer = faults.early_answer(fault, request) if fault else None
    if early_answer is not None:
        return early_answer
    try:
        response = endpoint(exchange)
    except RefusalError as refusal:
        response = refusal.response()
    return faults.spoil(fault, request, response) if fault else response


def _method_not_allowed(methods: tuple[str, ...]) -> HttpResponse:
    response = MollieRefusalError(405, "The endpoint does not know this method").response()
    response["Allow"] = ", ".join(methods)
    return response


def _hal(resource: resources.Resource, status: int = 200) -> HttpResponse:
    return JsonResponse(resource, status=status, content_type=HAL_JSON)


@api_view(lambda request: "client_links", "POST")
def create_client_link(exchange: Exchange) -> HttpResponse:
    require_partner(exchange.request)
    return exchange.once("partner", lambda: _create_client_link(exchange))


def _create_client_link(exchange: Exchange) -> HttpResponse:
    request = exchange.request
    data = schema.check_client_link(_json_body(request))
    # Both prefixes occur in Mollie's documents, and `self` in one example of three. Mere variety: that two calls at
    # the same moment may count alike does no harm.
    number = SandboxClientLink.objects.count()
    prefix = "cl" if number % 2 == 0 else "csr"
    link = SandboxClientLink.objects.create(id=f"{prefix}_{get_random_string(21)}", data=data)
    host = ""
    if exchange.fault and exchange.fault.kind == Fault.Kind.WRONG_HOST:
        host = exchange.fault.options.get("host", "my.mollie.com.evil.example")
    return _hal(resources.client_link(request, link, with_self=number % 3 == 0, host=host), 201)


def _json_body(request: HttpRequest) -> object:
    if request.content_type != "application/json":
        raise MollieRefusalError(415, "Content-Type has to be application/json")
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise MollieRefusalError(400, "The body is not JSON") from error


@api_view(lambda request: "organization", "GET")
def organization(exchange: Exchange) -> HttpResponse:
    row = authenticate(exchange.request, "organizations.read")
    return exchange.work(lambda: _hal(resources.organization(exchange.request, row)))


@api_view(lambda request: "onboarding", "GET")
def onboarding(exchange: Exchange) -> HttpResponse:
    row = authenticate(exchange.request, "onboarding.read")
    return exchange.work(lambda: _hal(resources.onboarding(exchange.request, row)))


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
