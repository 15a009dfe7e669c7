from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.conf import conf
from mollie_onboarding.sandbox.models import CallWindow, SandboxClientLink
from tests.threads import in_threads

from .conftest import Api

pytestmark = pytest.mark.django_db(databases=["mollie_sandbox"])


@pytest.fixture(autouse=True)
def _limited(sandbox_settings: Any) -> None:
    sandbox_settings.MOLLIE_SANDBOX_RATE_LIMIT = "3/2"


@pytest.mark.parametrize("limit", [None, ""])
def test_no_limit(settings: Any, limit: Any) -> None:
    settings.MOLLIE_SANDBOX_RATE_LIMIT = limit
    assert conf.rate_limit is None


def test_every_answer_names_what_is_left(api: Api, clock: Any) -> None:
    answers = (api.create(), api.create("["), api.create(token="wrong"))

    assert [answer.status_code for answer in answers] == [201, 400, 401]
    assert [answer["RateLimit"] for answer in answers] == [
        f'"client_links";r={left};t=2' for left in (2, 1, 0)
    ]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"client_links";q=3;w=2;mollie-burst=3'}
    assert not any("Retry-After" in answer for answer in answers)


def test_call_beyond_the_limit_is_refused_before_anything_is_done(api: Api, clock: Any) -> None:
    for _ in range(3):
        api.create()
    service.add_fault("client_links", "server_error")
    clock.shift(timedelta(seconds=0.5))

    answer = api.create(key="4")

    assert answer.status_code == 429
    assert answer.json()["detail"].startswith("You have exceeded the rate limit")
    assert (answer["Retry-After"], answer["RateLimit"]) == (
        "2",
        '"client_links";r=0;t=2',
    )  # 1.5 s, rounded up
    assert [call.status for call in service.calls()] == [201, 201, 201, 429]
    assert SandboxClientLink.objects.count() == 3
    clock.shift(timedelta(seconds=1.5))
    assert api.create(key="4").status_code == 500  # the fault was not drawn by the call that was refused


def test_next_window_begins_with_its_first_call(api: Api, clock: Any) -> None:
    for _ in range(4):
        api.create()
    clock.shift(timedelta(seconds=7))

    answer = api.create()

    assert (answer.status_code, answer["RateLimit"]) == (201, '"client_links";r=2;t=2')


def test_each_operation_has_a_limit_of_its_own(api: Api, clock: Any) -> None:
    for _ in range(4):
        api.create()

    answer = api.get("/v2/permissions")

    assert (answer.status_code, answer["RateLimit"]) == (200, '"permissions";r=2;t=2')


def test_fault_carries_the_headers_too(api: Api, clock: Any) -> None:
    service.add_fault("client_links", "rate_limited", retry_after=30)

    answer = api.create()

    assert (answer.status_code, answer["Retry-After"], answer["RateLimit"]) == (
        429,
        "30",
        '"client_links";r=2;t=2',
    )


def test_reset_forgets_the_window(api: Api, clock: Any) -> None:
    for _ in range(4):
        api.create()
    service.reset()

    assert api.create().status_code == 201


@pytest.mark.django_db(databases=["mollie_sandbox"], transaction=True)
def test_callers_at_once_are_counted_one_by_one(api: Api, clock: Any) -> None:
    statuses = in_threads(8, lambda: api.create().status_code)

    assert sorted(statuses) == [201] * 3 + [429] * 5


def test_window_names_its_operation_and_how_often_it_was_called() -> None:
    assert str(CallWindow(operation="tokens", count=2)) == "tokens: 2"
