"""One project with this app, django-allauth and social-auth-app-django, each as its documentation installs it."""

from __future__ import annotations

import django

from tests.settings import *  # noqa: F403 (settings add to settings)

ROOT_URLCONF = "tests.benchmarks.peer_urls"
DATABASE_ROUTERS: list[str] = []  # no sandbox here: Mollie answers at once

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_countries",
    "mollie_onboarding",
    "mollie_onboarding.sandbox",  # for the suite's fixtures, which are imported with its browser; it answers nothing
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "tests.benchmarks.peer_allauth",
    "social_django",
]
ALLAUTH_MIDDLEWARE = "allauth.account.middleware.AccountMiddleware"
# What `startproject` gives, and what allauth does not start without. Only its own requests pass through that.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ALLAUTH_MIDDLEWARE,
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "tests.benchmarks.peer_social.MollieOAuth2",
    "tests.benchmarks.peer_social.MollieAccess",
]
LOGIN_REDIRECT_URL = "/"

# Our mail after connecting waits for a worker, as in production; it is measured apart. The peers send none.
_tasks = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
TASKS = {"default": {"BACKEND": f"{_tasks}.backends.dummy.DummyBackend"}}
INLINE_TASKS = {"default": {"BACKEND": f"{_tasks}.backends.immediate.ImmediateBackend"}}

_SCOPES = ["organizations.read", "onboarding.read", "onboarding.write"]
MOLLIE_AUTHORIZE_URL = "https://my.mollie.com/oauth2/authorize"
MOLLIE_TOKENS_URL = "https://api.mollie.com/oauth2/tokens"
MOLLIE_ORGANIZATION_URL = "https://api.mollie.com/v2/organizations/me"

SOCIALACCOUNT_PROVIDERS = {
    "mollie": {
        "APPS": [{"client_id": "app_test", "secret": "client-secret-of-the-tests"}],
        "SCOPE": _SCOPES,
    }
}
SOCIALACCOUNT_STORE_TOKENS = True  # as the two others do
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"

for _backend in ("MOLLIE", "MOLLIE_ACCESS"):
    globals()[f"SOCIAL_AUTH_{_backend}_KEY"] = "app_test"
    globals()[f"SOCIAL_AUTH_{_backend}_SECRET"] = "client-secret-of-the-tests"
    globals()[f"SOCIAL_AUTH_{_backend}_SCOPE"] = _SCOPES
