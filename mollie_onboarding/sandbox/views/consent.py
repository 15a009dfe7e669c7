"""Mollie's consent screen, for client links and for plain authorize."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.authorization import (
    ERRORS,
    AuthorizationRequest,
    DeadPageError,
    SentBackError,
    read_authorize_request,
    read_client_link_request,
)
from mollie_onboarding.sandbox.conf import conf
from mollie_onboarding.sandbox.models import Authorization, SandboxOrganization
from mollie_onboarding.sandbox.scopes import in_words

from .common import sandbox_view

NEW = "new"
SHOWN_ORGANIZATIONS = 100  # newest first; a test may have made 100,000


# Exempt because this page plays a foreign site: the host site's CSRF cookie would not be there, and must not be
# touched or rotated by it. What a forged POST could do here, anybody can do by opening the page.
@csrf_exempt
@sandbox_view
@require_http_methods(["GET", "HEAD", "POST"])
def client_link(request: HttpRequest, client_link_id: str) -> HttpResponse:
    return _consent(request, partial(read_client_link_request, client_link_id))


@csrf_exempt  # as above
@sandbox_view
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    return _consent(request, read_authorize_request)


def _consent(request: HttpRequest, read: Callable[[QueryDict], AuthorizationRequest]) -> HttpResponse:
    try:
        authorization_request = read(request.GET)
        if request.method == "POST":
            return HttpResponseRedirect(_decide(authorization_request, request.POST))
        return render(request, "mollie_sandbox/consent.html", _context(authorization_request))
    except SentBackError as sent_back:
        return HttpResponseRedirect(sent_back.callback_url)
    except DeadPageError as dead:
        return render(request, "mollie_sandbox/dead.html", {"reason": dead.reason}, status=dead.status)


def _decide(authorization_request: AuthorizationRequest, form: QueryDict) -> str:
    organization_id = form.get("organization", NEW)
    try:
        return service.decide(
            authorization_request,
            form.get("decision", ""),
            organization_id=None if organization_id == NEW else organization_id,
            error=form.get("error", ""),
            name=form.get("organization_name", ""),
            email=form.get("email", ""),
        )
    except ValueError as error:
        raise DeadPageError(400, "The form was not filled in by this page.") from error


def _context(authorization_request: AuthorizationRequest) -> dict[str, object]:
    client_link = authorization_request.client_link
    made_before = client_link.organization if client_link else None
    organizations = SandboxOrganization.objects.all()
    if made_before is not None:
        organizations = organizations.exclude(pk=made_before.pk)
    log_in = client_link is None and authorization_request.landing_page == "login"
    return {
        "authorization_request": authorization_request,
        "client_link": client_link,
        "made_before": made_before,
        "organizations": organizations[:SHOWN_ORGANIZATIONS],
        "log_in": log_in,
        "connected": set(
            Authorization.objects.active().values_list("organization_id", flat=True),
        ),
        "scopes": [in_words(scope) for scope in authorization_request.scopes],
        "errors": [error for error in ERRORS if error != "access_denied"],
        "platform_name": conf.platform_name,
    }
