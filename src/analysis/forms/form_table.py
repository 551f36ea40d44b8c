"""The numbers of a form: rates per field with their intervals, and how its attempts end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from analysis.core.schema import US_PER_SECOND
from analysis.core.wording import UNDEFINED, percent, share
from analysis.forms import kernels as passes
from analysis.statistics.stats import wilson

_ENDED: Final = ("k", "n", "rate", "low", "high")


_CAME: Final = ("macros", "k", "macro_rate", "macro_low", "macro_high")


_RATES: Final = {
    # What it is called: (count, denominator, rate, low, high).
    "stopped": ("k", "n", "rate", "low", "high"),
    "reached": ("n", "attempts", "reached", "reached_low", "reached_high"),
    "refilled": ("refills", "n", "refill_rate", "refill_low", "refill_high"),
    "failed": ("failed", "n", "error_rate", "error_low", "error_high"),
    "blank": ("blanks", "submits", "blank_rate", "blank_low", "blank_high"),
}


def field_table(
    names: Sequence[str], parts: Sequence[tuple[np.ndarray, ...]], min_cell: int
) -> tuple[pd.DataFrame, int]:
    """A row per field that was touched, in the order of touching, and in how many of them a
    number of few attempts is hidden.

    Parameters
    ----------
    parts : what `passes.forms.fields` found in each shard.
    """
    counts = np.sum([part[0] for part in parts], axis=0)
    ends = np.sum([part[1] for part in parts], axis=0)[0]
    order, waits, whose = (np.concatenate([part[i] for part in parts]) for i in (2, 3, 4))
    visits = pd.DataFrame({"order": order, "wait": waits, "field": whose})
    places = range(len(names))
    ranks = visits.groupby("field")["order"].mean().reindex(places).to_numpy()
    known = visits[visits["wait"] >= 0]
    medians = known.groupby("field")["wait"].median().reindex(places).to_numpy(float)
    columns = {
        "k": passes.STOPPED,
        "n": passes.TOUCHED,
        "last": passes.LAST,
        "refills": passes.REFILLED,
        "failed": passes.FAILED,
        "errors": passes.ERRORS,
        "blanks": passes.BLANK,
    }
    table = pd.DataFrame({"field": pd.array(names, dtype="str")})
    for name, place in columns.items():
        table[name] = counts[:, place].astype(float)
    table["attempts"] = float(ends[passes.ATTEMPTS])
    table["submits"] = float(ends[passes.SUBMITTED])
    table["median_seconds"] = medians / US_PER_SECOND
    for k, n, *told in _RATES.values():
        table[told] = np.column_stack(_rated(table[k].to_numpy(), table[n].to_numpy()))
    table = table.assign(rank=ranks)[table["n"] > 0].sort_values(["rank", "field"])
    return _hidden(table.drop(columns="rank").reset_index(drop=True), min_cell)


def ends_table(ends: np.ndarray, min_cell: int) -> pd.DataFrame:
    """How the attempts end: ``end, k, n, rate, low, high``, and how many of the k came to the macro
    later: ``macros, macro_rate, macro_low, macro_high``; what is about few is NaN.

    Examples
    --------
    >>> ends = np.array([[40, 30, 32, 2, 1], [6, 6, 6, 0, 0]])
    >>> ends_table(ends, 1)[["end", "k", "n", "rate", "macros", "macro_rate"]]
                   end     k     n   rate  macros  macro_rate
    0             done  30.0  40.0  0.750     6.0         0.2
    1         given up  10.0  40.0  0.250     0.0         0.0
    2     blank submit   2.0  40.0  0.050     0.0         0.0
    3  nothing touched   1.0  40.0  0.025     0.0         0.0
    """
    counts, later = (
        {
            "done": own[passes.DONE],
            "given up": own[passes.ATTEMPTS] - own[passes.DONE],
            "blank submit": own[passes.NOTHING],
            "nothing touched": own[passes.UNTOUCHED],
        }
        for own in ends.astype(float)
    )
    table = pd.DataFrame({"end": list(counts), "k": list(counts.values())})
    table["n"] = float(ends[0, passes.ATTEMPTS])
    k = table["k"].to_numpy()
    table[["rate", "low", "high"]] = np.column_stack(_rated(k, table["n"].to_numpy()))
    table["macros"] = list(later.values())
    told = _rated(table["macros"].to_numpy(), k)
    table[["macro_rate", "macro_low", "macro_high"]] = np.column_stack(told)
    table.loc[table["n"] < min_cell, table.columns[1:]] = np.nan
    table.loc[table["k"] < min_cell, table.columns[-4:]] = np.nan
    for first, name in ((1, "k"), (6, "macros")):
        few = (table[name] > 0) & (table[name] < min_cell)
        cells = [name, *table.columns[first + 1 :]]
        table.loc[few, [cell for cell in cells if cell != "n"]] = np.nan
    return table


def readable_ends(table: pd.DataFrame) -> pd.DataFrame:
    """How the attempts end, as text: attempts, their share, and the share with the macro later.

    Examples
    --------
    >>> ends = np.array([[400, 300, 320, 0, 0], [60, 60, 60, 0, 0]])
    >>> readable_ends(ends_table(ends, 1)).loc["done"].to_list()
    ['75.0% (300 of 400)', '70.5% to 79.0%', '20.0% (60 of 300)', '15.9% to 24.9%']
    """
    names = {"end": "how it ended", "rate": "attempts", "macro_rate": "macro later"}
    shown = pd.DataFrame({names["end"]: table["end"]})
    for k, n, rate, low, high in (_ENDED, _CAME):
        told = zip(*(table[name] for name in (k, n, rate, low, high)), strict=True)
        cells = [
            (share(*row[:3]), f"{percent(row[3])} to {percent(row[4])}")
            if not np.isnan(row[2])
            else (UNDEFINED, "")
            for row in told
        ]
        shown[names[rate]] = [cell for cell, _ in cells]
        shown[f"95 % interval of {names[rate]}"] = [cell for _, cell in cells]
    return shown.set_index(names["end"])


def _rated(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low, high = wilson(k, n)
    return k / np.where(n > 0, n, np.nan), low, high


def _hidden(table: pd.DataFrame, min_cell: int) -> tuple[pd.DataFrame, int]:
    few_people = (table["n"] < min_cell).to_numpy()
    table.loc[few_people, [name for name in table if name not in ("field", "attempts")]] = np.nan
    hidden = few_people.copy()
    for k, _, *told in _RATES.values():
        few = ((table[k] > 0) & (table[k] < min_cell)).to_numpy()
        cells = [k, *told] + (["errors"] if k == "failed" else [])
        table.loc[few, cells] = np.nan
        hidden |= few
    last = ((table["last"] > 0) & (table["last"] < min_cell)).to_numpy()
    table.loc[last, "last"] = np.nan
    return table, int((hidden | last).sum())
