"""The example project, in processes and directories of its own: its settings are read once, at import."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mollie_onboarding.conf import Conf
from mollie_onboarding.models import Status
from mollie_onboarding.services import INLINE_LIMIT
from tests.test_overriding import readme_blocks

ROOT = Path(__file__).resolve().parent.parent
OURS = ("MOLLIE_", "DJANGO_", "EXAMPLE_", "DATABASE_URL", "EMAIL_URL", "CACHE_URL", "PORT", "COV")

# A value for each setting, as the environment has it and as the app reads it.
VALUES = {
    "CLIENT_ID": ("app_of_ours", "app_of_ours"),
    "CLIENT_SECRET": ("$ecret", "$ecret"),
    "ACCESS_TOKEN": ("access_of_ours", "access_of_ours"),
    "ENCRYPTION_KEYS": ("key-2,key-1", ["key-2", "key-1"]),
    "BASE_URL": ("https://platform.example/", "https://platform.example"),
    "PLATFORM_NAME": ("Marktplein", "Marktplein"),
    "FROM_EMAIL": ("hello@platform.example", "hello@platform.example"),
    "SCOPES": ("organizations.read,onboarding.read", ["organizations.read", "onboarding.read"]),
    "APPROVAL_PROMPT": ("force", "force"),
    "REDIRECT_URI": ("https://platform.example/callback/", "https://platform.example/callback/"),
    "PKCE": ("yes", True),
    "REQUIRE_LOGIN": ("yes", True),
    "SIGNUP_ENABLED": ("false", False),
    "SIGNUP_LOGIN_REQUIRED": ("1", True),
    "SIGNUP_LIMIT": ("5/m", "5/m"),
    "MAIL_LIMIT": ("3/h", "3/h"),
    "TRUSTED_PROXY_COUNT": ("2", 2),
    "STATE_LIFETIME": ("7200", "2:00:00"),
    "LINK_LIFETIME": ("30 00:00:00", "30 days, 0:00:00"),
    "ALLOW_SHARED_ORGANIZATIONS": ("on", True),
    "REQUEST_RETENTION": ("30 00:00:00", "30 days, 0:00:00"),
    "UNCONNECTED_RETENTION": ("180 00:00:00", "180 days, 0:00:00"),
    "DISCONNECTED_RETENTION": ("365 00:00:00", "365 days, 0:00:00"),
    "API_URL": ("https://mollie.example", "https://mollie.example"),
    "AUTHORIZE_URL": ("https://mollie.example/authorize", "https://mollie.example/authorize"),
    "LINK_HOSTS": ("mollie.example,localhost:9000", ["mollie.example", "localhost:9000"]),
    "PLATFORM_LOGO": ("ours/logo.svg", "ours/logo.svg"),
    "ACCENT_COLOR": ("#123456", "#123456"),
    "STYLESHEETS": ("ours/a.css,ours/b.css", ["ours/a.css", "ours/b.css"]),
    "CONTACT_URL": ("tel:+31201234567", "tel:+31201234567"),
    "PRIVACY_URL": ("/our-privacy/", "/our-privacy/"),
    "RETURN_URL": ("/our-dashboard/", "/our-dashboard/"),
    "RETURN_HOSTS": ("shop.example,admin.example:8443", ["shop.example", "admin.example:8443"]),
    "SIGNUP_FORM": ("ours.forms.OurForm", "ours.forms.OurForm"),
    "REMINDER_DAYS": ("5,20", [5, 20]),
}

PRINT_SETTINGS = """
import json
from django.conf import settings
from mollie_onboarding.conf import Conf, conf
def read(name):
    try:
        return getattr(conf, name)
    except Exception as exc:
        return type(exc).__name__
values = {name: read(name) for name in vars(Conf) if name.isupper()}
names = ("ALLOWED_HOSTS", "CACHES", "CSRF_COOKIE_SECURE", "DATABASES", "DEBUG", "EMAIL_BACKEND", "EMAIL_HOST",
         "INSTALLED_APPS", "MAILERS", "SECRET_KEY", "SESSION_COOKIE_SECURE")
