"""What do the counts say of each micro conversion? From additive counts to a row per event.

`counts.py` decides what came before what; here the counts become odds ratios, four ways side by
side, so that a reader sees what each step takes away:

- ``peers``: did it before converting, against the whole window for those who never converted. It
  is what product-analytics tools print, and it gives converters less time to do anything.
- ``crude``: the same periods since entry for everybody, all periods and people in one table.
- ``adjusted``: people in the same period who had been as active until then. Activity is partly
  what a micro conversion brings about, so this is the association *not through later activity*.
- ``calibrated``: the adjusted one against what the same method finds for negative controls.

Beside them stands ``total``, from sequential trials, which keeps what comes through later
activity. It is diluted, because those who have not yet done it may do it later.

`micro_table` makes the table, `with_milestones` adds which milestone came before an event, and the
`hide_small_…` functions at the end hide rows about fewer than `min_cell` people, in this table and
in those of the follow-up questions. The file refuses to judge: `verdict.py` does that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import records, small, with_another
from analysis.core.schema import ALL, US_PER_SECOND
from analysis.correlation.counts import LEVELS, ExposureCounts
from analysis.correlation.verdict import (
    CONTROL,
    INVERSE,
    LEADS,
    MILESTONE,
    NOT_ENOUGH,
    STRUCTURAL,
    Facts,
    MilestoneBefore,
    Verdict,
    VerdictLimits,
    verdict_of,
)
from analysis.statistics.calibration import (
    Controls,
    calibrate,
    calibrate_each_by_the_others,
    controls_of,
)
from analysis.statistics.odds_ratios import (
    OddsRatio,
    e_value,
    excess_per_1000,
    mantel_haenszel,
    mantel_trend,
)
from analysis.statistics.rates import CONFIDENCE, q_values, wilson

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


class Arms(NamedTuple):
    """Exposed and others in every stratum: conversions and people at risk.

    The shape is (events, groups, strata); the first group is everybody.
    """

    exposed_k: np.ndarray
    exposed_n: np.ndarray
    other_k: np.ndarray
    other_n: np.ndarray


class Ratios(NamedTuple):
    """Odds ratios of shape (events, groups), and what the controls say in each group."""

    crude: OddsRatio
    adjusted: OddsRatio
    controls: list[Controls]
    eligible: np.ndarray


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
    found = _ratios(counts, limits, confidence)
    parts = {**_calibrated(found, limits, confidence), **_pooled(counts, found, confidence)}
    groups = group_names(counts)
    shape = (len(counts.events), len(groups))
    table = pd.DataFrame({name: np.ravel(column) for name, column in parts.items()})
    table.insert(0, "event", np.repeat(np.array(counts.events, object), shape[1]))
    table.insert(1, "label", [catalog.label(name) for name in table["event"]])
    table.insert(2, "role", [_role(counts, catalog, name) for name in table["event"]])
    names = np.empty(shape[1], object)
    names[:] = groups
    table.insert(3, "group", np.tile(names, shape[0]))
    table["controls"] = np.tile([c.k for c in found.controls], shape[0])
    for name, column in _of_everybody(counts, confidence).items():
        # The counts by group do not hold these, so groups have NaN.
        wide = np.full(shape, np.nan)
        wide[:, 0] = column
        table[name] = wide.ravel()
    table = _with_excess(table, found, confidence)
    return _ranked(_with_verdicts(table, counts, limits))


def _role(counts: ExposureCounts, catalog: Catalog, event: str) -> str:
    """The role of an event in this question; a control that is asked for as a micro is none."""
    if event in counts.controls:
        return CONTROL
    role = catalog.events[event].role if event in catalog.events else CONTEXT
    return CONTEXT if role == CONTROL else role


def _ratios(counts: ExposureCounts, limits: VerdictLimits, confidence: float) -> Ratios:
    """Crude and adjusted odds ratios, and the controls that are precise enough to calibrate by."""
    people = arms(counts)
    crude = mantel_haenszel(*(x.sum(-1, keepdims=True) for x in people), confidence=confidence)
    adjusted = mantel_haenszel(*people, confidence=confidence)
    is_control = np.isin(counts.events, counts.controls)[:, None]
    # As precise as the rule asks of a micro conversion.
    eligible = is_control & (adjusted.high < adjusted.low * limits.widest_factor)
    logs = np.log(adjusted.estimate)
    found = [controls_of(logs[use, g], adjusted.se[use, g]) for g, use in enumerate(eligible.T)]
    return Ratios(crude, adjusted, found, eligible)


def _calibrated(found: Ratios, limits: VerdictLimits, confidence: float) -> dict[str, np.ndarray]:
    """The calibrated odds ratios by name of column, of shape (events, groups).

    A control that takes part is calibrated by the other ones.
    """
    logs, se = np.log(found.adjusted.estimate), found.adjusted.se
    options: dict[str, Any] = {"min_controls": limits.min_controls, "confidence": confidence}
    columns = []
    for g, controls in enumerate(found.controls):
        one = [np.array(x, float) for x in calibrate(logs[:, g], se[:, g], controls, **options)]
        own = np.flatnonzero(found.eligible[:, g])
        for event, other in zip(
            own, calibrate_each_by_the_others(logs[own, g], se[own, g], **options), strict=True
        ):
            for column, value in zip(one, other, strict=True):
                column[event] = value
        columns.append(one)
    names = ("calibrated", "calibrated_low", "calibrated_high", "p_value", "variance", "lasting")
    return {name: np.stack([c[i] for c in columns], 1) for i, name in enumerate(names)}


def arms(counts: ExposureCounts) -> Arms:
    """Those who had done it before the period, once or more, against the others."""
    k, n = by_level(counts)
    return Arms(k[:, 1:].sum(1), n[:, 1:].sum(1), k[:, 0], n[:, 0])


def by_level(counts: ExposureCounts) -> tuple[np.ndarray, np.ndarray]:
    """Conversions and people at risk, of shape (events, levels, groups, strata).

    Where there are several groups, all of them together stand before them.
    """
    events, levels, groups, periods, strata = counts.macros.shape
    shape = (events, levels, groups, periods * strata)
    flat = [x.reshape(shape) for x in (counts.macros, counts.at_risk)]
    if len(counts.groups) > 1:
        flat = [np.concatenate([x.sum(2, keepdims=True), x], 2) for x in flat]
    return flat[0], flat[1]


def group_names(counts: ExposureCounts) -> list[Any]:
    """The groups in the order of `by_level`."""
    return [ALL, *counts.groups] if len(counts.groups) > 1 else [ALL]


def _pooled(counts: ExposureCounts, found: Ratios, confidence: float) -> dict[str, np.ndarray]:
    """What is summed or pooled over the strata, by event and group."""
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
    trend = mantel_trend(k, n, np.arange(k.shape[-2]), confidence=confidence)
    columns = {"exposed_macros": exposed, "macros": exposed + others, "by_chance": by_chance}
    for name, ratio in (("crude", found.crude), ("adjusted", found.adjusted)):
        columns |= {name: ratio.estimate, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    columns |= {"se": found.adjusted.se, "first_period": _first_period(counts)}
    columns |= {"dose": trend.per_level, "dose_low": trend.low, "dose_high": trend.high}
    return columns | {"dose_p_value": trend.p_value}


def _first_period(counts: ExposureCounts) -> np.ndarray:
    first = counts.macros[:, :, :, 0].sum((1, 3))
    if len(counts.groups) > 1:
        first = np.concatenate([first.sum(1, keepdims=True), first], 1)
    first[:, 0] = counts.first_cell
    return first


def _of_everybody(counts: ExposureCounts, confidence: float) -> dict[str, np.ndarray]:
    """What is known only of everybody together, by event."""
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


def median_seconds(waits_us: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, ...]:
    """The median of sorted waits in seconds, and its interval by order statistics.

    Notes
    -----
    The limits are the waits of ranks that a binomial count of n halves does not reach with more
    than (1 − confidence)/2 (David & Nagaraja 2003, *Order Statistics*, section 7.1); NaN where
    there are too few.

    Examples
    --------
    >>> median_seconds(np.arange(1, 12) * 1_000_000)
    (6.0, 2.0, 10.0)
    """
    from scipy.stats import binom

    n = len(waits_us)
    if not n:
        return math.nan, math.nan, math.nan
    seconds = np.asarray(waits_us) / US_PER_SECOND
    rank = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    if rank < 1 or 2 * rank > n:
        return float(np.median(seconds)), math.nan, math.nan
    return float(np.median(seconds)), float(seconds[rank - 1]), float(seconds[n - rank])


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


def _with_verdicts(
    table: pd.DataFrame, counts: ExposureCounts, limits: VerdictLimits
) -> pd.DataFrame:
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
        reached=int(row.reach_k) if whole else None,
    )
    return verdict_of(facts, limits)


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


def with_milestones(table: pd.DataFrame, near: Mapping[str, MilestoneBefore]) -> pd.DataFrame:
    """The table with what `milestones_before` found, as a column and in the reasons."""
    own = table["verdict"].isin([LEADS, INVERSE]) & table["event"].isin(list(near))
    of = [near[event] if out else None for event, out in zip(table["event"], own, strict=True)]
    names = pd.Series([None if one is None else one.milestone for one in of], dtype=object)
    reasons = [
        reason if one is None else f"{reason} {one.sentence()}"
        for reason, one in zip(table["reason"], of, strict=True)
    ]
    return table.assign(only_after=names.set_axis(table.index), reason=reasons)


# Small-cell suppression
#
# A row is about the people who had done an event, beside those who had not. Where either are few it
# loses all its numbers: ratio, interval and p-value would give them back. How few of many converted
# is shown. Where only one of several groups or levels would be hidden, the difference between
# everybody and the others would tell it, so the smallest of the others is hidden with it.

_KEPT = {"event", "label", "role", "group", "verdict", "reason", "controls", "only_after"}


def people_by_level(counts: ExposureCounts) -> np.ndarray:
    """The most people at risk in one period, by how often they had done it: no fewer there were.

    Of shape (events, levels, groups); where there are several groups, all of them stand first.
    """
    people = counts.at_risk.sum(axis=-1).max(axis=-1)
    if len(counts.groups) > 1:
        whole = counts.at_risk.sum(axis=(2, 4)).max(axis=-1)
        people = np.concatenate([whole[:, :, None], people], axis=2)
    return people


def people_of_arms(counts: ExposureCounts) -> tuple[np.ndarray, np.ndarray]:
    """The most people in one period who had done it, and who had not; (events, groups)."""
    done = counts.at_risk[:, 1:].sum(axis=(1, -1)).max(axis=-1)
    if len(counts.groups) > 1:
        whole = counts.at_risk[:, 1:].sum(axis=(1, 2, 4)).max(axis=-1)
        done = np.concatenate([whole[:, None], done], axis=1)
    return done, people_by_level(counts)[:, 0]


def hide_small_rows(table: pd.DataFrame, min_cell: int, counts: ExposureCounts) -> pd.DataFrame:
    """The table of `micro_table` without the numbers of few people.

    Parameters
    ----------
    min_cell : rows about fewer people who had done it, or had not, are hidden; 1 hides none.
    """
    if min_cell == 1 or not len(table):
        return table
    event = {name: i for i, name in enumerate(counts.events)}
    group = {name: i for i, name in enumerate(group_names(counts))}
    place = table["event"].map(event).to_numpy(), table["group"].map(group).to_numpy()
    done, others = (people[place] for people in people_of_arms(counts))
    groups = (table["group"] != ALL).to_numpy()
    users = table["users"].to_numpy(float)
    # Of all together it is known how many ever did it, and how many never did.
    done, others = np.where(groups, done, users), np.where(groups, others, counts.units - users)
    hidden = small(done, min_cell) | small(others, min_cell)
    hidden[groups] = _with_another_of_each(
        hidden[groups], pd.Series(done[groups]), table["event"][groups]
    )
    out = _without(table, hidden, [name for name in table if name not in _KEPT])
    if small(counts.converters, min_cell):
        out[["reach_k", "reach", "reach_low", "reach_high"]] = np.nan
    lags = [f"median_lag{end}_seconds" for end in ("", "_low", "_high")]
    out.loc[small(table["reach_k"], min_cell), lags] = np.nan
    control = (table["verdict"] == CONTROL).to_numpy()
    milestone = (table["role"] == "milestone").to_numpy()
    out.loc[hidden & ~milestone & ~control, "reason"] = (
        f"Too few people to show: fewer than {min_cell} did it, or all but so few."
    )
    out.loc[hidden & milestone, "reason"] = MILESTONE
    out.loc[hidden, "only_after"] = None
    structural = (table["verdict"] == STRUCTURAL).to_numpy()
    out.loc[hidden & ~control & ~structural, "verdict"] = NOT_ENOUGH
    return out


def hide_small_levels(doses: pd.DataFrame, min_cell: int, counts: ExposureCounts) -> pd.DataFrame:
    """The table of `dose_table` without the numbers of few people."""
    if min_cell == 1 or not len(doses):
        return doses
    people = people_by_level(counts)[:, :, 0]
    event = doses["event"].map({name: i for i, name in enumerate(counts.events)})
    level = doses["level"].map({name: i for i, name in enumerate(LEVELS)})
    size = pd.Series(people[event.to_numpy(), level.to_numpy()], index=doses.index)
    few = _with_another_of_each(small(size, min_cell), size, doses["event"])
    out = _without(doses, few, ["k", "n", "odds_ratio", "low", "high", "rising"])
    # The curve runs through all levels, so a hidden one would show in those beside it.
    out.loc[out["event"].isin(doses.loc[few, "event"]), "rising"] = np.nan
    return out


def hide_small_groups(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table of `stability` without the numbers of few people; it loses its sizes of arms."""
    sizes = ["exposed_people", "other_people"]
    out = table.drop(columns=sizes)
    if min_cell == 1 or not len(table):
        return out
    few = small(table[sizes[0]], min_cell) | small(table[sizes[1]], min_cell)
    few = _with_another_of_each(few, table[sizes[0]], table["dimension"])
    numbers = ["macros", "exposed_macros", "odds_ratio", "low", "high", "se"]
    out = _without(out, few, numbers)
    # What is not shown is not said either.
    out.loc[few, ["enough", "flips"]] = False
    return out


