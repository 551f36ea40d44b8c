"""What must be said beside the table of micro conversions: its sentence and its caveats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.ratio_words import times, with_interval
from analysis.core.schema import ALL, human_duration
from analysis.core.wording import count, listed, share
from analysis.correlation.counts import ExposureCounts
from analysis.correlation.verdict import (
    CONTROL,
    INVERSE,
    LEADS,
    STRUCTURAL,
    VERDICTS,
    VerdictLimits,
)
from analysis.plotting.theme import records
from analysis.statistics.calibration import unlike_the_others, unmoved_by_adjustment
from analysis.statistics.odds_ratios import Z95

ASSOCIATION = (
    "Association only: people who did it are compared with people like them who had not. "
    "Whether doing it makes anyone convert is a question for an experiment."
)


_POWER = Z95 + 0.8416212335729143


_MOST_NAMED = 3


def sentence(
    table: pd.DataFrame,
    counts: ExposureCounts,
    catalog: Catalog,
    *,
    start: str | None = None,
    min_cell: int = 1,
) -> str:
    """Which micro conversions stand out, each with its interval and n; or that none does."""
    own = judged(table)
    of = f"{count(counts.converters)} conversions of {count(counts.units)} users"
    of += f" from “{catalog.label(start)}” on" if start else ""
    if not counts.converters:
        return f"Nobody of {count(counts.units)} users converted: there is nothing to compare."
    if counts.converters < min_cell:
        return f"Fewer than {min_cell} users converted: there is nothing to tell."
    if not len(own):
        return f"There is no micro conversion to judge ({of})."
    told = own["calibrated"].notna().any()
    found = f"{of}, {own['controls'].max()} controls" if told else f"{of}, without calibration"
    said = _standing_out(own, catalog)
    if said:
        return f"{' '.join(said)} Odds ratios next to the controls; {found}."
    return f"{_none_stands_out(own)} {found[:1].upper()}{found[1:]}."


def _standing_out(own: pd.DataFrame, catalog: Catalog) -> list[str]:
    """What leads, then what is inverse; in each, last, what only those can do who got far."""
    said = []
    for verdict, more in ((LEADS, "more"), (INVERSE, "fewer")):
        rows = own[own["verdict"] == verdict]
        alone, after = rows[rows["only_after"].isna()], records(rows[rows["only_after"].notna()])
        if len(alone):
            names = [_named(row) for row in records(alone.head(_MOST_NAMED))]
            left = len(alone) - _MOST_NAMED
            rest = f" and {left} other{'s' * (left > 1)}" if left > 0 else ""
            go = "goes" if len(alone) == 1 else "go"
            said.append(
                f"{len(alone)} of {len(own)} micro conversions {go} with {more} conversions than "
                f"the controls do: {'; '.join(names)}{rest}."
            )
        if after:
            names = [
                f"{_named(row)}, done after “{catalog.label(row.only_after)}”" for row in after
            ]
            so = (
                f"with {more} too"
                if len(alone)
                else f"with {more} conversions than the controls do"
            )
            said.append(
                f"What only those can do who are further on goes {so}, perhaps for that reason "
                f"alone: {'; '.join(names)}."
            )
    return said


def _none_stands_out(own: pd.DataFrame) -> str:
    tally = own["verdict"].value_counts()
    if len(own) == 1:
        return f"{records(own)[0].label} does not stand out: {tally.index[0].replace('_', ' ')}."
    words = [f"{v.replace('_', ' ')}: {tally[v]}" for v in VERDICTS if v in tally]
    return f"None of {len(own)} micro conversions stands out ({', '.join(words)})."


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of everybody together that a verdict was sought for."""
    free = ~table["verdict"].isin([CONTROL, STRUCTURAL])
    return table[(table["group"] == ALL) & free]


def notes(
    table: pd.DataFrame, counts: ExposureCounts, limits: VerdictLimits, min_cell: int = 1
) -> tuple[str, ...]:
    """The caveats that travel with the answer."""
    whole = table[table["group"] == ALL]
    said = [*counts.warnings]
    hidden = int((table["users"].isna() & (table["group"] == ALL)).sum())
    if hidden:
        said.append(f"{hidden} of the events: too few people, fewer than {min_cell}, to show.")
    said += first_period_notes(counts, min_cell)
    if counts.converters >= min_cell and counts.converters:
        said += _on_controls(whole, limits)
        said += simpson(table)
        said += _resolution(whole)
    return (*said, ASSOCIATION)


