"""Logs and metrics: one record and one signal for each thing that happens, with ids and without people."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pythonjsonlogger.json import JsonFormatter

import mollie_onboarding
from mollie_onboarding import services
from mollie_onboarding.exceptions import MollieConnectionError
from mollie_onboarding.models import Organization
from mollie_onboarding.observing import observe
from mollie_onboarding.signals import observed
from tests.conftest import MERCHANT, Browser, authorization_url
from tests.test_tokens import expire

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

PACKAGE = Path(mollie_onboarding.__file__).parent
README = (PACKAGE.parent / "README.md").read_text()
LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR"}
PEOPLE = [
    MERCHANT[column]
    for column in ("owner_email", "owner_family_name", "organization_name", "street_and_number", "vat_number")
]


@pytest.fixture
def happenings() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What a receiver of the platform's hears."""
    heard: list[tuple[str, dict[str, Any]]] = []

    def receive(name: str, fields: dict[str, Any], **kwargs: Any) -> None:
        heard.append((name, fields))

    observed.connect(receive)
    yield heard
    observed.disconnect(receive)


def calls_of_observe() -> Iterator[tuple[str, ast.Call]]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "observe":
                yield str(path.relative_to(PACKAGE)), node


def documented() -> dict[str, set[str]]:
    """The names in the README's table, each with its fields."""
    section = README.split("\n## Logs and metrics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*)\|", section, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows if name != "event_name"}


# The list of what can happen.


def test_readme_names_everything_that_is_observed_with_its_fields():
    found: dict[str, set[str]] = {}
    for _, call in calls_of_observe():
        name = ast.literal_eval(call.args[2])
        fields = {keyword.arg for keyword in call.keywords if keyword.arg not in (None, "exc_info")}
        found[name] = found.get(name, set()) | fields
    # Handed on from a function that is called with them.
    found["callback_refused"].add("client_link")

    assert found == documented()


def test_whatever_is_logged_is_observed():
    """No line in a log without a name and ids: nothing but `observe` writes to a logger."""
    direct = [
        f"{path}: {ast.unparse(node)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"logger\.(debug|info|warning|error|exception|critical|log)", ast.unparse(node.func))
    ]
    assert [line.partition(":")[0] for line in direct] == [str(PACKAGE / "observing.py")]


def test_messages_take_their_values_from_the_fields():
    for path, call in calls_of_observe():
        message = ast.literal_eval(call.args[3])
        fields = {keyword.arg for keyword in call.keywords}
        assert set(re.findall(r"%\((\w+)\)", message)) <= fields, path
        assert not re.search(r"%[^(]", message), path


# A record and a signal.


def test_record_has_name_and_fields_and_names_the_caller(caplog, happenings):
    logger = logging.getLogger("mollie_onboarding.tests")
    with caplog.at_level(logging.INFO):
        observe(logger, logging.INFO, "tried", "%(client_link)s: %(status)s", client_link=None, status=422)

    [record] = caplog.records
    assert (record.event_name, record.client_link, record.status) == ("tried", "None", 422)
    assert record.message == "None: 422"
    assert record.filename == "test_observing.py"
    assert happenings == [("tried", {"client_link": "None", "status": 422})]


def test_message_without_fields_and_with_an_exception(caplog):
    try:
        raise LookupError("gone")
    except LookupError:
        observe(logging.getLogger("x"), logging.ERROR, "broken", "It broke.", exc_info=True)
    assert caplog.messages == ["It broke."]
    assert "LookupError: gone" in caplog.text


def test_receiver_that_fails_stops_nobody(sandbox, browser, make_client_link, happenings):
    def fail(**kwargs: Any) -> None:
        raise ZeroDivisionError

    observed.connect(fail)
    try:
        response = browser.press(make_client_link())
    finally:
        observed.disconnect(fail)
    assert authorization_url(response)
    assert [name for name, _ in happenings] == ["mollie_answered", "authorization_started"]


def test_walk_to_connected_is_told_step_by_step_and_names_nobody(
    sandbox, browser, make_client_link, happenings, caplog
):
    caplog.set_level(logging.DEBUG, logger="mollie_onboarding")
    row = make_client_link()
    services.request_sending(row)
    services.send_onboarding_link(row.pk)
    url = authorization_url(browser.press(row))
    callback = sandbox.visit(url)
    Browser().come_back(callback)
    browser.come_back(callback)
    organization = Organization.objects.get()
    expire(organization)
    services.get_access_token(organization)

    told = [(name, fields) for name, fields in happenings if name != "mollie_answered"]
    ids = {"client_link": str(row.pk)}
    assert told == [
        ("mail_sent", {**ids, "kind": "invitation"}),
        ("authorization_started", {**ids, "flow": "client_link"}),
        ("callback_refused", {"reason": "other browser"}),
        ("callback_answered", {**ids, "outcome": "connected"}),
        ("mail_sent", {**ids, "kind": "notice"}),
        ("tokens_refreshed", {"organization": organization.organization_id}),
    ]
    operations = [fields["operation"] for name, fields in happenings if name == "mollie_answered"]
    assert operations[:3] == ["POST /v2/client-links", "POST /oauth2/tokens", "GET /v2/organizations/me"]
    records = [record for record in caplog.records if record.name.startswith("mollie_onboarding.")]
    assert len(records) == len(happenings)
    everything = repr([record.__dict__ for record in records]) + repr(happenings)
    assert not [word for word in PEOPLE if word in everything]


