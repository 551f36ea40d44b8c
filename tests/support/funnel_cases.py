"""Small logs and questions for the funnel: full of ties, repeats and missing values.

Every option is drawn together with all others, so that each pair of them meets. A case is a
list of rows and a question of the oracle's; `log_of` and `ask` put it to the library.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle

from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import Exclusion, Step

START = pd.Timestamp("2026-11-02T10:00Z")
MINUTE = 60_000_000
NAMES = "abcdx"
PEOPLE = ("ann", "bob", "Ünal 🌊")
MOST_ROWS = 9
LATE = 5_000
"""The minute from which on one more user does everything, so that no name is unknown."""


class Row(NamedTuple):
    user: str
    minute: int
    event: str
    session: str | None
    g: str | None
    h: str | None
    v: float | None


Case = tuple[list[Row], oracle.Question]

# ── rows ────────────────────────────────────────────────────────────────────────────────────────

TEXTS = {
    "session": ("1", "1", "2", None),
    "g": ("x", "x", "y", None),
    "h": ("p", "p", "q", None),
}
NUMBERS = (1.0, 2.0, 2.0, 2.5, 10.0, None)
OFTEN = "aaabbbcccdxx"

a_row = st.builds(
    Row,
    st.sampled_from(PEOPLE),
    st.integers(0, 6),
    st.sampled_from(OFTEN),
    st.sampled_from(TEXTS["session"]),
    st.sampled_from(TEXTS["g"]),
    st.sampled_from(TEXTS["h"]),
    st.sampled_from(NUMBERS),
)


def crowd(seed: int, users: int, unit: str) -> list[Row]:
    """Many users at once; where a property is the unit it has as many values."""
    rng = random.Random(seed)
    texts: dict[str, Any] = dict(TEXTS)
    numbers: tuple[Any, ...] = NUMBERS
    if unit == "g":
        texts["g"] = (*(f"x{k}" for k in range(users)), "x", "y", None)
    if unit == "v":
        numbers = (*(k / 2 for k in range(users)), None)
    rows = [
        Row(  # type: ignore[call-arg]
            f"u{rng.randrange(users)}",
            rng.randrange(7),
            rng.choice(OFTEN),
            *(rng.choice(values) for values in texts.values()),  # type: ignore[arg-type]
            rng.choice(numbers),
        )
        for _ in range(6 * users)
    ]
    return few(rows, unit) + everything()


def everything() -> list[Row]:
    """A user of the names in reverse, long after all others."""
    return [
        Row("zoe", LATE + k, name, "9", "z", "z", 99.0) for k, name in enumerate(reversed(NAMES))
    ]


def few(drawn: Sequence[Row], unit: str) -> list[Row]:
    """At most nine rows of a user, and of a unit: every chain of them is going to be listed."""
    kept: list[Row] = []
    for row in drawn:
        whose = ["user"] if unit in ("user", "session") else ["user", unit]
        crowd = [sum(getattr(r, w) == getattr(row, w) for r in kept) for w in whose]
        if max(crowd) < MOST_ROWS:
            kept.append(row)
    return kept


# ── questions ───────────────────────────────────────────────────────────────────────────────────

CHOICES: dict[str, Sequence[Any]] = {
    "order": ["sequential"] * 3 + ["strict", "strict", "any", "any"],
    "unit": ["user"] * 4 + ["session", "session", "g", "v"],
    "count": ["units", "units", "attempts"],
    "entry": ["best", "best", "first"],
    "hold": [()] * 4 + [("g",), ("h",), ("g", "h"), ("v",)],
    "on_exclude": ["end_attempt", "drop_attempt", "drop_unit"],
    "by": [(), ("g",), ("v",), ("g", "h")],
    "by_at": ["entry", "first_touch", "last_touch", 1, 2, 3],
    "top": [12, 12, 1, 2],
    "strict": [False, False, True],
    "exclusions": [0, 0, 1, 1, 2],
    "rich": [True],
}
PLAIN: dict[str, Sequence[Any]] = {
    "order": ["sequential"],
    "unit": ["user"],
    "count": ["units"],
    "entry": ["best"],
    "hold": [()],
    "exclusions": [0],
}
EVENTS = [("a",), ("b",), ("c",)] * 3 + [("d",), ("a", "b"), ("b", "c"), ("d", "a", "c"), ("*",)]
WHERES: list[Mapping[str, Any]] = [
    {"g": "x"},
    {"g": ["x", "y"]},
    {"v": ">= 2"},
    {"v": [1, "> 1.5"]},
    {"g": ["y", "x"], "h": "p"},
    {"v": "!= 1"},
]
EXCLUDED = [("x",)] * 4 + [("a",), ("b",), ("x", "c"), ("*",)]


Pick = Callable[[Sequence[Any]], Any]
"""Takes one of several values: hypothesis, which shrinks, or a generator, which is quick."""


def question(pick: Pick, given: Mapping[str, Sequence[Any]]) -> oracle.Question:
    """A question whose options come from `given`, or else from `CHOICES`."""
    values = {name: pick(given.get(name, CHOICES[name])) for name in CHOICES}
    number, rich = values.pop("exclusions"), values.pop("rich")
    size = pick([1, 2, 2, 3, 3, 3, 4])
    may_skip = rich and values["order"] == "sequential"
    steps = tuple(some_step(pick, rich=rich, optional=may_skip and k > 0) for k in range(size))
    if values["count"] == "attempts":
        values["entry"] = "best"
    if values["unit"] in values["hold"]:
        values["hold"] = ()
    if not values["by"]:
        values["by_at"] = "entry"
    elif isinstance(values["by_at"], int):
        values["by_at"] = min(values["by_at"], size)
    low, span = pick(range(-1, 4)), pick([None, None, None, 2, 4])
    return oracle.Question(
        steps=steps,
        window=pick(range(2, 8)) * MINUTE,
        covers_until=pick([*range(2, 12), 2 * LATE, 2 * LATE]) * MINUTE,
        entered=oracle.EVER if span is None else (low * MINUTE, (low + span) * MINUTE),
        exclude=tuple(some_exclusion(pick, size) for _ in range(number if size > 1 else 0)),
        **values,
    )


def some_step(pick: Pick, *, rich: bool, optional: bool) -> oracle.Step:
    return oracle.Step(
        events=pick(EVENTS),
        where=pick([{}] * 24 + WHERES) if rich else {},
        within=pick([None] * 9 + [1 * MINUTE, 2 * MINUTE, 3 * MINUTE]) if rich else None,
        optional=optional and pick([False, False, True]),
    )


def some_exclusion(pick: Pick, size: int) -> oracle.Exclusion:
    after = pick([None, *range(1, size)])
    before = pick([None, *range((after or 1) + 1, size + 1)])
    return oracle.Exclusion(pick(EXCLUDED), after, before, pick([{}] * 6 + WHERES[:3]))


@st.composite
def cases(draw: st.DrawFn, given: Mapping[str, Sequence[Any]]) -> Case:
    """A few rows of a few users, and a question."""
    asked = question(lambda values: draw(st.sampled_from(values)), given)
    drawn = draw(st.lists(st.none() | a_row, min_size=16, max_size=24))
    return few([row for row in drawn if row], asked.unit) + everything(), asked


def crowded_case(seed: int, given: Mapping[str, Sequence[Any]], users: int) -> Case:
    """The same of many users, without hypothesis: what one question is to many units."""
    asked = question(random.Random(seed).choice, given)
    return crowd(seed, users, asked.unit), asked


def spread_out(case: Case) -> Case:
    """The same at a hundredth of the speed, no two rows of a unit at one instant."""
    rows, asked = case
    unit = "user" if asked.unit in ("user", "session") else asked.unit
    later = [row._replace(minute=100 * row.minute + k % 97) for k, row in enumerate(rows)]
    alone = {(getattr(row, unit), row.minute): row for row in reversed(later)}
    ever = asked.entered == oracle.EVER
    low, high = asked.entered
    slower = replace(
        asked,
        window=100 * asked.window,
        covers_until=100 * asked.covers_until,
        entered=asked.entered if ever else (100 * low, 100 * high),
        steps=tuple(replace(s, within=s.within and 100 * s.within) for s in asked.steps),
    )
    return [row for row in later if alone[getattr(row, unit), row.minute] is row], slower


# ── the same for the library ────────────────────────────────────────────────────────────────────


def events_of(rows: Sequence[Row]) -> list[oracle.Event]:
    return [
        oracle.Event(
            row.minute * MINUTE,
            arrival,
            row.event,
            {"g": row.g, "h": row.h, "v": row.v},
            row.user,
            row.session,
        )
        for arrival, row in enumerate(rows)
    ]


def instant(microseconds: int) -> pd.Timestamp:
    return START + pd.Timedelta(microseconds, "us")


def log_of(rows: Sequence[Row], covers_until: int, shards: int) -> EventLog:
    frame = pd.DataFrame(list(rows), columns=list(Row._fields))
    frame["time"] = START + pd.to_timedelta(frame.pop("minute"), "min")
    texts = dict.fromkeys(("session", "g", "h"), "str")
    frame = frame.astype({**texts, "v": "float64"})
    return EventLog.from_frame(frame, covers_until=instant(covers_until), shards=shards)


def ask(log: EventLog, asked: oracle.Question) -> FunnelResult:
    """The question put to the library, with all options said."""
    ever = asked.entered == oracle.EVER
    return funnel(
        log,
        [library_step(step) for step in asked.steps],
        order=asked.order,
        window=f"{asked.window}us",
        unit=asked.unit,
        count=asked.count,
        entry=asked.entry,
        hold=list(asked.hold),
        exclude=[
            Exclusion(list(e.events), e.after, e.before, dict(e.where) or None)
            for e in asked.exclude
        ],
        on_exclude=asked.on_exclude,
        by=list(asked.by) or None,
        by_at=asked.by_at,
        top=asked.top,
        ties="strict" if asked.strict else "lenient",
        entered=None if ever else (instant(asked.entered[0]), instant(asked.entered[1])),
    )


def library_step(step: oracle.Step) -> Step:
    return Step(
        event=step.events[0] if len(step.events) == 1 else list(step.events),
        where=dict(step.where) or None,
        within=None if step.within is None else f"{step.within}us",
        optional=step.optional,
    )
