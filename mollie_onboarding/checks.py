"""System checks: every mistake that a site can make with the settings, with what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldError, ImproperlyConfigured, SuspiciousFileOperation
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from .colors import LIGHT_BACKGROUND, LIGHT_SURFACE, READABLE, contrast
from .conf import MOLLIE_API_URL, MOLLIE_AUTHORIZE_URL, MOLLIE_LINK_HOSTS, conf
from .enumerations import SCOPES
from .forms import SignupForm
from .models import BODY_COLUMNS, ClientLink
from .mollie_api import CLIENT_LINK_LIFETIME
from .throttle import parse_limit

CheckResult = Sequence[CheckMessage]

KEY_HINT = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


def _error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"mollie_onboarding.E{number:03}")


def _warning(number: int, message: str, hint: str) -> Warning:
    return Warning(message, hint=hint, id=f"mollie_onboarding.W{number:03}")


def _value(name: str) -> str:
    value = getattr(settings, f"MOLLIE_ONBOARDING_{name}", None)
    return value if isinstance(value, str) else ""


@register(Tags.security)
def check_credentials(**kwargs: Any) -> CheckResult:
    """The three credentials are there, and none stands in another's place."""
    client_id, client_secret, access_token = map(_value, ("CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN"))
    messages: list[CheckMessage] = []
    if not client_id:
        messages.append(
            _error(
                1,
                "MOLLIE_ONBOARDING_CLIENT_ID is not set.",
                "Set it to the client id of your OAuth app, app_…, from Mollie's dashboard under Developers > Your apps.",
            )
        )
    elif not client_id.startswith("app_"):
        messages.append(
            _error(
                2,
                "MOLLIE_ONBOARDING_CLIENT_ID does not begin with app_.",
                "It takes the OAuth app's client id; tokens (access_…) and API keys (live_…, test_…) go elsewhere.",
            )
        )
    if not client_secret:
        messages.append(
            _error(
                3,
                "MOLLIE_ONBOARDING_CLIENT_SECRET is not set.",
                "Set it to the client secret that Mollie shows with the OAuth app.",
            )
        )
    elif client_secret.startswith(("app_", "access_")):
        messages.append(
            _error(
                4,
                "MOLLIE_ONBOARDING_CLIENT_SECRET holds a client id or a token.",
                "Set it to the client secret that Mollie shows with the OAuth app.",
            )
        )
    if not access_token:
        messages.append(
            _error(
                5,
                "MOLLIE_ONBOARDING_ACCESS_TOKEN is not set.",
                "Make an advanced access token with clients.write and clients.read in Mollie's dashboard, and set it.",
            )
        )
    elif not access_token.startswith("access_"):
        messages.append(
            _error(
                6,
                "MOLLIE_ONBOARDING_ACCESS_TOKEN does not begin with access_.",
                "It takes the partner's advanced access token, not an API key (live_…, test_…) or a client id (app_…).",
            )
        )
    return messages


@register(Tags.security)
def check_encryption_keys(**kwargs: Any) -> CheckResult:
    """There is a key for the tokens in the database, and each is a Fernet key."""
    keys = conf.MOLLIE_ONBOARDING_ENCRYPTION_KEYS
    if not keys:
        return [
            _error(
                7,
                "MOLLIE_ONBOARDING_ENCRYPTION_KEYS is not set.",
                f"Make a key and put it in a list: {KEY_HINT}",
            )
        ]
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        return [
            _error(
                8,
                "MOLLIE_ONBOARDING_ENCRYPTION_KEYS holds something that is not a Fernet key.",
                f"A key is 32 bytes in URL-safe base64, newest first: {KEY_HINT}",
            )
        ]
    return []


@register(Tags.urls)
def check_base_url(**kwargs: Any) -> CheckResult:
    """The base URL is an origin, and https outside development."""
    url = _value("BASE_URL")
    hint = 'Set it to the scheme and host of this site, such as "https://platform.example".'
    if not url:
        return [_error(9, "MOLLIE_ONBOARDING_BASE_URL is not set.", hint)]
    if not _is_origin(url):
        return [_error(10, "MOLLIE_ONBOARDING_BASE_URL is not a scheme and a host.", hint)]
    if url.startswith("http://") and not settings.DEBUG:
        return [
            _error(
                11,
                "MOLLIE_ONBOARDING_BASE_URL is http:// while DEBUG is off.",
                "Merchants come back with a code in the address: serve the site over https.",
            )
        ]
    return []


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises ValueError for what is no port)
        return bool(
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.path in ("", "/")
            and not (parts.query or parts.fragment or parts.username)
        )
    except ValueError:
        return False


