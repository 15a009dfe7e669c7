from __future__ import annotations

from datetime import timedelta
from types import ModuleType

import pytest
from cryptography.fernet import Fernet
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.core.checks import ERROR, WARNING, run_checks
from django.urls import NoReverseMatch, clear_url_caches, include, path, reverse, reverse_lazy

from mollie_onboarding.enumerations import SCOPES
from mollie_onboarding.forms import SignupForm
from mollie_onboarding.views import callback

PREFIX = "MOLLIE_ONBOARDING_"
CANARY = "canary7f3a"


@pytest.fixture(autouse=True)
def _production(settings):
    """The settings of a site that made no mistake."""
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True


@pytest.fixture
def change(settings):
    """Set settings of the app by their short names, others by their full ones; `...` deletes one."""

    def change(**values):
        for name, value in values.items():
            full_name = name if hasattr(settings, name) else PREFIX + name
            if value is ...:
                delattr(settings, full_name)
            else:
                setattr(settings, full_name, value)

    return change


def found():
    """The messages of our checks, found as `manage.py check` finds them."""
    messages = run_checks(tags=["security", "staticfiles", "urls"])
    return [message for message in messages if str(message.id).startswith("mollie_onboarding.")]


def ids():
    return [message.id.removeprefix("mollie_onboarding.") for message in found()]


