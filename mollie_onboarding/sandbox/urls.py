"""Addresses as at Mollie, plus the control pages. No trailing slashes where Mollie has none."""

from __future__ import annotations

from django.urls import path

from .views import api, clients, consent, control

app_name = "mollie_sandbox"

urlpatterns = [
    path("v2/client-links", api.create_client_link, name="create_client_link"),
    path("v2/organizations/me", api.organization, name="organization"),
    path("v2/organizations/me/partner", api.partner, name="partner"),
    path("v2/organizations/<str:organization_id>", api.get_organization, name="get_organization"),
    path("v2/onboarding/me", api.onboarding, name="onboarding"),
    path("v2/capabilities", api.capabilities, name="capabilities"),
    path("v2/clients", clients.list_clients, name="list_clients"),
    path("v2/clients/<str:organization_id>", clients.get_client, name="get_client"),
    path("v2/permissions", api.permissions, name="permissions"),
    path("v2/permissions/<str:scope>", api.permission, name="permission"),
    path("oauth2/tokens", api.tokens, name="tokens"),
    path("oauth2/authorize", consent.authorize, name="authorize"),
    path("dashboard/client-link/<str:client_link_id>", consent.client_link, name="client_link"),
    path("dashboard/onboarding/<str:organization_id>", control.dashboard, name="dashboard"),
    path("", control.control, name="control"),
    path(
        "control/organizations/<str:organization_id>",
        control.control_organization,
        name="control_organization",
    ),
    path("control/faults", control.control_faults, name="control_faults"),
    path("mails/", control.mails, name="mails"),
    path("mails/<str:name>", control.mail, name="mail"),
]
