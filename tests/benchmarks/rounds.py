"""Rounds: every engine once, in an order that rotates, so that a busy minute meets them all.

A machine has better and worse minutes, and times taken minutes apart say more about those than
about engines. So every ratio is taken within a round, and the median of these ratios is what
counts. Answers are compared before any time: an engine that counts differently has an error
instead of a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One engine's way to do one task.

    `run` returns the answer, or the answer and the seconds that count, where it takes its own
    time in a process of its own. `before` is done before each run and not counted.
    """

    task: str
    engine: str
    run: Callable[[], Any]
    before: Callable[[], Any] | None = None
    own_time: bool = False


@dataclass
class Timed:
    """What became of an entry: seconds by round, or why there are none."""

    entry: Entry
    seconds: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def milliseconds(self) -> float:
        """The median."""
        return median(self.seconds) * 1000


def measure(entries: Sequence[Entry], rounds: int, *, warm: bool) -> list[Timed]:
    """Run every entry in every round; `warm`: once before, without a time.

    The first entry of a task gives the answer that the others must give, too.
    """
    results = [Timed(entry) for entry in entries]
    answers: dict[str, Any] = {}
    if warm:
        for result in results:
            _check(result, answers)
    for number in range(rounds):
        turn = number % len(results)
        for result in results[turn:] + results[:turn]:
            if not result.note:
                _check(result, answers, timed=True)
    return results


def _check(result: Timed, answers: dict[str, Any], *, timed: bool = False) -> None:
    entry = result.entry
    if entry.before:
        entry.before()
    start = time.perf_counter()
    answer = entry.run()
    seconds = time.perf_counter() - start
    if entry.own_time:
        answer, seconds = answer
    if answer != answers.setdefault(entry.task, answer):
        result.note = f"error: another answer: {answer!r} instead of {answers[entry.task]!r}"
        result.seconds.clear()
    elif timed:
        result.seconds.append(seconds)


def ratio(one: Timed, other: Timed) -> tuple[float, float, float] | None:
    """`one` / `other`: the median of the rounds' ratios, and their least and greatest."""
    if not one.seconds or not other.seconds:
        return None
    found = [a / b for a, b in zip(one.seconds, other.seconds, strict=True)]
    return median(found), min(found), max(found)
