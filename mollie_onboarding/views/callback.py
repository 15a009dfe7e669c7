"""The redirect URI: where Mollie sends the merchant back, and the way on for whoever arrives there by accident."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import StateError
from mollie_onboarding.languages import language_of_page, language_query
from mollie_onboarding.models import AuthorizationRequest
from mollie_onboarding.mollie_api import printable
from mollie_onboarding.observing import observe
from mollie_onboarding.state import MAX_PARAMETER, browser_secret_of, digest
from mollie_onboarding.throttle import client_address, seconds_to_wait

from .pages import (
    arrives_without_strict_cookies,
    merchant_view,
    see_other,
    settle,
    show_recovery,
)

logger = logging.getLogger(__name__)

PARAMETERS = ("state", "code", "error", "error_description")
MAX_QUERY = 2_000_000  # characters; the text of an error is cut, not refused
RECOVER_LIMIT = "10/h"  # mails that one client address may ask for

Outcome = AuthorizationRequest.Outcome


@merchant_view("GET", "HEAD")
@sensitive_variables()
def callback(request: HttpRequest) -> HttpResponse:
    """Complete the authorization and move on to the merchant page, an address without code or state.

    Whatever cannot be verified gets a 400 page with a way on; nothing is written then, and the log says why.
    RFC 6749 sections 4.1.2 and 10.12, https://docs.mollie.com/reference/authorize
    """
    # A look-ahead is not an arrival: the code must be there when the merchant comes.
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    if request.method == "HEAD" or "prefetch" in purpose:
        return HttpResponse(status=204)
    try:
        parameters = _read_parameters(request)
        completion = services.complete_authorization(parameters, browser_secret=browser_secret_of(request))
    except StateError as exc:
        return _refuse(request, exc.reason)
    return _answer(request, completion)


@sensitive_variables()
def _read_parameters(request: HttpRequest) -> services.CallbackParameters:
    """The four parameters, each at most once. Raises `StateError` for what can be no answer of Mollie's."""
    try:
        if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY:
            raise StateError("oversized query")
        values = {name: request.GET.getlist(name) for name in PARAMETERS}
    except TooManyFieldsSent:
        raise StateError("too many parameters") from None
    if any(len(given) > 1 for given in values.values()):
        # RFC 6749 section 3.1: no parameter more than once.
        raise StateError("repeated parameter")
    parameters = services.CallbackParameters(**{name: "".join(given) for name, given in values.items()})
    if not parameters.state:
        raise StateError("error without state" if parameters.error else "no state")
    if len(parameters.state) > MAX_PARAMETER or len(parameters.code) > MAX_PARAMETER:
        raise StateError("oversized parameter")
    if not parameters.code and not parameters.error:
        raise StateError("neither code nor error")
    return parameters


def _refuse(request: HttpRequest, reason: str) -> HttpResponse:
    """The 400 page. It shows no name, token or address, and is the same whether or not the state exists."""
    if arrives_without_strict_cookies(request):
        return settle(request)  # the browser asks again, and that is the refusal which is logged
    if reason == "error without state":
        _log_error_without_state(request.GET["error"])
        return show_recovery(request, "platform_error", status=400)
    _log_refusal(reason)
    # Which of the two is told by this browser alone: the page is the same for a state that exists and one that does not.
    cause = "unverified" if browser_secret_of(request) else "no_cookie"
    state = request.GET.get("state", "") if reason in ("unknown state", "other browser") else ""
    return show_recovery(request, cause, status=400, state=state)


def _log_refusal(reason: str, **ids: Any) -> None:
    observe(
        logger, logging.WARNING, "callback_refused", "Callback refused: %(reason)s.", reason=reason, **ids
    )


def _log_error_without_state(error: str) -> None:
    """Mollie sends "invalid value" errors to the registered address: the platform's own, not a merchant's doing."""
    observe(
        logger,
        logging.WARNING if error == "access_denied" else logging.ERROR,
        "callback_refused",
        "Callback refused: %(reason)s. Mollie said %(error)r.",
        reason="error without state",
        error=printable(error)[:100],
    )


def _answer(request: HttpRequest, completion: services.Completion) -> HttpResponse:
    row = completion.client_link
    path = row.merchant_path() + language_query(completion.language)
    is_cancelled = completion.is_cancelled or completion.outcome == Outcome.CANCELLED
    if is_cancelled or completion.is_expired or completion.outcome == Outcome.ERROR:
        translation.activate(completion.language or language_of_page(request, row.owner_locale))
    if is_cancelled:
        _log_refusal("cancelled client link", client_link=row.pk)
        return show_recovery(request, "cancelled", status=400)
    # Pages without a form: a session that is Strict does not come with this request, and must not be written.
    if completion.is_expired:
        _log_refusal("expired state", client_link=row.pk)
        return show_recovery(request, "expired_state", status=400, merchant_path=path)
    observe(
        logger,
        logging.INFO,
        "callback_answered",
        "Callback of client link %(client_link)s: %(outcome)s.",
        client_link=row.pk,
        outcome=completion.outcome or "in_progress",
    )
    if completion.outcome == Outcome.ERROR:
        context = {
            "merchant_path": path,
            "completion": completion,
            "is_platforms_fault": completion.error not in services.TEMPORARY_ERRORS,
        }
        return show_recovery(request, "mollie_error", status=400, **context)
    if conf.MOLLIE_ONBOARDING_REQUIRE_LOGIN:
        return settle(request, path)
    return see_other(path)


@merchant_view()
@sensitive_variables()
def recover(request: HttpRequest) -> HttpResponse:
    """Mail the merchant's link to the stored address, for somebody who came back in another browser.

    The answer is the same whether or not the state exists. Whoever opens the address again gets a page all the same.
    """
    if request.method != "POST":
        response = show_recovery(request, "unverified", status=405)
        response.headers["Allow"] = "POST"
        return response
    state = request.POST.get("state", "")[:MAX_PARAMETER]
    if not seconds_to_wait(f"recover {client_address(request)}", RECOVER_LIMIT):
        found = (
            AuthorizationRequest.objects.select_related("client_link__organization")
            .filter(state_digest=digest(state), expires_at__gt=timezone.now())
            .first()
        )
        if found is not None:
            services.request_sending_by_merchant(found.client_link)
    return show_recovery(request, "mailed")