@pytest.mark.parametrize("reason", ["cancelled client link", "expired state"])
def test_callback_that_is_refused_for_its_row_is_one_line_with_its_id(
    sandbox, browser, make_client_link, happenings, clock, reason
):
    row = make_client_link()
    callback = sandbox.visit(authorization_url(browser.press(row)))
    happenings.clear()
    if reason == "expired state":
        clock.shift(60 * 60 * 25)
    else:
        services.cancel_client_link(row)

    assert browser.come_back(callback).status_code == 400

    assert happenings == [("callback_refused", {"reason": reason, "client_link": str(row.pk)})]


def test_connection_that_mollie_gives_no_answer_for_is_told_each_time(
    sandbox, browser, make_client_link, happenings, caplog
):
    """After the exchange: the platform is to hear of a merchant who waits, and of each try that does not end it."""
    row = make_client_link()
    callback = sandbox.visit(authorization_url(browser.press(row)))
    sandbox.add_fault("organization", "drop_before", times=None)
    happenings.clear()

    browser.come_back(callback)
    assert services.resume_interrupted() == 0

    told = [(name, fields) for name, fields in happenings if name not in ("mollie_answered", "mollie_silent")]
    ids = {"client_link": str(row.pk)}
    assert told[:2] == [
        ("not_connected", {**ids, "error": "MollieConnectionError"}),
        ("callback_answered", {**ids, "outcome": "in_progress"}),
    ]
    [(name, fields)] = told[2:]
    assert (name, fields["client_link"]) == ("not_resumed", str(row.pk))
    levels = {
        record.event_name: record.levelname for record in caplog.records if hasattr(record, "event_name")
    }
    assert (levels["not_connected"], levels["not_resumed"]) == ("ERROR", "ERROR")


def test_error_of_mollie_without_a_state_is_one_line(db, happenings, caplog):
    for error, level in (("invalid_scope", "ERROR"), ("access_denied", "WARNING")):
        caplog.clear()
        Browser().get("/onboarding/callback/", {"error": error})
        assert happenings.pop() == ("callback_refused", {"reason": "error without state", "error": error})
        ours = [record for record in caplog.records if record.name.startswith("mollie_onboarding")]
        assert [record.levelname for record in ours] == [level]


@pytest.mark.parametrize(
    ("query", "reason"),
    [({"code": "auth_x"}, "no state"), ({"error": "invalid_scope"}, "error without state")],
)
def test_refused_callback_that_settles_first_is_one_line(db, happenings, settings, query, reason):
    """With Strict cookies the page asks for itself again, and is refused then."""
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    browser = Browser()
    answer = browser.get("/onboarding/callback/", query, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, happenings) == (200, [])

    answer = browser.get("/onboarding/callback/", query, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 400
    assert [(name, fields["reason"]) for name, fields in happenings] == [("callback_refused", reason)]


def test_call_without_an_answer_is_told_with_its_operation(sandbox, make_client_link, happenings):
    sandbox.add_fault("client_links", "drop_before", times=9)
    with pytest.raises(MollieConnectionError):
        services.create_client_link(make_client_link())
    name, fields = happenings[-1]
    assert name == "mollie_silent"
    assert fields["operation"] == "POST /v2/client-links"
    assert fields["error"] == "ConnectionError"
    assert fields["seconds"] >= 0


# As the README shows it.


def test_json_formatter_writes_the_fields(caplog):
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("%(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("mollie_onboarding.views.callback")
    logger.addHandler(handler)
    try:
        Browser().get("/onboarding/callback/", {"code": "auth_x"})
    finally:
        logger.removeHandler(handler)
    assert json.loads(stream.getvalue()) == {
        "levelname": "WARNING",
        "name": "mollie_onboarding.views.callback",
        "message": "Callback refused: no state.",
        "event_name": "callback_refused",
        "reason": "no state",
    }


def test_receiver_of_the_readme_counts(happenings):
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "observed" in block
    )
    counted: list[tuple[str, tuple[str, ...]]] = []

    class Counter:
        def __init__(self, name: str, *args: Any) -> None:
            self.name = name

        def labels(self, *labels: str) -> Counter:
            self.wanted = labels
            return self

        def inc(self) -> None:
            counted.append((self.name, self.wanted))

    namespace: dict[str, Any] = {"Counter": Counter}
    exec(code.replace("from prometheus_client import Counter", ""), namespace)  # noqa: S102 (our own README)
    try:
        Browser().get("/onboarding/callback/", {"code": "auth_x"})
    finally:
        observed.disconnect(namespace["count"])
    assert counted == [("mollie_onboarding", ("callback_refused", "no state"))]