MISTAKES = {
    "E001": [{"CLIENT_ID": ...}, {"CLIENT_ID": ""}, {"CLIENT_ID": None}, {"CLIENT_ID": 5}],
    "E002": [{"CLIENT_ID": "access_x"}, {"CLIENT_ID": "live_x"}, {"CLIENT_ID": "App_x"}],
    "E003": [{"CLIENT_SECRET": ...}, {"CLIENT_SECRET": ""}, {"CLIENT_SECRET": None}],
    "E004": [{"CLIENT_SECRET": "app_x"}, {"CLIENT_SECRET": f"access_{CANARY}"}],
    "E005": [{"ACCESS_TOKEN": ...}, {"ACCESS_TOKEN": ""}],
    "E006": [
        {"ACCESS_TOKEN": f"live_{CANARY}"},
        {"ACCESS_TOKEN": "app_x"},
        {"ACCESS_TOKEN": f"test_{CANARY}"},
    ],
    "E007": [
        {"ENCRYPTION_KEYS": ...},
        {"ENCRYPTION_KEYS": []},
        {"ENCRYPTION_KEYS": ""},
        {"ENCRYPTION_KEYS": None},
    ],
    "E008": [
        {"ENCRYPTION_KEYS": [CANARY]},
        {"ENCRYPTION_KEYS": [Fernet.generate_key().decode(), CANARY]},
        {"ENCRYPTION_KEYS": f"{CANARY}€"},
        {"ENCRYPTION_KEYS": "c2hvcnQ="},
    ],
    "E009": [{"BASE_URL": ...}, {"BASE_URL": ""}, {"BASE_URL": None}],
    "E010": [
        {"BASE_URL": "platform.example"},
        {"BASE_URL": "//platform.example"},
        {"BASE_URL": "ftp://platform.example"},
        {"BASE_URL": "https://"},
        {"BASE_URL": "https://platform.example/onboarding/"},
        {"BASE_URL": "https://platform.example?a=b"},
        {"BASE_URL": "https://platform.example#a"},
        {"BASE_URL": "https://user@platform.example"},
        {"BASE_URL": "https://platform.example:port"},
        {"BASE_URL": "https://platform.example:99999"},
        {"BASE_URL": "https://[platform.example"},
    ],
    "E011": [{"BASE_URL": "http://platform.example"}, {"BASE_URL": "http://127.0.0.1:8000"}],
    "E012": [{"ROOT_URLCONF": "django.contrib.auth.urls"}],
    "E013": [{"SCOPES": ["onboarding.read"]}, {"SCOPES": "onboarding.read"}],
    "E014": [{"APPROVAL_PROMPT": "always"}, {"APPROVAL_PROMPT": "Force"}],
    "E015": [
        {"REDIRECT_URI": "http://platform.example/callback/"},
        {"REDIRECT_URI": "/onboarding/callback/"},
        {"REDIRECT_URI": "/onboarding/callback/", "DEBUG": True},
    ],
    "E016": [{"STATE_LIFETIME": "a day"}, {"STATE_LIFETIME": 0}, {"STATE_LIFETIME": 10**20}],
    "E017": [{"LINK_LIFETIME": None}, {"LINK_LIFETIME": timedelta(days=-1)}],
    "E018": [{"STATE_LIFETIME": timedelta(days=30)}, {"STATE_LIFETIME": 60 * 86400}],
    "E019": [{"SIGNUP_LIMIT": "20"}, {"SIGNUP_LIMIT": "20 per hour"}, {"SIGNUP_LIMIT": 20}],
    "E020": [
        {"TRUSTED_PROXY_COUNT": -1},
        {"TRUSTED_PROXY_COUNT": "one"},
        {"TRUSTED_PROXY_COUNT": None},
        {"TRUSTED_PROXY_COUNT": -1, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
    ],
    "E021": [
        {"REQUEST_RETENTION": "90 days old"},
        {"REQUEST_RETENTION": 0},
        {"REQUEST_RETENTION": None},
    ],
    "E022": [{"UNCONNECTED_RETENTION": "a year"}, {"UNCONNECTED_RETENTION": timedelta(0)}],
    "E023": [{"DISCONNECTED_RETENTION": "never"}, {"DISCONNECTED_RETENTION": -1}],
    "E024": [
        {"ALLOW_SHARED_ORGANIZATIONS": "False"},
        {"PKCE": "no"},
        {"REQUIRE_LOGIN": "0"},
        {"SIGNUP_ENABLED": "off"},
        {"SIGNUP_LOGIN_REQUIRED": None},
    ],
    "E025": [
        {"ACCENT_COLOR": "red"},
        {"ACCENT_COLOR": "0b5fff"},
        {"ACCENT_COLOR": "#0b5ff"},
        {"ACCENT_COLOR": 0x0B5FFF},
        {"ACCENT_COLOR": "#0b5fff; } body { display: none"},
    ],
    "E026": [
        {"CONTACT_URL": "javascript:alert(1)"},
        {"CONTACT_URL": "help@platform.example"},
        {"CONTACT_URL": "mailto:"},
        {"CONTACT_URL": "tel:"},
        {"CONTACT_URL": "//elsewhere.example/"},
    ],
    "E027": [
        {"PRIVACY_URL": "mailto:help@platform.example"},
        {"PRIVACY_URL": "https://"},
        {"PRIVACY_URL": "https://[platform.example/"},
        {"PRIVACY_URL": "privacy/"},
    ],
    "E028": [
        {"RETURN_URL": "platform.example"},
        {"RETURN_URL": "tel:+31201234567"},
        {"RETURN_URL": "https://platform.example/a b"},
        {"RETURN_URL": "java\nscript:alert(1)"},
    ],
    "E029": [
        {"RETURN_HOSTS": ["https://shop.example"]},
        {"RETURN_HOSTS": "shop.example,shop.example/path"},
        {"RETURN_HOSTS": ["shop.example/"]},
        {"RETURN_HOSTS": ["*.shop.example"]},
        {"RETURN_HOSTS": [".shop.example"]},
        {"RETURN_HOSTS": ["user@shop.example"]},
    ],
    "E030": [
        {"SIGNUP_FORM": "shop.forms.ShopSignupForm"},
        {"SIGNUP_FORM": "mollie_onboarding.forms.NoSuchForm"},
        {"SIGNUP_FORM": "SignupForm"},
        {"SIGNUP_FORM": SignupForm},
    ],
    "E031": [
        {"SIGNUP_FORM": "django.forms.Form"},
        {"SIGNUP_FORM": "mollie_onboarding.forms.default_locale"},
    ],
    "E032": [
        {"SIGNUP_FORM": "tests.platform_forms.WritesTheReference"},
        {"SIGNUP_FORM": "tests.platform_forms.DeclaresTheStatus"},
        {"SIGNUP_FORM": "tests.platform_forms.WritesEverything"},
        {"SIGNUP_FORM": "tests.platform_forms.LacksTheCity"},
    ],
    "E033": [
        {"SIGNUP_FORM": "tests.platform_forms.LeavesOutTheOwner"},
        {"SIGNUP_FORM": "tests.platform_forms.LeavesOutTheCountry"},
    ],
    "E034": [{"MAIL_LIMIT": "10"}, {"MAIL_LIMIT": "10 per day"}, {"MAIL_LIMIT": 10}, {"MAIL_LIMIT": "0/d"}],
    "E035": [
        {"REMINDER_DAYS": [10, 3]},
        {"REMINDER_DAYS": [3, 3]},
        {"REMINDER_DAYS": [0, 3]},
        {"REMINDER_DAYS": [True]},
        {"REMINDER_DAYS": [2.5]},
        {"REMINDER_DAYS": [3651]},
        {"REMINDER_DAYS": 3},
        {"REMINDER_DAYS": None},
        {"REMINDER_DAYS": "3, ten"},
        {"REMINDER_DAYS": "-3"},
        {"REMINDER_DAYS": "3.5"},
    ],
    "W001": [{"SCOPES": ["organizations.read", "onboarding.read", "onbording.write"]}],
    "W002": [{"SCOPES": "organizations.read"}],
    "W003": [{"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}],
    "W004": [{"SESSION_COOKIE_SECURE": False}],
    "W005": [{"CSRF_COOKIE_SECURE": False}],
    "W006": [{"API_URL": "https://evil.example"}, {"API_URL": "http://api.mollie.com"}],
    "W007": [{"AUTHORIZE_URL": "https://evil.example/oauth2/authorize"}],
    "W008": [{"LINK_HOSTS": ["my.mollie.com", "evil.example"]}, {"LINK_HOSTS": "evil.example"}],
    "W009": [
        {"UNCONNECTED_RETENTION": timedelta(days=89)},
        {"UNCONNECTED_RETENTION": timedelta(days=180), "LINK_LIFETIME": timedelta(days=181)},
    ],
    # The last three can be read on white, and not on the grey around it.
    "W010": [{"ACCENT_COLOR": color} for color in ("#ffcc00", "#777", "#767676", "#747474", "#717171")],
    "W011": [
        {"STYLESHEETS": ["mollie_onboarding/no-such.css"]},
        {"STYLESHEETS": "mollie_onboarding/merchant.css,shop/onboarding.css"},
        {"STYLESHEETS": "../settings.py"},
    ],
    "W012": [{"PLATFORM_LOGO": "shop/no-such.svg"}],
}
every_mistake = pytest.mark.parametrize(
    ("check_id", "mistake"),
    [(check_id, mistake) for check_id, mistakes in MISTAKES.items() for mistake in mistakes],
    ids=[
        f"{check_id}-{number}" for check_id, mistakes in MISTAKES.items() for number in range(len(mistakes))
    ],
)


def test_every_check_id_has_a_mistake():
    assert list(MISTAKES) == [f"E{number:03}" for number in range(1, 36)] + [
        f"W{number:03}" for number in range(1, 13)
    ]


def test_nothing_to_complain_of():
    assert found() == []


@every_mistake
def test_mistake_is_found(change, check_id, mistake):
    change(**mistake)

    [message] = found()

    assert message.id == f"mollie_onboarding.{check_id}"
    assert message.level == (ERROR if check_id.startswith("E") else WARNING)
    assert message.msg.endswith(".")
    assert message.hint
    [name, *_] = mistake
    assert name in message.msg or check_id == "E012"
    assert CANARY not in f"{message!r}{message}"


@pytest.fixture
def urlconf(settings):
    """Put the URLconf of a site together; `reverse()` is asked, too."""

    def urlconf(*patterns):
        module = ModuleType("urls_of_the_platform")
        module.urlpatterns = patterns
        settings.ROOT_URLCONF = module
        try:
            reverse("mollie_onboarding:callback")
        except NoReverseMatch:
            return False
        return True

    yield urlconf
    clear_url_caches()


OURS = "mollie_onboarding.urls"


@pytest.mark.parametrize(
    "patterns",
    [
        [path("onboarding/", include(OURS))],
        [path("partners/", include([path("mollie/", include(OURS))]))],
        [path("onboarding/", include(OURS, namespace="partners"))],
        i18n_patterns(path("onboarding/", include(OURS))),
        [path("other/", include("django.contrib.auth.urls")), path("", include(OURS))],
    ],
)
def test_urls_are_found_wherever_they_are_included(urlconf, patterns):
    assert urlconf(*patterns)

    assert found() == []


@pytest.mark.parametrize(
    "patterns",
    [
        [],
        [path("auth/", include("django.contrib.auth.urls"))],
        [path("admin/", admin.site.urls)],
        [path("partners/", include(([path("mollie/", include(OURS))], "partners")))],
        [path("<slug:tenant>/", include(OURS))],
        [path("<slug:tenant>/", include([path("onboarding/", include(OURS))]))],
        [path("onboarding/", include(([path("callback/", callback)], "mollie_onboarding")))],
    ],
)
def test_urls_that_reverse_cannot_find_are_not_included(urlconf, patterns):
    assert not urlconf(*patterns)

    assert "mollie_onboarding.E012" in [message.id for message in found()]


@pytest.mark.parametrize(
    "correct",
    [
        {"CLIENT_ID": "app_x", "CLIENT_SECRET": "x", "ACCESS_TOKEN": "access_x"},
        {"ENCRYPTION_KEYS": f"{Fernet.generate_key().decode()},{Fernet.generate_key().decode()}"},
        {"ENCRYPTION_KEYS": [Fernet.generate_key()]},
        {"BASE_URL": "https://platform.example/"},
        {"BASE_URL": "https://platform.example:8443"},
        {"BASE_URL": "https://[2001:db8::1]"},
        {"BASE_URL": "http://127.0.0.1:8000", "DEBUG": True},
        {"SCOPES": " ".join(sorted(SCOPES))},
        {"APPROVAL_PROMPT": "force"},
        {"REDIRECT_URI": "https://platform.example/callback/"},
        {"REDIRECT_URI": "http://127.0.0.1:8000/callback/", "DEBUG": True},
        {"STATE_LIFETIME": timedelta(days=30) - timedelta(seconds=1)},
        {"STATE_LIFETIME": "3600", "LINK_LIFETIME": "30 00:00:00"},
        {"SIGNUP_LIMIT": "1/s", "MAIL_LIMIT": "1/h"},
        {"TRUSTED_PROXY_COUNT": "2"},
        {"TRUSTED_PROXY_COUNT": 1, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
        {"DEBUG": True, "SESSION_COOKIE_SECURE": False, "CSRF_COOKIE_SECURE": False},
        {"DEBUG": True, "API_URL": "http://127.0.0.1:8000/sandbox", "LINK_HOSTS": "127.0.0.1:8000"},
        {"API_URL": "https://api.mollie.com/", "LINK_HOSTS": "my.mollie.com"},
        {
            "UNCONNECTED_RETENTION": timedelta(days=90),
            "REQUEST_RETENTION": 60,
            "DISCONNECTED_RETENTION": "1 00:00:00",
        },
        {"UNCONNECTED_RETENTION": None, "DISCONNECTED_RETENTION": ""},
        {
            "REQUIRE_LOGIN": True,
            "SIGNUP_ENABLED": False,
            "SIGNUP_LOGIN_REQUIRED": 1,
            "ALLOW_SHARED_ORGANIZATIONS": 0,
        },
        {"API_URL": "", "AUTHORIZE_URL": "", "LINK_HOSTS": "", "REDIRECT_URI": "", "APPROVAL_PROMPT": ""},
        {"ACCENT_COLOR": "", "PLATFORM_LOGO": "", "STYLESHEETS": (), "SIGNUP_FORM": "", "RETURN_HOSTS": ""},
        {"ACCENT_COLOR": "#707070"},
        {"ACCENT_COLOR": "#06C", "PLATFORM_LOGO": "mollie_onboarding/icon.svg"},
        {
            "PLATFORM_LOGO": "https://cdn.example/logo.svg",
            "STYLESHEETS": "/shop.css http://cdn.example/a.css",
        },
        {"CONTACT_URL": "mailto:help@platform.example", "PRIVACY_URL": "/privacy/"},
        {"CONTACT_URL": "tel:+31201234567", "RETURN_URL": reverse_lazy("mollie_onboarding:signup")},
        {"CONTACT_URL": "http://platform.example/help", "RETURN_URL": "https://shop.example:8443/?a=b"},
        {"CONTACT_URL": None, "PRIVACY_URL": "", "RETURN_URL": None},
        {"RETURN_HOSTS": ["shop.example", "shop.example:8443", "127.0.0.1:8000", "[2001:db8::1]:8000"]},
        {"SIGNUP_FORM": "tests.platform_forms.AsksForTheWebsite"},
        {"SIGNUP_FORM": "tests.platform_forms.LeavesOutThePostalCode"},
        {"SIGNUP_FORM": "tests.platform_forms.HidesTheOwner"},
        {"SIGNUP_FORM": "tests.platform_forms.NeedsARequest"},
        {"REMINDER_DAYS": ()},
        {"REMINDER_DAYS": ""},
        {"REMINDER_DAYS": [1, 3650]},
        {"REMINDER_DAYS": "3, 10,25"},
    ],
    ids=range(40),
)
def test_correct_settings(change, correct):
    change(**correct)

    assert found() == []


def test_http_needs_no_secure_cookies(change):
    # E011 says it all: cookies that are secure would never come back.
    change(BASE_URL="http://platform.example", SESSION_COOKIE_SECURE=False, CSRF_COOKIE_SECURE=False)

    assert ids() == ["E011"]


def test_nothing_set(change):
    change(
        CLIENT_ID=..., CLIENT_SECRET=..., ACCESS_TOKEN=..., ENCRYPTION_KEYS=..., BASE_URL=..., PLATFORM_NAME=...
    )  # fmt: skip

    assert sorted(ids()) == ["E001", "E003", "E005", "E007", "E009"]


def test_several_mistakes_at_once(change):
    change(
        CLIENT_ID="test_x",
        CLIENT_SECRET="app_x",
        ACCESS_TOKEN="x",
        SCOPES="payment.read",
        APPROVAL_PROMPT="x",
        REDIRECT_URI="x",
        STATE_LIFETIME="x",
        LINK_LIFETIME="x",
        SIGNUP_LIMIT="x",
        TRUSTED_PROXY_COUNT="x",
        REQUEST_RETENTION="x",
        UNCONNECTED_RETENTION="x",
        DISCONNECTED_RETENTION="x",
        ALLOW_SHARED_ORGANIZATIONS="x",
        REQUIRE_LOGIN="x",
        API_URL="https://a.example",
        AUTHORIZE_URL="https://b.example",
        LINK_HOSTS="c.example",
        SESSION_COOKIE_SECURE=False,
        CSRF_COOKIE_SECURE=False,
    )

    assert sorted(ids()) == [
        *("E002", "E004", "E006", "E013", "E014", "E015", "E016", "E017", "E019", "E020"),
        *("E021", "E022", "E023", "E024", "E024"),
        *("W001", "W002", "W004", "W005", "W006", "W007", "W008"),
    ]


def test_link_lifetime_that_is_no_duration_is_said_once(change):
    change(LINK_LIFETIME="x", UNCONNECTED_RETENTION=60)

    assert ids() == ["E017"]


def test_unknown_scopes_are_named(change):
    change(SCOPES="organizations.read onboarding.read zebra.read ant.read")

    [message] = found()

    assert message.msg.endswith(": ant.read zebra.read.")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("WritesTheReference", "reference"),
        ("DeclaresTheStatus", "status"),
        ("WritesEverything", "reference reminders_excluded user"),
        ("LacksTheCity", "city"),
        ("LeavesOutTheOwner", "organization_name owner_email owner_family_name owner_given_name"),
        ("LeavesOutTheCountry", "country"),
    ],
)
def test_columns_of_a_form_that_are_too_many_or_too_few_are_named(change, name, columns):
    change(SIGNUP_FORM=f"tests.platform_forms.{name}")

    [message] = found()

    assert message.msg.endswith(f": {columns}.")


def test_form_that_django_refuses_is_no_traceback(change):
    # `status` is no editable column: the class is refused when its module is imported.
    change(SIGNUP_FORM="tests.platform_forms_refused.WritesTheStatus")

    assert ids() == ["E030"]


def test_contrast_is_never_rounded_up_to_what_is_enough(change):
    change(ACCENT_COLOR="#717171")  # 4.469; on white 4.88

    [message] = found()

    assert message.msg.endswith(" 4.4:1.")
    assert message.hint.endswith("at least 4.5:1 on #ffffff and on #f3f5f8.")


def test_files_are_not_looked_for_where_django_does_not_serve_them(change, settings):
    change(
        INSTALLED_APPS=[name for name in settings.INSTALLED_APPS if name != "django.contrib.staticfiles"],
        STYLESHEETS="no/such.css",
        PLATFORM_LOGO="no/such.svg",
    )

    assert ids() == []
