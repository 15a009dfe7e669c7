"""Pages for the people who run a demo: look behind the scenes, move an onboarding on, break things."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.addresses import path_to
from mollie_onboarding.sandbox.conf import conf
from mollie_onboarding.sandbox.mails import all_mails, find_mail
from mollie_onboarding.sandbox.models import Call, Fault, SandboxClientLink, SandboxOrganization, Switch

from .common import sandbox_view

SHOWN_CALLS = 30
SHOWN_ORGANIZATIONS = 100  # newest first; a test may have made 100,000


@sandbox_view
@require_safe
def control(request: HttpRequest) -> HttpResponse:
    on = set(Switch.objects.values_list("name", flat=True))
    context = {
        "client_links": SandboxClientLink.objects.select_related("organization"),
        "organizations": SandboxOrganization.objects.all()[:SHOWN_ORGANIZATIONS],
        "statuses": SandboxOrganization.Status.choices,
        "faults": Fault.objects.active().order_by("pk"),
        "operations": Fault.Operation.choices,
        "kinds": Fault.Kind.choices,
        "switches": [(name, label, name in on) for name, label in Switch.Name.choices],
        "calls": Call.objects.order_by("-pk")[:SHOWN_CALLS],
        "faults_url": path_to(request, "control_faults"),
        "mails_url": path_to(request, "mails"),
        "organizations_url": path_to(request, "control_organization", organization_id="-").removesuffix("-"),
    }
    return render(request, "mollie_sandbox/control.html", context)


@sandbox_view
@require_POST
def control_organization(request: HttpRequest, organization_id: str) -> HttpResponse:
    get_object_or_404(SandboxOrganization, pk=organization_id)
    _change_organization(request, organization_id)
    return _see_other(path_to(request, "control"))


def _change_organization(request: HttpRequest, organization_id: str) -> None:
    """Buttons named `revoke` and `move`."""
    if "revoke" in request.POST:
        service.revoke_authorizations(organization_id)
    else:
        service.move_onboarding(
            organization_id,
            request.POST.get("status", SandboxOrganization.Status.NEEDS_DATA),
            "can_receive_payments" in request.POST,
            "can_receive_settlements" in request.POST,
        )


@sandbox_view
@require_POST
def control_faults(request: HttpRequest) -> HttpResponse:
    """Buttons named `action`: add, clear, switch."""
    try:
        _change(request)
    except ValueError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")
    return _see_other(path_to(request, "control"))


def _change(request: HttpRequest) -> None:
    match request.POST.get("action"):
        case "add":
            times = request.POST.get("times", "1")
            service.add_fault(
                request.POST.get("operation", ""),
                request.POST.get("kind", ""),
                times=int(times) if times else None,
                **_options(request.POST.get("options", "")),
            )
        case "clear":
            service.clear_faults()
        case "switch":
            service.set_switch(request.POST.get("name", ""), "on" in request.POST)
        case other:
            raise ValueError(f"no such action: {other}")


def _options(text: str) -> dict[str, Any]:
    options = json.loads(text or "{}")
    if not isinstance(options, dict):
        raise ValueError("options have to be a JSON object")
    return options


def _see_other(path: str) -> HttpResponse:
    response = HttpResponseRedirect(path)
    response.status_code = 303
    return response


@sandbox_view
@require_http_methods(["GET", "HEAD", "POST"])
def dashboard(request: HttpRequest, organization_id: str) -> HttpResponse:
    """Where a merchant would go on with the onboarding at Mollie, or take the app's access away."""
    organization = get_object_or_404(SandboxOrganization, pk=organization_id)
    if request.method == "POST":
        _change_organization(request, organization_id)
        return _see_other(path_to(request, "dashboard", organization_id=organization_id))
    context = {
        "organization": organization,
        "statuses": SandboxOrganization.Status.choices,
        "has_access": organization.authorization_set.active().exists(),
        "platform_name": conf.platform_name,
        "control_url": path_to(request, "control"),
    }
    return render(request, "mollie_sandbox/dashboard.html", context)


@sandbox_view
@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    context = {
        "mails": all_mails(),
        "mail_directory": conf.mail_directory,
        "mails_url": path_to(request, "mails"),
        "control_url": path_to(request, "control"),
    }
    return render(request, "mollie_sandbox/mails.html", context)


@sandbox_view
@require_safe
def mail(request: HttpRequest, name: str) -> HttpResponse:
    found = find_mail(name)
    if found is None:
        raise Http404
    context = {"mail": found, "mails_url": path_to(request, "mails")}
    return render(request, "mollie_sandbox/mail.html", context)
