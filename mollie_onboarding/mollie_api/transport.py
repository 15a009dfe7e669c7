"""The door to Mollie: how a request leaves, how often, for how long, and what its answer means."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, Self

import django
import requests
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ResponseError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    IdempotencyKeyReusedError,
    InvalidGrantError,
    MollieConnectionError,
    MollieResponseError,
)

from .reading import MAX_DETAIL, get_text

logger = logging.getLogger(__name__)

TIME_BUDGET = 20.0  # seconds for all calls of one flow: somebody waits in front of a browser
CONNECT_TIMEOUT = 3.05  # seconds
READ_TIMEOUT = 8.0  # seconds without a byte
LONGEST_PAUSE = 3.0  # seconds between two tries; whoever is told to wait longer comes back later
MAX_ANSWER = 1_000_000  # bytes

RETRIED_STATUSES = frozenset({409, 429, 500, 502, 503, 504})  # docs.mollie.com/reference/handling-errors


class Transport:
    """Sends requests, within a budget of seconds that all of them share."""

    def __init__(self, *, time_budget: float = TIME_BUDGET) -> None:
        self.deadline = time.monotonic() + time_budget
        self.was_replayed = (
            False  # whether the last answer was an earlier one, repeated for its idempotency key
        )

    @sensitive_variables()
    def _send(
        self,
        method: str,
        path: str,
        *,
        auth: AuthBase,
        body: bytes | None = None,
        content_type: str = "application/json",
        idempotency_key: str = "",
        max_answer: int = MAX_ANSWER,
    ) -> dict[str, Any]:
        """The one place where a request leaves, and where a status becomes an exception."""
        url = conf.MOLLIE_ONBOARDING_API_URL + path
        if not url.startswith(("https://", "http://")):
            raise ImproperlyConfigured("MOLLIE_ONBOARDING_API_URL is not a web address.")
        headers = {"User-Agent": _user_agent(), "Accept": "application/hal+json, application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        is_token_endpoint = path == "/oauth2/tokens"
        remaining = self.deadline - time.monotonic()
        if remaining < 1:
            raise MollieConnectionError("Mollie has taken too long already.")
        session = _session()
        adapter = session.get_adapter(url)
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 (for mypy; `_session` mounts nothing else)
        if is_token_endpoint:
            # A pooled connection may have died unseen, and a request that was never answered is not sent again here:
            # this one gets a connection of its own.
            adapter.close()
            headers["Connection"] = "close"
        adapter.max_retries = _retries(
            # Without a stored key a POST that got no answer may have done its work: it is not repeated.
            0 if is_token_endpoint or (method == "POST" and not idempotency_key) else 3,
            self.deadline,
        )
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
                content = _read(response, self.deadline, max_answer)
        except (requests.RequestException, HTTPError, OSError, ValueError) as exc:
            # HTTPError is urllib3's, for a body that breaks off; OSError and ValueError come from `_read`.
            logger.warning("Mollie: %s %s got no answer: %s", method, path, type(exc).__name__)
            # `from None`: the exceptions of requests carry the request, with its credentials.
            raise MollieConnectionError(f"Mollie gave no answer ({type(exc).__name__}).") from None
        logger.info("Mollie: %s %s answered %s", method, path, response.status_code)
        self.was_replayed = _was_replayed(response)
        return _result(response, content)


@sensitive_variables()
def _result(response: requests.Response, content: bytes) -> dict[str, Any]:
    """The JSON object of a good answer, or the exception that fits a bad one."""
    status = response.status_code
    was_replayed = _was_replayed(response)
    if status in RETRIED_STATUSES or status >= 500 or status < 200 or 300 <= status < 400:
        raise MollieConnectionError(
            f"Mollie answered {status}.",
            retry_after=_retry_after(response),
            # A busy answer is never kept at Mollie, an error may be.
            needs_new_key=was_replayed and status not in (409, 429),
        )
    if status == 204:
        return {}
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise MollieConnectionError(
            f"Mollie answered {status} with something that is not a JSON object.",
            needs_new_key=status >= 400,
        )
    if status < 300:
        return answer
    raise _refusal(status, answer)


def _was_replayed(response: requests.Response) -> bool:
    """Whether the answer is an earlier one, repeated. docs.mollie.com/reference/api-idempotency"""
    return response.headers.get("Idempotent-Replayed", "").lower() == "true"


def _refusal(status: int, answer: dict[str, Any]) -> MollieResponseError:
    """The exception for a 4xx. The token endpoint speaks RFC 6749 section 5.2, all others Mollie's error object."""
    error = get_text(answer, "error", 100)
    detail = get_text(answer, "error_description" if error else "detail", MAX_DETAIL)
    kind = MollieResponseError
    if error == "invalid_grant":
        kind = InvalidGrantError
    elif status == 400 and "idempoten" in detail.lower():
        kind = IdempotencyKeyReusedError
    return kind(status, detail, field=get_text(answer, "field", 100), error=error)


class _BoundedRetry(Retry):
    """urllib3's Retry that does not wait for longer than a person would, nor past the flow's deadline."""

    deadline: float = 0.0

    def new(self, **kw: Any) -> Self:
        copy = super().new(**kw)
        copy.deadline = self.deadline
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
        return following


def _retries(total: int, deadline: float) -> _BoundedRetry:
    retries = _BoundedRetry(
        total=total,
        backoff_factor=0.5,
        allowed_methods=None,  # `_send` decides which request may be repeated
        status_forcelist=RETRIED_STATUSES,
        raise_on_status=False,
    )
    retries.deadline = deadline
    return retries


class Bearer(AuthBase):
    """RFC 6750. Handed to requests as auth, so that a .netrc of the machine cannot replace the header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def app_credentials() -> HTTPBasicAuth:
    # Basic, as the reference says; the server metadata names body credentials only (facts as of 2026-08).
    return HTTPBasicAuth(conf.MOLLIE_ONBOARDING_CLIENT_ID, conf.MOLLIE_ONBOARDING_CLIENT_SECRET)


class _Session(requests.Session):
    """A session that prepares for no redirect: requests would read its body to the end, however large it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


# One session for each thread: requests does not promise that one may be shared.
_local = threading.local()


def _session() -> requests.Session:
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = _Session()
        # One thread calls for many merchants: no cookie of one call may travel with the next.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        session.mount("https://", HTTPAdapter())
        session.mount("http://", HTTPAdapter())
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


def _retry_after(response: requests.Response) -> int | None:
    text = response.headers.get("Retry-After", "")
    return min(int(text), 86400) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
