"""The settings of the platform's processes in a race."""

from __future__ import annotations

from datetime import timedelta

from tests.process_settings import *  # noqa: F403
from tests.process_settings import DATABASES

MOLLIE_ONBOARDING_UNCONNECTED_RETENTION = timedelta(days=365)
# Its threads live through all repetitions, and so do their connections.
DATABASES["default"]["CONN_MAX_AGE"] = None
