"""`rotate_token_keys`: every value ends under the newest key, none is lost, none that nobody can read is touched."""

from __future__ import annotations

import json
import logging
import threading
import tracemalloc
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.fields import Secret, is_on_newest_key
from mollie_onboarding.models import AuthorizationRequest, Organization
from mollie_onboarding.services import batching, rotating

pytestmark = pytest.mark.django_db

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture(autouse=True)
def _old_key(settings):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OLD]


@pytest.fixture
def keys(settings):
    """Change the keys, newest first."""

    def change(*keys: str) -> None:
        settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = keys

    return change


@pytest.fixture
def make_request(make_client_link):
    def make(tokens: str | None = "{}") -> AuthorizationRequest:
        return AuthorizationRequest.objects.create(
            client_link=make_client_link(),
            state_digest=str(AuthorizationRequest.objects.count()),
            expires_at=timezone.now() + timedelta(days=1),
            tokens=None if tokens is None else Secret(tokens),
        )

    return make


def make_organization(number: int = 1, **columns: Any) -> Organization:
    tokens = {"access_token": Secret(f"access_{number}"), "refresh_token": Secret(f"refresh_{number}")}
    return Organization.objects.create(organization_id=f"org_{number}", **{**tokens, **columns})


def stored() -> list[tuple[str | None, ...]]:
    """What is really in the database."""
    rows = []
    with connection.cursor() as cursor:
        for columns, table in (
            ("access_token, refresh_token, pending_revocation", "organization"),
            ("tokens", "authorizationrequest"),
        ):
            cursor.execute(f"SELECT {columns} FROM mollie_onboarding_{table} ORDER BY id")
            rows += cursor.fetchall()
    return rows


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("rotate_token_keys", *arguments, stdout=output)
    return output.getvalue()


def run_and_fail(*arguments: str) -> tuple[str, str]:
    output = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("rotate_token_keys", *arguments, stdout=output)
    assert caught.value.returncode == 1
    return output.getvalue(), str(caught.value)


def test_every_column_is_rotated(make_request, keys):
    organization = make_organization()
    make_organization(2, access_token=None, refresh_token=None, pending_revocation=Secret("revoke_2"))
    request = make_request("{tokens}")
    keys(NEW, OLD)

    assert run() == "4 re-encrypted, 0 already on the newest key, 0 unreadable.\n"

    keys(NEW)
    assert all(is_on_newest_key(value) for row in stored() for value in row if value)
    organization.refresh_from_db()
    request.refresh_from_db()
    assert organization.access_token == Secret("access_1")
    assert organization.refresh_token == Secret("refresh_1")
    assert organization.pending_revocation is None
    assert Organization.objects.get(organization_id="org_2").pending_revocation == Secret("revoke_2")
    assert request.tokens == Secret("{tokens}")


def test_nothing_stored(make_request):
    make_request(None)
    make_organization(access_token=None, refresh_token=None)

    assert run() == "0 re-encrypted, 0 already on the newest key, 0 unreadable.\n"


def test_second_run_changes_nothing(make_request, keys):
    make_organization()
    make_request()
    keys(NEW, OLD)
    run()
    before = stored()

    assert run() == "0 re-encrypted, 3 already on the newest key, 0 unreadable.\n"

    assert stored() == before


def test_only_what_needs_it_is_written(keys):
    make_organization()
    keys(NEW, OLD)
    Organization.objects.update(access_token=Secret("access_newer"))
    [(access_token, refresh_token, _)] = stored()

    assert run() == "1 re-encrypted, 1 already on the newest key, 0 unreadable.\n"

    assert stored()[0][0] == access_token
    assert stored()[0][1] != refresh_token


def test_no_other_column_is_written(make_request, keys):
    make_organization()
    make_request()
    keys(NEW, OLD)

    def columns() -> list[Any]:
        rows = [*Organization.objects.values(), *AuthorizationRequest.objects.values()]
        return [{name: value for name, value in row.items() if not isinstance(value, Secret)} for row in rows]

    before = columns()
    run()

    assert columns() == before


