"""The README's table of faults, out of what the runs have shown. Every word that people read in it is here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from . import network
from .matrix import Kill, Outcome, Outcomes, Strike
from .steps import AFTER, CALL, Step

README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- faults: made by `make faults` -->", "<!-- faults: end -->"
HEAD = "| Flow | What goes wrong | The person sees | Kept | Then |\n|---|---|---|---|---|"

FLOWS = {
    "signup": "**The sign-up form is sent**",
    "start": "**The button, where a client link is to be made**",
    "restart": "**The button, with a client link that lives**",
    "renewal": "**The button, with one that is too old**",
    "return": "**The merchant comes back with a code**",
    "denial": "**The merchant comes back with a no**",
    "resumption": "**The button finishes an interrupted connection**",
    "late resumption": "**`sync_onboarding_status` finishes one, an hour later**",
    "reconnection": "**A disconnected merchant connects again**",
    "invitation": "**A worker sends the onboarding link**",
    "reminder": "**A worker sends a reminder**",
    "notice": "**A worker sends the notice after connecting**",
    "correction": "**An operator corrects the address and sends the link there**",
    "batch": "**An operator starts a batch**",
    "refresh": "**The platform needs a token that is to be refreshed**",
    "check": "**The merchant presses “check again”**",
    "sync": "**`sync_onboarding_status` reads the list**",
    "disconnection": "**An operator disconnects**",
}
CALLS = {
    "POST /v2/client-links": "client link",
    "POST /oauth2/tokens": "tokens",
    "DELETE /oauth2/tokens": "revocation",
    "GET /v2/organizations/me": "organization",
    "GET /v2/onboarding/me": "status",
    "GET /v2/capabilities": "capabilities",
    "GET /v2/clients": "list",
}
FAULTS = {
    "no answer": (
        network.DROPPED_BEFORE,
        network.DROPPED_AFTER,
        network.DROPPED_HALFWAY,
        network.SILENT,
    ),
    "429": ("429 with Retry-After", "429"),
    "5xx": ("500", "502", "503", "504"),
    "HTML, wrong JSON": ("HTML", "not JSON", "other JSON"),
}
FAULT_WORDS = {
    network.DROPPED_BEFORE: "no connection",
    network.DROPPED_AFTER: "no answer after the work",
    network.DROPPED_HALFWAY: "half an answer",
    "not JSON": "no JSON",
    "other JSON": "another JSON",
    "wrong host": "a wrong host",
}
SEES = {
    "": "nobody",
    "on to Mollie": "is led to Mollie",
    "200 ready": "the first page",
    "200 started": "the button",
    "200 declined declined": "“You said no”, the button",
    "200 started exchange_failed": "“The answer did not get through to us in time. Press the button once more”",
    "200 finishing": "“Finishing”, after a minute the button",
    "200 connected": "“Connected”",
    "200 lost": "“Connect again”, the button",
    "200 lost exchange_failed": "“Connect again”, the button",
    "503 ready unreachable": "“Mollie does not answer right now”, the same button (503)",
    "503 started unreachable": "“Mollie does not answer right now”, the same button (503)",
    "503 connected unreachable": "“Mollie does not answer right now”, what is known (503)",
    "MollieConnectionError": "`MollieConnectionError`",
    "token": "a token",
    "queued": "“queued”",
    "sent": "“sent”",
    "waiting": "who waits, in the batch",
    "interrupted": "why the run ended early",
    "read": "what was read",
    "finished": "how many were finished",
    "unfinished": "that it is not finished",
    "disconnected": "“disconnected”",
}
KEPT = {
    "row": "row",
    "key": "idempotency key",
    "link": "client link",
    "old link": "old client link",
    "denial": "the no",
    "tokens": "encrypted tokens",
    "connection": "connection",
    "status": "status",
    "news": "new status",
    "queued": "place in the queue",
    "sent": "what was sent",
    "notice": "place in the queue",
    "corrected": "new address",
    "started": "batch",
    "page": "next page's place",
    "revocation": "refresh token, encrypted, to be revoked",
}
THEN = {
    "form": "the form is sent again, and it goes on",
    "press": "one press, and it goes on",
    "press and consent": "one press and a second consent, and all is done",
    "run": "the next run does the rest",
    "operator": "the operator does it again",
    "ask": "the next call gets a token",
}
DONE = "all is done"


def make_rows(flow: str, steps: Sequence[Step], kills: Outcomes, strikes: Outcomes) -> list[str]:
    """The rows of a flow: killed, then with its calls spoilt; one for all that end alike."""
    cells: list[tuple[str, str, str, str]] = []
    for then, kills_alike in _grouped(kills, lambda outcome: outcome.then):
        if cells and not then:
            continue  # by then all was done
        sees = _in_turn(SEES[outcome.sees] for outcome in kills_alike.values())
        kept = _in_turn(_kept(outcome) for outcome in kills_alike.values())
        cells.append((f"killed {_places(list(kills_alike), steps)}", sees, kept, _then(then)))
    for outcome, strikes_alike in _grouped(strikes, lambda outcome: outcome):
        what = _strikes(list(strikes_alike), steps)
        cells.append((what, SEES[outcome.sees], _kept(outcome), _then(outcome.then)))
    titles = [f"{FLOWS[flow]} ({_count(steps)})", *[""] * len(cells)]
    return [f"| {' | '.join((title, *row))} |" for title, row in zip(titles, cells, strict=False)]


def _count(steps: Sequence[Step]) -> str:
    calls = sum(step.kind == CALL for step in steps)
    commits = len(steps) - calls
    return f"{_number(calls, 'call')}, {_number(commits, 'commit')}"


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _grouped(outcomes: Outcomes, key: Callable[[Outcome], Any]) -> list[tuple[Any, Outcomes]]:
    groups: dict[Any, Outcomes] = {}
    for fault, outcome in outcomes.items():
        groups.setdefault(key(outcome), {})[fault] = outcome
    return list(groups.items())


def _in_turn(words: Iterable[str]) -> str:
    """Each once, in the order in which the flow gets there."""
    return " → ".join(dict.fromkeys(words))


def _kept(outcome: Outcome) -> str:
    return ", ".join(KEPT[fact] for fact in outcome.kept) or "nothing"


def _then(words: tuple[str, ...]) -> str:
    return ", then ".join(THEN[word] for word in words) or DONE


def _places(kills: list[Kill], steps: Sequence[Step]) -> str:
    """Where these kills struck. They are neighbours: the same is kept until the next commit."""
    places = [(kill.index, kill.moment) for kill in kills]
    first, last = min(places, key=_order), max(places, key=_order)
    assert len(places) == _order(last) - _order(first) + 1, "the places have others between them"
    is_first, is_last = _order(first) == 0, _order(last) == 2 * len(steps) - 1
    if is_first and is_last:
        return "anywhere"
    if is_first:
        return f"before {_edge(last[0] + (last[1] == AFTER), steps)}"
    if is_last:
        return f"after {_edge(first[0] - (first[1] != AFTER), steps)}"
    begin = _edge(first[0] - (first[1] != AFTER), steps)
    return f"between {begin} and {_edge(last[0] + (last[1] == AFTER), steps)}"


def _order(place: tuple[int, str]) -> int:
    return 2 * place[0] + (place[1] == AFTER)


def _edge(index: int, steps: Sequence[Step]) -> str:
    """The step of that number, as people would call it."""
    if steps[index].kind == CALL:
        return f"the call ({CALLS[steps[index].name]})"
    return f"commit {sum(step.kind != CALL for step in steps[: index + 1])}"


def _strikes(strikes: list[Strike], steps: Sequence[Step]) -> str:
    """The calls, and the faults that struck them. Neighbours with the same faults are named together."""
    calls = _names([CALLS[step.name] for step in steps if step.kind == CALL])
    faults = {
        index: [strike.fault for strike in strikes if strike.index == index] for index in range(len(calls))
    }
    parts: list[tuple[list[str], str]] = []
    for index, call in enumerate(calls):
        if not faults[index]:
            continue
        words = _faults(faults[index])
        if parts and parts[-1][1] == words:
            parts[-1][0].append(call)
        else:
            parts.append(([call], words))
    if len(parts) == 1 and len(parts[0][0]) == len(calls):
        return parts[0][1]
    return "; ".join(f"{', '.join(names)}: {words}" for names, words in parts)


def _names(calls: list[str]) -> list[str]:
    """The calls, with a number where there are several of a name."""
    return [
        f"{call} {calls[: index + 1].count(call)}" if calls.count(call) > 1 else call
        for index, call in enumerate(calls)
    ]


def _faults(struck: list[str]) -> str:
    missing = [fault for fault in network.FAULTS if fault not in struck]
    if not missing:
        return "any fault"
    if len(missing) == 1:
        return f"any fault but {FAULT_WORDS.get(missing[0], missing[0])}"
    words = []
    left = list(struck)
    for name, faults in FAULTS.items():
        if set(faults) <= set(left):
            words.append(name)
            left = [fault for fault in left if fault not in faults]
    return ", ".join([*words, *(FAULT_WORDS.get(fault, fault) for fault in left)])


def read_rows() -> list[str]:
    """The rows of the README's table."""
    table = README.read_text().partition(BEGIN)[2].partition(END)[0]
    return table.strip().removeprefix(HEAD).strip().splitlines()


def write_rows(rows: Iterable[str]) -> None:
    table = "\n".join([HEAD, *rows])
    text = README.read_text()
    block = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    assert block.search(text), f"{README} has no place for the table"
    README.write_text(block.sub(lambda match: f"{BEGIN}\n{table}\n{END}", text))