def hide_small_arms(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table of `doubly_robust` without the numbers of few people.

    Of crude and doubly robust the one would give the other away, so both go.
    """
    if min_cell == 1 or not len(table):
        return table
    few = small(table["exposed_n"], min_cell) | small(table["other_n"], min_cell)
    if "basis" in table:
        few[:] = few.any()
    return _without(table, few, [name for name in table if name not in ("basis", "event")])


def hide_small_bins(overlap: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The bins of `doubly_robust` without those of few people."""
    out = overlap.copy()
    for name in ("exposed", "other", "trimmed") if min_cell > 1 else ():
        few = with_another(small(overlap[name], min_cell), overlap[name].to_numpy())
        out[name] = overlap[name].astype(float).mask(few)
    return out


def _with_another_of_each(hidden: np.ndarray, size: pd.Series, whole: pd.Series) -> np.ndarray:
    """`with_another` among the rows that are parts of the same `whole`."""
    out = hidden.copy()
    for name in whole.unique():
        own = np.flatnonzero((whole == name).to_numpy())
        out[own] = with_another(out[own], size.to_numpy()[own])
    return out


def _without(table: pd.DataFrame, hidden: np.ndarray, numbers: list[Any]) -> pd.DataFrame:
    """The table without the numbers of the hidden rows."""
    out = table.astype(dict.fromkeys(numbers, float))
    out.loc[hidden, numbers] = np.nan
    return out
