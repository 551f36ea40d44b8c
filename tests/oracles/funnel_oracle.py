"""The judge of the funnel: list every chain there is, and choose by the rule as it is written.

Pure Python and slow on purpose. Nothing here is clever, so that it can be read next to the
definition: a chain is a list of distinct events of one unit, each of which serves a step, in the
order of time, inside the window that the first of them opens. Groups and the table are in
`funnel_oracle_table`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

EVER = (-(2**50), 2**50)
COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


class Event(NamedTuple):
    """`time` in microseconds; `arrival` is the row's place in the input; a missing cell is None."""

    time: int
    arrival: int
    name: str
    cells: Mapping[str, Any] = {}
    user: str = "u"
    session: str | None = "1"


class Done(NamedTuple):
    """A step and the event that serves it."""

    step: int
    event: Event


Chain = tuple[Done, ...]


@dataclass(frozen=True)
class Step:
    """`within` in microseconds."""

    events: tuple[str, ...]
    where: Mapping[str, Any] = field(default_factory=dict)
    within: int | None = None
    optional: bool = False


@dataclass(frozen=True)
class Exclusion:
    events: tuple[str, ...]
    after: int | None = None
    before: int | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A funnel; instants and the window in microseconds, `entered` is [start, end)."""

    steps: tuple[Step, ...]
    window: int
    covers_until: int
    order: str = "sequential"
    unit: str = "user"
    count: str = "units"
    entry: str = "best"
    hold: tuple[str, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    on_exclude: str = "end_attempt"
    by: tuple[str, ...] = ()
    by_at: str | int = "entry"
    top: int = 12
    strict: bool = False
    entered: tuple[int, int] = EVER

    def matures(self, entry: Event) -> bool:
        return entry.time + self.window <= self.covers_until


def plain(*steps: Sequence[str]) -> tuple[Step, ...]:
    """Steps that ask for nothing but names."""
    return tuple(Step(tuple(step)) for step in steps)


# ── what matches ────────────────────────────────────────────────────────────────────────────────


def holds(cell: Any, wanted: Any) -> bool:
    """A missing cell fits nothing; numbers can be compared, ``">= 2"``."""
    if cell is None:
        return False
    if isinstance(wanted, list):
        return any(holds(cell, one) for one in wanted)
    if isinstance(cell, float) and isinstance(wanted, str):
        sign, number = wanted.split()
        return COMPARISONS[sign](cell, float(number))
    return cell == wanted


def matches(event: Event, what: Step | Exclusion) -> bool:
    named = what.events == ("*",) or event.name in what.events
    return named and all(holds(event.cells.get(name), want) for name, want in what.where.items())


def can_enter(event: Event, asked: Question) -> bool:
    start, end = asked.entered
    first = asked.steps if asked.order == "any" else asked.steps[:1]
    return start <= event.time < end and any(matches(event, step) for step in first)


# ── whose events ────────────────────────────────────────────────────────────────────────────────


class Unit(NamedTuple):
    """`name` is what `.attempts` shows; `cluster` is whose chances go together."""

    cluster: str
    name: Any


def text(value: Any) -> str:
    """A cell as a name: a number has no trailing ``.0``."""
    return f"{value:g}" if isinstance(value, float) else value


def units_of(events: Sequence[Event], asked: Question) -> dict[Unit, list[Event]]:
    """The events of each unit in the order of time, then arrival; some belong to nobody."""
    if asked.unit not in ("user", "session"):
        # Rows of one account at one instant come in the order of the people's ids, then arrival.
        queue = sorted(events, key=lambda e: (e.user.encode(), e.arrival))
        events = [event._replace(arrival=place) for place, event in enumerate(queue)]
    units: dict[Unit, list[Event]] = {}
    for event in sorted(events, key=lambda e: (e.time, e.arrival)):
        own = {"user": event.user, "session": event.session}
        value = own[asked.unit] if asked.unit in own else event.cells.get(asked.unit)
        held = [event.cells.get(name) for name in asked.hold]
        if value is None or None in held:
            continue
        cluster = event.user if asked.unit in own else text(value)
        name = (text(value), *map(text, held)) if held else text(value)
        units.setdefault(Unit(cluster, name), []).append(event)
    return units


# ── all chains ──────────────────────────────────────────────────────────────────────────────────


def next_steps(chain: Chain, asked: Question) -> Iterator[int]:
    """Any order: what is not done yet. Else up to the next step that may not be skipped."""
    for number, step in enumerate(asked.steps, start=1):
        if asked.order == "any":
            if number not in [done.step for done in chain]:
                yield number
        elif not chain or number > chain[-1].step:
            yield number
            if not step.optional:
                return


def all_chains(
    entries: Sequence[Event], usable: Sequence[Event], rows: Sequence[Event], asked: Question
) -> Iterator[Chain]:
    """Every chain from these entries, of every length, made of usable rows; ties lenient.

    `rows` are all events of the unit, which is what strict order looks at.
    """

    def adjacent(last: Event, event: Event) -> bool:
        return not any(last.time < other.time < event.time for other in rows)

    def longer(chain: Chain) -> Iterator[Chain]:
        yield chain
        entry, last = chain[0].event, chain[-1].event
        for event in usable:
            if not last.time <= event.time <= entry.time + asked.window:
                continue
            if any(done.event is event for done in chain):
                continue
            if asked.order == "strict" and not adjacent(last, event):
                continue
            for number in next_steps(chain, asked):
                step = asked.steps[number - 1]
                soon = step.within is None or event.time - last.time <= step.within
                if soon and matches(event, step):
                    yield from longer((*chain, Done(number, event)))

    for event in entries:
        for number in next_steps((), asked):
            if matches(event, asked.steps[number - 1]):
                yield from longer((Done(number, event),))


def rises(chain: Chain) -> bool:
    """Each event is later than the one before: what `ties="strict"` wants."""
    return all(a.event.time < b.event.time for a, b in itertools.pairwise(chain))


def reach(chain: Chain, asked: Question) -> int:
    if not chain:
        return 0
    return len(chain) if asked.order == "any" else chain[-1].step


def converted(chain: Chain, asked: Question) -> bool:
    if asked.order == "any":
        return len(chain) == len(asked.steps)
    required = [k for k, step in enumerate(asked.steps, start=1) if not step.optional]
    return reach(chain, asked) >= required[-1]


def serving(chain: Chain, number: int, asked: Question) -> Event | None:
    """The event of step `number`; in any order, of the step done as the number-th."""
    for place, done in enumerate(chain, start=1):
        if number == (place if asked.order == "any" else done.step):
            return done.event
    return None


# ── exclusions ──────────────────────────────────────────────────────────────────────────────────


def spoilers(
    chain: Chain, rows: Sequence[Event], asked: Question
) -> Iterator[tuple[Event, Event, Event | None]]:
    """Each excluded event that is not the chain's own, after which step, before which."""
    for exclusion in asked.exclude:
        start = serving(chain, exclusion.after or 1, asked)
        end = serving(chain, exclusion.before or len(asked.steps), asked)
        for event in rows:
            own = any(done.event is event for done in chain)
            if start is not None and matches(event, exclusion) and not own:
                yield event, start, end


