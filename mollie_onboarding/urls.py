from __future__ import annotations

from django.urls import path

from . import views

app_name = "mollie_onboarding"

urlpatterns = [
    path("signup/", views.signup, name="signup"),
    path("callback/", views.callback, name="callback"),
    path("recover/", views.recover, name="recover"),
    path("link/<str:token>/", views.client_link, name="client_link"),
]
