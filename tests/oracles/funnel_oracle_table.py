"""The judge of the funnel's tables: group the chains of `funnel_oracle`, count, and divide."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from oracles.funnel_oracle import (
    Chain,
    Event,
    Question,
    converted,
    in_turn,
    matches,
    of_unit,
    reach,
    serving,
    text,
    touching,
    units_of,
)

Z = statistics.NormalDist().inv_cdf(0.975)
Row = dict[str, Any]


# ── rows ────────────────────────────────────────────────────────────────────────────────────────


def attempts(events: Sequence[Event], asked: Question, *, mature: bool = False) -> list[Row]:
    """What `.attempts` (or, with `mature`, `.mature_attempts`) must hold, before `top`."""
    found = []
    for unit, rows in units_of(events, asked).items():
        if asked.count == "attempts":
            chosen = in_turn(rows, asked)
            chosen = [c for c in chosen if asked.matures(c.chain[0].event) or not mature]
        else:
            chosen = of_unit(rows, asked, mature=mature)
        for chain, tied in chosen:
            own = row_of(chain, rows, asked)
            if asked.count == "units":
                # A unit is in one group, that of the chain by which it is judged.
                ripe = of_unit(rows, asked, mature=True)
                group = group_of(ripe[0].chain, rows, asked) if ripe else None
                own["group"] = own["group"] if group is None else group
            found.append({"unit": unit.name, "cluster": unit.cluster, **own, "tied": tied})
    return found


def row_of(chain: Chain, rows: Sequence[Event], asked: Question) -> Row:
    steps = [serving(chain, k, asked) for k in range(1, len(asked.steps) + 1)]
    ripe = asked.matures(chain[0].event)
    return {
        "group": group_of(chain, rows, asked),
        "entered_at": chain[0].event.time,
        "reach": reach(chain, asked),
        "times": tuple(None if event is None else event.time for event in steps),
        "excluded": bool(touching(chain, rows, asked)),
        "mature": ripe,
        "censored": not ripe and not converted(chain, asked),
    }


def group_of(chain: Chain, rows: Sequence[Event], asked: Question) -> Any:
    """The group's name; None: in no group."""
    if not asked.by:
        return "all"
    event: Event | None = chain[0].event
    if isinstance(asked.by_at, int):
        event = serving(chain, asked.by_at, asked)
        if event is None:
            return None
    elif asked.by_at != "entry":
        touches = [
            row
            for row in rows
            if any(matches(row, step) for step in asked.steps)
            and any(row.cells.get(name) is not None for name in asked.by)
        ]
        event = None
        if touches:
            event = touches[0] if asked.by_at == "first_touch" else touches[-1]
    cells = [None if event is None else event.cells.get(name) for name in asked.by]
    names = tuple("(missing)" if cell is None else text(cell) for cell in cells)
    return names[0] if len(names) == 1 else names


def kept_groups(rows: Sequence[Row], ripe: Sequence[Row], top: int) -> dict[Any, Any]:
    """Old name to new name: the `top` largest by entries stay, the rest is "(other)"."""
    sizes: dict[Any, int] = {row["group"]: 0 for row in [*rows, *ripe]}
    for row in rows:
        sizes[row["group"]] += 1
    sizes.pop(None, None)
    order = sorted(sizes, key=lambda name: (-sizes[name], str(name)))
    new = {name: name if place < top else "(other)" for place, name in enumerate(order)}
    return new | {None: None}


# ── table ───────────────────────────────────────────────────────────────────────────────────────


def table(rows: Sequence[Row], ripe: Sequence[Row], asked: Question) -> list[Row]:
    """What `.table` must hold; the rows' groups are already those after `top`."""
    groups = list(dict.fromkeys(row["group"] for row in [*rows, *ripe]))
    lines = []
    for group in [name for name in groups if name is not None] or ["all"]:
        mine = [row for row in rows if row["group"] == group]
        done = [row for row in ripe if row["group"] == group]
        for step in range(1, len(asked.steps) + 1):
            before = previous_required(step, asked)
            lines.append(
                {
                    "group": group,
                    "step": step,
                    "count": sum(did(row, step) for row in mine),
                    **rates(done, step, before, asked),
                    **waits(done, step),
                }
            )
    return lines


def did(row: Row, step: int) -> bool:
    return row["times"][step - 1] is not None


def previous_required(step: int, asked: Question) -> int:
    """The last step before this one that nobody may skip; for the first step itself."""
    before = [k for k in range(1, step) if not asked.steps[k - 1].optional]
    return before[-1] if before else 1


def rates(done: Sequence[Row], step: int, before: int, asked: Question) -> Row:
    reached = [row for row in done if did(row, step)]
    could = [row for row in done if did(row, before)]
    k, n_first, n_previous = len(reached), len(done), len(could)
    first = step == 1
    nan = (math.nan, math.nan)
    return {
        "k": k,
        "n_first": n_first,
        "n_previous": n_previous,
        "rate": ratio(k, n_first),
        "rate_limits": limits(reached, done, asked),
        "step_rate": math.nan if first else ratio(k, n_previous),
        "limits": nan if first else limits(reached, could, asked),
    }


def waits(done: Sequence[Row], step: int) -> Row:
    """Since the previous step done, whichever that was."""
    found = []
    for row in done:
        earlier = [time for time in row["times"][: step - 1] if time is not None]
        if did(row, step) and earlier:
            found.append(row["times"][step - 1] - earlier[-1])
    return {
        "median_seconds": statistics.median(found) / 1e6 if found else math.nan,
        "mean_seconds": sum(found) / len(found) / 1e6 if found else math.nan,
    }


def ratio(k: int, n: int) -> float:
    return k / n if n else math.nan


def limits(reached: Sequence[Row], could: Sequence[Row], asked: Question) -> tuple[float, float]:
    """Wilson's; where a user can stand in several rows, with the effective sample size."""
    k, n = len(reached), len(could)
    if not n:
        return math.nan, math.nan
    several = asked.count == "attempts" or asked.unit == "session" or bool(asked.hold)
    return wilson(k / n, effective(reached, could) if several else n)


def effective(reached: Sequence[Row], could: Sequence[Row]) -> float:
    """n / deff by exact fractions, at most n; the number of users where deff says nothing."""
    k_of = Counter(row["cluster"] for row in reached)
    n_of = Counter(row["cluster"] for row in could)
    n = len(could)
    p = Fraction(len(reached), n)
    between = sum((k_of[user] - p * n_of[user]) ** 2 for user in n_of) / Fraction(n) ** 2
    alone = p * (1 - p) / n
    if not alone or not between:
        return len(n_of)
    return float(min(n, n / (between / alone)))  # type: ignore[arg-type]


def wilson(rate: float, n: float) -> tuple[float, float]:
    """Wilson's limits by the textbook formula."""
    middle = (rate + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(rate * (1 - rate) / n + Z * Z / (4 * n * n))
    return middle - half, middle + half


# ── beside the rows ─────────────────────────────────────────────────────────────────────────────


def left_out(events: Sequence[Event], asked: Question) -> int:
    """How many rows belong to nobody."""
    return len(events) - sum(map(len, units_of(events, asked).values()))


def named(rows: Sequence[Row], names: Mapping[Any, Any]) -> list[Row]:
    return [{**row, "group": names[row["group"]]} for row in rows]
