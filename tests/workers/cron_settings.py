"""A platform of several processes on the databases of the test, with its mails in a file. Here without a worker."""

from __future__ import annotations

import django

from tests.process_settings import *  # noqa: F403

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "tests.workers.mails.EmailBackend"}}
else:
    EMAIL_BACKEND = "tests.workers.mails.EmailBackend"

# Nothing is sent within the request: all is left to the command.
_backend = "django.tasks.backends.dummy" if django.VERSION >= (6, 0) else "django_tasks.backends.dummy"
TASKS = {"default": {"BACKEND": f"{_backend}.DummyBackend"}}
