from __future__ import annotations

from django.urls import path

from . import views

app_name = "mollie_onboarding"

# A mail client, a person, or the form at Mollie in which the redirect URI is registered may lose the slash at the end, and
# with APPEND_SLASH off nobody gives it back. These come first, because of several with one name `reverse()` takes the last.
urlpatterns = [
    path("signup", views.signup, name="signup"),
    path("callback", views.callback, name="callback"),
    path("link/<str:token>", views.client_link, name="client_link"),
    path("signup/", views.signup, name="signup"),
    path("callback/", views.callback, name="callback"),
    path("recover/", views.recover, name="recover"),
    path("theme.css", views.theme, name="theme"),
    path("link/<str:token>/", views.client_link, name="client_link"),
]
