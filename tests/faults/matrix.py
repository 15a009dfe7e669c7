"""Runs a flow with every fault, sees to it that all ends well, and says what there was to see on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import time_machine
from django.http import HttpResponse
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.models import AuthorizationRequest, Batch, ClientLink, Event
from mollie_onboarding.sandbox import service as sandbox
from mollie_onboarding.sandbox.models import Authorization, SandboxClientLink
from mollie_onboarding.services.announcing import SIGNALS
from mollie_onboarding.testing import sandbox_mollie
from tests.conftest import page_status

from .facts import FACTS
from .flows import SIGNUP, Flow, is_connected, leads_to_mollie, press_and_connect
from .killer import Killer, running_killer
from .network import FAULTS, FaultyMollie
from .scene import Scene, Snapshot, count_mails, heard_events, listening, new_scene
from .steps import AFTER, BEFORE, CALL, Step

LATER = timedelta(minutes=6)  # every claim of a process that died is over by then
MOST_TRIES = 3  # of the people, until all is well


@dataclass(frozen=True)
class Outcome:
    """What a fault came to: what the person saw, which facts hold, and what they did until all was well."""

    sees: str
    kept: tuple[str, ...]
    then: tuple[str, ...]


@dataclass(frozen=True)
class Kill:
    """A process that was killed before or after the step of that number."""

    index: int
    moment: str
    step: Step


@dataclass(frozen=True)
class Strike:
    """A fault that struck a call, as often as it was tried; `index` is its number among the flow's calls."""

    index: int
    call: str
    fault: str


Outcomes = dict[Any, Outcome]  # by `Kill` or `Strike`


class Matrix:
    """Where the flows run: a folder for what outlives a process, and the two that do harm."""

    def __init__(self, directory: Path, killer: Killer, mollie: FaultyMollie) -> None:
        self.directory = directory
        self.killer = killer
        self.mollie = mollie


@contextmanager
def running_matrix(directory: Path) -> Iterator[Matrix]:
    with running_killer(directory) as killer, FaultyMollie().running() as mollie:
        yield Matrix(directory, killer, mollie)


class FlowMatrix:
    """One flow, prepared once: every run begins with the same rows, at the same time."""

    def __init__(self, matrix: Matrix, flow: Flow) -> None:
        self.matrix = matrix
        self.flow = flow
        self._ends: set[Outcome] = set()
        scene = new_scene(matrix.directory)
        with listening(scene.heard), sandbox_mollie():
            flow.prepare(scene)
        self._snapshot = Snapshot(scene)
        self._now = timezone.now()
        with self._beginning("counted") as scene:
            self.steps = matrix.killer.count(flow.name, scene.dump())

    def kill(self) -> Outcomes:
        """Kill the flow around each of its steps."""
        return {
            kill: self._kill(kill)
            for index, step in enumerate(self.steps)
            for kill in (Kill(index, BEFORE, step), Kill(index, AFTER, step))
        }

    def strike(self) -> Outcomes:
        """Let each fault strike each call of the flow."""
        calls = [step.name for step in self.steps if step.kind == CALL]
        strikes = [Strike(index, call, fault) for index, call in enumerate(calls) for fault in FAULTS]
        return {strike: self._strike(strike) for strike in strikes}

    @contextmanager
    def _beginning(self, name: object) -> Iterator[Scene]:
        """Be where the flow begins; an error in there says in which run it was."""
        try:
            with time_machine.travel(self._now):
                yield self._snapshot.restore(self.matrix.directory)
        except BaseException as exc:
            exc.add_note(f"{self.flow.name}: {name}")
            raise

    def _kill(self, kill: Kill) -> Outcome:
        with self._beginning(kill) as scene:
            self.matrix.killer.kill(self.flow.name, scene.dump(), kill.index, kill.moment)
            sees = _look(scene) if self.flow.person == "merchant" else ""
            return self._see_to_the_end(scene, sees, most_mails=2)

    def _strike(self, strike: Strike) -> Outcome:
        mollie = self.matrix.mollie
        with self._beginning(strike) as scene:
            with listening(scene.heard), mollie.spoiling(strike.index, strike.fault):
                self.flow.run(scene)
            assert max(Counter(mollie.codes).values(), default=0) <= 1, "a code was sent twice"
            return self._see_to_the_end(scene, _seen(scene.answer), most_mails=1)

    def _see_to_the_end(self, scene: Scene, sees: str, *, most_mails: int) -> Outcome:
        kept = tuple(fact for fact in self.flow.kept if FACTS[fact]())
        then: list[str] = []
        with listening(scene.heard), sandbox_mollie():
            while True:
                with time_machine.travel(self._now + LATER * (len(then) + 1)):
                    if self.flow.is_done(scene):
                        break
                    assert len(then) < MOST_TRIES, f"not done after {then}: {_seen(scene.answer)}"
                    then.append(self.flow.again(scene))
            with time_machine.travel(self._now + LATER * (MOST_TRIES + 2)):
                _keep_house()
                _check_promises(self.flow, scene, most_mails)
                outcome = Outcome(sees, kept, tuple(then))
                if outcome not in self._ends:
                    # It takes as long as all the rest, so once for whatever looks alike.
                    _check_way_to_connection(scene)
                    self._ends.add(outcome)
        return outcome


