from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from django.utils.translation.reloader import translation_file_changed

from mollie_onboarding import services, signals
from mollie_onboarding.models import ClientLink, SendKind
from mollie_onboarding.sandbox import service as sandbox_service
from mollie_onboarding.testing import MERCHANT, sandbox_mollie

pytest_plugins = ["mollie_onboarding.testing.fixtures"]

LOCALE = Path(__file__).parent.parent / "mollie_onboarding" / "locale"

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="session")
def _catalogues() -> None:
    """The catalogues as Django reads them. An installation compiles them; a checkout may have none, or old ones."""
    for source in LOCALE.glob("*/LC_MESSAGES/*.po"):
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            with source.open("rb") as catalogue, compiled.open("wb") as file:
                write_mo(file, read_po(catalogue))
            translation_file_changed(sender=None, file_path=compiled)  # Django forgets what it has read


@pytest.fixture(autouse=True, scope="session")
def _rows_are_deleted() -> Iterator[None]:
    """After a test that commits. Django truncates, for which PostgreSQL makes the files of all tables anew: most of a second."""

    def sql_flush(operations: Any, style: Any, tables: list[str], **options: Any) -> list[str]:
        assert not options.get("reset_sequences"), "a DELETE resets none"
        return [f"DELETE FROM {operations.quote_name(table)}" for table in tables]

    with pytest.MonkeyPatch.context() as patch:
        if connection.vendor == "postgresql":
            patch.setattr(type(connection.ops), "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """Whatever language a visitor of the test before spoke."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def sandbox(db: None) -> Iterator[Any]:
    """Mollie's sandbox, in this process: the switches and the memory of it."""
    with sandbox_mollie():
        yield sandbox_service


@pytest.fixture
def make_client_link(db: None) -> Any:
    """A saved client link; keywords replace columns, lifecycle columns included."""

    def make(**columns: Any) -> ClientLink:
        row = ClientLink(**{**MERCHANT, **columns})
        row.save()
        return reread(row)

    return make


@pytest.fixture
def queued(make_client_link: Any) -> Any:
    """A row whose mail is requested and not sent."""

    def make(kind: SendKind = SendKind.INVITATION, **columns: Any) -> ClientLink:
        row: ClientLink = make_client_link(**columns)
        assert services.request_sending(row, kind=kind)
        row.refresh_from_db()
        return row

    return make


@pytest.fixture
def clock(time_machine: Any) -> Any:
    """Noon, until a test moves it."""
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def workers(settings: Any) -> None:
    """Tasks that wait for a worker; none runs."""
    package = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}


@pytest.fixture
def atomic_requests(monkeypatch: Any) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.fixture
def count() -> Any:
    """Runs a function and gives its result and the statements it took; those of transactions do not count."""

    def count(function: Any) -> tuple[Any, list[str]]:
        with CaptureQueriesContext(connection) as captured:
            result = function()
        statements = [
            query["sql"]
            for query in captured.captured_queries
            if not query["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET"))
        ]
        return result, statements

    return count


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the platform heard of changes of the onboarding status."""
    heard: list[dict[str, Any]] = []

    def receive(**arguments: Any) -> None:
        heard.append(arguments)

    signals.onboarding_status_changed.connect(receive)
    yield heard
    signals.onboarding_status_changed.disconnect(receive)


@pytest.fixture
def operator(db: None) -> Any:
    return get_user_model().objects.create_superuser("operator", "operator@shopwise.example", "secret")


@pytest.fixture
def staff(operator: Any) -> Client:
    """An operator who may do everything, with a browser that minds its CSRF cookies."""
    return log_in(operator)


@pytest.fixture
def browser() -> Client:
    """A merchant's browser, over https, that minds its CSRF cookies."""
    return Browser(enforce_csrf_checks=True)


class Browser(Client):
    """The test client, doing what a browser does on our pages."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "SERVER_NAME": "platform.example",
                "HTTP_REFERER": "https://platform.example/",
                "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.9",
                **kwargs,
            }
        )

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        # What waits for a commit runs after the request, as it would outside of a test's transaction.
        with TestCase.captureOnCommitCallbacks(execute=True):
            return super().generic(*args, **{**kwargs, "secure": True})

    def submit(self, path: str, **fields: Any) -> Any:
        """Open the page, fill in its form, press a button."""
        page = self.get(path)
        hidden = dict(
            re.findall(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', page.content.decode())
        )
        return self.post(path, {**hidden, **fields})

    def press(self, client_link: ClientLink, **fields: Any) -> Any:
        """Open the merchant page and press its button."""
        return self.submit(client_link.merchant_path(), **fields)

    def come_back(self, callback_url: str) -> Any:
        """Follow Mollie's redirect."""
        parts = urlsplit(callback_url)
        return self.get(f"{parts.path}?{parts.query}")


def log_in(user: Any) -> Client:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    return browser


def reread(row: ClientLink) -> ClientLink:
    """The row as it is now, with its organization."""
    return ClientLink.objects.select_related("organization").get(pk=row.pk)


def kinds(row: ClientLink) -> list[str]:
    """The history of the row."""
    return [event.kind for event in row.events.order_by("pk")]


def authorization_url(response: Any) -> str:
    """Where the page of a response moves on to."""
    match = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', response.content.decode())
    assert match, response.content.decode()
    return match[1].replace("&amp;", "&")


def page_status(response: Any) -> str:
    """The state that a page shows to machines."""
    match = re.search(r'<main data-status="([^"]*)">', response.content.decode())
    assert match, response.content.decode()
    return match[1]


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]