values |= {name: getattr(settings, name, None) for name in names}
print(json.dumps(values, default=str))
"""

STATUSES = """
import json
from django.contrib.auth.models import User
from example_project.shop.models import Shop
from mollie_onboarding.models import ClientLink, Event
rows = ClientLink.objects.select_related("organization").order_by("pk")
print(json.dumps({
    "counts": [model.objects.count() for model in (ClientLink, Event, Shop, User)],
    "statuses": [row.status for row in rows],
    "expired": [row.organization_name for row in rows if row.is_expired],
    "reasons": [row.error_detail for row in rows if row.error_detail],
    "connections": sorted(row.organization.connection_status for row in rows if row.organization),
    "onboarding": sorted(row.organization.onboarding_status for row in rows if row.organization),
    "organizations": [
        Shop.objects.get(pk=row.reference).mollie_organization_id == row.organization.organization_id
        for row in rows if row.organization
    ],
    "operator": User.objects.get(username="operator").check_password("operator"),
}))
"""

DASHBOARD = """
import json
from django.contrib.auth.models import User
from django.test import Client
from example_project.shop.models import Shop
from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.signals import merchant_connected
def page(username):
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(User.objects.get(username=username))
    return browser.get("/").content.decode()
def path(username):
    return Shop.objects.get(owner__username=username).find_client_link().merchant_path()
found = {"anonymous": Client(SERVER_NAME="127.0.0.1").get("/").headers["Location"]}
found["new"] = '<a class="button" href="/onboarding/signup/?for=' in page("merchant")
found["ready"] = f'<a class="button" href="{path("weingut-sonnenhang")}">Connect' in page("weingut-sonnenhang")
found["connected"] = "Mollie is checking the data" in page("azulejos-do-porto")
found["lost"] = "Connection lost" in page("kaffeehaus-morgenrot")
found["cancelled"] = "/onboarding/signup/?for=" in page("pracownia-bursztynu")
found["operator"] = "To the admin" in page("operator")

def spreadsheet(username):
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(User.objects.get(username=username))
    return browser.get("/spreadsheet/")
found["spreadsheet"] = '<a href="/spreadsheet/">' in page("operator") and '/spreadsheet/' not in page("merchant")
found["spreadsheet of the operator"] = spreadsheet("operator").content.count(b"shop-") == 500
found["spreadsheet of a merchant"] = spreadsheet("merchant").status_code == 302

shop = Shop.objects.get(owner__username="merchant")
organization = Organization.objects.first()
def connect(reference):
    row = ClientLink(reference=reference)
    return [answer for _, answer in merchant_connected.send(ClientLink, client_link=row, organization=organization)]
found["answers"] = [connect(str(shop.pk)), connect(str(shop.pk)), connect(""), connect("elsewhere-7")]
shop.refresh_from_db()
found["stored"] = shop.mollie_organization_id == organization.organization_id
Shop.objects.filter(pk=shop.pk).update(mollie_organization_id="")
print(json.dumps(found))
"""


MAKING_IT_YOURS = """
import json
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse
from example_project.shop.models import Shop
from mollie_onboarding.models import ClientLink
from mollie_onboarding.testing import sandbox_mollie
FIELDS = {
    "organization_name": "Atelier Noor", "country": "NL", "owner_given_name": "Noor", "owner_family_name": "Visser",
    "owner_email": "noor@atelier-noor.example", "website": "atelier-noor.example", "nonce": "n" * 43,
}
shop = Shop.objects.get(owner__username="merchant")
def open_as(username, path=shop.sign_up_path()):
    browser = Client(SERVER_NAME="127.0.0.1")
    if username:
        browser.force_login(User.objects.get(username=username))
    return browser.get(path).content.decode()
found = {}
page = open_as("merchant")
found["logo"] = '<img src="/static/shop/logo.svg"' in page
found["stylesheets"] = page.index("mollie_onboarding/merchant.css") < page.index("shop/onboarding.css")
found["colour"] = "/onboarding/theme.css?v=" in page
found["privacy"] = f'href="{settings.MOLLIE_ONBOARDING_BASE_URL}/privacy/"' in page
found["privacy page"] = "Privacy" in open_as("", "/privacy/")
found["footer"] = "KvK 12345678" in page and "Payments are handled by Mollie" in page
found["name of the shop"] = 'value="Atelier Noor"' in page
found["address"] = 'value="noor@atelier-noor.example"' in page
for username in ("operator", ""):
    found[f"hidden from {username or 'strangers'}"] = "Atelier" not in open_as(username) + open_as(username, "/onboarding/signup/")
