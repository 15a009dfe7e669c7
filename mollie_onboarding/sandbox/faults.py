"""What can go wrong, and where in a call it does.

early_answer      before anything is looked at; nothing was done, and a repeat with the same key is a first try
worked_out_answer in place of the work, after authentication; remembered under the idempotency key
spoil             after the work, on the way back; a repeat with the same key gets the good answer
"""

from __future__ import annotations

import json
import time
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from .errors import HAL_JSON, MollieRefusalError
from .models import Fault
from .server import DroppedResponse

Kind = Fault.Kind
Operation = Fault.Operation

TOO_LARGE = 2 * 1024 * 1024  # bytes
WIDER = {
    Operation.EXCHANGE: [Operation.TOKENS],
    Operation.REFRESH: [Operation.TOKENS],
    Operation.REVOKE: [Operation.TOKENS],
}


def claim(operation: str) -> Fault | None:
    """Draw the fault that is next for this operation, if any."""
    operations = [operation, Operation.ANY, *WIDER.get(Operation(operation), [])]
    return Fault.objects.filter(operation__in=operations).claim()


def early_answer(fault: Fault, request: HttpRequest) -> HttpResponse | None:
    """The answer that keeps the call from being looked at, if the fault is of that sort."""
    options = fault.options
    match fault.kind:
        case Kind.RATE_LIMITED:
            return _rate_limited(options)
        case Kind.SERVER_ERROR:
            return _server_error(options)
        case Kind.UNAVAILABLE_HTML:
            page = "<!DOCTYPE html><html><title>503</title><h1>Down for maintenance</h1></html>"
            return HttpResponse(page, status=options.get("status", 503))
        case Kind.DROP_BEFORE:
            return DroppedResponse(request)
        case Kind.UNAUTHORIZED:
            return MollieRefusalError(401, options.get("detail", "The access token was revoked")).response()
        case Kind.CONFLICT:
            return MollieRefusalError(409, options.get("detail", "The same call is in progress")).response()
        case Kind.STATUS if not options.get("cached"):
            return _any_status(options)
    return None


def worked_out_answer(fault: Fault) -> HttpResponse | None:
    """The answer that the "work" comes to, if the fault is of that sort. A slow call only sleeps here."""
    options = fault.options
    match fault.kind:
        case Kind.SLOW:
            time.sleep(options.get("seconds", 5))
        case Kind.VALIDATION:
            field = options.get("field", "owner.email")
            detail = options.get("detail", f"'{field}' is not accepted")
            return MollieRefusalError(422, detail, field=field).response()
        case Kind.REPLAYED_ERROR:
            return _server_error(options)
        case Kind.STATUS:
            return _any_status(options)
    return None


def spoil(fault: Fault, request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer as it reaches the caller."""
    # An empty answer cannot be spoilt; a 204 must not have a body.
    status = 200 if response.status_code == 204 else response.status_code
    match fault.kind:
        case Kind.LOSE_ANSWER:
            return DroppedResponse(request)
        case Kind.NOT_JSON:
            return HttpResponse("<html>{not json", status=status, content_type=HAL_JSON)
        case Kind.TOO_LARGE:
            body = json.loads(response.content or b"{}") | {"padding": "x" * TOO_LARGE}
            return JsonResponse(body, status=status, content_type=response["Content-Type"])
    return response


def _rate_limited(options: dict[str, Any]) -> HttpResponse:
    response = MollieRefusalError(429, "You have exceeded the rate limit of the sandbox").response()
    retry_after = options.get("retry_after", 1)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def _server_error(options: dict[str, Any]) -> HttpResponse:
    detail = options.get("detail", "Something broke inside the sandbox, as you asked")
    return MollieRefusalError(options.get("status", 500), detail).response()


def _any_status(options: dict[str, Any]) -> HttpResponse:
    body = options.get("body", {})
    return JsonResponse(body, status=options.get("status", 400), content_type=HAL_JSON, safe=False)
