from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import reverse_lazy, set_script_prefix

from mollie_onboarding.conf import Conf, conf

# Every setting with the value it has when nobody sets it; None where there is no such value.
DEFAULTS = {
    "CLIENT_ID": None,
    "CLIENT_SECRET": None,
    "ACCESS_TOKEN": None,
    "BASE_URL": None,
    "ENCRYPTION_KEYS": (),
    "PLATFORM_NAME": "platform.example",
    "FROM_EMAIL": "Shopwise <onboarding@shopwise.example>",
    "SCOPES": ("organizations.read", "onboarding.read", "onboarding.write"),
    "APPROVAL_PROMPT": "auto",
    "REDIRECT_URI": "",
    "PKCE": False,
    "REQUIRE_LOGIN": False,
    "SIGNUP_ENABLED": True,
    "SIGNUP_LOGIN_REQUIRED": False,
    "SIGNUP_LIMIT": "20/h",
    "MAIL_LIMIT": "10/d",
    "TRUSTED_PROXY_COUNT": 0,
    "STATE_LIFETIME": timedelta(hours=24),
    "LINK_LIFETIME": timedelta(days=90),
    "ALLOW_SHARED_ORGANIZATIONS": False,
    "REQUEST_RETENTION": timedelta(days=90),
    "API_URL": "https://api.mollie.com",
    "AUTHORIZE_URL": "https://my.mollie.com/oauth2/authorize",
    "LINK_HOSTS": ("my.mollie.com",),
    "PLATFORM_LOGO": "",
    "ACCENT_COLOR": "",
    "STYLESHEETS": ("mollie_onboarding/merchant.css",),
    "CONTACT_URL": "https://platform.example/",
    "PRIVACY_URL": "",
    "RETURN_URL": "https://platform.example/",
    "RETURN_HOSTS": (),
    "SIGNUP_FORM": "mollie_onboarding.forms.SignupForm",
    "REMINDER_DAYS": (3, 10, 25),
}
KEPT_WITHOUT_END = ("UNCONNECTED_RETENTION", "DISCONNECTED_RETENTION")
REQUIRED = [name for name, default in DEFAULTS.items() if default is None]
OPTIONAL = [name for name, default in DEFAULTS.items() if default is not None]


def read(name):
    return getattr(conf, f"MOLLIE_ONBOARDING_{name}")


def test_settings_are_all_here():
    properties = {name: value for name, value in vars(Conf).items() if isinstance(value, property)}

    assert set(properties) == {f"MOLLIE_ONBOARDING_{name}" for name in (*DEFAULTS, *KEPT_WITHOUT_END)}
    assert all(value.__doc__ and value.__doc__.endswith(".") for value in properties.values())


@pytest.mark.parametrize("name", OPTIONAL)
def test_setting_missing(settings, name):
    if hasattr(django_settings, f"MOLLIE_ONBOARDING_{name}"):
        delattr(settings, f"MOLLIE_ONBOARDING_{name}")

    assert read(name) == DEFAULTS[name]
    assert type(read(name)) is type(DEFAULTS[name])


@pytest.mark.parametrize("name", KEPT_WITHOUT_END)
def test_retention_that_is_not_set_keeps_everything(name):
    assert read(name) is None
    for value, expected in (("", None), (3600, timedelta(hours=1)), ("30 00:00:00", timedelta(days=30))):
        with override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}):
            assert read(name) == expected


@pytest.mark.parametrize("name", REQUIRED)
def test_required_setting_missing(settings, name):
    delattr(settings, f"MOLLIE_ONBOARDING_{name}")

    with pytest.raises(ImproperlyConfigured, match=f"^MOLLIE_ONBOARDING_{name} is not set.$"):
        read(name)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", ["", None, 12345, ["canary"]])
def test_required_setting_that_is_no_text(name, value):
    with (
        override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}),
        pytest.raises(ImproperlyConfigured, match=f"^MOLLIE_ONBOARDING_{name} is not set.$"),
    ):
        read(name)


@pytest.mark.parametrize("name", REQUIRED)
def test_required_setting_is_read_when_it_is_used(name):
    with override_settings(**{f"MOLLIE_ONBOARDING_{name}": "first"}):
        assert read(name) == "first"
        with override_settings(**{f"MOLLIE_ONBOARDING_{name}": "second"}):
            assert read(name) == "second"


@pytest.mark.parametrize("name", ["ENCRYPTION_KEYS", "SCOPES", "LINK_HOSTS", "STYLESHEETS", "RETURN_HOSTS"])
@pytest.mark.parametrize(
    "value",
    [["a", "b"], ("a", "b"), "a,b", "a b", " a , b ,", "a\nb", ["a", " b ", ""]],
)
def test_list(name, value):
    with override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}):
        assert read(name) == ("a", "b")


