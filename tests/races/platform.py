"""The platform in several processes of several threads each, as a test tells them what to do at one moment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from threading import Timer
from typing import Any

from django.db import connection

from tests.processes import start, stop
from tests.races.platform_process import THREADS

PROCESSES = 5
COPIES = PROCESSES * THREADS  # of what everybody does at once
# SQLite has one writer at a time: there the code is exercised, and little of it can be a race.
REPETITIONS = int(os.environ.get("TEST_RACE_REPETITIONS") or (2 if connection.vendor == "sqlite" else 100))
# Seconds within which all start, drawn for each repetition: at once, or while others are at some later step.
SPREADS = (0.0, 0.002, 0.01, 0.03, 0.06)
LONGEST_RACE = 120  # seconds, after which it counts as hanging


def luck(seed: int) -> Random:
    return Random(seed)  # noqa: S311 (who is quicker is no secret)


@dataclass(frozen=True)
class Job:
    """Something that somebody does: the name of a function of `jobs`, and what it takes."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def job(name: str, *args: Any, **kwargs: Any) -> Job:
    return Job(name, args, kwargs)


@dataclass(frozen=True)
class Race:
    """What came of it: what each job gave, in their order, who was mailed, and which signals were heard."""

    repetition: int
    results: list[Any]
    mails: list[str]
    signals: list[str]

    @property
    def errors(self) -> list[dict[str, str]]:
        """What the jobs raised."""
        return [result for result in self.results if isinstance(result, dict) and "raised" in result]


class Platform:
    """Its processes. They live through all repetitions, and through all tests."""

    def __init__(self, mollie_url: str) -> None:
        settings = {"TEST_API_URL": mollie_url, "DJANGO_SETTINGS_MODULE": "tests.races.settings"}
        self.mollie_url = mollie_url
        self._processes = [start("tests.races.platform_process", **settings) for _ in range(PROCESSES)]
        self._repetition = 0
        self._luck = luck(0)

    def repetitions(self, *, fewer: bool = False) -> Iterator[Random]:
        """One turn for each repetition, with its own luck: the same one whenever it is repeated.

        A quarter of them, where `fewer`: all of them take long, and the suite runs on several databases.
        """
        count = -(-REPETITIONS // 4) if fewer else REPETITIONS
        for self._repetition in range(1, count + 1):
            self._luck = luck(self._repetition)
            yield self._luck

    def race(self, *jobs: Job) -> Race:
        """Have all of them done at one moment, each in a thread of its own, dealt out to the processes."""
        spread = self._luck.choice(SPREADS)
        plans = [{**vars(job), "delay": self._luck.uniform(0, spread)} for job in jobs]
        hands = [(process, plans[number::PROCESSES]) for number, process in enumerate(self._processes)]
        hands = [(process, hand) for process, hand in hands if hand]
        watchdog = Timer(LONGEST_RACE, self.stop)
        watchdog.start()
        try:
            for process, hand in hands:
                _tell(process, json.dumps(hand))
            for process, _ in hands:
                assert _hear(process) == "ready"
            for process, _ in hands:
                _tell(process, "go")
            answers = [json.loads(_hear(process)) for process, _ in hands]
        finally:
            watchdog.cancel()
        results: list[Any] = [None] * len(jobs)
        for number, answer in enumerate(answers):
            results[number::PROCESSES] = answer["results"]
        return Race(
            self._repetition,
            results,
            [mail for answer in answers for mail in answer["mails"]],
            [signal for answer in answers for signal in answer["signals"]],
        )

    def rest(self) -> None:
        """Have every thread close its connections."""
        self._luck = luck(0)
        race = self.race(*[job("rest")] * COPIES)
        assert not race.errors, race.errors

    def stop(self) -> None:
        for process in self._processes:
            process.kill()

    def close(self) -> None:
        for process in self._processes:
            stop(process)


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line, "A process of the platform died, or was stopped because it hung."
    return line.rstrip("\n")
