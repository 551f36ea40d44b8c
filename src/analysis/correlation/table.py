"""What do the counts say of each micro conversion? From additive counts to a row per event.

The counts decide what came before what; here they become odds ratios, four ways side by side, so
that a reader sees what each step takes away:

- ``peers``: did it before converting, against the whole window for those who never converted. It
  is what product-analytics tools print, and it gives converters less time to do anything.
- ``crude``: the same periods since entry for everybody, all periods and people in one table.
- ``adjusted``: people in the same period who had been as active until then. Activity is partly
  what a micro conversion brings about, so this is the association *not through later activity*.
- ``calibrated``: the adjusted one against what the same method finds for negative controls.

Beside them stands ``total``, from sequential trials, which keeps what comes through later
activity. It is diluted, because those who have not yet done it may do it later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.schema import ALL
from analysis.correlation.counts import ExposureCounts
from analysis.correlation.micro_ratios import (
    Ratios,
    arms,
    by_level,
    calibrated,
    group_names,
    median_seconds,
    q_values,
    ratios,
)
from analysis.correlation.on_the_way import OnTheWay
from analysis.correlation.verdict import (
    CONTROL,
    INVERSE,
    LEADS,
    STRUCTURAL,
    Facts,
    Verdict,
    VerdictLimits,
    verdict_of,
)
from analysis.plotting.theme import records
from analysis.statistics.dose import mantel_trend
from analysis.statistics.odds_ratios import OddsRatio, e_value, excess_per_1000, mantel_haenszel
from analysis.statistics.stats import CONFIDENCE, wilson


def micro_table(
    counts: ExposureCounts,
    catalog: Catalog,
    *,
    limits: VerdictLimits | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """A row per event and group with its odds ratios, p, q, verdict and reason; ranked.

    Parameters
    ----------
    counts : as `exposure_counts` returns them. limits : the thresholds of the verdict.

    Returns
    -------
    The table that `micro_to_macro` describes: micro conversions by the lower limit of the
    calibrated ratio, then those that converting requires, then the controls.
    """
    limits = limits or VerdictLimits()
    found = ratios(counts, limits, confidence)
    parts = {**calibrated(found, limits, confidence), **_pooled(counts, found, confidence)}
    groups = group_names(counts)
    shape = (len(counts.events), len(groups))
    table = pd.DataFrame({name: np.ravel(column) for name, column in parts.items()})
    table.insert(0, "event", np.repeat(np.array(counts.events, object), shape[1]))
    table.insert(1, "label", [catalog.label(name) for name in table["event"]])
    table.insert(2, "role", [role_of(counts, catalog, name) for name in table["event"]])
    names = np.empty(shape[1], object)
    names[:] = groups
    table.insert(3, "group", np.tile(names, shape[0]))
    table["controls"] = np.tile([c.k for c in found.controls], shape[0])
    for name, column in _whole(counts, confidence).items():
        # Told of everybody; the counts by group do not hold it.
        wide = np.full(shape, np.nan)
        wide[:, 0] = column
        table[name] = wide.ravel()
    table = _with_excess(table, found, confidence)
    return _ranked(_judged(table, counts, limits))


def role_of(counts: ExposureCounts, catalog: Catalog, event: str) -> str:
    """The role of an event in this question; a control that is asked for as a micro is none."""
    if event in counts.controls:
        return CONTROL
    role = catalog.events[event].role if event in catalog.events else CONTEXT
    return CONTEXT if role == CONTROL else role


def _pooled(counts: ExposureCounts, found: Ratios, confidence: float) -> dict[str, np.ndarray]:
    """What the strata give by event and group."""
    people = arms(counts)
    exposed, others = people.exposed_k.sum(-1), people.other_k.sum(-1)
    size = people.exposed_n + people.other_n
    by_chance = np.divide(
        people.exposed_n * (people.exposed_k + people.other_k),
        size,
        out=np.zeros(size.shape),
        where=size > 0,
    ).sum(-1)
    k, n = (np.moveaxis(x, 1, 2) for x in by_level(counts))
    dose = mantel_trend(k, n, np.arange(k.shape[-2]), confidence=confidence)
    columns = {"exposed_macros": exposed, "macros": exposed + others, "by_chance": by_chance}
    for name, ratio in (("crude", found.crude), ("adjusted", found.adjusted)):
        columns |= {name: ratio.estimate, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    columns |= {"se": found.adjusted.se, "first_period": _first_period(counts)}
    columns |= {"dose": dose.per_level, "dose_low": dose.low, "dose_high": dose.high}
    return columns | {"dose_p_value": dose.p_value}


def _first_period(counts: ExposureCounts) -> np.ndarray:
    first = counts.macros[:, :, :, 0].sum((1, 3))
    if len(counts.groups) > 1:
        first = np.concatenate([first.sum(1, keepdims=True), first], 1)
    first[:, 0] = counts.first_cell
    return first


def _whole(counts: ExposureCounts, confidence: float) -> dict[str, np.ndarray]:
    """What is told of everybody together, by event."""
    people = counts.peers.sum(2)
    peers = mantel_haenszel(
        counts.peers[:, 1, 1, None], people[:, 1, None],
        counts.peers[:, 0, 1, None], people[:, 0, None],
        confidence=confidence,
    )  # fmt: skip
    trials = (len(people), 2, counts.trial_users[0, 0].size if len(people) else 0)
    k, n = (x.reshape(trials) for x in (counts.trial_macros, counts.trial_users))
    total = mantel_haenszel(k[:, 1], n[:, 1], k[:, 0], n[:, 0], confidence=confidence)
    before = np.array([len(waits) for waits in counts.waits_us])
    converters = np.full(len(before), counts.converters)
    low, high = wilson(before, converters, confidence=confidence)
    reach = np.divide(before, converters, out=np.full(len(before), np.nan), where=converters > 0)
    lags = np.array([median_seconds(waits, confidence) for waits in counts.waits_us])
    lags = lags.reshape(-1, 3)
    columns = {"users": counts.users, "exposed_users": people[:, 1]}
    columns |= {"converters": converters, "preceded": counts.structural}
    columns |= {"reach_k": before, "reach": reach, "reach_low": low, "reach_high": high}
    for name, ratio in (("peers", peers), ("total", total)):
        columns |= {name: ratio.estimate, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    columns["total_macros"] = k[:, 1].sum(-1)
    names = ("median_lag_seconds", "median_lag_low_seconds", "median_lag_high_seconds")
    return columns | {name: lags[:, i] for i, name in enumerate(names)}


def _with_excess(table: pd.DataFrame, found: Ratios, confidence: float) -> pd.DataFrame:
    adjusted = OddsRatio(*(np.ravel(x) for x in found.adjusted))
    more = excess_per_1000(
        table["exposed_macros"], table["exposed_users"], adjusted, confidence=confidence
    )
    names = ("excess_per_1000", "excess_low", "excess_high")
    table = table.assign(**dict(zip(names, more, strict=True)))
    # Of the calibrated ratio where there is one: what a hidden factor would have to add to that.
    best = [
        table[f"calibrated{side}"].fillna(table[f"adjusted{side}"])
        for side in ("", "_low", "_high")
    ]
    table["e_value"], table["e_value_limit"] = e_value(*best)
    return table


def _judged(table: pd.DataFrame, counts: ExposureCounts, limits: VerdictLimits) -> pd.DataFrame:
    control = table["role"] == CONTROL
    whole = table[(table["group"] == ALL) & ~control]
    found = [(row.event, _verdict(row, counts, limits, math.nan)) for row in records(whole)]
    # What converting requires of everybody it requires in every group.
    fixed = {event: verdict for event, verdict in found if verdict.verdict == STRUCTURAL}
    fixed |= dict.fromkeys(table.loc[control, "event"], _OF_CONTROLS)
    free = ~table["event"].isin(list(fixed)).to_numpy()
    table["q_value"] = q_values(table["p_value"].to_numpy(), free)
    judged = [
        fixed.get(row.event) or _verdict(row, counts, limits, row.q_value) for row in records(table)
    ]
    for i, name in enumerate(Verdict._fields):
        table[name] = pd.Series([v[i] for v in judged], index=table.index)
    return table


def _verdict(row: Any, counts: ExposureCounts, limits: VerdictLimits, q: float) -> Verdict:
    whole = row.group == ALL
    facts = Facts(
        role=row.role,
        preceded=int(row.preceded) if whole else 0,
        first_period=int(row.first_period),
        converters=counts.converters if whole else int(row.macros),
        people=counts.units,
        expected=row.by_chance,
        adjusted=(row.adjusted, row.adjusted_low, row.adjusted_high),
        se=row.se,
        calibrated=(row.calibrated, row.calibrated_low, row.calibrated_high),
        variance=row.variance,
        lasting=row.lasting,
        q_value=q,
        controls=row.controls,
        after=int(row.exposed_macros),
        counted=int(row.macros),
    )
    return verdict_of(facts, limits)


def with_milestones(table: pd.DataFrame, near: Mapping[str, OnTheWay]) -> pd.DataFrame:
    """The table with what `on_the_way` found, in a column and in the reasons of what stands out."""
    own = table["verdict"].isin([LEADS, INVERSE]) & table["event"].isin(list(near))
    of = [near[event] if out else None for event, out in zip(table["event"], own, strict=True)]
    names = pd.Series([None if one is None else one.milestone for one in of], dtype=object)
    reasons = [
        reason if one is None else f"{reason} {one.words()}"
        for reason, one in zip(table["reason"], of, strict=True)
    ]
    return table.assign(only_after=names.set_axis(table.index), reason=reasons)


CONTEXT = "context"


_OF_CONTROLS = Verdict(CONTROL, "A negative control: what is found here is bias.", math.nan)


COLUMNS = [
    "event", "label", "role", "group", "users", "reach", "reach_low", "reach_high", "reach_k",
    "converters", "macros", "exposed_macros", "exposed_users", "crude", "crude_low", "crude_high",
    "peers", "peers_low", "peers_high", "adjusted", "adjusted_low", "adjusted_high", "total",
    "total_low", "total_high", "calibrated", "calibrated_low", "calibrated_high", "p_value",
    "q_value", "e_value", "e_value_limit", "excess_per_1000", "excess_low", "excess_high", "dose",
    "dose_low", "dose_high", "dose_p_value", "median_lag_seconds", "median_lag_low_seconds",
    "median_lag_high_seconds", "verdict", "reason", "needed_users", "controls", "only_after",
]  # fmt: skip


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """By the lower limit, never by the estimate; what is not judged comes after."""
    place = np.select([table["role"] == CONTROL, table["verdict"] == STRUCTURAL], [2, 1], 0)
    first = {name: i for i, name in enumerate(dict.fromkeys(table["group"]))}
    order = pd.DataFrame(
        {
            "group": table["group"].map(first),
            "place": place,
            "calibrated": -table["calibrated_low"].fillna(-np.inf),
            "adjusted": -table["adjusted_low"].fillna(-np.inf),
        }
    ).sort_values(["group", "place", "calibrated", "adjusted"], kind="stable")
    columns = table.assign(only_after=pd.Series(None, table.index, dtype=object))[COLUMNS]
    return columns.loc[order.index].reset_index(drop=True)
