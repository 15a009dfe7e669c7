"""The limiter of the sign-up page, on Django's cache: fixed windows, kept as counters under hashed keys."""

from __future__ import annotations

import ipaddress
import re
import time

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from .conf import conf, parse_limit

IPV6_NETWORK = 64  # bits; one customer of a provider has at least that many addresses


def seconds_to_wait(subject: str, limit: str) -> int:
    """Count one use of what is limited. 0 when it is within the limit, else the seconds until it is again."""
    number, window = parse_limit(limit)
    now = int(time.time())
    # No address of a person in a cache key: caches have tools that list them.
    name = salted_hmac("mollie_onboarding.throttle", subject, algorithm="sha256").hexdigest()[:32]
    key = f"mollie_onboarding:{name}:{now // window}"
    cache.add(key, 0, timeout=window)
    try:
        count = cache.incr(key)
    except ValueError:  # evicted between the two lines
        count = 1
    return 0 if count <= number else window - now % window


def client_address(request: HttpRequest) -> str:
    """The network that a request came from: an IPv4 address, or an IPv6 network of 64 bits.

    X-Forwarded-For is believed only as far as the platform's own proxies wrote it: `TRUSTED_PROXY_COUNT` entries from
    the right. What a visitor put in front of them changes nothing.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    proxies = conf.MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT
    entries = [entry.strip() for entry in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    entries = [entry for entry in entries if entry]
    if 0 < proxies <= len(entries):
        # Some proxies write the port as well, which differs with every connection.
        address = re.sub(r"^(?:\[(.+)\]|([\d.]+))(?::\d+)?$", r"\1\2", entries[-proxies])
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:  # how a socket that listens on both shows everybody who came by IPv4
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
    return str(parsed)
