from __future__ import annotations

from importlib import import_module
from pathlib import Path

from hypothesis import settings

from .profiles import EXAMPLES, SHARES, WHOLE


def test_shares_make_the_whole():
    for module in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.fuzz.{module.stem}")
    assert sum(SHARES.values()) == WHOLE, SHARES


def test_suite_has_the_same_examples_each_time():
    assert settings.get_profile("suite").derandomize
    assert not settings.get_profile("fuzz").derandomize
    assert EXAMPLES == {"suite": 2_000, "fuzz": 100_000}
