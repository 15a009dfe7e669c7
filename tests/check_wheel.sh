#!/usr/bin/env bash
# Builds the wheel, looks into it, and installs it into an empty environment with a new Django project, which must
# migrate, start, and show the sign-up page. Usage: tests/check_wheel.sh PYTHON
set -euo pipefail
python=$1
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/dist" .
wheel=$(echo "$work"/dist/*.whl)

"$work/venv/bin/python" - "$wheel" <<'PYTHON'
import sys
import zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
wanted = [
    "mollie_onboarding/py.typed",
    "mollie_onboarding/templates/mollie_onboarding/client_link.html",
    "mollie_onboarding/templates/mollie_onboarding/mail/onboarding_link_body.txt",
    "mollie_onboarding/templates/admin/mollie_onboarding/confirmation.html",
    "mollie_onboarding/static/mollie_onboarding/admin.css",
    "mollie_onboarding/templatetags/mollie_onboarding.py",
    "mollie_onboarding/static/mollie_onboarding/merchant.css",
    "mollie_onboarding/static/mollie_onboarding/merchant.js",
    *(
        f"mollie_onboarding/locale/{language}/LC_MESSAGES/django.mo"
        for language in "ca cs da de es fi fr hu is it lt lv nb nl pl pt sk sv".split()
    ),
    "mollie_onboarding/migrations/0001_initial.py",
    "mollie_onboarding/sandbox/migrations/0001_initial.py",
    "mollie_onboarding/sandbox/templates/mollie_sandbox/consent.html",
]
missing = [name for name in wanted if name not in names]
strangers = [name for name in names if not name.startswith(("mollie_onboarding/", "mollie_onboarding-"))]
assert not missing, f"not in the wheel: {missing}"
assert not strangers, f"should not be in the wheel: {strangers}"
print(f"{len(names)} files in the wheel")
PYTHON

"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
cd "$work"
"$work/venv/bin/django-admin" startproject site_of_a_customer .
cat >>site_of_a_customer/settings.py <<'PYTHON'
from cryptography.fernet import Fernet

INSTALLED_APPS += ["django_countries", "mollie_onboarding"]
MOLLIE_ONBOARDING_CLIENT_ID = "app_x"
MOLLIE_ONBOARDING_CLIENT_SECRET = "x"
MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_x"
MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
MOLLIE_ONBOARDING_BASE_URL = "http://127.0.0.1:8765"
PYTHON
cat >site_of_a_customer/urls.py <<'PYTHON'
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("onboarding/", include("mollie_onboarding.urls"))]
PYTHON
"$work/venv/bin/python" manage.py check --fail-level WARNING
"$work/venv/bin/python" manage.py migrate --verbosity 0
"$work/venv/bin/python" manage.py runserver --noreload 127.0.0.1:8765 >"$work/server.log" 2>&1 &
server=$!
"$work/venv/bin/python" - <<'PYTHON'
import time
import urllib.request

for attempt in range(100):
    try:
        page = urllib.request.urlopen("http://127.0.0.1:8765/onboarding/signup/", timeout=5).read().decode()
        break
    except OSError:
        time.sleep(0.1)
else:
    raise SystemExit("The server did not start.")
assert '<main data-status="ready">' in page, page
page = urllib.request.urlopen("http://127.0.0.1:8765/onboarding/signup/?language=is", timeout=5).read().decode()
assert '<html lang="is">' in page, page
assert "Þýskaland" in page, page  # no name of django-countries
style = urllib.request.urlopen("http://127.0.0.1:8765/static/mollie_onboarding/merchant.css", timeout=5)
assert style.status == 200
print("The sign-up page of a new project answers.")
PYTHON
