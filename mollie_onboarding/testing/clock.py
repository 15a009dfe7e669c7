"""Time travel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.utils import timezone


@contextmanager
def later(**duration: float) -> Iterator[None]:
    """Live that much later, `later(days=31)`: for this app, for Mollie's sandbox, and for every signature and cookie.

    The keywords are those of `timedelta`. Time goes on from there; blocks may lie in one another. Needs `time-machine`.
    """
    import time_machine  # an optional dependency: the extra `testing`

    with time_machine.travel(timezone.now() + timedelta(**duration)):
        yield
