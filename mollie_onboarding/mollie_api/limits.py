"""What an answer of Mollie's says of how often it may be asked. docs.mollie.com/reference/rate-limiting

    RateLimit-Policy: "<policy>";q=<quota>;w=<seconds>;mollie-burst=<calls>
    RateLimit: "<policy>";r=<remaining>;t=<seconds>
    Retry-After: <seconds>

Whatever cannot be read counts as not said: a header that was meant to help fails no call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

LONGEST_HEADER = 2_000  # characters that are looked at
MOST_CALLS = 1_000_000
LONGEST_WINDOW = 3_600  # seconds; Mollie speaks of seconds, and nobody waits for a week because of a slip
LONGEST_RETRY_AFTER = 86_400  # seconds

POLICY = re.compile(r'\s*("[^"]*"|[^",;]*)((?:;[^,;]*)+)')
PARAMETER = re.compile(r';\s*([a-z]+)\s*=\s*"?(\d{1,9})"?\s*(?=;|$)', re.ASCII | re.IGNORECASE)


class RateLimit(NamedTuple):
    """What one answer said. None is what it did not say; all times are in whole seconds.

    `endpoint` is the method and the path that were called: limits differ between them. `is_exceeded` is a 429.
    """

    endpoint: str
    is_exceeded: bool = False
    retry_after: int | None = None
    remaining: int | None = None  # calls, until `resets_in` is over
    resets_in: int | None = None
    quota: int | None = None  # calls in each `window`
    window: int | None = None


def read_rate_limit(endpoint: str, status: int, headers: Mapping[str, str]) -> RateLimit | None:
    """What the headers say. None where that is nothing: no 429, and no number of calls that remain.

    Of several policies the one that leaves the fewest calls counts, of those the one that lasts longest.
    """
    policies = _read_policies(headers.get("RateLimit-Policy", ""))
    states = {
        name: values for name, values in _read_policies(headers.get("RateLimit", "")).items() if "r" in values
    }
    is_exceeded = status == 429
    if not states:
        return RateLimit(endpoint, True, read_retry_after(headers)) if is_exceeded else None
    name = min(states, key=lambda name: (states[name]["r"], -states[name].get("t", 0)))
    # One policy needs no name to be found by.
    policy = policies.get(name) or (
        next(iter(policies.values())) if len(policies) == len(states) == 1 else {}
    )
    return RateLimit(
        endpoint,
        is_exceeded,
        read_retry_after(headers) if is_exceeded else None,
        remaining=min(states[name]["r"], MOST_CALLS),
        resets_in=_seconds(states[name].get("t")),
        quota=min(policy.get("q", 0), MOST_CALLS) or None,
        window=_seconds(policy.get("w")) or None,
    )


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """The whole seconds of `Retry-After`, a day at most. None where there are none; Mollie sends no dates."""
    text = headers.get("Retry-After", "")
    return min(int(text), LONGEST_RETRY_AFTER) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def _read_policies(header: str) -> dict[str, dict[str, int]]:
    """The numbers of each policy, by its name without quotes."""
    return {
        name.strip().strip('"'): {key.lower(): int(number) for key, number in PARAMETER.findall(parameters)}
        for name, parameters in POLICY.findall(header[:LONGEST_HEADER])
    }


def _seconds(number: int | None) -> int | None:
    return None if number is None else min(number, LONGEST_WINDOW)