found["strangers see a form"] = 'name="website"' in open_as("")

def sign_up(path, username="merchant", **fields):
    browser = Client(SERVER_NAME="127.0.0.1")
    if username:
        browser.force_login(User.objects.get(username=username))
    with sandbox_mollie():
        browser.post(path, {**FIELDS, **fields})
    return ClientLink.objects.order_by("-created_at").first()
row = sign_up(shop.sign_up_path())
found["reference"] = row.reference == str(shop.pk)
found["next"] = row.return_url == reverse("shop:dashboard") == "/"
shop.refresh_from_db()
found["website"] = shop.website == "https://atelier-noor.example"
found["website on the dashboard"] = 'href="https://atelier-noor.example"' in open_as("merchant", "/")
found["again"] = sign_up(shop.sign_up_path()) == row
found["begins with the website"] = 'value="https://atelier-noor.example"' in open_as("merchant")
guests = [sign_up(shop.sign_up_path(), username, website=website)
    for username in ("", "operator") for website in ("", "evil.example")]
shop.refresh_from_db()
found["website is the owner's alone"] = shop.website == "https://atelier-noor.example"
sign_up(shop.sign_up_path(), website="")
shop.refresh_from_db()
found["owner may empty it"] = shop.website == ""
stranger = sign_up("/onboarding/signup/?next=https://evil.example/", "")
found["stranger"] = (stranger.reference, stranger.return_url) == ("", "")
found["others keep theirs"] = not Shop.objects.exclude(pk=shop.pk).exclude(website="").exists()
for made in {row, stranger, *guests}:
    made.delete()
Shop.objects.filter(pk=shop.pk).update(website="")
print(json.dumps(found))
"""

LANGUAGES = """
import json
from django.conf import settings
from django.test import Client
def main_of(code):
    page = Client(SERVER_NAME="127.0.0.1").get(f"/onboarding/signup/?language={code}").content.decode()
    assert f'<html lang="{code}"' in page, page[:100]
    assert "KvK 12345678" in page
    return code
print(json.dumps([main_of(code) for code, name in settings.LANGUAGES]))
"""


FUNNEL = """
import json
from django.utils import timezone
from mollie_onboarding.funnel import Selection, build_funnel
from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.sandbox.models import SandboxClientLink
from urllib.parse import urlsplit
from django.urls import resolve
now = timezone.now()
link = ClientLink.objects.filter(reference__startswith="past-", connected_at=None).latest("created_at")
funnel = build_funnel(Selection(), now)
late = ("opened_at", "started_at", "connected_at", "created_at", "first_sent_at")
print(json.dumps({
    "weeks": [week.counts.total for week in funnel.weeks],
    "reached": [step.count for step in funnel.steps],
    "waiting": [step.waiting for step in funnel.steps],
    "medians": [step.median_days for step in funnel.steps],
    "merchants": ClientLink.objects.count(),
    "unlike what sending makes": [
        row.organization_name for row in ClientLink.objects.filter(reference__startswith="past-", connected_at=None)
        if row.status == "draft" or not row.expires_at or SandboxClientLink.objects.get(pk=row.mollie_id).is_expired
        != row.is_expired
    ],
    "at Mollie": resolve(urlsplit(link.url).path).view_name == "mollie_sandbox:client_link",
    "future": sum(ClientLink.objects.filter(**{f"{column}__gt": now}).count() for column in late)
    + Organization.objects.filter(completed_at__gt=now).count(),
}))
"""


# As the README tells it: the spreadsheet, what is wrong in it, one press of a button, cron, the funnel.
MANY_MERCHANTS = """
import csv, json, re
from io import StringIO
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from mollie_onboarding.models import Batch, ClientLink
from mollie_onboarding.testing import sandbox_mollie
ADMIN = "/admin/mollie_onboarding"
operator = Client(SERVER_NAME="127.0.0.1")
operator.force_login(User.objects.get(username="operator"))
def post(path, **fields):
    return operator.post(ADMIN + path, fields, follow=True).content.decode()
