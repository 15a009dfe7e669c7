"""Tasks with Celery: django-tasks-celery."""

from __future__ import annotations

import os

from kombu import Exchange, Queue

from tests.workers.cron_settings import *  # noqa: F403

TASKS = {"default": {"BACKEND": "django_tasks_celery.CeleryBackend"}}

CELERY_BROKER_URL = os.environ["TEST_BROKER_URL"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_TIMEOUT = 1  # second, so that a request does not wait for a broker that is down

# A queue of this test alone, which the broker forgets by itself.
CELERY_TASK_DEFAULT_QUEUE = os.environ["TEST_QUEUE"]
CELERY_TASK_QUEUES = [
    Queue(
        CELERY_TASK_DEFAULT_QUEUE,
        Exchange(CELERY_TASK_DEFAULT_QUEUE, durable=False, auto_delete=True),
        routing_key=CELERY_TASK_DEFAULT_QUEUE,
        expires=600,
    )
]
