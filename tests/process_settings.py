"""The settings of a second process of a test: the same databases, by their test names."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

for _alias, _name in json.loads(os.environ["TEST_DATABASE_NAMES"]).items():
    DATABASES[_alias]["NAME"] = _name

# A Mollie in a process of its own, where the test has one.
if "TEST_API_URL" in os.environ:
    MOLLIE_ONBOARDING_API_URL = os.environ["TEST_API_URL"]
