"""A whole life with every secret known: none of them is in the database, a log, the admin, a mail, a repr or a report."""

from __future__ import annotations

import logging
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.dispatch import Signal
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.debug import ExceptionReporter

from mollie_onboarding import services, signals, tasks
from mollie_onboarding.exceptions import MollieError, NotConnectedError
from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization
from mollie_onboarding.sandbox.models import Authorization as SandboxAuthorization
from mollie_onboarding.sandbox.models import Token as SandboxToken
from mollie_onboarding.services import tokens
from mollie_onboarding.state import cookie_name
from tests.conftest import MERCHANT, Browser, authorization_url, state_of
from tests.test_tokens import expire

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


class Life:
    """One merchant from the first click to the last call, with everything that happens on the way."""

    def __init__(self, sandbox: Any, settings: Any, make_client_link: Any) -> None:
        self.sandbox = sandbox
        self.row: ClientLink = make_client_link()
        self.browser = Browser()
        self.secrets = {
            settings.MOLLIE_ONBOARDING_CLIENT_SECRET,
            settings.MOLLIE_ONBOARDING_ACCESS_TOKEN,
            *settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS,
        }

    def live(self) -> None:
        self.sandbox.set_switch("rotate_refresh_tokens", True)
        services.request_sending(self.row)
        services.send_onboarding_link(self.row.pk)
        self.visit("deny")
        self.visit("allow")
        organization = self.organization
        expire(organization)
        services.get_access_token(organization)
        self.sandbox.move_onboarding(organization.organization_id, "in-review", False, False)
        services.check_onboarding_status(organization)
        self.refresh_through_a_fault()
        self.lose_and_connect_again()
        call_command("sync_onboarding_status")
        call_command("check_mollie")
        call_command("rotate_token_keys")
        self.connect_and_stop_before_the_end()
        self.collect()

    def end(self) -> None:
        self.sandbox.add_fault("revoke", "server_error", times=9)
        services.disconnect(self.organization)
        services.revoke_pending()
        with pytest.raises(NotConnectedError):
            services.get_access_token(self.organization)
        self.collect()

    @property
    def organization(self) -> Organization:
        return Organization.objects.get()

    def visit(self, decision: str) -> str:
        url = authorization_url(self.browser.press(self.row))
        organization = Organization.objects.first()
        organization_id = organization.organization_id if organization else None
        callback = self.sandbox.visit(url, decision=decision, organization_id=organization_id)
        self.secrets |= {state_of(url), self.browser.cookies[cookie_name()].value}
        self.browser.come_back(callback)
        return callback

    def connect_and_stop_before_the_end(self) -> None:
        """Committed tokens of a request that is not connected yet: Mollie does not say whose they are."""
        Organization.objects.update(connection_status="lost")
        self.sandbox.add_fault("organization", "server_error", times=9)
        self.visit("allow")
        self.sandbox.clear_faults()
        Organization.objects.update(connection_status="connected")
        assert AuthorizationRequest.objects.filter(tokens__isnull=False).count() == 1

    def refresh_through_a_fault(self) -> None:
        expire(self.organization)
        for kind in ("unavailable_html", "not_json", "lose_answer"):
            self.sandbox.add_fault("refresh", kind)
            with pytest.raises(MollieError):
                services.get_access_token(self.organization)
        services.get_access_token(self.organization)

    def lose_and_connect_again(self) -> None:
        """The merchant takes the access back at Mollie, and a refresh finds out."""
        self.collect()
        self.sandbox.revoke_authorizations(self.organization.organization_id)
        expire(self.organization)
        with pytest.raises(NotConnectedError):
            services.get_access_token(self.organization)
        self.visit("allow")
        assert self.organization.is_connected

    def collect(self) -> None:
        self.secrets |= set(SandboxToken.objects.values_list("value", flat=True))
        self.secrets |= set(SandboxAuthorization.objects.values_list("code", flat=True))

    def assert_absent(self, text: str, where: str) -> None:
        assert len(self.secrets) > 10
        found = [secret for secret in self.secrets if secret in text or quote(secret) in text]
        assert not found, f"{len(found)} secrets in {where}"