def valid(chain: Chain, rows: Sequence[Event], asked: Question) -> bool:
    """Nothing excluded happened between the steps that the chain has done."""
    return not any(
        start.time < event.time < (end or chain[-1].event).time
        for event, start, end in spoilers(chain, rows, asked)
    )


def touching(chain: Chain, rows: Sequence[Event], asked: Question) -> list[Event]:
    """What excluded events happened while a valid chain could still have gone on."""
    over = chain[0].event.time + asked.window
    return [
        event
        for event, start, end in spoilers(chain, rows, asked)
        if end is None and start.time < event.time <= over
    ]


def untouched(chain: Chain, rows: Sequence[Event], asked: Question) -> bool:
    return valid(chain, rows, asked) and not touching(chain, rows, asked)


# ── the choice ──────────────────────────────────────────────────────────────────────────────────


def preference(chain: Chain, asked: Question) -> tuple[Any, ...]:
    """Smallest is best.

    The furthest; that ends earliest; has more optional steps; has the earliest times; has the
    first steps; enters latest; by the row that arrived last; with further rows that arrived first.
    """
    entry, further = chain[0].event, [done.event for done in chain[1:]]
    return (
        -reach(chain, asked),
        chain[-1].event.time,
        -len(chain),
        [event.time for event in further],
        [] if asked.order == "any" else [done.step for done in chain],
        -entry.time,
        -entry.arrival,
        [event.arrival for event in further],
    )


