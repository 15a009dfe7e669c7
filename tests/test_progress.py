"""How a command shows how far it is, and how it hears signals."""

from __future__ import annotations

import signal
import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper

from mollie_onboarding import services
from mollie_onboarding.management import progress as progress_module
from mollie_onboarding.management.progress import Progress
from mollie_onboarding.management.stopping import SIGNALS, stopping_on_signals
from mollie_onboarding.services import Drained
from tests.threads import in_threads


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch) -> None:
    monkeypatch.setattr(progress_module, "BAR_INTERVAL", 0.0)
    monkeypatch.setattr(progress_module, "LINE_INTERVAL", 0.0)


def test_bar_on_a_terminal(at_once):
    stream = Terminal()
    progress = Progress(OutputWrapper(stream), 4)

    progress.show(1, 0)
    progress.show(4, 2)
    progress.finish()

    first, second, last = stream.getvalue().split("\r")[1:]
    assert first == f"[{'#' * 7}{'.' * 23}] 1 of 4, 0 failed\x1b[K"
    assert second == f"[{'#' * 30}] 4 of 4, 2 failed\x1b[K"
    assert last == "\x1b[K"


def test_lines_elsewhere(at_once):
    stream = StringIO()
    progress = Progress(OutputWrapper(stream), 4)

    progress.show(1, 0)
    progress.show(6, 1)  # more than there were when it began
    progress.finish()

    assert stream.getvalue() == "1 of 4, 0 failed\n6 of 6, 1 failed\n"


def test_nothing_to_do_is_done(at_once):
    stream = Terminal()
    Progress(OutputWrapper(stream), 0).show(0, 0)
    assert "#" * 30 in stream.getvalue()


@pytest.mark.parametrize("stream", [StringIO(), Terminal()])
def test_short_run_shows_nothing(stream):
    progress = Progress(OutputWrapper(stream), 4)
    progress.show(1, 0)
    progress.finish()
    assert stream.getvalue() == ""


# Signals.


@pytest.mark.parametrize("number", SIGNALS)
def test_first_signal_is_noted_and_the_second_ends_the_process(number):
    before = [signal.getsignal(each) for each in SIGNALS]

    with stopping_on_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        assert [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_DFL] * 2

    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_handlers_are_put_back_after_an_error():
    before = [signal.getsignal(each) for each in SIGNALS]

    with pytest.raises(LookupError), stopping_on_signals():
        raise LookupError

    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_other_threads_hear_no_signals():
    def look() -> Any:
        with stopping_on_signals() as stop:
            return stop.is_set(), signal.getsignal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert in_threads(1, look) == [(False, before)]


# The command's options.


@pytest.fixture
def drained(db, monkeypatch) -> dict[str, Any]:
    """What the command asks the service for."""
    arguments: dict[str, Any] = {}

    def drain_queue(limit: int | None, **options: Any) -> Drained:
        arguments.update(options, limit=limit)
        options["report"](Drained(sent=1))
        return Drained(sent=1, left=2, was_paused=options["longest_pause"] == 5.0)

    monkeypatch.setattr(services, "drain_queue", drain_queue)
    return arguments


def run(*arguments: str) -> tuple[str, str]:
    output, errors = StringIO(), StringIO()
    call_command("send_onboarding_links", *arguments, stdout=output, stderr=errors)
    return output.getvalue(), errors.getvalue()


def test_options_of_send_onboarding_links(drained):
    run()
    assert (drained["limit"], drained["concurrency"], drained["longest_pause"]) == (None, 4, 900.0)
    assert isinstance(drained["stop"], threading.Event)

    run("--limit=7", "--concurrency=16", "--max-wait=5")
    assert (drained["limit"], drained["concurrency"], drained["longest_pause"]) == (7, 16, 5.0)


def test_summary_says_what_is_left_and_why(drained):
    assert run()[0] == "1 sent, 0 not sent. 2 left in the queue: stopped.\n"
    assert run("--max-wait=5")[0] == "1 sent, 0 not sent. 2 left in the queue: Mollie asks for a pause.\n"


def test_progress_goes_to_the_errors_unless_it_is_not_wanted(drained, at_once):
    assert run()[1] == run("--json")[1] == "1 of 1, 0 failed\n"
    assert run("--no-progress")[1] == ""


@pytest.mark.parametrize("option", ["--limit", "--concurrency"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "\u0663"])
def test_numbers_from_one(option, value):
    with pytest.raises(CommandError, match="is no number from 1"):
        call_command("send_onboarding_links", f"{option}={value}")
