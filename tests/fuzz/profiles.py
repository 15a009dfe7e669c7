"""How many examples there are in all, and how they are shared out.

the suite     2,000, always the same ones: a change fails by what it does, and never by chance
make fuzz     100,000, other ones each time. What fails is printed with the line that brings it back, and tried first in
              the next run

FUZZ_EXAMPLES=… for more or fewer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

WHOLE = 1000  # what all shares together make

EXAMPLES = {"suite": 2_000, "fuzz": 100_000}
PROFILE = os.environ.get("FUZZ_PROFILE", "suite")
COUNT = int(os.environ.get("FUZZ_EXAMPLES") or EXAMPLES[PROFILE])

_common = settings(
    deadline=None,  # a machine may be slow
    print_blob=True,
    # Each example begins with what the fixtures of its test made, and is rolled back to it.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
settings.register_profile("suite", _common, derandomize=True, database=None)
settings.register_profile("fuzz", _common, derandomize=False)  # which it is by default on a CI server

SHARES: dict[str, int] = {}  # by the name of the test


def of_all(share: int) -> int:
    """So many thousandths of all examples."""
    return max(COUNT * share // WHOLE, 1)


def fuzzed(share: int) -> Callable[[Any], Any]:
    """Settings for a test that gets so many thousandths of all examples."""

    def decorate(test: Any) -> Any:
        SHARES[f"{test.__module__}.{test.__name__}"] = share
        return settings(settings.get_profile(PROFILE), max_examples=of_all(share))(test)

    return decorate
