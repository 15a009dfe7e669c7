"""The settings of a second process of a test: the same databases, by their test names."""

from __future__ import annotations

import json
import os
from urllib.parse import urlsplit

import django

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

for _alias, _name in json.loads(os.environ["TEST_DATABASE_NAMES"]).items():
    DATABASES[_alias]["NAME"] = _name

# A Mollie in a process of its own, where the test has one.
if "TEST_API_URL" in os.environ:
    MOLLIE_ONBOARDING_API_URL = os.environ["TEST_API_URL"]
    MOLLIE_ONBOARDING_LINK_HOSTS = [urlsplit(MOLLIE_ONBOARDING_API_URL).netloc, "my.mollie.com"]
    DEBUG = True  # its links are plain http
# And its own habits.
MOLLIE_SANDBOX_RATE_LIMIT = os.environ.get("TEST_SANDBOX_RATE_LIMIT")

# Mails that the test can read: one file for each.
if "TEST_MAIL_DIRECTORY" in os.environ:
    _backend = "django.core.mail.backends.filebased.EmailBackend"
    if django.VERSION >= (6, 1):
        MAILERS = {
            "default": {"BACKEND": _backend, "OPTIONS": {"file_path": os.environ["TEST_MAIL_DIRECTORY"]}}
        }
    else:
        EMAIL_BACKEND = _backend
        EMAIL_FILE_PATH = os.environ["TEST_MAIL_DIRECTORY"]