@pytest.fixture
def life(sandbox, settings, make_client_link) -> Life:
    return Life(sandbox, settings, make_client_link)


def dump() -> str:
    """Every value of every table of this app, as the database holds it."""
    lines = []
    with connection.cursor() as cursor:
        for model in apps.get_app_config("mollie_onboarding").get_models():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)}")
            lines += [repr(row) for row in cursor.fetchall()]
    return "\n".join(lines)


def test_lessons_22_a_dump_of_the_database_holds_no_secret(life):
    life.live()
    assert "fernet1$" in dump()
    life.assert_absent(dump(), "the database")
    life.end()
    life.assert_absent(dump(), "the database after the end")


def test_lessons_20_no_log_line_holds_a_secret(life, caplog):
    with caplog.at_level(logging.DEBUG):
        life.live()
        life.end()
    assert caplog.records
    life.assert_absent(caplog.text, "the log")
    life.assert_absent(repr([record.__dict__ for record in caplog.records]), "a log record")


SIGNALS = {name: signal for name, signal in vars(signals).items() if isinstance(signal, Signal)}


def readable(value: Any) -> str:
    """What a receiver can read of an argument: of a row all columns that it has, and those of the rows behind it."""
    if not isinstance(value, Model):
        return repr(value)
    behind = " ".join(readable(row) for row in value._state.fields_cache.values())
    return f"{value!r} {value} {vars(value)} {behind}"


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str]]]:
    """What the platform is told by signals: the name, and all arguments."""
    heard: list[tuple[str, str]] = []

    def listen(name: str) -> Callable[..., None]:
        def receive(sender: Any, signal: Signal, **arguments: Any) -> None:
            told = " ".join(f"{key} {readable(value)}" for key, value in arguments.items())
            heard.append((name, f"{sender!r} {told}"))

        return receive

    receivers = {name: listen(name) for name in SIGNALS}
    for name, receive in receivers.items():
        SIGNALS[name].connect(receive)
    yield heard
    for name, receive in receivers.items():
        SIGNALS[name].disconnect(receive)


@pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)
def test_no_mail_task_or_signal_holds_a_secret(life, heard, monkeypatch):
    """With real commits, after which signals are sent and tasks are queued."""
    task_class = type(tasks.send_onboarding_link)
    enqueue = task_class.enqueue
    queued: list[str] = []

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        queued.append(f"{self.name} {args} {kwargs}")
        return enqueue(self, *args, **kwargs)

    monkeypatch.setattr(task_class, "enqueue", spy)
    life.live()
    life.end()
    assert {name for name, _ in heard} == set(SIGNALS)
    life.assert_absent(str(heard), "a signal")
    assert {text.split()[0] for text in queued} == {
        "send_onboarding_link",
        "send_connected_notice",
        "revoke_tokens",
    }
    life.assert_absent(str(queued), "a task")
    assert mail.outbox
    life.assert_absent("\n".join(message.message().as_string() for message in mail.outbox), "a mail")


def test_no_repr_holds_a_secret(life):
    life.live()
    rows = [
        row
        for model in (ClientLink, AuthorizationRequest, Organization, Event)
        for row in model.objects.all()
    ]
    assert len(rows) > 5
    text = "\n".join(f"{row!r} {row} {vars(row)}" for row in rows)
    life.assert_absent(text, "a repr")


def test_no_page_of_the_admin_holds_a_secret(life, admin_client):
    life.live()
    life.end()
    pages = [reverse("admin:index")]
    for name, row in (("clientlink", life.row), ("organization", life.organization)):
        pages += [
            reverse(f"admin:mollie_onboarding_{name}_changelist"),
            reverse(f"admin:mollie_onboarding_{name}_change", args=[row.pk]),
            reverse(f"admin:mollie_onboarding_{name}_history", args=[row.pk]),
        ]
    for page in pages:
        response = admin_client.get(page)
        assert response.status_code == 200, page
        life.assert_absent(response.content.decode(), page)


