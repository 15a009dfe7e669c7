"""The sandbox as a site would mount it."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("box/", include("mollie_onboarding.sandbox.urls"))]
