"""A person whose name is known, from the form to the end: nowhere in logs, tasks and queues, nor in what tells numbers only."""

from __future__ import annotations

import io
import json
import logging
import re
import secrets
import uuid
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import TestCase

from mollie_onboarding import services, tasks
from mollie_onboarding.exceptions import MollieError
from mollie_onboarding.models import ClientLink, Event, Organization
from mollie_onboarding.sandbox.models import Authorization, Token
from tests.conftest import MERCHANT, Browser, authorization_url, reread
from tests.test_tokens import expire

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PERSON = {
    "owner_email": "canary@person.example",
    "owner_given_name": "Canaryjan",
    "owner_family_name": "Canaryson",
    "organization_name": "Canary Bakery",
    "street_and_number": "Canary Lane 7",
    "city": "Canaryton",
}


def sign_up_and_connect(sandbox: Any) -> ClientLink:
    """Through the form, a refusal, a failure of each kind, a mail, a denial and a connection."""
    browser = Browser(enforce_csrf_checks=True)
    sandbox.add_fault(
        "client_links", "validation", field="owner.email", detail="canary@person.example is odd"
    )
    browser.submit("/onboarding/signup/", **{**MERCHANT, **PERSON})
    services.retry_rejected(ClientLink.objects.get(status="rejected"))
    for kind in ("server_error", "not_json", "unavailable_html", "drop_before", "lose_answer"):
        sandbox.add_fault("client_links", kind)
        browser.press(ClientLink.objects.get())
    row = ClientLink.objects.get()
    services.request_sending(row)
    services.send_onboarding_link(row.pk)
    for decision in ("deny", "allow"):
        browser.come_back(sandbox.visit(authorization_url(browser.press(reread(row))), decision=decision))
    row = reread(row)
    assert row.is_connected
    return row


def go_through_everything(sandbox: Any) -> ClientLink:
    row = sign_up_and_connect(sandbox)
    organization = Organization.objects.get()
    expire(organization)
    for kind in ("unavailable_html", "not_json", "lose_answer"):
        sandbox.add_fault("refresh", kind)
        with pytest.raises(MollieError):
            services.get_access_token(organization)
    for command in (
        "send_onboarding_links",
        "send_onboarding_reminders",
        "sync_onboarding_status",
        "check_mollie",
    ):
        call_command(command, stdout=io.StringIO())
    services.send_connected_notice(row.pk)
    services.disconnect(organization)
    services.revoke_pending()
    assert mail.outbox
    return row


def assert_nobody(text: str, where: str) -> None:
    found = re.findall(r".{0,60}canary.{0,60}", text, re.IGNORECASE)
    assert found == [], where


def test_lessons_21_no_log_names_a_person(sandbox, caplog, capsys):
    with caplog.at_level(logging.DEBUG):
        go_through_everything(sandbox)
    ours = [record for record in caplog.records if record.name.startswith("mollie_onboarding")]
    assert ours
    assert_nobody(caplog.text, "the log")
    # Also what a formatter of the platform's own could print.
    assert_nobody(repr([vars(record) for record in ours]), "a log record")
    assert_nobody("".join(capsys.readouterr()), "the console")


def test_no_command_names_a_person(sandbox, capsys):
    row = go_through_everything(sandbox)
    services.request_sending(row)
    for command in (
        "send_onboarding_links",
        "send_onboarding_reminders",
        "sync_onboarding_status",
        "rotate_token_keys",
        "purge_onboarding_data",
        "check_mollie",
    ):
        for options in ([], ["--dry-run"]) if command not in ("check_mollie",) else ([],):
            try:
                call_command(command, *options)
            except SystemExit:
                pass
    assert_nobody("".join(capsys.readouterr()), "a command's output")


@pytest.fixture
def made(monkeypatch) -> set[str]:
    """What this app makes at random: states, cookies, and nonces of forms."""
    made: set[str] = set()
    token_urlsafe = secrets.token_urlsafe

    def watch(*args: Any) -> str:
        made.add(value := token_urlsafe(*args))
        return value

    monkeypatch.setattr(secrets, "token_urlsafe", watch)
    return made


def test_no_history_names_a_person_or_holds_a_secret(sandbox, settings, made):
    go_through_everything(sandbox)
    tokens = set(Token.objects.values_list("value", flat=True))
    codes = set(Authorization.objects.values_list("code", flat=True))
    assert len(made) > 2  # the form's nonce, the cookie, the states
    assert len(tokens) > 2
    assert codes
    keys = {
        settings.MOLLIE_ONBOARDING_CLIENT_SECRET,
        settings.MOLLIE_ONBOARDING_ACCESS_TOKEN,
        *settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS,
    }
    assert Event.objects.count() > 5
    history = json.dumps(list(Event.objects.values_list("kind", "data")))
    assert_nobody(history, "the history")
    assert [secret for secret in made | tokens | codes | keys if secret in history] == []


def test_tasks_carry_ids_and_nothing_else(sandbox, workers, make_client_link):
    """What a queue holds, in whatever database or broker: it is the arguments."""
    row = make_client_link(**PERSON)
    make_client_link(**{**PERSON, "reference": "7"})
    backend = tasks.send_onboarding_link.get_backend()
    browser = Browser(enforce_csrf_checks=True)
    browser.come_back(sandbox.visit(authorization_url(browser.press(row))))
    with TestCase.captureOnCommitCallbacks(execute=True):
        services.request_sending(ClientLink.objects.get(reference="7"))
        services.start_batch(services.create_batch(ClientLink.objects.all(), pk=uuid.uuid4()))
        services.disconnect(Organization.objects.get())
    queued = [(result.task.name, *result.args, *result.kwargs.values()) for result in backend.results]
    assert {name for name, *_ in queued} == {
        "send_onboarding_link",
        "send_connected_notice",
        "queue_batch",
        "revoke_tokens",
    }
    for _name, *arguments in queued:
        assert [re.fullmatch(r"[0-9a-f-]{36}|\d+", argument) is not None for argument in arguments] == [True]
