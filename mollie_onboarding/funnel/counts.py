"""How many merchants reached each stage, and where those are who came no further."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from mollie_onboarding.models import Stage

STAGES = tuple(Stage)
ZEROS = (0,) * len(STAGES)


@dataclass(frozen=True)
class Counts:
    """One number for each stage, in their order: who waits there, and who left from there."""

    waiting: tuple[int, ...] = ZEROS
    left: tuple[int, ...] = ZEROS

    @classmethod
    def of(cls, found: Iterable[tuple[Stage, bool, int]]) -> Counts:
        """From numbers of merchants by their furthest stage, and by whether they have left."""
        at = {True: [*ZEROS], False: [*ZEROS]}
        for stage, has_left, count in found:
            at[has_left][STAGES.index(stage)] += count
        return cls(tuple(at[False]), tuple(at[True]))

    def __add__(self, other: Counts) -> Counts:
        return Counts(_sum(self.waiting, other.waiting), _sum(self.left, other.left))

    @property
    def reached(self) -> tuple[int, ...]:
        """Who came at least this far. Summed up from the end, so no number is greater than the one before it."""
        return tuple(accumulate(reversed(_sum(self.waiting, self.left))))[::-1]

    @property
    def total(self) -> int:
        return self.reached[0]

    def __iter__(self) -> Iterator[tuple[Stage, int, int | None]]:
        """For each stage how many reached it, and which share of all, in percent; None of nobody."""
        for stage, count in zip(STAGES, self.reached, strict=True):
            yield stage, count, percentage(count, self.total)


def _sum(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(ours, theirs, strict=True)))


def percentage(part: int, whole: int) -> int | None:
    """Rounded to whole percents; 100 only of all, 0 only of none."""
    if not whole:
        return None
    rounded = round(100 * part / whole)
    if part in (0, whole):
        return rounded
    return min(max(rounded, 1), 99)
