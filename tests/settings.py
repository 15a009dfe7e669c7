"""Settings of the test suite.

`DATABASE_URL` chooses the database; SQLite without it. `TEST_ATOMIC_REQUESTS=1` puts each request into a transaction.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import django
import environ
from django.conf import global_settings

env = environ.Env()
_directory = Path(os.environ.get("TEST_DATABASE_DIR", tempfile.gettempdir()))

SECRET_KEY = "tests only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.urls"
LANGUAGE_CODE = "en"
LANGUAGES = [
    (code, name)
    for code, name in global_settings.LANGUAGES
    if code in "ca cs da de en es fi fr hu is it lt lv nb nl pl pt sk sv".split()
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    # Never ":memory:", which the live server's threads would share as one connection.
    "default": env.db("DATABASE_URL", default=f"sqlite:///{_directory / 'mollie_onboarding.sqlite3'}"),
    # Mollie's memory is a database of its own: a roll-back of ours never undoes what "Mollie" did.
    "mollie_sandbox": {"ENGINE": "django.db.backends.sqlite3", "NAME": _directory / "mollie_sandbox.sqlite3"},
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["default"].setdefault("OPTIONS", {})["charset"] = "utf8mb4"
    DATABASES["default"]["TEST"] = {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_general_ci"}
# As the README advises.
_sqlite_options = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Threads of a test need one file, not an in-memory database each.
    DATABASES["default"]["TEST"] = {"NAME": str(_directory / f"mollie_onboarding_test_{os.getpid()}.sqlite3")}
    DATABASES["default"]["OPTIONS"] = _sqlite_options
DATABASES["mollie_sandbox"]["TEST"] = {"NAME": str(_directory / f"mollie_sandbox_test_{os.getpid()}.sqlite3")}
DATABASES["mollie_sandbox"]["OPTIONS"] = _sqlite_options
if env.bool("TEST_ATOMIC_REQUESTS", default=False):
    # As many platforms have it: each request in one transaction, but for the views that say otherwise.
    DATABASES["default"]["ATOMIC_REQUESTS"] = True
DATABASE_ROUTERS = ["mollie_onboarding.sandbox.router.SandboxRouter"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_countries",
    "import_export",
    "mollie_onboarding",
    "mollie_onboarding.sandbox",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "static/"
LOGIN_URL = "/admin/login/"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
DEFAULT_FROM_EMAIL = "Shopwise <onboarding@shopwise.example>"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

MOLLIE_ONBOARDING_CLIENT_ID = "app_test"
MOLLIE_ONBOARDING_CLIENT_SECRET = "client-secret-of-the-tests"
MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_partner_of_the_tests"
MOLLIE_ONBOARDING_ENCRYPTION_KEYS = ["hzdvT6RLd0FFNWhCVLdK8S8Eug3SSHVqbyXiHTUJKyU="]
MOLLIE_ONBOARDING_BASE_URL = "https://platform.example"
MOLLIE_ONBOARDING_PLATFORM_NAME = "Shopwise"
# All merchants of the tests share one address.
MOLLIE_ONBOARDING_MAIL_LIMIT = "1000000/d"

# The sandbox knows the same credentials, as Mollie would.
MOLLIE_SANDBOX_CLIENT_ID = MOLLIE_ONBOARDING_CLIENT_ID
MOLLIE_SANDBOX_CLIENT_SECRET = MOLLIE_ONBOARDING_CLIENT_SECRET
MOLLIE_SANDBOX_ACCESS_TOKEN = MOLLIE_ONBOARDING_ACCESS_TOKEN
MOLLIE_SANDBOX_REDIRECT_URI = "https://platform.example/onboarding/callback/"
MOLLIE_SANDBOX_ALLOW_WITHOUT_DEBUG = True
