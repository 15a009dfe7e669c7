from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("example_project.shop.urls")),
    path("onboarding/", include("mollie_onboarding.urls")),
    path("admin/", admin.site.urls),
]
if apps.is_installed("mollie_onboarding.sandbox"):
    urlpatterns.append(path("sandbox/", include("mollie_onboarding.sandbox.urls")))