def simpson(table: pd.DataFrame) -> list[str]:
    """Where crude and adjusted lie on opposite sides of 1, both clear of it."""
    over = (table["crude_low"] > 1) & (table["adjusted_high"] < 1)
    under = (table["crude_high"] < 1) & (table["adjusted_low"] > 1)
    rows = table[(over | under) & ~table["verdict"].isin([CONTROL, STRUCTURAL])]
    return [
        f"Simpson's paradox: {row.label}{'' if row.group == ALL else f' ({row.group})'} goes with "
        f"{'more' if row.crude > 1 else 'fewer'} conversions over all people and periods, crude "
        f"{with_interval(row.crude, row.crude_low, row.crude_high)}, and with "
        f"{'fewer' if row.crude > 1 else 'more'} among people in the same period and as active, "
        f"adjusted {with_interval(row.adjusted, row.adjusted_low, row.adjusted_high)}."
        for row in records(rows)
    ]


def _named(row: Any) -> str:
    interval = with_interval(row.calibrated, row.calibrated_low, row.calibrated_high)
    return f"{row.label} {interval[:-1]}, {count(row.exposed_macros)} conversions after it)"


def first_period_notes(counts: ExposureCounts, min_cell: int = 1) -> list[str]:
    """How many of the conversions come too early for anything to precede them; none: nothing."""
    if counts.converters < max(min_cell, 1):
        return []
    first = share(counts.first_cell, counts.converters, counts.first_cell / counts.converters)
    if 0 < counts.first_cell < min_cell:
        first = f"Fewer than {min_cell} of {count(counts.converters)}"
    return [
        f"{first} of the conversions come within {human_duration(int(counts.edges_us[1]))} of "
        "entry, in the first period, before anything could be seen to precede them: they count in "
        "no odds ratio."
    ]


def _on_controls(whole: pd.DataFrame, limits: VerdictLimits) -> list[str]:
    controls = whole[whole["role"] == CONTROL]
    if not len(controls):
        return []
    logs, se = np.log(controls["adjusted"].to_numpy(float)), standard_errors(controls)
    widest = (limits.widest_factor * controls["adjusted_low"]).to_numpy(float)
    precise = controls["adjusted_high"].to_numpy(float) < widest
    labels = controls["label"].to_numpy()
    said = []
    used = int(whole["controls"].max())
    if vague := list(labels[~precise]):
        said.append(
            f"Controls with too few conversions after them, which take no part: {listed(vague)}."
        )
    if used < limits.min_controls:
        said.append(
            f"Nothing is calibrated: {used} of the {limits.min_controls} controls that it takes "
            "can be used. Without them nothing is said to lead."
        )
    odd = unlike_the_others(np.where(precise, logs, np.nan), se)
    if odd:
        said.append(
            f"{listed(list(labels[odd]))}: unlike the other controls, so that it may not share "
            "what makes people active. It widens every calibrated interval; look at it, and "
            "leave it out if there is a reason to."
        )
    others = whole[(whole["role"] != CONTROL) & (whole["verdict"] != STRUCTURAL)]
    shifts = [np.log((t["crude"] / t["adjusted"]).to_numpy(float)) for t in (controls, others)]
    still = [i for i in unmoved_by_adjustment(*shifts) if precise[i] and i not in odd]
    if still:
        said.append(
            f"{listed(list(labels[still]))}: adjustment hardly moves it, though it moves the "
            "micro conversions. As a control it may not share what makes people active."
        )
    return said


def standard_errors(table: pd.DataFrame) -> np.ndarray:
    """Of the logarithms of the adjusted ratios, from their 95 percent intervals."""
    return np.log((table["adjusted_high"] / table["adjusted_low"]).to_numpy(float)) / (2 * Z95)


def _resolution(whole: pd.DataFrame) -> list[str]:
    own = judged(whole)
    ratio = (own["calibrated_high"] / own["calibrated_low"]).to_numpy(float)
    half = np.log(ratio[np.isfinite(ratio)]) / (2 * Z95)
    if not len(half):
        return []
    smallest = math.exp(_POWER * float(np.median(half)))
    return [
        f"For half of the micro conversions n is too small to find, four times of five, an odds "
        f"ratio below {times(smallest)} (or above {times(1 / smallest)})."
    ]
