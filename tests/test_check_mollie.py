"""`check_mollie`: a finding for each question, never a traceback, never a secret."""

from __future__ import annotations

import json
import logging
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command, load_command_class

from mollie_onboarding import services
from mollie_onboarding.exceptions import MollieConnectionError, MollieResponseError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import Organization
from mollie_onboarding.mollie_api import MollieAPI, Tokens
from mollie_onboarding.services import Verdict, checking

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

CALLBACK = "https://platform.example/onboarding/callback/"
SUBJECTS = [
    *("access_token", "clients.write", "clients.read", "partner", "client_credentials", "redirect_uri"),
    *("encryption_keys", "stored_tokens"),
]
TOKEN_SUBJECTS = SUBJECTS[:4]
CANARY = "canary7f3a"


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("check_mollie", *arguments, stdout=output)
    return output.getvalue()


def run_and_fail(*arguments: str) -> tuple[str, str]:
    output = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("check_mollie", *arguments, stdout=output)
    assert caught.value.returncode == 1
    return output.getvalue(), str(caught.value)


def find(subject: str) -> services.Finding:
    [found] = [finding for finding in services.check_mollie() if finding.subject == subject]
    return found


def failures() -> list[str]:
    return [finding.subject for finding in services.check_mollie() if finding.is_failure]


@pytest.fixture
def answer(sandbox, monkeypatch):
    """Let a method of `MollieAPI` give or raise something; the others ask the sandbox."""

    def answer(method: str, result: Any) -> None:
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(MollieAPI, method, stand_in)

    return answer


# The command


def test_all_is_right(sandbox):
    output = run()

    assert [finding.subject for finding in services.check_mollie()] == SUBJECTS
    assert {finding.verdict for finding in services.check_mollie()} == {Verdict.RIGHT}
    assert output.count("\n") == len(SUBJECTS) + 1
    assert output.startswith("right    Mollie accepts MOLLIE_ONBOARDING_ACCESS_TOKEN.\n")
    assert f"OAuth app: {CALLBACK}\n" in output
    assert output.endswith("\n8 right, 0 wrong, 0 unknown.\n")


def test_what_is_wrong_comes_with_a_hint(sandbox):
    sandbox.set_switch("partner_without_clients_write", True)

    output, error = run_and_fail()

    assert (
        "\nwrong    The token lacks clients.write: no client link can be made.\n         Make an " in output
    )
    assert output.endswith("\n7 right, 1 wrong, 0 unknown.\n")
    assert error == "1 of 8 findings must be looked at."


def test_json(sandbox):
    result = json.loads(run("--json"))

    assert result["ok"] is True
    assert [finding["subject"] for finding in result["findings"]] == SUBJECTS
    assert result["findings"][5] == {
        "subject": "redirect_uri",
        "verdict": "right",
        "text": f"The redirect URI to register with the OAuth app: {CALLBACK}",
        "hint": "",
        "is_failure": False,
    }


def test_json_of_a_failure(sandbox):
    sandbox.set_switch("partner_without_clients_write", True)

    output, _ = run_and_fail("--json")

    assert json.loads(output)["ok"] is False
    assert json.loads(output)["findings"][1]["verdict"] == "wrong"


def test_changes_nothing(sandbox):
    Organization.objects.create(organization_id="org_1", access_token=Secret("access_1"))
    before = list(Organization.objects.values())

    run()

    assert [repr(row) for row in Organization.objects.values()] == [repr(row) for row in before]
    assert [call.operation for call in sandbox.calls()] == ["permissions", "partner", "exchange"]


def test_system_checks_do_not_stop_it(sandbox, settings):
    settings.MOLLIE_ONBOARDING_CLIENT_ID = ""
    output = StringIO()
    command = load_command_class("mollie_onboarding", "check_mollie")
    # As on a command line; `call_command` leaves the checks out for every command.
    options = vars(command.create_parser("manage.py", "check_mollie").parse_args([]))

    with pytest.raises(CommandError, match="must be looked at"):
        command.execute(**{**options, "stdout": output})

    assert "wrong    MOLLIE_ONBOARDING_CLIENT_ID is not set.\n" in output.getvalue()


# The partner's token


