"""The judge of exposure: every unit, every cell, every event, as the definitions are written.

Plain Python over lists, slow on purpose. It knows nothing of shards, codes or running sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SESSION_GAP = 30 * 60 * 10**6


class Seen(NamedTuple):
    """One event of a unit; times in microseconds."""

    time: int
    name: str
    session: str | None
    value: str | None


@dataclass(frozen=True)
class Spec:
    """`context` are the events that count as activity; `edges` the cells since entry, which is a
    unit's first event, or its first `start`."""

    macro: str
    events: tuple[str, ...]
    context: frozenset[str]
    edges: tuple[int, ...]
    covers: int
    start: str | None = None

    @property
    def horizon(self) -> int:
        return self.edges[-1]


class Row(NamedTuple):
    """A unit at risk in a cell: what it had done strictly before the cell starts."""

    unit: str
    cell: int
    converted: bool
    context: int
    times: tuple[int, ...]
    value: str | None
    returning: bool


@dataclass
class Answer:
    rows: list[Row] = field(default_factory=list)
    trials: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    facts: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    waits: dict[str, list[int]] = field(default_factory=dict)


def bin_of(number: int) -> int:
    """0, 1, 2, 3-4, 5-8, …, 257 and more."""
    lowest = [0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 257]
    return max(b for b, low in enumerate(lowest) if number >= low)


def answer(people: dict[str, Sequence[Seen]], asked: Spec) -> Answer:
    """Everything that is counted, unit by unit."""
    out = Answer(waits={name: [] for name in asked.events})
    for unit, everything in people.items():
        entry = [i for i, one in enumerate(everything) if asked.start in (None, one.name)]
        if entry:
            earlier, seen = list(everything[: entry[0]]), list(everything[entry[0] :])
            _facts(seen, asked, out)
            own = _rows(unit, seen, earlier, asked)
            out.rows += own
            _trials(seen, own, asked, out)
    return out


def conversion(seen: Sequence[Seen], asked: Spec) -> Seen | None:
    """The first macro conversion within the horizon and the log."""
    end = min(seen[0].time + asked.horizon, asked.covers)
    return next((one for one in seen if one.name == asked.macro and one.time < end), None)


def _rows(unit: str, seen: list[Seen], earlier: list[Seen], asked: Spec) -> list[Row]:
    entry = seen[0].time
    sessions = [one.session for one in earlier + seen if one.session is not None]
    rows = []
    for cell, (low, high) in enumerate(zip(asked.edges[:-1], asked.edges[1:], strict=True)):
        start, end = entry + low, entry + high
        before = [one for one in seen if one.time < start]
        if end > asked.covers or any(one.name == asked.macro for one in before):
            break
        inside = [one for one in seen if start <= one.time < end]
        known = {one.session for one in earlier + before if one.time < start} - {None}
        rows.append(
            Row(
                unit,
                cell,
                any(one.name == asked.macro for one in inside),
                sum(one.name in asked.context for one in before),
                tuple(sum(one.name == name for one in before) for name in asked.events),
                seen[0].value,
                bool(known - set(sessions[:1])),
            )
        )
    return rows


def _trials(seen: list[Seen], rows: list[Row], asked: Spec, out: Answer) -> None:
    entry = seen[0].time
    if entry + asked.horizon > asked.covers:
        return
    later = any(row.converted for row in rows)
    for row in rows[:-1]:  # after the last row there is no time left, or it has the conversion
        start, end = entry + asked.edges[row.cell], entry + asked.edges[row.cell + 1]
        inside = [one for one in seen if start <= one.time < end]
        activity = sum(one.name in asked.context for one in inside)
        if not activity:
            continue
        for k, name in enumerate(asked.events):
            if not row.times[k]:
                arm = int(any(one.name == name for one in inside))
                place = (k, arm, row.cell, bin_of(row.context), bin_of(activity))
                out.trials[("users", *place)] += 1
                out.trials[("macros", *place)] += later


def _facts(seen: list[Seen], asked: Spec, out: Answer) -> None:
    entry = seen[0].time
    end = min(entry + asked.horizon, asked.covers)
    bought = conversion(seen, asked)
    out.facts["units"] += 1
    out.facts["mature"] += entry + asked.horizon <= asked.covers
    if bought:
        out.facts["converters"] += 1
        out.facts["first_cell"] += bought.time < entry + asked.edges[1]
    for k, name in enumerate(asked.events):
        own = [one for one in seen if one.name == name and one.time < end]
        out.facts["users", k] += bool(own)
        before = [one for one in own if bought is None or one.time < bought.time]
        out.facts["peers", k, int(bool(before)), int(bought is not None)] += 1
        if bought and before:
            out.waits[name].append(bought.time - before[0].time)
        if bought and bought.session is not None:
            out.facts["structural", k] += any(
                0 <= bought.time - one.time <= SESSION_GAP and one.session == bought.session
                for one in own
            )
