from __future__ import annotations

import pytest
import time_machine
from django.core.cache import cache, caches
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from mollie_onboarding.throttle import client_address, parse_limit, seconds_to_wait

# A quarter past a full hour.
QUARTER_PAST = "2026-10-01T12:15:00Z"


def address(remote_addr, forwarded_for=None):
    headers = {} if forwarded_for is None else {"X-Forwarded-For": forwarded_for}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=remote_addr, headers=headers))


# The limit


@pytest.mark.parametrize(
    ("limit", "parsed"),
    [("20/h", (20, 3600)), ("1/s", (1, 1)), ("5/m", (5, 60)), ("100/d", (100, 86400)), ("0/h", (0, 3600))],
)
def test_parse_limit(limit, parsed):
    assert parse_limit(limit) == parsed


@pytest.mark.parametrize(
    "limit",
    [
        "",
        "20",
        "/h",
        "20/w",
        "20/H",
        "-1/h",
        "1.5/h",
        " 20/h",
        "20/h\n",
        "20/hour",
        "\u0662\u0660/h",
        f"{10**9}/h",
        30,
        None,
    ],
)
def test_parse_limit_malformed(limit):
    with pytest.raises(ImproperlyConfigured, match="is not a limit such as 20/h"):
        parse_limit(limit)


def test_limit_is_reached_and_passes():
    with time_machine.travel(QUARTER_PAST, tick=False) as clock:
        assert [seconds_to_wait("a", "3/h") for _ in range(5)] == [0, 0, 0, 2700, 2700]
        clock.shift(2699)
        assert seconds_to_wait("a", "3/h") == 1
        clock.shift(1)
        assert [seconds_to_wait("a", "3/h") for _ in range(4)] == [0, 0, 0, 3600]


@pytest.mark.parametrize(("limit", "seconds"), [("1/s", 1), ("1/m", 60), ("1/h", 2700), ("1/d", 42300)])
def test_limit_tells_how_long(limit, seconds):
    with time_machine.travel(QUARTER_PAST, tick=False):
        assert seconds_to_wait("a", limit) == 0
        assert seconds_to_wait("a", limit) == seconds


def test_limit_of_nothing():
    assert seconds_to_wait("a", "0/h") > 0


def test_limit_is_counted_for_each_subject():
    with time_machine.travel(QUARTER_PAST, tick=False):
        assert seconds_to_wait("a", "1/h") == 0
        assert seconds_to_wait("b", "1/h") == 0
        assert seconds_to_wait("a", "1/h") > 0


def test_limit_counter_goes_away_with_its_window(monkeypatch):
    timeouts = []
    monkeypatch.setattr(cache, "add", lambda key, value, timeout: timeouts.append(timeout))

    seconds_to_wait("a", "1/m")

    assert timeouts == [60]


def test_limit_keys_name_nobody():
    subjects = ["address 203.0.113.9", "owner jan@bakkerij.example"]
    for subject in subjects:
        seconds_to_wait(subject, "1/h")

    keys = list(caches["default"]._cache)
    assert len(keys) == 2
    for key in keys:
        assert "mollie_onboarding:" in key
        assert not any(part in key for subject in subjects for part in subject.split())
        assert len(key) < 250  # memcached


def test_limit_keys_depend_on_the_secret_key(settings):
    # Without the key nobody can try addresses against a list of cache keys.
    seconds_to_wait("a", "1/d")
    settings.SECRET_KEY = "another"
    seconds_to_wait("a", "1/d")

    assert len(caches["default"]._cache) == 2


def test_limit_with_an_evicted_key(monkeypatch):
    monkeypatch.setattr(cache, "add", lambda *args, **kwargs: False)

    # Better one too many than a page that breaks.
    assert seconds_to_wait("a", "1/h") == 0


# The address


@pytest.mark.parametrize(
    ("remote_addr", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("unix:", "unix:"),
        ("garbage", "garbage"),
        ("x" * 10_000, "x" * 64),
    ],
)
def test_address(remote_addr, expected):
    assert address(remote_addr) == expected


def test_address_missing():
    request = RequestFactory().get("/")
    del request.META["REMOTE_ADDR"]

    assert client_address(request) == ""


def test_address_of_two_hosts_of_one_network():
    assert address("2001:db8:1:2::1") == address("2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert address("2001:db8:1:2::1") != address("2001:db8:1:3::1")
    assert address("::ffff:203.0.113.9") != address("::ffff:203.0.113.10")


@pytest.mark.parametrize(
    ("proxies", "forwarded_for", "expected"),
    [
        (0, None, "10.0.0.1"),
        (0, "203.0.113.9", "10.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6,,  203.0.113.9 ", "203.0.113.9"),
        (1, "2001:db8:1:2::9", "2001:db8:1:2::/64"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"),
        (1, "[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (2, "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (1, "unknown", "unknown"),
        (1, "x" * 10_000, "x" * 64),
        # Too few entries: somebody came past the proxies.
        (1, None, "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, " , ", "10.0.0.1"),
        (2, "203.0.113.9", "10.0.0.1"),
        (3, "6.6.6.6, 203.0.113.9", "10.0.0.1"),
    ],
)
def test_address_behind_proxies(settings, proxies, forwarded_for, expected):
    settings.MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT = proxies

    assert address("10.0.0.1", forwarded_for) == expected


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_address_spoofed_does_not_reset_the_limit(settings, proxies):
    settings.MOLLIE_ONBOARDING_TRUSTED_PROXY_COUNT = proxies
    written_by_proxies = ["203.0.113.9", "10.0.0.2"][:proxies]

    with time_machine.travel(QUARTER_PAST, tick=False):
        waits = [
            seconds_to_wait(address("10.0.0.1", ", ".join([*spoofed, *written_by_proxies])), "1/h")
            for spoofed in (
                [],
                ["6.6.6.1"],
                ["6.6.6.2", "6.6.6.3"],
                ["203.0.113.9"],
                ["::1"],
                ["unknown", "_"],
            )
        ]

    assert waits == [0, *[2700] * 5]