@pytest.mark.parametrize("name", ["SCOPES", "LINK_HOSTS", "ENCRYPTION_KEYS", "STYLESHEETS", "RETURN_HOSTS"])
@pytest.mark.parametrize("value", ["", None, [], ()])
def test_list_empty_is_the_default(name, value):
    with override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}):
        assert read(name) == DEFAULTS[name]


@pytest.mark.parametrize("name", ["STATE_LIFETIME", "LINK_LIFETIME"])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (timedelta(minutes=5), 300),
        (300, 300),
        (0.5, 0.5),
        ("600", 600),
        ("00:05:00", 300),
        ("2 00:00:00", 172800),
        ("P1DT1H", 90000),
    ],
)
def test_duration(name, value, seconds):
    with override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}):
        assert read(name) == timedelta(seconds=seconds)


@pytest.mark.parametrize("name", ["STATE_LIFETIME", "LINK_LIFETIME"])
@pytest.mark.parametrize(
    "value",
    [
        "a day",
        "",
        0,
        "00:00",
        -1,
        "-00:05:00",
        timedelta(0),
        timedelta(seconds=-1),
        None,
        [300],
        10**20,
        float("inf"),
        float("nan"),
        "9999999999 00:00:00",
    ],
)
def test_duration_impossible(name, value):
    with (
        override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}),
        pytest.raises(ImproperlyConfigured, match=f"^MOLLIE_ONBOARDING_{name} is not a duration.$"),
    ):
        read(name)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BASE_URL", "https://platform.example/", "https://platform.example"),
        ("API_URL", "http://127.0.0.1:8000/sandbox/", "http://127.0.0.1:8000/sandbox"),
        ("API_URL", None, "https://api.mollie.com"),
        ("AUTHORIZE_URL", "https://other.example/authorize", "https://other.example/authorize"),
        ("PLATFORM_NAME", "Shopwise", "Shopwise"),
        ("FROM_EMAIL", "mollie@shopwise.example", "mollie@shopwise.example"),
        ("APPROVAL_PROMPT", "force", "force"),
        ("REDIRECT_URI", "https://platform.example/callback/", "https://platform.example/callback/"),
        ("REQUIRE_LOGIN", 1, True),
        ("SIGNUP_ENABLED", False, False),
        ("SIGNUP_LOGIN_REQUIRED", True, True),
        ("SIGNUP_LIMIT", "5/m", "5/m"),
        ("MAIL_LIMIT", "3/h", "3/h"),
        ("TRUSTED_PROXY_COUNT", "2", 2),
        ("TRUSTED_PROXY_COUNT", 1, 1),
        ("PLATFORM_LOGO", "shop/logo.svg", "shop/logo.svg"),
        ("ACCENT_COLOR", "#4a35c9", "#4a35c9"),
        ("ACCENT_COLOR", "#0AF", "#00aaff"),
        ("ACCENT_COLOR", "red; } body { display: none", ""),
        ("CONTACT_URL", "mailto:help@shopwise.example", "mailto:help@shopwise.example"),
        ("PRIVACY_URL", "/privacy/", "/privacy/"),
        ("RETURN_URL", reverse_lazy("mollie_onboarding:signup"), "/onboarding/signup/"),
        ("RETURN_URL", "", "https://platform.example/"),
        ("SIGNUP_FORM", "shop.forms.ShopSignupForm", "shop.forms.ShopSignupForm"),
    ],
)
def test_setting_given(name, value, expected):
    with override_settings(**{f"MOLLIE_ONBOARDING_{name}": value}):
        assert read(name) == expected
        assert type(read(name)) is type(expected)


def test_home_is_where_the_site_is_mounted():
    set_script_prefix("/shops/nl/")
    try:
        assert conf.home_url() == "https://platform.example/shops/nl/"
        assert conf.MOLLIE_ONBOARDING_CONTACT_URL == conf.MOLLIE_ONBOARDING_RETURN_URL == conf.home_url()
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize(
    ("base_url", "name"),
    [("https://shop.example:8443", "shop.example"), ("http://127.0.0.1:8000/", "127.0.0.1"), ("nothing", "")],
)
def test_platform_name_from_the_base_url(settings, base_url, name):
    del settings.MOLLIE_ONBOARDING_PLATFORM_NAME
    settings.MOLLIE_ONBOARDING_BASE_URL = base_url

    assert read("PLATFORM_NAME") == name


@pytest.mark.parametrize(
    ("value", "days"),
    [((), ()), ("", ()), ([7], (7,)), ("3, 10,25", (3, 10, 25)), ("1 2", (1, 2))],
)
def test_plan_of_reminders(settings, value, days):
    settings.MOLLIE_ONBOARDING_REMINDER_DAYS = value

    assert days == conf.MOLLIE_ONBOARDING_REMINDER_DAYS
