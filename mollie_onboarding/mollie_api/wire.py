"""How a request leaves and what comes back of it: everything that `requests` and urllib3 do for us.

They take about as long to import as this whole package, and most processes never call Mollie: so this module is imported
with the first call, and only by `transport`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, Self

import django
import requests
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ResponseError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import MollieConnectionError

CONNECT_TIMEOUT = 3.05  # seconds
READ_TIMEOUT = 8.0  # seconds without a byte
LONGEST_PAUSE = 3.0  # seconds between two tries; whoever is told to wait longer comes back later

# As requests takes it: what writes the header, or name and password.
Auth = Callable[[Any], Any] | tuple[str, str]
Hearing = Callable[[int, Mapping[str, str]], None]  # takes an answer's status and its headers


class NoAnswerError(Exception):
    """Nothing usable came back; `error` is the name of what `requests` or urllib3 raised."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


@sensitive_variables()
def exchange(
    method: str,
    path: str,
    *,
    headers: dict[str, str],
    auth: Auth,
    body: bytes | None,
    max_answer: int,
    deadline: float,
    retries: int,
    retried_statuses: Collection[int],
    on_new_connection: bool,
    hear: Hearing,
) -> Answer:
    """Send a request, and again up to `retries` times, until `deadline` on the monotonic clock. Gives the last answer.

    `hear` is called with each answer that came. Raises `NoAnswerError` where none did, or not as a whole.
    """
    url = conf.MOLLIE_ONBOARDING_API_URL + path
    if not url.startswith(("https://", "http://")):
        raise ImproperlyConfigured("MOLLIE_ONBOARDING_API_URL is not a web address.")
    remaining = deadline - time.monotonic()
    if remaining < 1:
        raise MollieConnectionError("Mollie has taken too long already.")
    session = _session()
    adapter = session.get_adapter(url)
    assert isinstance(adapter, HTTPAdapter)  # noqa: S101 (for mypy; `_session` mounts nothing else)
    headers = headers | {"User-Agent": _user_agent()}
    if on_new_connection:
        adapter.close()
        headers["Connection"] = "close"
    adapter.max_retries = _retries(retries, deadline, retried_statuses, hear)
    try:
        response = session.request(
            method,
            url,
            data=body,
            headers=headers,
            auth=auth,
            timeout=(min(CONNECT_TIMEOUT, remaining), min(READ_TIMEOUT, remaining)),
            allow_redirects=False,
            stream=True,
        )
        with response:
            hear(response.status_code, response.headers)  # before the body, which may break off
            content = _read(response, deadline, max_answer)
    except (requests.RequestException, HTTPError, OSError, ValueError) as exc:
        # HTTPError is urllib3's, for a body that breaks off; OSError and ValueError come from `_read`.
        # `from None`: the exceptions of requests carry the request, with its credentials.
        raise NoAnswerError(type(exc).__name__) from None
    return Answer(response.status_code, response.headers, content)


class _BoundedRetry(Retry):
    """urllib3's Retry that does not wait for longer than a person would, nor past the flow's deadline."""

    # Else it would retry these whatever it is told, as soon as they come with `Retry-After`.
    RETRY_AFTER_STATUS_CODES = frozenset()

    deadline: float = 0.0
    hear: Hearing

    def new(self, **kw: Any) -> Self:
        copy = super().new(**kw)
        copy.deadline = self.deadline
        copy.hear = self.hear
        return copy

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None  # a date or a number that no clock can hold is no better than none

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Self:
        following = super().increment(method, url, response, *args, **kwargs)
        pause = (self.get_retry_after(response) if response else None) or following.get_backoff_time()
        time_for_a_try = CONNECT_TIMEOUT + READ_TIMEOUT
        if pause > LONGEST_PAUSE or time.monotonic() + pause + time_for_a_try > self.deadline:
            # With `raise_on_status=False` urllib3 then hands out the answer that it has.
            raise MaxRetryError(
                kwargs["_pool"], url or "", kwargs.get("error") or ResponseError("no time for more")
            )
        if response:
            self.hear(response.status, response.headers)  # before the pause: others are not to call meanwhile
        return following


def _retries(total: int, deadline: float, statuses: Collection[int], hear: Hearing) -> _BoundedRetry:
    retries = _BoundedRetry(
        total=total,
        backoff_factor=0.5,
        allowed_methods=None,  # `_send` decides which request may be repeated
        status_forcelist=statuses,
        raise_on_status=False,
    )
    retries.deadline = deadline
    retries.hear = hear
    return retries


class _Session(requests.Session):
    """A session that prepares for no redirect: requests would read its body to the end, however large it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


# One session for each thread: requests does not promise that one may be shared.
_local = threading.local()


def _session() -> requests.Session:
    session: requests.Session | None = getattr(_local, "session", None)
    url = conf.MOLLIE_ONBOARDING_API_URL
    if session is None or _local.url != url:
        _local.url = url
        session = _local.session = _Session()
        # One thread calls for many merchants: no cookie of one call may travel with the next.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        session.mount("https://", HTTPAdapter())
        session.mount("http://", HTTPAdapter())
        # Once, where requests would go through the whole environment with each call: its proxies and certificates.
        environment = session.merge_environment_settings(url, {}, None, None, None)
        session.proxies, session.verify = environment["proxies"], environment["verify"]
        session.trust_env = False
    return session


def _forget_session() -> None:
    _local.__dict__.clear()


# A forked worker must not write into the sockets of its parent.
os.register_at_fork(after_in_child=_forget_session)


def _read(response: requests.Response, deadline: float, max_answer: int) -> bytes:
    """The body, as long as it is no larger than `max_answer` bytes and comes before the deadline."""
    chunks: list[bytes] = []
    size = 0
    # read1 gives what is there: a server that sends a byte now and then cannot keep us beyond the deadline.
    while chunk := response.raw.read1(65536, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_answer:
            raise ValueError("The answer is too large.")
        if time.monotonic() > deadline:
            raise TimeoutError("The answer is too slow.")
    return b"".join(chunks)


@cache
def _user_agent() -> str:
    # docs.mollie.com/docs/integration-partners-user-agent-strings
    return f"MollieOnboarding/{version('mollie-onboarding')} Django/{django.__version__}"
