"""Settings of the example on a day that never ends: its pictures show the same dates whenever they are taken."""

from __future__ import annotations

from datetime import UTC, datetime

import time_machine

from example_project.settings import *  # noqa: F403

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)

time_machine.travel(NOON, tick=False).start()