def files_of(browser: Client) -> dict[str, str]:
    """Whatever leaves the admin as a file, as text."""
    found = {}
    for chosen in ("csv", "xlsx"):
        response = browser.post(reverse("admin:mollie_onboarding_clientlink_export"), {"format": chosen})
        content = b"".join(response)
        if chosen == "xlsx":
            with zipfile.ZipFile(BytesIO(content)) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
        found[chosen] = content.decode()
    found["funnel"] = browser.get(reverse("admin:mollie_onboarding_clientlink_funnel_csv")).content.decode()
    return found


def test_no_export_holds_a_secret(life, operator):
    life.live()
    life.end()
    browser = Client()
    browser.force_login(operator)
    files = files_of(browser)
    assert "Bakkerij Jansen" in files["csv"]
    assert "Bakkerij Jansen" in files["xlsx"]
    for name, text in files.items():
        life.assert_absent(text, name)
        # Nor an address that opens something: the merchant's link, and the client link at Mollie.
        for url in (
            life.row.merchant_path(),
            ClientLink.objects.get().url,
            "/onboarding/link/",
            "client-link",
        ):
            assert url not in text, name


def test_no_batch_funnel_preview_or_confirmation_holds_a_secret(life, operator, make_client_link):
    life.live()
    batch = services.create_batch(ClientLink.objects.all(), pk=uuid.uuid4(), actor=operator)
    services.start_batch(batch, operator)
    life.end()
    deletable = make_client_link()  # at Mollie now, and never connected
    life.secrets.add(state_of(authorization_url(life.browser.press(deletable))))
    browser = Client()
    browser.force_login(operator)
    pages = {
        "clientlink": ("mail", "mail_html", "send", "cancel", "review", "share", "reminders", "no-reminders"),
        "organization": ("send", "read", "revoke", "disconnect"),
        "batch": ("change", "progress", "history"),
    }
    rows = {"clientlink": life.row, "organization": life.organization, "batch": batch}
    paths = [
        reverse(f"admin:mollie_onboarding_{model}_{name}", args=[rows[model].pk])
        for model, names in pages.items()
        for name in names
    ]
    paths += [
        reverse(f"admin:mollie_onboarding_{name}")
        for name in ("clientlink_funnel", "clientlink_import", "clientlink_export", "batch_changelist")
    ]
    paths.append(reverse("admin:mollie_onboarding_clientlink_delete", args=[deletable.pk]))
    for path in paths:
        response = browser.get(path)
        assert response.status_code == 200, path
        text = response.content.decode()
        life.assert_absent(text, path)
        assert life.row.merchant_path() not in text, path
        assert deletable.merchant_path() not in text, path


def test_no_preview_of_an_import_holds_a_secret(life, operator):
    """Of a file that names the merchant who is here already, whose row is compared with it."""
    life.live()
    browser = Client()
    browser.force_login(operator)
    text = f"{','.join(MERCHANT)}\n{','.join(MERCHANT.values())}\n"
    file = SimpleUploadedFile("merchants.csv", text.encode())
    page = browser.post(reverse("admin:mollie_onboarding_clientlink_import"), {"spreadsheet": file})
    assert page.context["report"].skipped_count == 1
    life.assert_absent(page.content.decode(), "the preview")
    assert life.row.merchant_path() not in page.content.decode()


@pytest.mark.parametrize("place", ["call_mollie", "store_tokens", "_find_token", "mark_lost"])
def test_no_error_report_holds_a_secret(life, monkeypatch, place):
    """What Django mails to the ADMINS when something breaks in the middle of a refresh, with every local variable."""
    life.live()
    expire(life.organization)
    if place == "mark_lost":
        life.sandbox.revoke_authorizations(life.organization.organization_id)
    original = getattr(tokens, place)

    def broken(*args: Any) -> Any:
        original(*args)
        raise ZeroDivisionError

    monkeypatch.setattr(tokens, place, broken)
    request = RequestFactory().get("/")
    with pytest.raises(ZeroDivisionError) as raised:
        services.get_access_token(life.organization)
    reporter = ExceptionReporter(request, raised.type, raised.value, raised.tb)
    life.collect()
    for report in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert re.search(r"get_access_token", report)
        life.assert_absent(report, "an error report")
