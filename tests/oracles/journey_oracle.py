"""Journeys by plain Python and pandas, sequence by sequence: what the kernels must find."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, NamedTuple

import pandas as pd
from hypothesis import strategies as st

EVENTS = ("a", "b", "c", "d")


class Row(NamedTuple):
    """One event of a sequence."""

    event: str
    time: pd.Timestamp
    user: str


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Few users, sessions that overlap or are missing, few instants: ties and loops."""
    row = st.tuples(
        st.sampled_from("uvw"),
        st.sampled_from([0, 0, 1, 60, 3600, 7200]),
        st.sampled_from(EVENTS),
        st.sampled_from(["1", "2", None]),
    )
    rows = draw(st.lists(row, min_size=1, max_size=22))
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "session"])
    frame["time"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(frame["time"], unit="s")
    return frame.astype({"event": "str", "user": "str", "session": "str"})


def sequences(frame: pd.DataFrame, within: str) -> list[list[Row]]:
    """The sequences of a frame; rows without a session are in no sequence of sessions."""
    ordered = frame.sort_values(["user", "time"], kind="stable")
    keys = ["user", "session"] if within == "session" else ["user"]
    return [
        [Row(*cells) for cells in own[["event", "time", "user"]].itertuples(index=False)]
        for _, own in ordered.groupby(keys, sort=False, dropna=True)
    ]


def transitions(found: list[list[Row]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Per pair: transitions, departures, people, and median seconds."""
    count: Counter[tuple[str, str]] = Counter()
    leave: Counter[str] = Counter()
    users: dict[tuple[str, str], set[str]] = {}
    waits: dict[tuple[str, str], list[float]] = {}
    for sequence in found:
        names = ["(start)", *(row.event for row in sequence), "(end)"]
        for i, pair in enumerate(itertools.pairwise(names)):
            count[pair] += 1
            leave[pair[0]] += 1
            users.setdefault(pair, set()).add(sequence[0].user)
            if 0 < i < len(sequence):
                wait = (sequence[i].time - sequence[i - 1].time).total_seconds()
                waits.setdefault(pair, []).append(wait)
    return {
        pair: {
            "k": k,
            "n": leave[pair[0]],
            "users": len(users[pair]),
            "median": pd.Series(waits.get(pair, []), dtype=float).median(),
        }
        for pair, k in count.items()
    }


def positions(
    found: list[list[Row]], anchor: str | None, steps: int, *, back: bool
) -> tuple[Counter[tuple[int, str]], int]:
    """Sequences per position and event, and how many of them have the anchor."""
    counts: Counter[tuple[int, str]] = Counter()
    units = 0
    for sequence in found:
        names = [row.event for row in sequence]
        if anchor is not None and anchor not in names:
            continue
        units += 1
        at = 0 if anchor is None else names.index(anchor)
        part = names[: at + 1][::-1] if back else names[at:]
        part = part + ["(not yet)" if back else "(end)"] * steps
        counts.update((-k if back else k, part[k]) for k in range(steps + 1))
    return counts, units


def paths(
    found: list[list[Row]],
    asked: tuple[str | None, str | None],
    length: int,
    *,
    collapse: bool,
) -> dict[tuple[str, ...], dict[str, Any]]:
    """Per path: how many sequences took exactly it, went through it, and came to the end then."""
    start, to = asked
    taken: Counter[tuple[str, ...]] = Counter()
    users: dict[tuple[str, ...], set[str]] = {}
    gone: list[tuple[set[tuple[str, ...]], bool]] = []
    for sequence in found:
        names = [row.event for row in sequence]
        if collapse:
            names = [e for i, e in enumerate(names) if i == 0 or names[i - 1] != e]
        if start is not None:
            if start not in names:
                continue
            names = names[names.index(start) :]
        after = 1 if start is not None else 0
        reached = to is not None and to in names[after:]
        if reached:
            names = names[: names.index(to, after)]  # type: ignore[arg-type]
        if start is not None or to is None:
            own = tuple(names[:length])
            through = {own[:i] for i in range(len(own) + 1)}
        else:
            steps = ["(start)", *names]
            through = {tuple(steps[max(0, i - length) : i]) for i in range(1, len(steps) + 1)}
            own = tuple(steps[-length:])
        gone.append((through, reached))
        if reached or start is not None or to is None:
            taken[own] += 1
            users.setdefault(own, set()).add(sequence[0].user)
    return {
        path: {
            "count": k,
            "users": len(users[path]),
            "n": sum(path in through for through, _ in gone),
            "k": sum(path in through and reached for through, reached in gone),
        }
        for path, k in taken.items()
    }


def orders(found: list[list[Row]]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Per pair (in alphabetical order): first comes first, second does, at one instant."""
    counts: dict[tuple[str, str], list[int]] = {}
    for sequence in found:
        first: dict[str, pd.Timestamp] = {}
        for row in sequence:
            first.setdefault(row.event, row.time)
        for a in sorted(first):
            for b in sorted(first):
                if a < b:
                    which = 0 if first[a] < first[b] else 1 if first[b] < first[a] else 2
                    counts.setdefault((a, b), [0, 0, 0])[which] += 1
    return {pair: (own[0], own[1], own[2]) for pair, own in counts.items()}


def mixed(sequence: list[Row]) -> list[bool]:
    """Per row: does another event of the sequence share its instant?"""
    return [any(b.time == a.time and b.event != a.event for b in sequence) for a in sequence]


def tied_departures(found: list[list[Row]]) -> tuple[int, int]:
    """Departures (starts and ends among them) into, within or out of mixed instants; and all."""
    tied, every = 0, 0
    for sequence in found:
        marks = [False, *mixed(sequence), False]
        every += len(marks) - 1
        tied += sum(a or b for a, b in itertools.pairwise(marks))
    return tied, every


def distances(found: list[list[Row]], macro: str) -> dict[str, dict[str, Any]]:
    """Per event: sequences that did it by the macro, those that converted, steps, seconds.

    Rows of one instant lie so that the event is nearest to the macro.
    """
    out: dict[str, dict[str, Any]] = {}
    for sequence in found:
        paid = [row.time for row in sequence if row.event == macro]
        rows = [row for row in sequence if not paid or row.time <= paid[0]]
        for event in {row.event for row in rows} - {macro}:
            own = out.setdefault(event, {"n": 0, "k": 0, "steps": [], "seconds": []})
            own["n"] += 1
            if paid:
                last = max(row.time for row in rows if row.event == event)
                own["k"] += 1
                own["steps"].append(1 + sum(last < row.time < paid[0] for row in rows))
                own["seconds"].append((paid[0] - last).total_seconds())
    return out
