"""The judge of the funnel: list every chain there is, and choose by the rule as it is written.

Pure Python and slow on purpose. Nothing here is clever, so that it can be read next to the
definition: a chain is a list of distinct events of one user that match steps 1, 2, … in turn, in
the order of time, inside the window that the first of them opens.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

EVER = (-(2**50), 2**50)
Z = statistics.NormalDist().inv_cdf(0.975)


class Event(NamedTuple):
    """`time` in microseconds; `arrival` is the row's place in the input."""

    time: int
    arrival: int
    name: str
    group: Any


Chain = tuple[Event, ...]


@dataclass(frozen=True)
class Question:
    """A funnel; instants and the window in microseconds, `entered` is [start, end)."""

    steps: tuple[tuple[str, ...], ...]
    window: int
    covers_until: int
    strict: bool = False
    entered: tuple[int, int] = EVER
    top: int = 12

    def matures(self, entry: Event) -> bool:
        return entry.time + self.window <= self.covers_until


def matches(event: Event, step: tuple[str, ...]) -> bool:
    return step == ("*",) or event.name in step


def all_chains(
    events: Sequence[Event], asked: Question, *, mature: bool, strict: bool
) -> Iterator[Chain]:
    """Every chain of a user, of every length."""

    def longer(chain: Chain) -> Iterator[Chain]:
        yield chain
        if len(chain) == len(asked.steps):
            return
        for event in events:
            later = event.time > chain[-1].time
            together = event.time == chain[-1].time and not strict and event not in chain
            inside = event.time <= chain[0].time + asked.window
            if inside and (later or together) and matches(event, asked.steps[len(chain)]):
                yield from longer((*chain, event))

    start, end = asked.entered
    for event in events:
        enters = matches(event, asked.steps[0]) and start <= event.time < end
        if enters and (asked.matures(event) or not mature):
            yield from longer((event,))


def rule(chain: Chain) -> tuple[Any, ...]:
    """Smallest is best: furthest, ends earliest, earliest steps, enters latest.

    Of several entries at the chosen instant the last to arrive counts, for a chain of one event
    the first.
    """
    entry, last = chain[0], chain[-1]
    arrival = entry.arrival if len(chain) == 1 else -entry.arrival
    return (-len(chain), last.time, [e.time for e in chain[1:]], -entry.time, arrival)


def best_chain(
    events: Sequence[Event], asked: Question, *, mature: bool = False, strict: bool | None = None
) -> Chain:
    """The user's chain, or an empty one."""
    ties = asked.strict if strict is None else strict
    return min(all_chains(events, asked, mature=mature, strict=ties), key=rule, default=())


def attempts(
    people: Mapping[str, Sequence[Event]], asked: Question, *, mature: bool = False
) -> list[dict[str, Any]]:
    """What `.attempts` (or, with `mature`, `.mature_attempts`) must hold, before `top`."""
    rows = []
    for unit in sorted(people, key=lambda name: name.encode()):
        chain = best_chain(people[unit], asked, mature=mature)
        if not chain:
            continue
        # A chain is judged among the entries that it was chosen from.
        younger = mature and chain != best_chain(people[unit], asked)
        without_ties = best_chain(people[unit], asked, mature=younger, strict=True)
        ripe = asked.matures(chain[0])
        rows.append(
            {
                "unit": unit,
                "group": chain[0].group,
                "reach": len(chain),
                "times": tuple(event.time for event in chain),
                "mature": ripe,
                "censored": not ripe and len(chain) < len(asked.steps),
                "tied": len(without_ties) < len(chain),
            }
        )
    return rows


def kept_groups(rows: Sequence[Mapping[str, Any]], ripe: Sequence[Mapping[str, Any]], top: int):
    """Old name to new name: the `top` largest by entries stay, the rest is "(other)"."""
    sizes: dict[Any, int] = {row["group"]: 0 for row in [*rows, *ripe]}
    for row in rows:
        sizes[row["group"]] += 1
    order = sorted(sizes, key=lambda name: (-sizes[name], str(name)))
    return {name: name if place < top else "(other)" for place, name in enumerate(order)}


def table(
    rows: Sequence[Mapping[str, Any]], ripe: Sequence[Mapping[str, Any]], steps: int
) -> list[dict[str, Any]]:
    """What `.table` must hold; the rows' groups are already those after `top`, in order."""
    groups = list(dict.fromkeys(row["group"] for row in [*rows, *ripe])) or ["all"]
    lines = []
    for group in groups:
        mine = [row for row in rows if row["group"] == group]
        done = [row for row in ripe if row["group"] == group]
        n_first = len(done)
        before = n_first
        for step in range(1, steps + 1):
            waits = [
                row["times"][step - 1] - row["times"][step - 2]
                for row in done
                if row["reach"] >= step > 1
            ]
            k = sum(row["reach"] >= step for row in done)
            lines.append(
                {
                    "group": group,
                    "step": step,
                    "count": sum(row["reach"] >= step for row in mine),
                    "k": k,
                    "n_first": n_first,
                    "n_previous": before,
                    "rate": ratio(k, n_first),
                    "rate_limits": wilson(k, n_first),
                    "step_rate": ratio(k, before) if step > 1 else math.nan,
                    "limits": wilson(k, before) if step > 1 else (math.nan, math.nan),
                    "median_seconds": statistics.median(waits) / 1e6 if waits else math.nan,
                    "mean_seconds": sum(waits) / len(waits) / 1e6 if waits else math.nan,
                }
            )
            before = k
    return lines


def ratio(k: int, n: int) -> float:
    return k / n if n else math.nan


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's limits by the textbook formula."""
    if not n:
        return math.nan, math.nan
    rate = k / n
    middle = (rate + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(rate * (1 - rate) / n + Z * Z / (4 * n * n))
    return middle - half, middle + half
