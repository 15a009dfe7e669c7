"""The example's settings, and all that a strict site switches on. What contradicts the rest comes from the environment."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403
from example_project.settings import MIDDLEWARE, MOLLIE_ONBOARDING_BASE_URL, env, text

PREFIX = text("STRICT_PREFIX")
IS_HTTPS = MOLLIE_ONBOARDING_BASE_URL.startswith("https://")

ROOT_URLCONF = "tests.browser.strict_site"
MIDDLEWARE = [
    "tests.browser.strict_site.content_security_policy",
    *MIDDLEWARE,
    # Last, so that it knows who is logged in.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
]

SESSION_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_USE_SESSIONS = env.bool("STRICT_CSRF_USE_SESSIONS", True)
APPEND_SLASH = False
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

if PREFIX:
    FORCE_SCRIPT_NAME = PREFIX
    MOLLIE_ONBOARDING_CONTACT_URL = f"{MOLLIE_ONBOARDING_BASE_URL}{PREFIX}/"
    MOLLIE_ONBOARDING_PRIVACY_URL = f"{MOLLIE_ONBOARDING_BASE_URL}{PREFIX}/privacy/"

# Registered at Mollie with or without the slash at its end.
MOLLIE_SANDBOX_REDIRECT_URI = f"{MOLLIE_ONBOARDING_BASE_URL}{PREFIX}{text('STRICT_CALLBACK')}"