@register(Tags.urls)
def check_urlconf(**kwargs: Any) -> CheckResult:
    """The URLconf is included."""
    try:
        reverse("mollie_onboarding:callback")
    except NoReverseMatch:
        return [
            _error(
                12,
                "The URLs of mollie_onboarding are not included.",
                'Add path("onboarding/", include("mollie_onboarding.urls")) to the ROOT_URLCONF.',
            )
        ]
    return []


@register(Tags.security)
def check_authorization_settings(**kwargs: Any) -> CheckResult:
    """Scopes, approval prompt and redirect URI make an authorization request that Mollie understands."""
    messages: list[CheckMessage] = []
    scopes = conf.MOLLIE_ONBOARDING_SCOPES
    if unknown := sorted(set(scopes) - SCOPES):
        messages.append(
            _warning(
                1,
                f"MOLLIE_ONBOARDING_SCOPES names scopes that this version does not know: {' '.join(unknown)}.",
                "Look for a slip of the pen. If Mollie has added the scope since, silence this warning.",
            )
        )
    if "organizations.read" not in scopes:
        messages.append(
            _error(
                13,
                "MOLLIE_ONBOARDING_SCOPES lacks organizations.read.",
                "Without it nobody can tell which organization came back: add it.",
            )
        )
    if "onboarding.read" not in scopes:
        messages.append(
            _warning(
                2,
                "MOLLIE_ONBOARDING_SCOPES lacks onboarding.read.",
                "Without it the onboarding status stays unknown, here and in your partner dashboard.",
            )
        )
    if conf.MOLLIE_ONBOARDING_APPROVAL_PROMPT not in ("auto", "force"):
        messages.append(
            _error(
                14,
                "MOLLIE_ONBOARDING_APPROVAL_PROMPT is neither auto nor force.",
                'Set it to "auto", or leave it out.',
            )
        )
    redirect_uri = conf.MOLLIE_ONBOARDING_REDIRECT_URI
    if redirect_uri and not (
        redirect_uri.startswith("https://") or (settings.DEBUG and "://" in redirect_uri)
    ):
        messages.append(
            _error(
                15,
                "MOLLIE_ONBOARDING_REDIRECT_URI is not an https address.",
                "Set it to exactly the redirect URI that is registered with the OAuth app, or leave it out.",
            )
        )
    return messages


@register(Tags.security)
def check_durations(**kwargs: Any) -> CheckResult:
    """The lifetimes are durations, and a client link lives longer than a state."""
    messages = _find_no_durations((16, "STATE_LIFETIME"), (17, "LINK_LIFETIME"))
    if not messages and conf.MOLLIE_ONBOARDING_STATE_LIFETIME >= CLIENT_LINK_LIFETIME:
        messages.append(
            _error(
                18,
                "MOLLIE_ONBOARDING_STATE_LIFETIME is not shorter than the 30 days of a client link.",
                "Every click would make a new client link. A day is plenty.",
            )
        )
    return messages