def test_token_refused(sandbox, settings):
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_of_nobody"

    finding = find("access_token")

    assert (finding.verdict, finding.is_failure) == (Verdict.WRONG, True)
    assert "401" in finding.text
    assert failures() == ["access_token"]
    assert [call.operation for call in sandbox.calls()] == ["permissions", "exchange"] * 2


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_token_refused_otherwise(answer, status):
    answer("list_permissions", MollieResponseError(status, ""))

    assert (
        find("access_token").text == f"Mollie refuses MOLLIE_ONBOARDING_ACCESS_TOKEN: it answered {status}."
    )
    assert failures() == ["access_token"]


@pytest.mark.parametrize(
    "kind", ["server_error", "unavailable_html", "not_json", "drop_before", "rate_limited"]
)
def test_no_answer_about_the_token(sandbox, kind):
    sandbox.add_fault("permissions", kind, times=None)

    finding = find("access_token")

    assert (finding.verdict, finding.is_failure) == (Verdict.UNKNOWN, True)
    assert finding.text.startswith("Mollie")
    assert "API_URL" in finding.hint
    assert not [call for call in sandbox.calls() if call.operation == "partner"]


def test_clients_read_is_better_to_have(sandbox):
    sandbox.set_switch("partner_without_clients_read", True)

    output = run()

    assert (
        "\nwrong    The token lacks clients.read.\n         Without it the onboarding status is read "
        in output
    )
    assert json.loads(run("--json"))["ok"] is True
    assert find("clients.read").verdict == Verdict.WRONG


@pytest.mark.parametrize("subject", ["clients.write", "clients.read"])
def test_permission_that_mollie_does_not_list_is_unknown(answer, subject):
    answer("list_permissions", {"payments.read": True})

    finding = find(subject)

    assert (finding.verdict, finding.is_failure) == (Verdict.UNKNOWN, False)
    assert "does not say" in finding.text


# The partner


def test_partner_type_is_named(answer):
    answer("get_partner_type", "signuplink")

    assert find("partner").text.endswith("of type signuplink.")


def test_no_partner(answer):
    answer("get_partner_type", "")

    finding = find("partner")

    assert (finding.verdict, finding.is_failure) == (Verdict.WRONG, True)
    assert finding.hint


@pytest.mark.parametrize("body", [{"partnerType": None}, {"partnerType": ["oauth"]}, {}])
def test_no_partner_as_mollie_says_it(sandbox, body):
    sandbox.add_fault("partner", "status", times=1, status=200, body=body)

    assert find("partner").verdict == Verdict.WRONG


def test_partner_that_may_not_be_asked(answer):
    answer("get_partner_type", MollieResponseError(403, ""))

    finding = find("partner")

    assert (finding.verdict, finding.is_failure) == (Verdict.UNKNOWN, False)
    assert "403" in finding.text
    assert "organizations.read" in finding.hint
    assert "unknown  Whether " in run()


def test_no_answer_about_the_partner(sandbox):
    sandbox.add_fault("partner", "server_error")

    assert failures() == ["partner"]


# Client id and secret


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET"])
def test_app_refused(sandbox, settings, name):
    setattr(settings, f"MOLLIE_ONBOARDING_{name}", f"app_{CANARY}")

    finding = find("client_credentials")

    assert (finding.verdict, finding.is_failure) == (Verdict.WRONG, True)
    assert failures() == ["client_credentials"]


@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (401, "", Verdict.WRONG),
        (401, "invalid_client", Verdict.WRONG),
        (400, "invalid_client", Verdict.WRONG),
        (400, "invalid_request", Verdict.UNKNOWN),
        (403, "", Verdict.UNKNOWN),
        (422, "unauthorized_client", Verdict.UNKNOWN),
    ],
)
def test_app_by_the_refusal(answer, status, error, verdict):
    answer("exchange_code", MollieResponseError(status, "", error=error))

    finding = find("client_credentials")

    assert finding.verdict == verdict
    assert finding.is_failure == (verdict == Verdict.WRONG)


def test_app_that_gets_tokens_for_nothing(answer):
    answer("exchange_code", Tokens(CANARY, CANARY, None, ""))  # type: ignore[arg-type]

    finding = find("client_credentials")

    assert (finding.verdict, finding.is_failure) == (Verdict.UNKNOWN, False)


def test_no_answer_about_the_app(answer):
    answer("exchange_code", MollieConnectionError("Mollie answered 503."))

    finding = find("client_credentials")

    assert (finding.verdict, finding.is_failure, finding.text) == (
        Verdict.UNKNOWN,
        True,
        "Mollie answered 503.",
    )