def test_dry_run_changes_nothing(make_request, keys):
    make_organization()
    make_request()
    keys(NEW, OLD)
    Organization.objects.update(access_token=Secret("access_newer"))
    before = stored()

    with CaptureQueriesContext(connection) as captured:
        summary = run("--dry-run")

    assert summary == "2 to re-encrypt, 1 already on the newest key, 0 unreadable, nothing done (dry run).\n"
    assert stored() == before
    assert all(query["sql"].startswith("SELECT") for query in captured.captured_queries)


def test_json(keys):
    make_organization()
    keys(NEW, OLD)

    figures = {"rotated": 2, "current": 0, "unreadable": 0, "unreadable_rows": [], "ok": True}
    assert json.loads(run("--json", "--dry-run")) == {**figures, "dry_run": True}
    assert json.loads(run("--json")) == {**figures, "dry_run": False}


# What no key fits


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_unreadable_values_are_named_and_left(make_request, keys, caplog, arguments):
    keys(LOST)
    make_organization(1)
    lost = make_request("{lost}")
    keys(OLD)
    make_organization(2)
    make_request()
    keys(NEW, OLD)
    before = stored()

    summary, error = run_and_fail(*arguments)

    assert summary.startswith("3 re-encrypted, " if not arguments else "3 to re-encrypt, ")
    assert "3 unreadable" in summary
    assert f": org_1, authorization request {lost.pk}. " in error
    assert caplog.messages == [
        "No key fits access_token of org_1.",
        "No key fits refresh_token of org_1.",
        f"No key fits tokens of authorization request {lost.pk}.",
    ]
    after = stored()
    assert (after[0], after[2]) == (before[0], before[2])
    keys(LOST)
    assert Organization.objects.get(organization_id="org_1").access_token == Secret("access_1")


def test_unreadable_column_beside_a_readable_one(keys):
    make_organization()
    keys(LOST)
    Organization.objects.update(refresh_token=Secret("refresh_lost"))
    keys(NEW, OLD)

    summary, error = run_and_fail()

    assert summary == "1 re-encrypted, 0 already on the newest key, 1 unreadable.\n"
    assert error.count("org_1") == 1
    assert "refresh_lost" not in error