def _find_no_durations(*settings_by_number: tuple[int, str]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for number, name in settings_by_number:
        try:
            getattr(conf, f"MOLLIE_ONBOARDING_{name}")
        except ImproperlyConfigured:
            messages.append(
                _error(
                    number,
                    f"MOLLIE_ONBOARDING_{name} is not a duration.",
                    'Use a timedelta, a number of seconds, or a text such as "1 00:00:00".',
                )
            )
    return messages


@register(Tags.security)
def check_retention(**kwargs: Any) -> CheckResult:
    """The retentions are durations, and nothing is deleted while the link to it still works."""
    messages = _find_no_durations(
        (21, "REQUEST_RETENTION"), (22, "UNCONNECTED_RETENTION"), (23, "DISCONNECTED_RETENTION")
    )
    if messages or _find_no_durations((17, "LINK_LIFETIME")):
        return messages
    retention = conf.MOLLIE_ONBOARDING_UNCONNECTED_RETENTION
    if retention is not None and retention < conf.MOLLIE_ONBOARDING_LINK_LIFETIME:
        messages.append(
            _warning(
                9,
                "MOLLIE_ONBOARDING_UNCONNECTED_RETENTION is shorter than MOLLIE_ONBOARDING_LINK_LIFETIME.",
                "Links would lead nowhere before the day that their mail names. Keep rows as long as their links.",
            )
        )
    return messages


@register(Tags.security)
def check_switches(**kwargs: Any) -> CheckResult:
    """What is on or off is a bool: a text such as "False", as the environment gives it, would be on."""
    names = ("REQUIRE_LOGIN", "SIGNUP_ENABLED", "SIGNUP_LOGIN_REQUIRED", "ALLOW_SHARED_ORGANIZATIONS")
    return [
        _error(
            24,
            f"MOLLIE_ONBOARDING_{name} is neither True nor False.",
            'Set it to True or False, without quotes. In the environment everything is text: "False" counts as on.',
        )
        for name in names
        if getattr(settings, f"MOLLIE_ONBOARDING_{name}", False) not in (True, False)
    ]


@register(Tags.security)
def check_limits(**kwargs: Any) -> CheckResult:
    """The sign-up limit can be read, and the client address behind a proxy can be told."""
    messages: list[CheckMessage] = []
    try:
        parse_limit(conf.MOLLIE_ONBOARDING_SIGNUP_LIMIT)
    except ImproperlyConfigured:
        messages.append(
            _error(
                19,
                "MOLLIE_ONBOARDING_SIGNUP_LIMIT cannot be read.",
                'Write a number, a slash and one of s, m, h, d: "20/h".',
            )
        )
    try:
        count = conf.MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT
    except (TypeError, ValueError):
        count = -1
    if count < 0:
        messages.append(
            _error(
                20,
                "MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT is not a number of proxies.",
                "Count the proxies of yours that append to X-Forwarded-For; 0 without one.",
            )
        )
    elif count == 0 and settings.SECURE_PROXY_SSL_HEADER:
        messages.append(
            _warning(
                3,
                "SECURE_PROXY_SSL_HEADER says that there is a proxy, MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT says there is none.",
                "All merchants share one sign-up limit, that of the proxy's address. Set the number of your proxies.",
            )
        )
    return messages


@register(Tags.security)
def check_cookies(**kwargs: Any) -> CheckResult:
    """Cookies that travel with merchants and operators are secure where the site is https."""
    if not _value("BASE_URL").startswith("https://") or settings.DEBUG:
        return []
    return [
        _warning(
            number,
            f"{name} is off although the site is served over https.",
            f"Set {name} = True: the cookie would also travel over http.",
        )
        for number, name in ((4, "SESSION_COOKIE_SECURE"), (5, "CSRF_COOKIE_SECURE"))
        if not getattr(settings, name)
    ]


@register(Tags.security)
def check_mollie_addresses(**kwargs: Any) -> CheckResult:
    """In production the addresses are Mollie's own."""
    if settings.DEBUG:
        return []
    addresses: tuple[tuple[int, str, Callable[[], bool]], ...] = (
        (6, "API_URL", lambda: conf.MOLLIE_ONBOARDING_API_URL != MOLLIE_API_URL),
        (7, "AUTHORIZE_URL", lambda: conf.MOLLIE_ONBOARDING_AUTHORIZE_URL != MOLLIE_AUTHORIZE_URL),
        (8, "LINK_HOSTS", lambda: conf.MOLLIE_ONBOARDING_LINK_HOSTS != MOLLIE_LINK_HOSTS),
    )
    return [
        _warning(
            number,
            f"MOLLIE_ONBOARDING_{name} is overridden while DEBUG is off.",
            "Merchants and their data would go there instead of to Mollie. Leave the setting out in production.",
        )
        for number, name, is_overridden in addresses
        if is_overridden()
    ]


@register(Tags.staticfiles)
def check_look(**kwargs: Any) -> CheckResult:
    """The platform's colour is a colour that can be read, and its logo and stylesheets are there."""
    return [*_check_accent_color(), *_check_static_files()]


def _check_accent_color() -> list[CheckMessage]:
    if not getattr(settings, "MOLLIE_ONBOARDING_ACCENT_COLOR", None):
        return []
    accent = conf.MOLLIE_ONBOARDING_ACCENT_COLOR
    if not accent:
        return [
            _error(
                25,
                "MOLLIE_ONBOARDING_ACCENT_COLOR is not a colour.",
                'Write it as six hexadecimal digits: "#0b5fff". Until then the pages keep their own colour.',
            )
        ]
    ratio = min(contrast(accent, LIGHT_SURFACE), contrast(accent, LIGHT_BACKGROUND))
    if ratio < READABLE:
        return [
            _warning(
                10,
                f"MOLLIE_ONBOARDING_ACCENT_COLOR is too light to be read on the pages: {math.floor(ratio * 10) / 10}:1.",
                "Links have this colour. Take a darker shade, with at least "
                f"{READABLE}:1 on {LIGHT_SURFACE} and on {LIGHT_BACKGROUND}.",
            )
        ]
    return []


def _check_static_files() -> list[CheckMessage]:
    """Only where Django serves or collects static files, for else nobody can tell."""
    if not apps.is_installed("django.contrib.staticfiles"):
        return []
    named = (
        (11, "STYLESHEETS", conf.MOLLIE_ONBOARDING_STYLESHEETS),
        (12, "PLATFORM_LOGO", (conf.MOLLIE_ONBOARDING_PLATFORM_LOGO,)),
    )
    return [
        _warning(
            number,
            f"MOLLIE_ONBOARDING_{name} names a static file that is not there: {path}.",
            "Write the path as in {% static %}, below a static folder of an app or of STATICFILES_DIRS.",
        )
        for number, name, paths in named
        for path in paths
        if path and not path.startswith(("/", "https://", "http://")) and not _is_static_file(path)
    ]


def _is_static_file(path: str) -> bool:
    try:
        return finders.find(path) is not None
    except SuspiciousFileOperation:
        return False


@register(Tags.urls)
def check_platform_addresses(**kwargs: Any) -> CheckResult:
    """Pages lead merchants only to addresses that are some, and `?next=` only to hosts."""
    addresses = (
        (
            26,
            "CONTACT_URL",
            ("mailto", "tel"),
            '"https://platform.example/help", a path, "mailto:…" or "tel:…"',
        ),
        (27, "PRIVACY_URL", (), '"https://platform.example/privacy", or a path, "/privacy/"'),
        (28, "RETURN_URL", (), '"https://platform.example/dashboard", or a path, "/dashboard/"'),
    )
    messages: list[CheckMessage] = [
        _error(number, f"MOLLIE_ONBOARDING_{name} is not an address.", f"Write {examples}, or leave it out.")
        for number, name, schemes, examples in addresses
        if not _is_address(getattr(settings, f"MOLLIE_ONBOARDING_{name}", None), schemes)
    ]
    if not all(map(_is_host, conf.MOLLIE_ONBOARDING_RETURN_HOSTS)):
        messages.append(
            _error(
                29,
                "MOLLIE_ONBOARDING_RETURN_HOSTS holds something that is not a host.",
                'Write each host as it stands in addresses, without a scheme or a wildcard: "shop.example".',
            )
        )
    return messages


def _is_address(value: Any, more_schemes: tuple[str, ...]) -> bool:
    """Whether a setting is not set, or a path, or a whole address of a scheme that may stand in a link."""
    address = str(value or "")
    if " " in address or not address.isprintable():
        return False
    if not address or (address.startswith("/") and not address.startswith("//")):
        return True
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.scheme in ("http", "https") and parts.hostname) or bool(
        parts.scheme in more_schemes and parts.path
    )


