"""Settings of the example: everything comes from the environment, and with nothing set it runs on Mollie's sandbox.

Five variables lead to the real Mollie: MOLLIE_ONBOARDING_CLIENT_ID, _CLIENT_SECRET, _ACCESS_TOKEN, _ENCRYPTION_KEYS
and _BASE_URL.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import environ
from django.conf import global_settings

env = environ.Env()


def text(name: str, default: str = "") -> str:
    """A variable as it is, where an empty one counts as not set.

    Not through django-environ: it takes a value that begins with `$` for the name of another variable, and secrets
    may begin with anything.
    """
    return os.environ.get(name) or default


# The database, the mails and the sandbox's memory, where the environment names no other place.
DIRECTORY = Path(text("EXAMPLE_DIRECTORY", str(Path(__file__).resolve().parent / "var"))).absolute()
DIRECTORY.mkdir(parents=True, exist_ok=True)

DEBUG = env.bool("DJANGO_DEBUG", True)

# The demo's port, for a command that is run beside it: its calls go to the sandbox there.
_port_file = DIRECTORY / "port"
_port = text("PORT") or (_port_file.read_text() if _port_file.exists() else "8000")
MOLLIE_ONBOARDING_BASE_URL = text("MOLLIE_ONBOARDING_BASE_URL", f"http://127.0.0.1:{_port}").rstrip("/")
_base_url = urlsplit(MOLLIE_ONBOARDING_BASE_URL)
_is_https = _base_url.scheme == "https"

# No OAuth app of your own: then the Mollie in the box answers. Never without DEBUG, it gives everybody any account.
USE_SANDBOX = env.bool("EXAMPLE_USE_SANDBOX", DEBUG and not text("MOLLIE_ONBOARDING_CLIENT_ID"))

SECRET_KEY = text("DJANGO_SECRET_KEY", "development only, never use this on a server" if DEBUG else "")
ALLOWED_HOSTS = [host for host in text("DJANGO_ALLOWED_HOSTS").replace(" ", "").split(",") if host] or [
    _base_url.hostname or "",
    *(["localhost", "127.0.0.1", "[::1]"] if DEBUG else []),
]
if _is_https and text("MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT", "0") != "0":
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = [MOLLIE_ONBOARDING_BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Amsterdam"
LANGUAGE_CODE = "en"
# All that the merchant pages and mails speak.
LANGUAGES = [
    (code, name)
    for code, name in global_settings.LANGUAGES
    if code in "ca cs da de en es fi fr hu is it lt lv nb nl pl pt sk sv".split()
]
LOGIN_URL = "shop:login"
LOGIN_REDIRECT_URL = "shop:dashboard"
LOGOUT_REDIRECT_URL = "shop:login"
STATIC_URL = "static/"
STATIC_ROOT = DIRECTORY / "static"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_countries",
    # Import and export in the admin, where the extra is installed.
    *(["import_export"] if find_spec("import_export") else []),
    "mollie_onboarding",
    *(["mollie_onboarding.sandbox"] if USE_SANDBOX else []),
    "example_project.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],  # before those of the apps: what we replace
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


def sqlite(name: str) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / name}


DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db("DATABASE_URL") if text("DATABASE_URL") else sqlite("db.sqlite3"),
}
if USE_SANDBOX:
    # Mollie's memory is a database of its own: a roll-back of ours never undoes what "Mollie" did.
    DATABASES["mollie_sandbox"] = sqlite("mollie_sandbox.sqlite3")
    DATABASE_ROUTERS = ["mollie_onboarding.sandbox.router.SandboxRouter"]
for _database in DATABASES.values():
    if _database["ENGINE"] == "django.db.backends.sqlite3":
        # The write lock comes first, and is waited for: several requests at once get no "database is locked". With a
        # write-ahead log, readers and writers do not wait for each other.
        _database.setdefault("OPTIONS", {}).update(
            {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}
        )
    elif _database["ENGINE"] == "django.db.backends.mysql":
        _database.setdefault("OPTIONS", {}).setdefault("charset", "utf8mb4")

CACHES = {"default": env.cache("CACHE_URL") if text("CACHE_URL") else env.cache(default="locmemcache://")}

MAILS_IN_FILES = "django.core.mail.backends.filebased.EmailBackend"
DEFAULT_FROM_EMAIL = "Shopwise <onboarding@shopwise.example>"
if text("EMAIL_URL"):
    globals().update(env.email("EMAIL_URL"))
elif django.VERSION >= (6, 1):  # which deprecates the older names
    MAILERS = {"default": {"BACKEND": MAILS_IN_FILES, "OPTIONS": {"file_path": DIRECTORY / "mails"}}}
else:
    EMAIL_BACKEND = MAILS_IN_FILES
    EMAIL_FILE_PATH = DIRECTORY / "mails"

if USE_SANDBOX:
    MOLLIE_ONBOARDING_CLIENT_ID = text("MOLLIE_ONBOARDING_CLIENT_ID", "app_sandbox")
    MOLLIE_ONBOARDING_CLIENT_SECRET = text("MOLLIE_ONBOARDING_CLIENT_SECRET", "sandbox-client-secret")
    MOLLIE_ONBOARDING_ACCESS_TOKEN = text("MOLLIE_ONBOARDING_ACCESS_TOKEN", "access_sandbox_partner")
    # DEVELOPMENT ONLY. Everybody can read this key, so it must guard nothing but the sandbox's made-up tokens.
    MOLLIE_ONBOARDING_ENCRYPTION_KEYS = text(
        "MOLLIE_ONBOARDING_ENCRYPTION_KEYS", "REVWRUxPUE1FTlQtT05MWS1kby1ub3QtdXNlLWl0ISE="
    ).split(",")
    MOLLIE_ONBOARDING_API_URL = f"{MOLLIE_ONBOARDING_BASE_URL}/sandbox"
    MOLLIE_ONBOARDING_AUTHORIZE_URL = f"{MOLLIE_ONBOARDING_BASE_URL}/sandbox/oauth2/authorize"
    _colon_port = f":{_base_url.port}" if _base_url.port else ""
    MOLLIE_ONBOARDING_LINK_HOSTS = [
        f"{host}{_colon_port}" for host in dict.fromkeys([_base_url.hostname, "localhost", "127.0.0.1"])
    ]
    # The sandbox knows the same credentials, as Mollie would, and the redirect URI that is registered with them.
    MOLLIE_SANDBOX_CLIENT_ID = MOLLIE_ONBOARDING_CLIENT_ID
    MOLLIE_SANDBOX_CLIENT_SECRET = MOLLIE_ONBOARDING_CLIENT_SECRET
    MOLLIE_SANDBOX_ACCESS_TOKEN = MOLLIE_ONBOARDING_ACCESS_TOKEN
    MOLLIE_SANDBOX_REDIRECT_URI = f"{MOLLIE_ONBOARDING_BASE_URL}/onboarding/callback/"
    MOLLIE_SANDBOX_RATE_LIMIT = text("MOLLIE_SANDBOX_RATE_LIMIT")  # such as 20/3; none where it is empty
    MOLLIE_SANDBOX_PLATFORM_NAME = text("MOLLIE_ONBOARDING_PLATFORM_NAME", "Shopwise")
else:
    # Where one is missing, `manage.py check` says what to write.
    MOLLIE_ONBOARDING_CLIENT_ID = text("MOLLIE_ONBOARDING_CLIENT_ID")
    MOLLIE_ONBOARDING_CLIENT_SECRET = text("MOLLIE_ONBOARDING_CLIENT_SECRET")
    MOLLIE_ONBOARDING_ACCESS_TOKEN = text("MOLLIE_ONBOARDING_ACCESS_TOKEN")
    MOLLIE_ONBOARDING_ENCRYPTION_KEYS = text("MOLLIE_ONBOARDING_ENCRYPTION_KEYS").split(",")

# The merchant pages as Shopwise's own: the README shows it under "Making it yours".
MOLLIE_ONBOARDING_PLATFORM_NAME = text("MOLLIE_ONBOARDING_PLATFORM_NAME", "Shopwise")
MOLLIE_ONBOARDING_PLATFORM_LOGO = text("MOLLIE_ONBOARDING_PLATFORM_LOGO", "shop/logo.svg")
MOLLIE_ONBOARDING_ACCENT_COLOR = text("MOLLIE_ONBOARDING_ACCENT_COLOR", "#4a35c9")
MOLLIE_ONBOARDING_STYLESHEETS = text(
    "MOLLIE_ONBOARDING_STYLESHEETS", "mollie_onboarding/merchant.css,shop/onboarding.css"
).split(",")
MOLLIE_ONBOARDING_CONTACT_URL = text("MOLLIE_ONBOARDING_CONTACT_URL", "mailto:help@shopwise.example")
MOLLIE_ONBOARDING_PRIVACY_URL = text(
    "MOLLIE_ONBOARDING_PRIVACY_URL", f"{MOLLIE_ONBOARDING_BASE_URL}/privacy/"
)
MOLLIE_ONBOARDING_SIGNUP_FORM = text(
    "MOLLIE_ONBOARDING_SIGNUP_FORM", "example_project.shop.forms.ShopSignupForm"
)

# The rest only where the environment has it: mollie_onboarding has a good default for each.
for _name in (
    "MOLLIE_ONBOARDING_API_URL",
    "MOLLIE_ONBOARDING_APPROVAL_PROMPT",
    "MOLLIE_ONBOARDING_AUTHORIZE_URL",
    "MOLLIE_ONBOARDING_DISCONNECTED_RETENTION",
    "MOLLIE_ONBOARDING_FROM_EMAIL",
    "MOLLIE_ONBOARDING_LINK_LIFETIME",
    "MOLLIE_ONBOARDING_MAIL_LIMIT",
    "MOLLIE_ONBOARDING_REDIRECT_URI",
    "MOLLIE_ONBOARDING_REQUEST_RETENTION",
    "MOLLIE_ONBOARDING_RETURN_URL",
    "MOLLIE_ONBOARDING_SIGNUP_LIMIT",
    "MOLLIE_ONBOARDING_STATE_LIFETIME",
    "MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT",
    "MOLLIE_ONBOARDING_UNCONNECTED_RETENTION",
):
    if text(_name):
        globals()[_name] = text(_name)
for _name in ("MOLLIE_ONBOARDING_LINK_HOSTS", "MOLLIE_ONBOARDING_RETURN_HOSTS", "MOLLIE_ONBOARDING_SCOPES"):
    if text(_name):
        globals()[_name] = text(_name).replace(",", " ").split()
if "MOLLIE_ONBOARDING_REMINDER_DAYS" in os.environ:  # an empty one is set, too: no reminders
    MOLLIE_ONBOARDING_REMINDER_DAYS = os.environ["MOLLIE_ONBOARDING_REMINDER_DAYS"]
for _name in (
    "MOLLIE_ONBOARDING_ALLOW_SHARED_ORGANIZATIONS",
    "MOLLIE_ONBOARDING_PKCE",
    "MOLLIE_ONBOARDING_REQUIRE_LOGIN",
    "MOLLIE_ONBOARDING_SIGNUP_ENABLED",
    "MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED",
):
    if text(_name):
        globals()[_name] = env.bool(_name)