def test_mollie_is_down(sandbox):
    sandbox.add_fault("any", "unavailable_html", times=None)

    assert failures() == ["access_token", "client_credentials"]


# The redirect URI


def test_redirect_uri_is_the_one_that_is_sent(sandbox, settings):
    settings.MOLLIE_ONBOARDING_REDIRECT_URI = "https://www.platform.example/mollie/"

    finding = find("redirect_uri")

    assert (finding.verdict, finding.is_failure) == (Verdict.UNKNOWN, False)
    assert finding.text.endswith("OAuth app: https://www.platform.example/mollie/")
    assert CALLBACK in finding.hint


def test_redirect_uri_that_is_sent_and_the_same(sandbox, settings):
    settings.MOLLIE_ONBOARDING_REDIRECT_URI = CALLBACK

    assert find("redirect_uri").verdict == Verdict.RIGHT


def test_redirect_uri_without_our_urls(sandbox, settings):
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    finding = find("redirect_uri")

    assert (finding.verdict, finding.is_failure) == (Verdict.WRONG, True)
    assert "include(" in finding.hint


# The keys


@pytest.mark.parametrize("keys", [[], "", None])
def test_no_keys(sandbox, settings, keys):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = keys

    assert find("encryption_keys").text == "MOLLIE_ONBOARDING_ENCRYPTION_KEYS is not set."
    assert failures() == ["encryption_keys"]


def test_malformed_keys_are_numbered(sandbox, settings):
    good = Fernet.generate_key().decode()
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [good, CANARY, good, f"{CANARY}€"]

    assert find("encryption_keys").text.endswith(": number 2, 4.")
    assert failures() == ["encryption_keys"]


@pytest.mark.parametrize("column", ["access_token", "refresh_token"])
def test_stored_tokens_that_fit_no_key(sandbox, settings, column):
    Organization.objects.create(organization_id="org_1", **{column: Secret("access_1")})
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    finding = find("stored_tokens")

    assert (finding.verdict, finding.is_failure) == (Verdict.WRONG, True)
    assert "rotate_token_keys" in finding.hint


def test_stored_tokens_of_the_newest(sandbox, settings):
    key = settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    Organization.objects.create(organization_id="org_1", refresh_token=Secret("refresh_1"))
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = key
    Organization.objects.create(organization_id="org_2", refresh_token=Secret("refresh_2"))
    Organization.objects.create(organization_id="org_3")

    assert find("stored_tokens").text == "The tokens that were stored last can be decrypted."


# Settings and secrets


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("ACCESS_TOKEN", "access_token"),
        ("CLIENT_ID", "client_credentials"),
        ("CLIENT_SECRET", "client_credentials"),
        ("BASE_URL", "redirect_uri"),
        ("ENCRYPTION_KEYS", "encryption_keys"),
    ],
)
def test_missing_setting_is_a_finding(sandbox, settings, name, subject):
    delattr(settings, f"MOLLIE_ONBOARDING_{name}")

    finding = find(subject)

    assert (finding.verdict, finding.is_failure) == (Verdict.WRONG, True)
    assert finding.text == f"MOLLIE_ONBOARDING_{name} is not set."
    assert finding.hint
    assert failures() == [subject]


def test_nothing_set_asks_nobody(sandbox, settings):
    for name in ("ACCESS_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL", "ENCRYPTION_KEYS"):
        delattr(settings, f"MOLLIE_ONBOARDING_{name}")

    assert failures() == ["access_token", "client_credentials", "redirect_uri", "encryption_keys"]
    assert not sandbox.calls()


def test_no_secret_is_shown(sandbox, settings, caplog):
    caplog.set_level(logging.DEBUG)
    key = settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS[0]
    Organization.objects.create(
        organization_id=f"org_{CANARY}",
        name=CANARY,
        access_token=Secret(CANARY),
        refresh_token=Secret(CANARY),
    )
    shown = run() + run("--json")
    settings.MOLLIE_ONBOARDING_ACCESS_TOKEN = f"access_{CANARY}"
    settings.MOLLIE_ONBOARDING_CLIENT_SECRET = CANARY
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [CANARY]
    shown += "".join([*run_and_fail(), *run_and_fail("--json")]) + caplog.text

    for secret in (
        CANARY,
        key,
        "client-secret-of-the-tests",
        "access_partner_of_the_tests",
        checking.NO_CODE,
    ):
        assert secret not in shown