def _is_host(host: str) -> bool:
    return _is_origin(f"https://{host}") and not set(host) & set("/*") and not host.startswith(".")


@register(Tags.security)
def check_signup_form(**kwargs: Any) -> CheckResult:
    """The sign-up form is one of ours, and takes every column that goes to Mollie and no other of the row."""
    try:
        form_class = import_string(str(conf.MOLLIE_ONBOARDING_SIGNUP_FORM))
    except (ImportError, FieldError) as exc:
        return [
            _error(
                30,
                f"MOLLIE_ONBOARDING_SIGNUP_FORM cannot be loaded: {exc}.",
                'Write the dotted path of the class, such as "shop.forms.ShopSignupForm".',
            )
        ]
    if not (isinstance(form_class, type) and issubclass(form_class, SignupForm)):
        return [
            _error(
                31,
                "MOLLIE_ONBOARDING_SIGNUP_FORM is not a subclass of SignupForm.",
                "Derive the class from mollie_onboarding.forms.SignupForm.",
            )
        ]
    columns = {field.name for field in ClientLink._meta.get_fields()}
    names = set(form_class.base_fields)
    if wrong := sorted((names & columns) ^ set(BODY_COLUMNS)):
        return [
            _error(
                32,
                f"MOLLIE_ONBOARDING_SIGNUP_FORM has not exactly the columns of SignupForm: {' '.join(wrong)}.",
                "Keep SignupForm.Meta as it is, and give fields of your own names that no column of ClientLink has.",
            )
        ]
    return _check_required_columns(form_class)


def _check_required_columns(form_class: type[SignupForm]) -> list[CheckMessage]:
    """What a form leaves out when it is made is something that Mollie can do without."""
    try:
        fields = form_class().fields
    except Exception:  # it may want the database or a request, which a check does not have
        return []
    required = {name for name, field in SignupForm.base_fields.items() if field.required}
    if missing := sorted(required - set(fields)):
        return [
            _error(
                33,
                f"MOLLIE_ONBOARDING_SIGNUP_FORM leaves out what Mollie cannot do without: {' '.join(missing)}.",
                "Keep these fields. Where you know the value, fill it in by initial_for, and hide the field if you like.",
            )
        ]
    return []
