"""`ReportingCommand`, by the command that uses the least beside it: a sentence for people, an object for machines."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mollie_onboarding.models import ClientLink

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

FIGURES = {"sent": 0, "failed": 0, "skipped": 0, "left": 0, "was_paused": False, "dry_run": False}


@pytest.fixture
def queued(make_client_link):
    def make() -> ClientLink:
        return make_client_link(send_requested_at=timezone.now())

    return make


def run(*arguments: str) -> Any:
    output = StringIO()
    call_command("send_onboarding_links", *arguments, stdout=output)
    assert output.getvalue().count("\n") == 1
    return json.loads(output.getvalue())


def test_json(sandbox, queued):
    queued()
    queued()

    assert run("--json", "--limit=1") == FIGURES | {"sent": 1, "ok": True}


def test_json_of_a_dry_run(queued):
    queued()

    assert run("--json", "--dry-run") == {"due": 1, "dry_run": True, "ok": True}


def test_json_of_a_failure(sandbox, queued):
    queued()
    sandbox.add_fault("client_links", "validation")
    output = StringIO()

    with pytest.raises(CommandError, match="Some mails were not sent") as caught:
        call_command("send_onboarding_links", "--json", stdout=output)

    assert caught.value.returncode == 1
    assert json.loads(output.getvalue()) == FIGURES | {"failed": 1, "ok": False}
