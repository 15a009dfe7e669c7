from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import get_converters

from . import links, views

app_name = "mollie_onboarding"

CONVERTER = "mollie_onboarding_link_token"
if CONVERTER not in get_converters():  # a test may load this module once more
    register_converter(links.LinkTokenConverter, CONVERTER)

# A mail client, a person, or the form at Mollie in which the redirect URI is registered may lose the slash at the end, and
# with APPEND_SLASH off nobody gives it back. These come first, because of several with one name `reverse()` takes the last.
urlpatterns = [
    path("signup", views.signup, name="signup"),
    path("callback", views.callback, name="callback"),
    path(f"link/<{CONVERTER}:token>", views.client_link, name="client_link"),
    path("signup/", views.signup, name="signup"),
    path("callback/", views.callback, name="callback"),
    path("recover/", views.recover, name="recover"),
    path("theme.css", views.theme, name="theme"),
    path(f"link/<{CONVERTER}:token>/", views.client_link, name="client_link"),
]
