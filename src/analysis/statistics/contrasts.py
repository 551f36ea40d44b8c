"""Two groups of people, one thing after the other: how far apart, and how sure is it?

Shares are compared by their difference with Newcombe's interval, waits by how often somebody of
the one group waits longer than somebody of the other. Looking at many things finds some by chance,
so every p-value has a q-value beside it, over all that one call looked at.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from analysis.core.schema import US_PER_DAY
from analysis.statistics.stats import CONFIDENCE, newcombe, wilson

SHARE, LATER = "share", "later"


COLUMNS: Final = [
    "kind", "name", "value", "unit", "k_a", "n_a", "rate_a", "low_a", "high_a", "k_b", "n_b",
    "rate_b", "low_b", "high_b", "median_days_a", "median_days_b", "difference", "low", "high",
    "effect", "p_value", "q_value", "clear",
]  # fmt: skip


_FEWEST_EXPECTED = 5


_FEWEST_WAITS = 5


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Do these shares differ? A row per thing, with `k_a` of `n_a` against `k_b` of `n_b`.

    Returns
    -------
    The table with rates and their Wilson intervals, ``difference`` (a − b, a fraction) with
    ``low`` and ``high``, ``effect`` (Cohen's h) and ``p_value``; NaN where a group is empty.

    Notes
    -----
    p: pooled two-proportion z test; Fisher's exact test where fewer than 5 are expected in a cell.
    ``h = 2·asin(√rate_a) − 2·asin(√rate_b)``: Cohen 1988, *Statistical Power Analysis*, ch. 6.

    Examples
    --------
    >>> found = shares(pd.DataFrame({"k_a": [56], "n_a": [70], "k_b": [48], "n_b": [80]}))
    >>> found[["difference", "low", "high", "effect", "p_value"]].round(4).values.tolist()
    [[0.2, 0.0524, 0.3339, 0.4421, 0.008]]
    """
    found = table.assign(unit=SHARE)
    for group in "ab":
        k, n = found[f"k_{group}"], found[f"n_{group}"]
        found[f"rate_{group}"] = k / n.where(n > 0)
        found[f"low_{group}"], found[f"high_{group}"] = wilson(k, n)
    counts = found[["k_a", "n_a", "k_b", "n_b"]].to_numpy(np.int64)
    rows = [newcombe(*(int(cell) for cell in row)) for row in counts]
    found[["difference", "low", "high"]] = np.array(rows, float).reshape(-1, 3)
    angles = 2 * np.arcsin(np.sqrt(found[["rate_a", "rate_b"]].to_numpy(float)))
    found["effect"] = angles[:, 0] - angles[:, 1]
    found["p_value"] = [_p_value(*row) for row in counts]
    return found


def _p_value(k_a: int, n_a: int, k_b: int, n_b: int) -> float:
    from scipy import stats

    if not n_a or not n_b:
        return np.nan
    pooled = (k_a + k_b) / (n_a + n_b)
    if pooled in (0.0, 1.0):
        return 1.0
    if min(n_a, n_b) * min(pooled, 1 - pooled) < _FEWEST_EXPECTED:
        return float(stats.fisher_exact(np.array([[k_a, n_a - k_a], [k_b, n_b - k_b]])).pvalue)
    z = (k_a / n_a - k_b / n_b) / np.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    return float(2 * stats.norm.sf(abs(z)))


def waits(name: str, a: np.ndarray, b: np.ndarray) -> dict[str, object]:
    """Do the ones wait longer than the others? One row; waits in microseconds.

    Returns
    -------
    ``median_days_a``, ``median_days_b``, and ``difference`` = P(a waits longer) + ½P(as long) − ½
    with its interval; ``effect`` is twice that (Cliff's delta). Left out with fewer than 5 waits
    in a group; without interval and test where the groups do not overlap.

    Notes
    -----
    Brunner & Munzel 2000, *Biom J* 42:17, by statsmodels.
    """
    from statsmodels.stats.nonparametric import rank_compare_2indep

    row: dict[str, object] = {"kind": "time", "name": name, "value": "", "unit": LATER}
    row |= {"k_a": len(a), "n_a": len(a), "k_b": len(b), "n_b": len(b)}
    row |= {
        f"median_days_{group}": float(np.median(own)) / US_PER_DAY if len(own) else np.nan
        for group, own in (("a", a), ("b", b))
    }
    if min(len(a), len(b)) < _FEWEST_WAITS or len(np.unique(np.concatenate([a, b]))) == 1:
        return row
    if max(a) < min(b) or max(b) < min(a):
        # Without any overlap the estimated variance is 0: there is no interval and no test.
        later = 1.0 if min(a) > max(b) else 0.0
        return row | {"difference": later - 0.5, "effect": 2 * later - 1}
    found = rank_compare_2indep(a, b)
    low, high = found.conf_int(alpha=1 - CONFIDENCE)
    half = {"difference": found.prob1 - 0.5, "low": low - 0.5, "high": high - 0.5}
    return row | half | {"effect": 2 * (found.prob1 - 0.5), "p_value": float(found.pvalue)}


def judged(table: pd.DataFrame, most_false: float) -> pd.DataFrame:
    """The table with q-values over all its p-values, and whether each is clear of chance.

    Notes
    -----
    Benjamini & Hochberg 1995, *J R Stat Soc B* 57:289, by scipy.

    Examples
    --------
    >>> judged(pd.DataFrame({"p_value": [0.01, 0.5, float("nan")]}), 0.05)["q_value"].tolist()
    [0.02, 0.5, nan]
    """
    from scipy.stats import false_discovery_control

    found = table.reindex(columns=COLUMNS) if "kind" in table else table.copy()
    p_values = found["p_value"].to_numpy(float)
    known = ~np.isnan(p_values)
    q_values = np.full(len(found), np.nan)
    if known.any():
        q_values[known] = false_discovery_control(p_values[known], method="bh")
    found["q_value"] = q_values
    found["clear"] = q_values < most_false
    return found