@pytest.mark.parametrize("value", ["", "access_in_clear", "fernet1$", "fernet1$€", "fernet1$x", "fernet2$x"])
def test_unreadable_forms(value, keys):
    make_organization(refresh_token=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mollie_onboarding_organization SET access_token = %s", [value])
    keys(NEW, OLD)

    summary, _ = run_and_fail()

    assert summary.endswith("1 unreadable.\n")
    assert stored() == [(value, None, None)]


def test_unreadable_rows_are_named_up_to_a_number(keys, monkeypatch, caplog):
    monkeypatch.setattr(rotating, "MAX_NAMED", 2)
    for number in range(4):
        make_organization(number)
    keys(NEW)

    output, error = run_and_fail("--json")

    assert json.loads(output)["unreadable"] == 8
    assert json.loads(output)["unreadable_rows"] == ["org_0", "org_1"]
    assert "org_0, org_1." in error
    assert "org_3" in caplog.text


def test_no_token_is_shown(keys, caplog):
    caplog.set_level(logging.DEBUG)
    make_organization()
    keys(LOST)
    make_organization(2)
    keys(NEW, OLD)
    values = [value for row in stored() for value in row if value]

    shown = "".join([*run_and_fail(), *run_and_fail("--json")])

    for secret in [*values, "access_1", "access_2", "refresh_1", "refresh_2", OLD, NEW, LOST]:
        assert secret not in shown + caplog.text


@pytest.mark.parametrize("bad", [[], ["no-key"], [NEW, "no-key"]])
def test_keys_that_cannot_be_used(keys, bad):
    make_organization()
    before = stored()
    keys(*bad)

    with pytest.raises(ImproperlyConfigured):
        run()

    assert stored() == before


# Batches, interruptions, other processes


@pytest.fixture
def _small_batches(monkeypatch):
    monkeypatch.setattr(batching, "BATCH_SIZE", 2)


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_batches(keys, count):
    for number in range(count):
        make_organization(number)
    keys(NEW, OLD)

    assert run() == f"{2 * count} re-encrypted, 0 already on the newest key, 0 unreadable.\n"
    assert run() == f"0 re-encrypted, {2 * count} already on the newest key, 0 unreadable.\n"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_small_batches")
def test_interrupted_run_is_finished_by_the_next(keys, monkeypatch):
    for number in range(6):
        make_organization(number)
    keys(NEW, OLD)
    encrypted = []

    def interrupt(secret: Secret) -> str:
        encrypted.append(secret)
        if (
            len(encrypted) == 11
        ):  # two values of two rows are looked at, then written: within the second batch
            raise KeyboardInterrupt
        return original(secret)

    original = Secret.to_stored
    with monkeypatch.context() as patch:
        patch.setattr(rotating.Secret, "to_stored", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run()

    rotation = services.rotate_token_keys()
    assert (rotation.rotated, rotation.current) == (8, 4)
    keys(NEW)
    assert Organization.objects.get(organization_id="org_5").refresh_token == Secret("refresh_5")


def test_refresh_between_selection_and_lock_is_not_overwritten(keys, monkeypatch):
    make_organization()
    keys(NEW, OLD)
    original = rotating._rotate_batch

    def refreshed_before(*arguments: Any) -> None:
        keys(OLD)  # by a process that knows only the old key
        Organization.objects.update(access_token=Secret("access_fresh"), token_version=5)
        keys(NEW, OLD)
        original(*arguments)

    monkeypatch.setattr(rotating, "_rotate_batch", refreshed_before)
    run()

    keys(NEW)
    row = Organization.objects.get()
    assert row.access_token == Secret("access_fresh")
    assert row.token_version == 5


@pytest.mark.django_db(transaction=True)
def test_refresh_between_read_and_write_waits(keys, monkeypatch):
    """A refresh in another process, at the worst moment: it is written after the old value, never before."""
    row = make_organization()
    keys(NEW, OLD)
    order = []

    def refresh() -> None:
        try:
            Organization.objects.filter(pk=row.pk, token_version=0).update(
                access_token=Secret("access_fresh"), token_version=1
            )
            order.append("refreshed")
        finally:
            connections.close_all()

    thread = threading.Thread(target=refresh)
    original = rotating._renewed

    def read_then_refresh(*arguments: Any) -> Any:
        renewed = original(*arguments)
        thread.start()
        thread.join(timeout=0.3)
        order.append("written")
        return renewed

    monkeypatch.setattr(rotating, "_renewed", read_then_refresh)
    summary = run()
    thread.join()

    assert summary.startswith("2 re-encrypted")
    assert order == ["written", "refreshed"]
    row.refresh_from_db()
    assert row.access_token == Secret("access_fresh")
    assert row.refresh_token == Secret("refresh_1")
    assert row.token_version == 1


def test_row_that_is_deleted_meanwhile(keys, monkeypatch):
    make_organization()
    keys(NEW, OLD)
    original = rotating._rotate_batch

    def deleted_before(*arguments: Any) -> None:
        Organization.objects.all().delete()
        original(*arguments)

    monkeypatch.setattr(rotating, "_rotate_batch", deleted_before)

    assert run().startswith("0 re-encrypted, 0 already")


def test_memory_is_flat(keys):
    def make_many(start: int, stop: int) -> None:
        token = Secret("x" * 2000)
        rows = [Organization(organization_id=f"org_{n}", access_token=token) for n in range(start, stop)]
        Organization.objects.bulk_create(rows, batch_size=100)

    def peak() -> int:
        tracemalloc.start()
        services.rotate_token_keys(dry_run=True)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    make_many(0, 400)
    peak()
    few = peak()
    make_many(400, 2000)

    assert peak() < 1.5 * few
