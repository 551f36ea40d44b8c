"""How far are the small actions from the one that pays, and does a milestone behave like one?

A milestone is a step that people go through on their way. So most of those who convert did it
before, and shortly before, and who did it converts more often than people do in all. That is a
description: it says that an event lies on the way, not that bringing people to it would make more
of them convert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import SESSION, US_PER_SECOND, USER, DataError, human_duration
from analysis.core.wording import count, listed, percent, share
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.journeys import kernels as passes
from analysis.journeys.figures import distance_bars
from analysis.journeys.sequences import (
    DEPENDENT,
    Entered,
    Groups,
    begun,
    check,
    grouped,
    over_lines,
    told,
)
from analysis.statistics.rates import wilson

_ROLES: Final = ("milestone", "secondary", "control", "adverse")


_HALF: Final = 0.5


_QUARTILES: Final = {
    "median_steps": 0.5,
    "steps_low_quartile": 0.25,
    "steps_high_quartile": 0.75,
}


LIKE, UNLIKE, UNCLEAR = "like a milestone", "not like a milestone", "unclear"


_NO_HORIZON = (
    "Who did something late had less time to convert before the log ends: shares that convert are "
    "of what the log covers, not of a fixed time."
)


_NOT_CAUSED = (
    "Who does more of everything also converts more: a share that converts after an event is not "
    "what the event brings about."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class DistanceResult(Result):
    """The answer of `distance_to_macro`.

    ``table`` has a row per event with a role, nearest first: ``event, role``; ``k`` of ``n`` lines
    that did it before any macro converted later: ``rate, low, high`` (in all, ``k_all`` of
    ``n_all`` lines do: ``rate_all, low_all, high_all``); ``k`` of ``converters`` did it before:
    ``coverage, coverage_low, coverage_high``. From its last time to the macro: ``median_steps``
    (1: right before), ``steps_low_quartile, steps_high_quartile``, ``median_seconds``; ``k_near``
    of ``k`` within `near` steps of it: ``near, near_low, near_high``. ``behaves``: like a
    milestone where clearly more than half of the converters did it, clearly more than half of
    those near the macro, and clearly more convert after it than in all; not like one where one of
    these is clearly not so. What is about few lines is NaN.
    """

    macro: str
    within: str
    converters: int
    lines: int

    def sentence(self) -> str:
        """Which declared milestones behave like one, and which event is nearest."""
        known = self.table.dropna(subset=["rate", "median_steps"])
        if not len(known):
            return f"Too few came to {self.macro} to tell how far the other events are from it."
        own = known[known["role"] == "milestone"]
        good = own[own["behaves"] == LIKE]["event"].tolist()
        said = (
            f"{count(len(good))} of {count(len(own))} declared milestones behave like one"
            + (f": {listed(good)}. " if good else ". ")
            if len(own)
            else ""
        )
        top = known.iloc[0]
        steps = f"{top['median_steps']:.1f}".removesuffix(".0")
        return (
            f"{said}Nearest to {self.macro} is {top['event']}: in the median {steps} "
            f"step{'' if steps == '1' else 's'} and "
            f"{human_duration(top['median_seconds'] * US_PER_SECOND)} before it; "
            f"{share(top['k'], top['n'], top['rate'])} of those who did it converted later "
            f"(95% interval {percent(top['low'])} to {percent(top['high'])}), against "
            f"{share(self.converters, self.lines, self.converters / self.lines)} in all."
        )

    def numbers(self) -> dict[str, dict[str, float]]:
        """The share that converts, as plain data: for ``numbers.json``."""
        k, n = float(self.converters), float(self.lines)
        if 0 < k < self.parameters["min_cell"]:
            k = np.nan
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
    within : ``"user"`` or ``"session"``: what makes a line.
    near : within how many steps of the macro a milestone is done.
    entered : (start, end), end excluded: only lines that begin in it, each whole; naive times
        are UTC.
    min_cell : numbers of fewer lines than this are hidden.

    Raises
    ------
    UsageError
        If the log does not have the macro, or an argument is not allowed.
    DataError
        If the log is empty, or none of its other events has a role.

    Notes
    -----
    What counts is a line's first macro and what happened before it; distances are from the last
    time before it. Wilson's intervals; medians and quartiles are exact.

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
    check(log, "distance_to_macro", within, near=near, min_cell=min_cell)
    log = begun(log, "distance_to_macro", within, entered)
    macro = checks.event_name("distance_to_macro", log, catalog.macro)
    roles = {
        name: role for role in _ROLES for name in catalog.with_role(role) if name in log.event_names
    }
    if not roles:
        raise DataError(
            f"distance_to_macro: no event of this log but {macro!r} has a role in catalog "
            f"{catalog.name!r}. Name its events there, or import under the catalog's names."
        )
    groups = grouped(log, len(log.event_names))
    did, waits, lines, converters = _measured(log, groups, within, groups.code(macro))
    table = _table(groups, roles, did, waits, (lines, converters, near))
    few = (table["n"] < min_cell).to_numpy()
    table.loc[few, [c for c in table if c not in ("event", "role", "behaves")]] = np.nan
    table.loc[few, "behaves"] = UNCLEAR
    few = few | _hide_few(table, min_cell)
    said = [_NOT_CAUSED, _NO_HORIZON, *([DEPENDENT] if within == SESSION else [])]
    if few.any():
        said.append(
            f"Hidden, as fewer than {min_cell} did it, or did it and converted: "
            f"{listed(table['event'][few].tolist())}."
        )
    return DistanceResult(
        table=table,
        parameters={
            "catalog": catalog.name,
            "within": within,
            "near": near,
            "entered": told(entered),
            "min_cell": min_cell,
        },
        warnings=(*said, *look_ahead_warnings(log)),
        macro=macro,
        within=within,
        converters=converters,
        lines=lines,
    )


def _measured(
    log: EventLog, groups: Groups, within: str, macro: int
) -> tuple[np.ndarray, pd.DataFrame, int, int]:
    """Lines by group (did it, and converted); their distances; lines; lines that convert."""
    size = len(groups.names)
    parts = over_lines(
        log,
        groups,
        within,
        lambda own: (
            passes.distances(own.codes, own.times, own.starts, size, macro),
            len(own.starts) - 1,
            passes.positions(own.codes, own.starts, size, macro, 0, False)[1],
        ),
    )
    did = np.sum([np.stack(part[0][:2]) for part in parts], axis=0)
    code, steps, waits = (np.concatenate([part[0][i] for part in parts]) for i in (2, 3, 4))
    distances = pd.DataFrame({"code": code, "steps": steps, "seconds": waits / US_PER_SECOND})
    return did, distances, sum(part[1] for part in parts), sum(part[2] for part in parts)


def _hide_few(table: pd.DataFrame, min_cell: int) -> np.ndarray:
    """Hide what is about few who converted; where anything but their share near the macro is."""
    near = ((table["k_near"] > 0) & (table["k_near"] < min_cell)).to_numpy()
    table.loc[near, ["k_near", "near", "near_low", "near_high"]] = np.nan
    few = ((table["k"] > 0) & (table["k"] < min_cell)).to_numpy()
    table.loc[few, [c for c in table if c not in ("event", "role", "behaves", "n")]] = np.nan
    table.loc[few, "behaves"] = UNCLEAR
    return few


def _table(
    groups: Groups,
    roles: dict[str, str],
    did: np.ndarray,
    distances: pd.DataFrame,
    known: tuple[int, int, int],
) -> pd.DataFrame:
    lines, converters, near_steps = known
    codes = [groups.code(name) for name in roles]
    n, k = did[0, codes].astype(float), did[1, codes].astype(float)
    table = pd.DataFrame({"event": list(roles), "role": list(roles.values()), "k": k, "n": n})
    table = table.astype({"event": "str", "role": "str"})
    table["rate"] = k / np.where(n, n, np.nan)
    table["low"], table["high"] = wilson(k, n)
    table["k_all"], table["n_all"] = float(converters), float(lines)
    table["rate_all"] = converters / lines if lines else np.nan
    table["low_all"], table["high_all"] = wilson(table["k_all"], table["n_all"])
    table["converters"] = float(converters)
    table["coverage"] = k / converters if converters else np.nan
    table["coverage_low"], table["coverage_high"] = wilson(k, np.full(len(k), converters))
    by_code = distances.groupby("code")
    for name, at in _QUARTILES.items():
        table[name] = by_code["steps"].quantile(at).reindex(codes).to_numpy(float)
    table["median_seconds"] = by_code["seconds"].median().reindex(codes).to_numpy(float)
    near = distances[distances["steps"] <= near_steps]
    table["k_near"] = near.groupby("code").size().reindex(codes, fill_value=0).to_numpy(float)
    table["near"] = table["k_near"] / table["k"].where(k > 0)
    table["near_low"], table["near_high"] = wilson(table["k_near"], k)
    like = (table["coverage_low"] > _HALF) & (table["low"] > table["rate_all"])
    like &= table["near_low"] > _HALF
    unlike = (table["coverage_high"] < _HALF) | (table["high"] < table["rate_all"])
    unlike |= table["near_high"] < _HALF
    table["behaves"] = np.select([like, unlike], [LIKE, UNLIKE], UNCLEAR)
    return table.sort_values(["median_steps", "event"], ignore_index=True)