def progress():
    told = operator.get(f"{ADMIN}/batch/{batch.pk}/progress/").json()
    return told["text"], told["outcomes"]["sent"], told["is_running"]

found = {}
file = SimpleUploadedFile("merchants.csv", operator.get("/spreadsheet/").content)
page = post("/clientlink/import/", spreadsheet=file)
errors = re.search(r'<table id="errors">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1]
found["wrong"] = errors.count("<tr>")
found["imported before the press"] = ClientLink.objects.filter(reference__startswith="shop-2").count()
page = post(
    "/clientlink/process_import/", upload=re.search(r'name="upload" value="([^"]*)"', page)[1], updates="", confirm="1"
)
found["offered"] = "Send onboarding link to these 493 merchants" in page
batch = Batch.objects.get()
found["prepared"] = progress()
with sandbox_mollie():
    page = post(f"/batch/{batch.pk}/start/")
    found["bar"] = re.search(r'<progress id="batch-bar" max="(\\d+)" value="(\\d+)"', page).groups()
    found["pressed"] = progress()
    said = StringIO()
    call_command("send_onboarding_links", "--no-progress", "--concurrency=1", stdout=said)
found["drained"] = progress()
found["said"] = said.getvalue()
[line] = csv.DictReader(StringIO(operator.get(f"{ADMIN}/clientlink/funnel.csv?table=batches").content.decode()))
found["funnel"] = [line["description"], line["invited"], line["opened"]]
print(json.dumps(found))
"""


def run(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {"DJANGO_SETTINGS_MODULE": "example_project.settings", "EXAMPLE_DIRECTORY": str(directory)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def manage(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(directory, "example_project/manage.py", *arguments, **variables)


def read(directory: Path, script: str, **variables: str) -> Any:
    """What a script prints inside the example project."""
    finished = run(directory, "-c", f"import django\ndjango.setup()\n{script}", **variables)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def seed_and_read(directory: Path, *command: str, show: str = "", **variables: str) -> tuple[str, Any]:
    """What `seed_demo` says, and what there is then; one process, because a start takes a second."""
    seed = f"call_command(*{command or ('seed_demo',)!r})"
    script = f"from django.core.management import call_command\n{seed}\n{show or STATUSES}"
    finished = run(directory, "-c", f"import django\ndjango.setup()\n{script}", **variables)
    assert finished.returncode == 0, finished.stderr
    said, _, found = finished.stdout.strip().rpartition("\n")
    return said, json.loads(found)


def test_tests_of_the_example_pass(tmp_path):
    """As a platform runs its own: with its own settings, in a process of their own."""
    finished = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "example_project/tests")
    assert finished.returncode == 0, finished.stdout
    assert re.search(r"^\d\d passed", finished.stdout, re.MULTILINE), finished.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the demo in it."""
    directory = tmp_path_factory.mktemp("demo")
    finished = manage(directory, "seed_demo")
    assert finished.returncode == 0, finished.stderr
    assert "Merchants: 12 new" in finished.stdout
    assert "http://127.0.0.1:8000/onboarding/signup/" in finished.stdout
    assert "operator / operator" in finished.stdout
    return directory


def test_settings_every_one_comes_from_the_environment(tmp_path):
    assert {f"MOLLIE_ONBOARDING_{name}" for name in VALUES} == {name for name in vars(Conf) if name.isupper()}

    found = read(
        tmp_path,
        PRINT_SETTINGS,
        DJANGO_SECRET_KEY="$igned",
        DJANGO_DEBUG="off",
        DJANGO_ALLOWED_HOSTS="platform.example,www.platform.example",
        DATABASE_URL="sqlite:////srv/elsewhere.sqlite3",
        EMAIL_URL="smtp+tls://user:password@mail.example:587",
        CACHE_URL="dummycache://",
        **{f"MOLLIE_ONBOARDING_{name}": given for name, (given, _) in VALUES.items()},
    )

    assert {name: found[f"MOLLIE_ONBOARDING_{name}"] for name in VALUES} == {
        name: expected for name, (_, expected) in VALUES.items()
    }
    assert found["SECRET_KEY"] == "$igned"
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["platform.example", "www.platform.example"]
    assert found["DATABASES"]["default"]["NAME"] == "/srv/elsewhere.sqlite3"
    assert found["EMAIL_HOST"] == "mail.example"
    assert found["CACHES"]["default"]["BACKEND"] == "django.core.cache.backends.dummy.DummyCache"
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert "mollie_onboarding.sandbox" not in found["INSTALLED_APPS"]


def test_settings_nothing_set_leads_to_the_sandbox(tmp_path):
    found = read(tmp_path, PRINT_SETTINGS, PORT="8123")

    assert found["MOLLIE_ONBOARDING_API_URL"] == "http://127.0.0.1:8123/sandbox"
    assert found["MOLLIE_ONBOARDING_AUTHORIZE_URL"] == "http://127.0.0.1:8123/sandbox/oauth2/authorize"
    assert "127.0.0.1:8123" in found["MOLLIE_ONBOARDING_LINK_HOSTS"]
    assert "mollie_onboarding.sandbox" in found["INSTALLED_APPS"]
    assert found["DATABASES"]["mollie_sandbox"]["NAME"] == str(tmp_path / "mollie_sandbox.sqlite3")
    mailer = found["MAILERS"]["default"]["BACKEND"] if found["MAILERS"] else found["EMAIL_BACKEND"]
    assert mailer == "django.core.mail.backends.filebased.EmailBackend"
    assert found["SESSION_COOKIE_SECURE"] is False


def test_settings_nothing_set_pass_every_check(tmp_path):
    finished = manage(tmp_path, "check", "--fail-level", "WARNING")

    assert finished.returncode == 0, finished.stderr


def test_settings_an_app_of_your_own_leads_to_mollie(tmp_path):
    found = read(tmp_path, PRINT_SETTINGS, MOLLIE_ONBOARDING_CLIENT_ID="app_of_ours")

    assert found["MOLLIE_ONBOARDING_API_URL"] == "https://api.mollie.com"
    assert found["MOLLIE_ONBOARDING_LINK_HOSTS"] == ["my.mollie.com"]
    assert found["MOLLIE_ONBOARDING_CLIENT_SECRET"] == "ImproperlyConfigured"
    assert found["MOLLIE_ONBOARDING_ENCRYPTION_KEYS"] == []
    assert list(found["DATABASES"]) == ["default"]


def test_settings_without_debug_have_no_secret_key_and_no_sandbox(tmp_path):
    script = "from django.conf import settings; settings.SECRET_KEY"
    assert "SECRET_KEY setting must not be empty" in run(tmp_path, "-c", script, DJANGO_DEBUG="0").stderr

    finished = manage(tmp_path, "check", DJANGO_DEBUG="0", DJANGO_SECRET_KEY="long and random")

    assert "mollie_onboarding.E001" in finished.stderr
    assert "mollie_sandbox" not in finished.stderr


def test_seed_demo_shows_every_status_and_twice_changes_nothing(demo):
    found = read(demo, STATUSES)

    assert set(found["statuses"]) == set(Status.values)
    assert len(found["statuses"]) == 12
    assert found["expired"] == ["Fromagerie du Lac"]
    assert found["reasons"] == ["The VAT number is not registered"]
    assert found["connections"] == ["connected", "connected", "connected", "disconnected", "lost"]
    assert found["onboarding"] == ["completed", "completed", "completed", "in-review", "needs-data"]
    assert found["organizations"] == [True] * 5
    assert found["operator"] is True

    said, again = seed_and_read(demo)

    assert "Merchants: 0 new, 12 were there." in said
    assert again == found


def test_history_of_the_demo_fills_the_funnel_and_twice_changes_nothing(tmp_path):
    said, found = seed_and_read(tmp_path, "seed_demo", "--history", show=FUNNEL)

    assert "Merchants of the last weeks: 72 new." in said
    assert len(found["weeks"]) == 12
    assert sum(bool(count) for count in found["weeks"]) >= 11
    assert found["reached"] == sorted(found["reached"], reverse=True)
    assert found["reached"][-1] >= 20
    assert all(found["waiting"][:-1])
    assert found["medians"][1] >= 1
    assert found["future"] == 0
    assert found["unlike what sending makes"] == []
    assert found["at Mollie"]

    said, again = seed_and_read(tmp_path, "seed_demo", "--history", show=FUNNEL)

    assert "Merchants of the last weeks: 0 new." in said
    assert again["merchants"] == found["merchants"] == 84


def test_demo_imports_five_hundred_merchants_and_sends_to_all_who_are_right(demo, tmp_path):
    found = read(shutil.copytree(demo, tmp_path / "demo"), MANY_MERCHANTS)

    assert (found["wrong"], found["imported before the press"], found["offered"]) == (7, 0, True)
    assert found["prepared"] == ["0 of 493", 0, False]
    # Tasks run inline in the demo: some go out with the press, as many as there is time for, and the others are cron's.
    share, at_once, is_running = found["pressed"]
    assert 1 <= at_once <= INLINE_LIMIT
    assert (share, is_running) == (f"{at_once} of 493", True)
    assert found["bar"] == ["493", str(at_once)]
    assert found["drained"] == ["493 of 493", 493, False]
    assert f"{493 - at_once} sent" in found["said"]
    assert found["funnel"] == ["merchants.csv", "493", "0"]


def test_commands_beside_the_demo_know_its_port(demo):
    """`PORT=8231 make demo`, and then a command in another terminal, without PORT."""
    try:
        said = manage(demo, "seed_demo", PORT="8231").stdout
        found = read(demo, PRINT_SETTINGS)
        own = read(demo, PRINT_SETTINGS, PORT="8232")
    finally:
        (demo / "port").unlink(missing_ok=True)

    assert "http://127.0.0.1:8231/onboarding/signup/" in said
    assert " example_project/manage.py send_onboarding_links" in said
    assert found["MOLLIE_ONBOARDING_API_URL"] == "http://127.0.0.1:8231/sandbox"
    assert own["MOLLIE_ONBOARDING_API_URL"] == "http://127.0.0.1:8232/sandbox"


def test_seed_demo_at_the_real_mollie_makes_drafts_only(tmp_path):
    said, found = seed_and_read(
        tmp_path,
        "seed_demo",
        "--history",
        DJANGO_DEBUG="0",
        DJANGO_SECRET_KEY="long and random",
        MOLLIE_ONBOARDING_CLIENT_ID="app_of_ours",
    )

    assert found["statuses"] == ["draft"] * 12
    assert "operator / " in said
    assert found["operator"] is False  # no password that everybody knows


def test_dashboard_and_receiver(demo):
    found = read(demo, DASHBOARD)

    assert found.pop("anonymous") == "/login/?next=/"
    assert found.pop("answers") == [[None]] * 4
    assert found == dict.fromkeys(found, True)


def test_pages_are_the_platforms_own(demo):
    """README, "Making it yours"."""
    found = read(demo, MAKING_IT_YOURS)

    assert found == dict.fromkeys(found, True)


def test_pages_have_every_language(demo):
    assert read(demo, LANGUAGES) == "ca cs da de en es fi fr hu is it lt lv nb nl pl pt sk sv".split()


def test_form_of_the_readme_is_a_whole_module(tmp_path):
    code = readme_blocks()["shop/forms.py"]
    script = f"""
import json
from mollie_onboarding.forms import SignupForm
module = {{"__name__": "example_project.shop.forms", "__package__": "example_project.shop"}}
exec({code!r}, module)
print(json.dumps(issubclass(module["ShopSignupForm"], SignupForm)))
"""

    assert read(tmp_path, script) is True


def test_settings_are_those_of_the_readme(tmp_path):
    code = readme_blocks()["settings.py"]
    values: dict[str, Any] = {"MOLLIE_ONBOARDING_BASE_URL": "http://127.0.0.1:8000"}
    exec(code, {}, values)  # noqa: S102 (our own README)

    names = json.dumps(list(values))
    found = read(
        tmp_path,
        f"import json\nfrom django.conf import settings\n"
        f"print(json.dumps({{name: getattr(settings, name) for name in {names}}}))",
    )

    assert len(values) == 8
    assert found == values
