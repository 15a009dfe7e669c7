"""Tasks in the database: django-tasks-db."""

from __future__ import annotations

from tests.workers.cron_settings import *  # noqa: F403
from tests.workers.cron_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
