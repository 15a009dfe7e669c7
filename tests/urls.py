from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("onboarding/", include("mollie_onboarding.urls")),
    path("sandbox/", include("mollie_onboarding.sandbox.urls")),
    path("admin/", admin.site.urls),
]
