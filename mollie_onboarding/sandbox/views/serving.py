"""The way of an API call through the sandbox: recorded, struck by a fault or not, answered (see `faults`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from mollie_onboarding.sandbox import faults, idempotency, limits, resources
from mollie_onboarding.sandbox.errors import HAL_JSON, MollieRefusalError, RefusalError
from mollie_onboarding.sandbox.models import Call, Fault
from mollie_onboarding.sandbox.server import DroppedResponse

from .common import View, sandbox_view


@dataclass(frozen=True)
class Exchange:
    """One API call, and the fault it drew."""

    request: HttpRequest
    fault: Fault | None

    @property
    def foreign_host(self) -> str:
        """Where a link is to lead instead of to us; '' if it may lead to us."""
        if self.fault is None or self.fault.kind != Fault.Kind.WRONG_HOST:
            return ""
        return str(self.fault.options.get("host", "my.mollie.com.evil.example"))

    def work(self, work: Callable[[], HttpResponse]) -> HttpResponse:
        """Do the work, unless the fault has it come to something else."""
        answer = faults.worked_out_answer(self.fault) if self.fault else None
        return answer or work()

    def once(self, credential: str, work: Callable[[], HttpResponse]) -> HttpResponse:
        """The same, once per idempotency key."""
        return idempotency.once(self.request, credential, lambda: self.work(work))


Endpoint = Callable[..., HttpResponse]  # takes the `Exchange` and what the path names


def api_view(operation_of: Callable[[HttpRequest], str], *methods: str) -> Callable[[Endpoint], View]:
    def decorate(endpoint: Endpoint) -> View:
        # Programs call with credentials of their own; no browser's cookie counts here.
        @csrf_exempt
        @sandbox_view
        def view(request: HttpRequest, **named: str) -> HttpResponse:
            if request.method not in methods:
                return _method_not_allowed(methods)
            return _serve(request, operation_of(request), partial(endpoint, **named))

        return view

    return decorate


def hal(resource: resources.Resource, status: int = 200) -> HttpResponse:
    return JsonResponse(resource, status=status, content_type=HAL_JSON)


def _serve(request: HttpRequest, operation: str, endpoint: Endpoint) -> HttpResponse:
    """Record the call, draw a fault, answer. A call beyond the rate limit gets no further than that."""
    allowance = limits.count(operation)
    refusal = allowance.refusal() if allowance else None
    fault = None if refusal else faults.claim(operation)
    call = Call.objects.create(
        operation=operation,
        method=request.method or "",
        path=request.path,
        idempotency_key=idempotency.key_of(request),
        fault=fault.kind if fault else "",
    )
    response = refusal or _answer(Exchange(request, fault), endpoint)
    if allowance:
        allowance.write_headers(response)
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
