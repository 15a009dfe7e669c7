"""One merchant, one live client link at Mollie: through retries, crashes, edits and second processes."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections, transaction
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import (
    ClientLinkUnusableError,
    CreationInProgressError,
    IdempotencyKeyReusedError,
    MollieConnectionError,
    MollieResponseError,
)
from mollie_onboarding.models import ClientLink, Event, Organization, Status
from mollie_onboarding.mollie_api import CreatedClientLink, MollieAPI, api
from mollie_onboarding.sandbox.models import SandboxClientLink
from mollie_onboarding.services import creation

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch):
    monkeypatch.setattr(creation, "WAIT_FOR_OTHERS", 0.05)
    monkeypatch.setattr(creation, "POLL_INTERVAL", 0.01)


def keys(sandbox) -> list[str]:
    return [call.idempotency_key for call in sandbox.calls("client_links")]


def test_create_makes_a_draft_ready(sandbox, make_client_link):
    row = services.create_client_link(make_client_link())

    assert row.status == Status.READY
    assert row.mollie_id.startswith(("cl_", "csr_"))
    assert row.url.endswith(row.mollie_id)
    assert (row.idempotency_key, row.issuing_until) == ("", None)
    assert row.expires_at == row.attempt_started_at + timedelta(days=30)
    assert row.has_usable_url(timezone.now())
    assert Event.objects.get().kind == "ready"


def test_create_again_calls_nobody(sandbox, make_client_link):
    row = services.create_client_link(make_client_link())
    again = services.create_client_link(row)
    assert again.url == row.url
    assert len(keys(sandbox)) == 1


def test_create_with_a_stale_row_calls_nobody(sandbox, make_client_link):
    stale = make_client_link()
    row = services.create_client_link(ClientLink.objects.get())
    assert services.create_client_link(stale).url == row.url
    assert len(keys(sandbox)) == 1
    assert ClientLink.objects.get().issuing_until is None


@pytest.mark.parametrize(
    "kind", ["lose_answer", "not_json", "drop_before", "server_error", "unavailable_html"]
)
def test_lessons_28_create_after_a_lost_answer_takes_the_same_key_and_link(sandbox, make_client_link, kind):
    sandbox.add_fault("client_links", kind)
    row = make_client_link()
    with pytest.raises(MollieConnectionError):
        services.create_client_link(row)
    row.refresh_from_db()
    assert row.status == Status.DRAFT
    assert row.error_detail
    assert row.issuing_until is None

    row = services.create_client_link(row)

    first, second = keys(sandbox)
    assert first == second
    assert row.error_detail == ""
    # What Mollie made on the way is what the merchant gets: there is no second one.
    assert SandboxClientLink.objects.count() == 1


def test_create_over_an_hour_later_takes_a_new_key(sandbox, make_client_link):
    sandbox.add_fault("client_links", "lose_answer")
    row = make_client_link()
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        with pytest.raises(MollieConnectionError):
            services.create_client_link(row)
        traveller.shift(timedelta(minutes=55))
        row = services.create_client_link(row)
    first, second = keys(sandbox)
    assert first != second


def test_create_just_under_the_hour_keeps_the_key(sandbox, make_client_link):
    sandbox.add_fault("client_links", "lose_answer")
    row = make_client_link()
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        with pytest.raises(MollieConnectionError):
            services.create_client_link(row)
        traveller.shift(timedelta(minutes=54))
        row = services.create_client_link(row)
        # Thirty days from the sending: a repeated answer does not make the link younger.
        assert row.expires_at == timezone.now() - timedelta(minutes=54) + timedelta(days=30)
    first, second = keys(sandbox)
    assert first == second


def test_create_after_an_error_that_was_replayed_takes_a_new_key(sandbox, make_client_link):
    sandbox.add_fault("client_links", "replayed_error", status=500)
    row = make_client_link()
    for _ in range(2):  # the second answer comes out of Mollie's memory
        with pytest.raises(MollieConnectionError):
            services.create_client_link(row)
    row = services.create_client_link(row)
    first, second, third = keys(sandbox)
    assert first == second != third


def test_create_with_a_host_that_is_not_allowed_takes_a_new_key_only_when_it_comes_again(
    sandbox, make_client_link
):
    # The second answer comes out of Mollie's memory: the first might have been spoilt on the way.
    sandbox.add_fault("client_links", "wrong_host", times=2, host="evil.example")
    row = make_client_link()
    for _ in range(2):
        with pytest.raises(MollieConnectionError, match="LINK_HOSTS"):
            services.create_client_link(row)
        row.refresh_from_db()
        assert (row.status, row.url) == (Status.DRAFT, "")
    services.create_client_link(row)
    first, second, third = keys(sandbox)
    assert first == second != third


def test_create_after_an_answer_that_was_spoilt_on_the_way_leaves_one_client_link(
    sandbox, make_client_link, monkeypatch
):
    def spoil(answer: object, name: str) -> str:
        monkeypatch.undo()
        return "https://my.mollie.example/elsewhere"

    monkeypatch.setattr(api, "get_href", spoil)
    row = make_client_link()
    with pytest.raises(MollieConnectionError, match="LINK_HOSTS"):
        services.create_client_link(row)
    assert services.create_client_link(row).mollie_id == SandboxClientLink.objects.get().pk


def test_create_with_other_data_takes_a_new_key(sandbox, make_client_link):
    sandbox.add_fault("client_links", "lose_answer")
    row = make_client_link()
    with pytest.raises(MollieConnectionError):
        services.create_client_link(row)
    row = ClientLink.objects.get()
    row.city = "Utrecht"
    row.save()
    services.create_client_link(row)
    first, second = keys(sandbox)
    assert first != second


def test_create_keeps_mollies_refusal(sandbox, make_client_link):
    sandbox.add_fault("client_links", "validation", field="registrationNumber", detail="Unknown number.")
    row = make_client_link()
    with pytest.raises(MollieResponseError):
        services.create_client_link(row)
    row.refresh_from_db()
    assert row.status == Status.REJECTED
    assert (row.error_status, row.error_field, row.error_detail) == (
        422,
        "registrationNumber",
        "Unknown number.",
    )
    assert (row.idempotency_key, row.issuing_until) == ("", None)
    [event] = Event.objects.all()
    assert (event.kind, event.data) == ("rejected", {"status": 422, "field": "registrationNumber"})

    with pytest.raises(ClientLinkUnusableError):
        services.create_client_link(row)
    assert len(keys(sandbox)) == 1


def test_rejected_row_can_be_asked_again_by_an_operator(sandbox, make_client_link, operator):
    sandbox.add_fault("client_links", "validation", field="name", detail="Suspended.")
    row = make_client_link()
    with pytest.raises(MollieResponseError):
        services.create_client_link(row)
    row = services.retry_rejected(row, actor=operator)
    assert (row.status, row.error_status) == (Status.DRAFT, None)
    assert services.create_client_link(row).status == Status.READY
    first, second = keys(sandbox)
    assert first != second
    assert Event.objects.get(kind="retried").actor == operator


def test_second_operator_who_saw_the_refusal_takes_no_live_link_away(sandbox, make_client_link, operator):
    sandbox.add_fault("client_links", "validation", field="name", detail="Suspended.")
    row = make_client_link()
    with pytest.raises(MollieResponseError):
        services.create_client_link(row)
    as_seen = [ClientLink.objects.get(), ClientLink.objects.get()]
    link = services.create_client_link(services.retry_rejected(as_seen[0], actor=operator))

    row = services.retry_rejected(as_seen[1], actor=operator)

    assert services.create_client_link(row).url == row.url == link.url
    assert Event.objects.filter(kind="retried").count() == 1
    assert SandboxClientLink.objects.count() == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusal_of_the_platform_leaves_the_data_alone(sandbox, make_client_link, status, caplog):
    body = {"status": status, "title": "No", "detail": "Not you.", "_links": {}}
    sandbox.add_fault("client_links", "status", status=status, body=body)
    row = make_client_link()
    with pytest.raises(MollieResponseError):
        services.create_client_link(row)
    row.refresh_from_db()
    assert (row.status, row.problem) == (Status.DRAFT, ClientLink.Problem.MOLLIE_REFUSED)
    assert (row.error_status, row.error_detail, row.idempotency_key) == (status, "Not you.", "")
    assert f"refused to make client link {row.pk}" in caplog.text
    ready = services.create_client_link(row)
    assert (ready.status, ready.problem) == (Status.READY, "")


def test_reused_key_is_an_error_of_ours_and_the_next_try_has_another(sandbox, make_client_link):
    body = {
        "status": 400,
        "title": "Bad Request",
        "detail": "The idempotency key was used before.",
        "_links": {},
    }
    sandbox.add_fault("client_links", "status", status=400, body=body)
    row = make_client_link()
    with pytest.raises(IdempotencyKeyReusedError):
        services.create_client_link(row)
    services.create_client_link(row)
    first, second = keys(sandbox)
    assert first != second


def test_link_is_renewed_when_less_than_a_visit_remains(sandbox, make_client_link):
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        row = services.create_client_link(make_client_link())
        first = row.mollie_id
        traveller.shift(timedelta(days=29))
        assert services.create_client_link(row).mollie_id == first
        traveller.shift(timedelta(seconds=1))
        row = services.create_client_link(row)
        assert row.mollie_id != first
        assert row.status == Status.READY
    assert [event.kind for event in Event.objects.order_by("pk")] == ["ready", "renewed"]


@pytest.mark.parametrize("status", [Status.STARTED, Status.DECLINED])
def test_renewal_leaves_the_status_alone(sandbox, make_client_link, status):
    row = services.create_client_link(make_client_link(status=status))
    assert row.status == status
    assert row.url


def test_renewal_that_is_refused_after_a_denial_keeps_the_reason(sandbox, make_client_link):
    sandbox.add_fault("client_links", "validation", field="name", detail="No.")
    row = make_client_link(status=Status.DECLINED)
    with pytest.raises(MollieResponseError):
        services.create_client_link(row)
    row.refresh_from_db()
    # There is no move from declined to rejected; the operator sees it all the same.
    assert (row.status, row.problem, row.error_detail) == (Status.DECLINED, "mollie_refused", "No.")


@pytest.mark.parametrize("status", [Status.CONNECTED, Status.CANCELLED, Status.REJECTED])
def test_create_refuses_a_row_that_goes_nowhere(sandbox, make_client_link, status):
    organization = Organization.objects.create(organization_id="org_1")
    with pytest.raises(ClientLinkUnusableError):
        services.create_client_link(make_client_link(status=status, organization=organization))
    assert not keys(sandbox)


def test_create_waits_for_another_process_and_takes_its_link(sandbox, make_client_link, monkeypatch):
    row = make_client_link()
    ClientLink.objects.claim_issuing(row.pk, timezone.now())

    def other_process_finishes(seconds: float) -> None:
        ClientLink.objects.update(issuing_until=None)
        services.create_client_link(ClientLink.objects.get())

    monkeypatch.setattr(creation.time, "sleep", other_process_finishes)
    assert services.create_client_link(row).url
    assert len(keys(sandbox)) == 1


def test_create_gives_up_waiting(sandbox, make_client_link):
    row = make_client_link()
    ClientLink.objects.claim_issuing(row.pk, timezone.now())
    with pytest.raises(CreationInProgressError):
        services.create_client_link(row)
    assert not keys(sandbox)


def test_claim_of_a_dead_process_is_taken_over_with_its_key(sandbox, make_client_link):
    row = make_client_link()
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        sandbox.add_fault("client_links", "lose_answer")
        with pytest.raises(MollieConnectionError):
            services.create_client_link(row)
        # As if killed before it could free the claim.
        ClientLink.objects.update(issuing_until=timezone.now() + timedelta(seconds=60))
        with pytest.raises(CreationInProgressError):
            services.create_client_link(row)
        traveller.shift(timedelta(seconds=61))
        services.create_client_link(ClientLink.objects.get())
    first, second = keys(sandbox)
    assert first == second


def test_both_of_two_processes_under_one_key_get_the_one_link(sandbox, make_client_link, monkeypatch):
    """The first was so slow that its claim ran out; the second repeated its key and stored the answer."""
    row = make_client_link()
    call = MollieAPI.create_client_link

    def slow(self, data, *, idempotency_key):
        monkeypatch.setattr(MollieAPI, "create_client_link", call)
        ClientLink.objects.update(issuing_until=timezone.now() - timedelta(seconds=1))
        services.create_client_link(ClientLink.objects.get())
        return call(self, data, idempotency_key=idempotency_key)

    monkeypatch.setattr(MollieAPI, "create_client_link", slow)
    stored = services.create_client_link(row)
    assert stored.url == ClientLink.objects.get().url
    first, second = keys(sandbox)
    assert first == second
    assert Event.objects.filter(kind="ready").count() == 1


@pytest.mark.parametrize("change", ["edit", "cancel"])
def test_link_made_from_old_data_is_not_handed_out(sandbox, make_client_link, monkeypatch, change):
    row = make_client_link()

    def meanwhile(self, data, *, idempotency_key):
        current = ClientLink.objects.get()
        if change == "edit":
            current.city = "Utrecht"
            current.save()
        else:
            services.cancel_client_link(current)
        return CreatedClientLink("cl_old", "https://my.mollie.com/dashboard/client-link/cl_old")

    monkeypatch.setattr(MollieAPI, "create_client_link", meanwhile)
    with pytest.raises(CreationInProgressError):
        services.create_client_link(row)
    row.refresh_from_db()
    assert (row.url, row.mollie_id) == ("", None)
    assert row.status == (Status.DRAFT if change == "edit" else Status.CANCELLED)


def test_edit_between_claim_and_attempt_stops_the_attempt(sandbox, make_client_link, monkeypatch):
    row = make_client_link()
    load = creation._load

    def edited_after(pk):
        loaded = load(pk)
        current = ClientLink.objects.get()
        current.city = "Utrecht"
        current.save()
        return loaded

    monkeypatch.setattr(creation, "_load", edited_after)
    with pytest.raises(CreationInProgressError):
        services.create_client_link(row)
    assert not keys(sandbox)


def test_replacement_is_made_once_a_day(sandbox, make_client_link):
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as traveller:
        row = services.create_client_link(make_client_link())
        assert services.replace_client_link(row)
        second = services.create_client_link(ClientLink.objects.get())
        assert second.mollie_id != row.mollie_id
        assert not services.replace_client_link(second)
        assert ClientLink.objects.get().url == second.url
        traveller.shift(timedelta(days=1))
        assert services.replace_client_link(second)
    assert Event.objects.filter(kind="replacement_requested").count() == 2


def test_replacement_is_not_made_for_a_finished_row(make_client_link):
    assert not services.replace_client_link(make_client_link(status=Status.CANCELLED))


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_create_refuses_to_run_in_a_transaction(sandbox, make_client_link):
    row = make_client_link()
    with pytest.raises(RuntimeError), transaction.atomic():
        services.create_client_link(row)
    assert not keys(sandbox)


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_ten_threads_make_one_client_link(sandbox, make_client_link, monkeypatch):
    monkeypatch.setattr(creation, "WAIT_FOR_OTHERS", 10)
    row = make_client_link()
    sandbox.add_fault("client_links", "slow", seconds=0.1)
    urls: list[str] = []
    barrier = threading.Barrier(10)

    def press() -> None:
        try:
            barrier.wait()
            urls.append(services.create_client_link(ClientLink.objects.get(pk=row.pk)).url)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(urls) == 10
    assert len(set(urls)) == 1
    assert len(keys(sandbox)) == 1


def test_link_to_a_host_that_is_no_longer_allowed_is_replaced(sandbox, make_client_link, settings):
    row = services.create_client_link(make_client_link())
    ClientLink.objects.update(url="https://old.mollie.com/dashboard/client-link/x")
    again = services.create_client_link(ClientLink.objects.get())
    assert again.url.startswith("https://my.mollie.com/")
    assert again.mollie_id != row.mollie_id


def test_edit_between_claim_and_reading_stops_the_attempt(sandbox, make_client_link, monkeypatch):
    row = make_client_link()
    load = creation._load

    def edited_before(pk):
        current = ClientLink.objects.get()
        current.city = "Utrecht"
        current.save()
        return load(pk)

    monkeypatch.setattr(creation, "_load", edited_before)
    with pytest.raises(CreationInProgressError):
        services.create_client_link(row)
    assert not keys(sandbox)


def test_row_cancelled_elsewhere_is_not_sent_to_mollie(sandbox, make_client_link):
    stale = make_client_link()
    services.cancel_client_link(stale)
    with pytest.raises(ClientLinkUnusableError):
        services.create_client_link(stale)
    assert not keys(sandbox)


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_clicks_at_once_do_not_wait_for_each_other(sandbox, make_client_link):
    """Two clicks on a row that is ready: each moves it and inserts its request. Deadlocks would be raised here."""
    for _ in range(10):
        row = services.create_client_link(make_client_link())
        errors: list[Exception] = []
        barrier = threading.Barrier(4)

        def press(row: ClientLink = row, errors: list[Exception] = errors, barrier: Any = barrier) -> None:
            try:
                barrier.wait()
                services.start_authorization(row, browser_secret="")
            except Exception as exc:
                errors.append(exc)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=press) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
