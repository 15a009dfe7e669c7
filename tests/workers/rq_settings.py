"""Tasks in Redis: django-tasks-rq."""

from __future__ import annotations

import os

from tests.workers.cron_settings import *  # noqa: F403
from tests.workers.cron_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_rq", "django_tasks_rq"]
TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": ["default"]}}
# Seconds: a request does not wait for a Redis that is down. Workers wait longer, rq sees to that.
RQ_QUEUES = {"default": {"URL": os.environ["TEST_BROKER_URL"] + "?socket_connect_timeout=1&socket_timeout=2"}}
