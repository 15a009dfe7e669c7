"""The door to Mollie: how a request leaves, how often, for how long, and what its answer means."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    IdempotencyKeyReusedError,
    InvalidGrantError,
    MollieConnectionError,
    MollieResponseError,
)
from mollie_onboarding.observing import observe

from .limits import RateLimit, read_rate_limit, read_retry_after
from .reading import MAX_DETAIL, get_text

if TYPE_CHECKING:
    from .wire import Answer, Auth

logger = logging.getLogger(__name__)

TIME_BUDGET = 20.0  # seconds for all calls of one flow: somebody waits in front of a browser
MAX_ANSWER = 1_000_000  # bytes

RETRIED_STATUSES = frozenset({409, 429, 500, 502, 503, 504})  # docs.mollie.com/reference/handling-errors


class Transport:
    """Sends requests, within a budget of seconds that all of them share.

    With `retries_when_limited` off a 429 is never tried again here, however short its pause: a worker has many more calls
    to make, and all of them are to wait.
    """

    def __init__(self, *, time_budget: float = TIME_BUDGET, retries_when_limited: bool = True) -> None:
        self.deadline = time.monotonic() + time_budget
        self.retried_statuses = RETRIED_STATUSES if retries_when_limited else RETRIED_STATUSES - {429}
        self.rate_limit: RateLimit | None = None  # what the last answer said of limits, also where it raised
        self.was_replayed = (
            False  # whether the last answer was an earlier one, repeated for its idempotency key
        )

    def heed(self) -> None:
        """Called after each answer that says something of limits, which is then in `rate_limit`. For a subclass.

        Also after one that is tried again here, and before what it comes to is raised.
        """

    def _hear(self, endpoint: str, status: int, headers: Mapping[str, str]) -> None:
        self.rate_limit = read_rate_limit(endpoint, status, headers)
        if self.rate_limit:
            self.heed()

    @sensitive_variables()
    def _send(
        self,
        method: str,
        path: str,
        *,
        auth: Auth,
        body: bytes | None = None,
        content_type: str = "application/json",
        idempotency_key: str = "",
        max_answer: int = MAX_ANSWER,
    ) -> dict[str, Any]:
        """The one place where a request leaves, and where a status becomes an exception."""
        headers = {"Accept": "application/hal+json, application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        is_token_endpoint = path == "/oauth2/tokens"
        self.rate_limit = None
        operation, started_at = f"{method} {path.partition('?')[0]}", time.monotonic()
        from . import wire  # with requests: see there

        try:
            answer = wire.exchange(
                method,
                path,
                headers=headers,
                auth=auth,
                body=body,
                max_answer=max_answer,
                deadline=self.deadline,
                # Without a stored key a POST that got no answer may have done its work: it is not repeated.
                retries=0 if is_token_endpoint or (method == "POST" and not idempotency_key) else 3,
                retried_statuses=self.retried_statuses,
                # A pooled connection may have died unseen, and a request that was never answered is not sent again
                # here: this one gets a connection of its own.
                on_new_connection=is_token_endpoint,
                hear=partial(self._hear, f"{method} {path}"),
            )
        except wire.NoAnswerError as exc:
            observe(
                logger,
                logging.WARNING,
                "mollie_silent",
                "Mollie: %(operation)s got no answer: %(error)s",
                operation=operation,
                seconds=_seconds_since(started_at),
                error=exc.error,
            )
            raise MollieConnectionError(f"Mollie gave no answer ({exc.error}).") from None
        self.was_replayed = _was_replayed(answer)
        observe(
            logger,
            logging.INFO,
            "mollie_answered",
            "Mollie: %(operation)s answered %(status)s",
            operation=operation,
            seconds=_seconds_since(started_at),
            status=answer.status,
            replayed=self.was_replayed,
        )
        return _result(answer)


def _seconds_since(started_at: float) -> float:
    return round(time.monotonic() - started_at, 3)


@sensitive_variables()
def _result(response: Answer) -> dict[str, Any]:
    """The JSON object of a good answer, or the exception that fits a bad one."""
    status = response.status
    was_replayed = _was_replayed(response)
    if status in RETRIED_STATUSES or status >= 500 or status < 200 or 300 <= status < 400:
        raise MollieConnectionError(
            f"Mollie answered {status}.",
            retry_after=read_retry_after(response.headers),
            is_rate_limited=status == 429,
            # A busy answer is never kept at Mollie, an error may be.
            needs_new_key=was_replayed and status not in (409, 429),
        )
    if status == 204:
        return {}
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise MollieConnectionError(
            f"Mollie answered {status} with something that is not a JSON object.",
            needs_new_key=status >= 400 or was_replayed,
        )
    if status < 300:
        return answer
    raise _refusal(status, answer)


def _was_replayed(response: Answer) -> bool:
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


class Bearer:
    """RFC 6750. Handed to requests as auth, so that a .netrc of the machine cannot replace the header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def app_credentials() -> tuple[str, str]:
    # Basic, as the reference says; the server metadata names body credentials only (facts as of 2026-08).
    return conf.MOLLIE_ONBOARDING_CLIENT_ID, conf.MOLLIE_ONBOARDING_CLIENT_SECRET
