"""How far are the micro conversions from the macro, and does a milestone behave like one?

A milestone is a step that people go through on their way. So most of those who convert did it
before, and shortly before, and those who did it convert more often than people do in all. That is
a description. It says that an event lies on the way; this file refuses to say that bringing people
to it would make more of them convert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result, small, suppress
from analysis.core.schema import SESSION, US_PER_SECOND, USER, DataError, human_duration
from analysis.core.wording import count, isolate, listed, percent, share, tenths
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.journeys import kernels
from analysis.journeys.figures import distance_bars
from analysis.journeys.sequences import (
    DEPENDENT,
    Entered,
    EventGroups,
    Sequences,
    check_arguments,
    entered_as_text,
    entered_in,
    event_groups,
    map_sequences,
    tied_share,
    unit_word,
)
from analysis.statistics.rates import ratio, wilson

LIKE, UNLIKE, UNCLEAR = "like a milestone", "not like a milestone", "unclear"

_ROLES: Final = ("milestone", "secondary", "control", "adverse")

_HALF: Final = 0.5
"""A milestone is done by more than this share of converters, and by more than it near the macro."""

_QUARTILES: Final = {
    "median_steps": 0.5,
    "steps_low_quartile": 0.25,
    "steps_high_quartile": 0.75,
}

_NO_HORIZON = (
    "People who did something late had less time to convert before the log ends: the shares that "
    "convert are of what the log covers, not of a fixed time."
)

_NOT_CAUSED = (
    "People who do more of everything also convert more. So a high share that converts after an "
    "event need not come from the event."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class DistanceResult(Result):
    """The answer of `distance_to_macro`.

    ``table`` has a row per event with a role, nearest first: ``event, role``; ``k`` of the ``n``
    sequences that did it before any macro converted later: ``rate, low, high`` (in all, ``k_all``
    of ``n_all`` sequences do: ``rate_all, low_all, high_all``); ``k`` of ``converters`` did it
    before: ``coverage, coverage_low, coverage_high``. From its last time to the macro:
    ``median_steps`` (1: right before), ``steps_low_quartile, steps_high_quartile``,
    ``median_seconds``; ``k_near`` of ``k`` within `near` steps of it: ``near, near_low,
    near_high``. ``behaves``: like a milestone where clearly more than half of the converters did
    it, clearly more than half of those near the macro, and clearly more convert after it than in
    all; not like one where one of these is clearly not so. Numbers of few people are NaN.
    ``parameters["tied"]`` is the share of converters who did something else in the very instant of
    the macro.
    """

    macro: str
    within: str
    converters: int
    lines: int
    people: int

    def sentence(self) -> str:
        """Which declared milestones behave like one, and which event is nearest."""
        known = self.table.dropna(subset=["rate", "median_steps"])
        if not len(known):
            return f"Too few came to {self.macro} to show how far the other events are from it."
        declared = known[known["role"] == "milestone"]
        good = declared[declared["behaves"] == LIKE]["event"].tolist()
        milestones = ""
        if len(declared):
            milestones = (
                f"{count(len(good))} of {count(len(declared))} declared milestones behave like one"
                + (f": {listed(good)}. " if good else ". ")
            )
        top = known.iloc[0]
        steps = tenths(top["median_steps"]).removesuffix(".0")
        return (
            f"{milestones}Nearest to {isolate(self.macro)} is {isolate(top['event'])}: "
            f"in the median {steps} step{'' if steps == '1' else 's'} and "
            f"{human_duration(top['median_seconds'] * US_PER_SECOND)} before it; "
            f"{share(top['k'], top['n'], top['rate'])} of those who did it converted later "
            f"(95% interval {percent(top['low'])} to {percent(top['high'])}), against "
            f"{share(self.converters, self.lines, self.converters / self.lines)} in all."
        )

    def numbers(self) -> dict[str, dict[str, float]]:
        """The share that converts, as plain data: for ``numbers.json``."""
        k, n = float(self.converters), float(self.lines)
        if small(self.people, self.parameters["min_cell"]):
            k = n = np.nan
        low, high = (float(end) for end in wilson(k, n))
        rate = k / n if n else np.nan
        return {"macro_rate": {"value": rate, "low": low, "high": high, "n": n}}

    def figure(self) -> Any:
        """How many converters did each event before, with its distance."""
        return distance_bars(self.table, macro=self.macro)


def distance_to_macro(
    log: EventLog,
    catalog: Catalog,
    *,
    within: str = USER,
    near: int = 10,
    entered: Entered = None,
    min_cell: int = 5,
) -> DistanceResult:
    """How many steps and how much time lie between each micro conversion and the macro?

    Parameters
    ----------
    catalog : says which event is the macro and which events have a role.
    within : ``"user"`` or ``"session"``: what makes a sequence.
    near : within how many steps of the macro a milestone is done.
    entered : (start, end), end excluded: only sequences that begin in it, each whole; naive times
        are UTC.
    min_cell : rates and distances of fewer people than this are hidden.

    Returns
    -------
    DistanceResult

    Raises
    ------
    UsageError
        If the log does not have the macro, or an argument is not allowed.
    DataError
        If the log is empty, or none of its other events has a role.

    Notes
    -----
    What counts is a sequence's first macro and what happened before it; distances are from the last
    time before it. Rows of one instant count in the order that helps: what was done in the macro's
    very instant was done before it, right before. Wilson's intervals; medians and quartiles are
    exact.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["add_to_cart", "purchase", "add_to_cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}))
    >>> catalog = Catalog.load("data/catalogs/ecommerce.toml")
    >>> found = distance_to_macro(log, catalog, min_cell=1).table
    >>> found[["event", "k", "n", "coverage", "median_steps", "median_seconds"]]
             event    k    n  coverage  median_steps  median_seconds
    0  add_to_cart  1.0  2.0       1.0           1.0           300.0
    """
    check_arguments(log, "distance_to_macro", within, near=near, min_cell=min_cell)
    log = entered_in(log, "distance_to_macro", within, entered)
    macro = checks.event_name("distance_to_macro", log, catalog.macro)
    roles = {
        name: role for role in _ROLES for name in catalog.with_role(role) if name in log.event_names
    }
    if not roles:
        raise DataError(
            f"distance_to_macro: no event of this log but {macro!r} has a role in catalog "
            f"{catalog.name!r}. Name its events there, or import under the catalog's names."
        )
    groups = event_groups(log, len(log.event_names))
    counts = _counts(log, groups, within, groups.code(macro))
    table = _table(groups, roles, counts, near)
    codes = [groups.code(name) for name in table["event"]]
    table["did"], table["came"] = counts.people[:, codes].astype(float)
    table["paid"] = float(counts.people[1, groups.code(macro)])
    table, hidden = _hide_small(table, min_cell)
    caveats = [_NOT_CAUSED, _NO_HORIZON, *([DEPENDENT] if within == SESSION else [])]
    if counts.tied:
        many = share(counts.tied, counts.converters, counts.tied / counts.converters)
        caveats.append(
            f"{many} of the {unit_word(within)} with {macro} did something else in its very "
            "instant, which counts as done right before it."
        )
    if hidden.any():
        caveats.append(
            f"Hidden, as fewer than {min_cell} people did it: "
            f"{listed(table['event'][hidden].tolist())}."
        )
    return DistanceResult(
        table=table,
        parameters={
            "catalog": catalog.name,
            "within": within,
            "near": near,
            "entered": entered_as_text(entered),
            "min_cell": min_cell,
            "tied": tied_share(counts.tied, counts.converters),
        },
        warnings=(*caveats, *look_ahead_warnings(log)),
        macro=macro,
        within=within,
        converters=counts.converters,
        lines=counts.sequences,
        people=counts.users,
    )


class _Counts(NamedTuple):
    """What the `sequences` of all shards, of so many `users`, say.

    `did` and `converted` count, by group, the sequences that had it before any macro, and those of
    them that came to the macro later. `distances` has a row per group and such a sequence:
    ``code, steps, seconds``. `people` has the users of `did` and `converted` as rows, in the
    macro's column of the second those of the converters. `tied` counts converters with another row
    at the macro's instant.
    """

    sequences: int
    users: int
    converters: int
    tied: int
    did: np.ndarray
    converted: np.ndarray
    people: np.ndarray
    distances: pd.DataFrame


def _counts(log: EventLog, groups: EventGroups, within: str, macro: int) -> _Counts:
    size = len(groups.names)

    def measure(own: Sequences) -> tuple[Any, ...]:
        rows = (own.codes, own.times, own.starts, own.users)
        found = kernels.distances(*rows, size, macro)
        return own.number, own.people, *found

    numbers, users, totals, did, converted, people, code, steps, waits = zip(
        *map_sequences(log, groups, within, measure), strict=True
    )
    distances = pd.DataFrame(
        {
            "code": np.concatenate(code),
            "steps": np.concatenate(steps),
            "seconds": np.concatenate(waits) / US_PER_SECOND,
        }
    )
    converters, tied = (int(number) for number in np.sum(totals, axis=0))
    counted = np.sum(did, axis=0), np.sum(converted, axis=0), np.sum(people, axis=0)
    return _Counts(sum(numbers), sum(users), converters, tied, *counted, distances)


def _table(
    groups: EventGroups, roles: dict[str, str], counts: _Counts, near_steps: int
) -> pd.DataFrame:
    """A row per event with a role, nearest first."""
    codes = [groups.code(name) for name in roles]
    n, k = counts.did[codes].astype(float), counts.converted[codes].astype(float)
    converters, sequences = counts.converters, counts.sequences
    table = pd.DataFrame({"event": list(roles), "role": list(roles.values()), "k": k, "n": n})
    table = table.astype({"event": "str", "role": "str"})
    table["rate"] = ratio(k, n)
    table["low"], table["high"] = wilson(k, n)
    table["k_all"], table["n_all"] = float(converters), float(sequences)
    table["rate_all"] = converters / sequences if sequences else np.nan
    table["low_all"], table["high_all"] = wilson(table["k_all"], table["n_all"])
    table["converters"] = float(converters)
    table["coverage"] = k / converters if converters else np.nan
    table["coverage_low"], table["coverage_high"] = wilson(k, np.full(len(k), converters))
    by_code = counts.distances.groupby("code")
    for name, at in _QUARTILES.items():
        table[name] = by_code["steps"].quantile(at).reindex(codes).to_numpy(float)
    table["median_seconds"] = by_code["seconds"].median().reindex(codes).to_numpy(float)
    near = counts.distances[counts.distances["steps"] <= near_steps]
    table["k_near"] = near.groupby("code").size().reindex(codes, fill_value=0).to_numpy(float)
    table["near"] = table["k_near"] / table["k"].where(k > 0)
    table["near_low"], table["near_high"] = wilson(table["k_near"], k)
    like = (table["coverage_low"] > _HALF) & (table["low"] > table["rate_all"])
    like &= table["near_low"] > _HALF
    unlike = (table["coverage_high"] < _HALF) | (table["high"] < table["rate_all"])
    unlike |= table["near_high"] < _HALF
    table["behaves"] = np.select([like, unlike], [LIKE, UNLIKE], UNCLEAR)
    return table.sort_values(["median_steps", "event"], ignore_index=True)


def _hide_small(table: pd.DataFrame, min_cell: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Hide numbers of few people, and distances of few converters; where all is hidden.

    `did`, `came` and `paid` are people: who did it, who converted then, who converted at all.
    """
    people = ["did", "came", "paid"]
    kept = ("event", "role", "behaves", *people)
    numbers = [str(name) for name in table if name not in kept]
    near = ["k_near", "near", "near_low", "near_high", *_QUARTILES, "median_seconds"]
    coverage = ["coverage", "coverage_low", "coverage_high"]
    # Of those who did it and converted there may be too few to say how far they were.
    table, far = suppress(table, min_cell=min_cell, counts=["came"], columns=near)
    table, few = suppress(table, min_cell=min_cell, counts=["paid"], columns=coverage)
    table, hidden = suppress(table, min_cell=min_cell, counts=["did"], columns=numbers)
    table.loc[hidden | far | few, "behaves"] = UNCLEAR
    return table.drop(columns=people), hidden