def _look(scene: Scene) -> str:
    """What a merchant finds who opens the page again after no answer."""
    row = ClientLink.objects.first()
    return _seen(scene.browser.get(row.merchant_path() if row else SIGNUP))


def _seen(answer: Any) -> str:
    """What the person was shown, as one word for the table."""
    if isinstance(answer, Exception):
        return type(answer).__name__
    if not isinstance(answer, HttpResponse):
        return str(answer)
    if leads_to_mollie(answer):
        return "on to Mollie"
    context: Any = answer.context  # type: ignore[attr-defined]  # of the test client
    why = context.get("notice") or ""
    answered = context.get("answered")
    if answered is not None and answered.outcome in ("exchange_failed", "declined"):
        why = why or answered.outcome
    return " ".join(filter(None, [str(answer.status_code), page_status(answer), why]))


def _keep_house() -> None:
    """What the two commands do that the platform runs by cron."""
    services.resume_interrupted()
    services.revoke_pending()
    services.send_queued()
    services.announce_overdue()


def _check_promises(flow: Flow, scene: Scene, most_mails: int) -> None:
    assert flow.is_done(scene), "it was done, and is no longer"
    mails = count_mails(scene)
    assert len(mails) == flow.mails, f"{len(mails)} different mails left"
    assert max(mails.values(), default=0) <= most_mails, f"a mail left {max(mails.values())} times"
    links = SandboxClientLink.objects.count()
    assert links == flow.client_links, f"Mollie has {links} client links"
    assert len(sandbox.calls("exchange")) <= Authorization.objects.count(), "a code was exchanged twice"
    assert not AuthorizationRequest.objects.filter(tokens__isnull=False).exists(), "tokens were left behind"
    assert not Event.objects.filter(announced_at=None).exists(), "a signal was left behind"
    assert not Batch.objects.filter(finished_at=None).exists(), "a batch was left behind"
    heard = heard_events(scene)
    for event in Event.objects.filter(kind__in=SIGNALS):
        assert heard[event.pk], f"the platform never heard of {event.kind}"


def _check_way_to_connection(scene: Scene) -> None:
    """Whoever is not connected yet can be, with one press and one consent."""
    rows = ClientLink.objects.select_related("organization")
    unconnected = [row for row in rows if not row.is_connected or row.needs_reconnecting]
    if len(unconnected) == len(rows) == 1:
        press_and_connect(scene)
        assert is_connected(scene), f"the merchant cannot connect: {_seen(scene.answer)}"
