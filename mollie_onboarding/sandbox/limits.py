"""How often the API may be called: fixed windows, one for each operation, in the headers that Mollie names.

Off unless `MOLLIE_SANDBOX_RATE_LIMIT` is set. https://docs.mollie.com/reference/rate-limiting
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F
from django.http import HttpResponse
from django.utils import timezone

from .conf import conf
from .errors import MollieRefusalError
from .models import CallWindow


@dataclass(frozen=True)
class Allowance:
    """What one call was told: whether it is within the limit, and what is left after it."""

    operation: str
    quota: int
    window: int  # seconds
    is_exceeded: bool
    remaining: int
    resets_in: int  # whole seconds, rounded up

    def refusal(self) -> HttpResponse | None:
        """The answer to a call beyond the limit; None to one within it."""
        if not self.is_exceeded:
            return None
        response = MollieRefusalError(429, "You have exceeded the rate limit of the sandbox").response()
        response["Retry-After"] = str(self.resets_in)
        return response

    def write_headers(self, response: HttpResponse) -> None:
        policy = f'"{self.operation}"'
        response["RateLimit-Policy"] = f"{policy};q={self.quota};w={self.window};mollie-burst={self.quota}"
        response["RateLimit"] = f"{policy};r={self.remaining};t={self.resets_in}"


def count(operation: str) -> Allowance | None:
    """Count a call. None where there is no limit."""
    if conf.rate_limit is None:
        return None
    quota, seconds = conf.rate_limit
    window = timedelta(seconds=seconds)
    now = timezone.now()
    rows = CallWindow.objects.filter(pk=operation)
    CallWindow.objects.get_or_create(pk=operation, defaults={"started_at": now})
    rows.filter(started_at__lte=now - window).update(started_at=now, count=0)
    is_counted = rows.filter(count__lt=quota).update(count=F("count") + 1)
    row = rows.get()
    return Allowance(
        operation,
        quota,
        seconds,
        is_exceeded=not is_counted,
        remaining=max(quota - row.count, 0),
        resets_in=max(math.ceil((row.started_at + window - now).total_seconds()), 1),
    )