def choose(
    entries: Sequence[Event],
    usable: Sequence[Event],
    rows: Sequence[Event],
    asked: Question,
    *,
    strict: bool,
) -> Chain:
    """The best chain from these entries, or an empty one."""
    chains = [c for c in all_chains(entries, usable, rows, asked) if rises(c) or not strict]
    sound = [chain for chain in chains if valid(chain, rows, asked)]
    clean = [chain for chain in sound if not touching(chain, rows, asked)]

    def furthest(some: Sequence[Chain]) -> int:
        return max((reach(chain, asked) for chain in some), default=0)

    left = sound
    if asked.on_exclude == "drop_unit":
        left = clean if furthest(chains) == furthest(clean) else []
    if asked.on_exclude == "drop_attempt":
        left = []
        for entry in entries:
            could = furthest([chain for chain in sound if chain[0].event is entry])
            own = [chain for chain in clean if chain[0].event is entry]
            left += [chain for chain in own if reach(chain, asked) == could]
    return min(left, key=lambda chain: preference(chain, asked), default=())


def earliest(entries: Sequence[Event]) -> list[Event]:
    return [event for event in entries if event.time == min(e.time for e in entries)]


class Chosen(NamedTuple):
    chain: Chain
    tied: bool


def of_unit(rows: Sequence[Event], asked: Question, *, mature: bool) -> list[Chosen]:
    """The unit's chain, or none: the best of all or, with `mature`, of those that may be judged.

    The first has done whatever the second has; where it has not, the second counts for both.
    """
    ripe = of_entries(rows, asked, mature=True)
    if mature:
        return ripe
    whole = of_entries(rows, asked, mature=False)
    steps = range(1, len(asked.steps) + 1)
    if ripe and not (
        whole
        and all(
            serving(whole[0].chain, k, asked) for k in steps if serving(ripe[0].chain, k, asked)
        )
    ):
        return ripe
    return whole


def of_entries(rows: Sequence[Event], asked: Question, *, mature: bool) -> list[Chosen]:
    """The best chain of all entries, or of the mature ones, or none."""
    entries = [e for e in rows if can_enter(e, asked) and (asked.matures(e) or not mature)]
    if asked.entry == "first":
        entries = earliest(entries)
    chain = choose(entries, rows, rows, asked, strict=asked.strict)
    if not chain:
        return []
    if mature:
        # An attempt that is the best of all too is one attempt, judged among all entries.
        whole = of_entries(rows, asked, mature=False)
        if whole and whole[0].chain == chain:
            return whole
    strictly = choose(entries, rows, rows, asked, strict=True)
    return [Chosen(chain, reach(strictly, asked) < reach(chain, asked))]


def in_turn(rows: Sequence[Event], asked: Question) -> list[Chosen]:
    """The unit's attempts: greedy in time, no event in two of them."""
    if asked.on_exclude == "drop_unit":
        if not of_entries(rows, asked, mature=False):
            return []
        asked = replace(asked, on_exclude="drop_attempt")
    found: list[Chosen] = []
    usable, free = list(rows), EVER[0]
    while entries := earliest([e for e in usable if can_enter(e, asked) and e.time >= free]):
        chain = choose(entries, usable, rows, asked, strict=asked.strict)
        strictly = choose(entries, usable, rows, asked, strict=True)
        dropped = not chain
        if dropped:  # it uses up what it could reach, and is not listed
            kept = replace(asked, on_exclude="end_attempt")
            chain = choose(entries, usable, rows, kept, strict=asked.strict)
        else:
            found.append(Chosen(chain, reach(strictly, asked) < reach(chain, asked)))
        usable = [e for e in usable if all(done.event is not e for done in chain)]
        broken = [event.time for event in touching(chain, rows, asked)]
        if converted(chain, asked) and not dropped:
            free = chain[-1].event.time
        else:
            free = min(broken) if broken else chain[0].event.time + asked.window + 1
    return found


def best_chain(events: Sequence[Event], asked: Question, *, strict: bool = False) -> Chain:
    """The chain of one unit, or an empty one."""
    found = of_entries(events, replace(asked, strict=strict), mature=False)
    return found[0].chain if found else ()
