from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("", home),
    path("onboarding/", include("mollie_onboarding.urls")),
    path("accounts/", include("allauth.urls")),
    path("social/", include("social_django.urls")),
]
