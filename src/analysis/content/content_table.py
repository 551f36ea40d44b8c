"""Values of a property, who saw them and who then converted: counts, rates, pooled rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.schema import UsageError, instant_us
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.segments import kernels_content as passes
from analysis.segments.kernels import EVER
from analysis.segments.rules import did
from analysis.segments.segment_checks import check_property, check_rule
from analysis.segments.segment_rules import ANY_EVENT
from analysis.statistics.pooling import Pooled, pooled
from analysis.statistics.stats import CONFIDENCE, wilson

EVERYBODY: Final = "(everybody)"


_WHAT: Final = "content_conversion"


_COUNTS: Final = ("n", "k", "macro_k", "open")


_MACRO: Final = ("macro_k", "macro_rate", "macro_low", "macro_high")


COLUMNS: Final = (
    *("value", "k", "n", "rate", "low", "high", "pooled", "pooled_low", "pooled_high"),
    *("above", "verdict", *_MACRO, "open"),
)


class Asked(NamedTuple):
    """The question; `window` in microseconds, `bounds` as the pass takes them."""

    property: str
    to: str
    macro: str
    event: str
    window: int
    bounds: np.ndarray
    first: bool


def check(log: EventLog, asked: Asked) -> None:
    """Raise a `UsageError` for what the log does not know."""
    for name, value in (("to", asked.to), ("macro", asked.macro)):
        if value == ANY_EVENT:
            raise UsageError(f"{_WHAT}: {name}='*' is no conversion. Give one event's name.")
    for event in (asked.to, asked.macro, asked.event):
        check_rule(log, did(event), _WHAT)
    check_property(log, asked.property, _WHAT)
    if log.kinds[asked.property] != "text":
        texts = [name for name in log.properties if log.kinds[name] == "text"]
        raise UsageError(
            f"{_WHAT}: {asked.property!r} holds numbers. Allowed: a property of text, "
            f"{', '.join(map(repr, texts)) or 'and there is none'}."
        )


def period_of(log: EventLog, since: Any, until: Any) -> np.ndarray:
    """From when and until when values are seen, and where the log's knowledge ends (int64).

    Raises
    ------
    UsageError
        If nothing lies between.
    """
    low = -int(EVER) if since is None else instant_us(since, f"{_WHAT}: since")
    high = log.covers_until_us if until is None else instant_us(until, f"{_WHAT}: until")
    if min(high, log.covers_until_us) <= low:
        raise UsageError(
            f"{_WHAT}: nothing lies between since={since!r} and until={until!r}; the log ends "
            f"at {log.covers_until}. Swap the two, or give an earlier since."
        )
    return np.array([low, min(high, log.covers_until_us), log.covers_until_us], np.int64)


def counts_of(log: EventLog, asked: Asked) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The values that anybody saw; what the pass counts of each, and of people."""
    names = log.event_names
    shows = np.zeros(len(names) + 1, np.uint8)
    shows[: len(names)] = [asked.event in (ANY_EVENT, name) for name in names]
    events = names.index(asked.to), names.index(asked.macro)

    def counted(shard: Shard) -> tuple[list[str], np.ndarray]:
        column = shard.columns[asked.property]
        assert isinstance(column, TextColumn)  # checked before
        rows = (shard.time, shard.event, shard.offsets, column.codes, len(column.values), shows)
        found = passes.led(*rows, *events, asked.window, asked.bounds, asked.first)
        return column.values.to_pylist(), found

    parts = engine.over(log.shards, counted)
    cells = pd.DataFrame(np.concatenate([found[:-1] for _, found in parts]))
    cells = cells.groupby(np.array([v for values, _ in parts for v in values], object)).sum()
    cells = cells[(cells > 0).any(axis=1)]
    people = np.sum([found[-1] for _, found in parts], axis=0)
    return [str(value) for value in cells.index], cells.to_numpy(np.int64), people


def rates(values: Sequence[str], counts: np.ndarray) -> pd.DataFrame:
    """A row per value with the rates of the conversion and of the macro, and their intervals."""
    table = pd.DataFrame(counts, columns=list(_COUNTS)).astype(float)
    table.insert(0, "value", pd.Series(list(values), dtype="str"))
    for k, before in (("k", ""), ("macro_k", "macro_")):
        table[f"{before}rate"] = table[k] / table["n"].where(table["n"] > 0)
        table[f"{before}low"], table[f"{before}high"] = wilson(table[k], table["n"])
    return table


def content_table(
    values: Sequence[str], counts: np.ndarray, min_cell: int
) -> tuple[pd.DataFrame, Pooled, int]:
    """The values, the highest pooled rate first; what is typical; and how many are hidden.

    Rates are pooled before small ones are hidden: how values differ is not told by those alone
    that are large enough to be shown.
    """
    table = rates(values, counts)
    seen = (table["n"] > 0).to_numpy()
    found = pooled(table.loc[seen, "k"], table.loc[seen, "n"])
    for name, cells in (
        ("pooled", found.rate),
        ("pooled_low", found.low),
        ("pooled_high", found.high),
        ("above", found.above),
    ):
        table[name] = np.nan
        table.loc[seen, name] = cells
    side = (1 - CONFIDENCE) / 2
    says = [table["above"] > 1 - side, table["above"] < side]
    table["verdict"] = np.select(says, ["more", "less"], "unclear")
    order = np.lexsort((table["value"], -table["n"], -table["pooled"].fillna(-1)))
    table = table[list(COLUMNS)].iloc[order].reset_index(drop=True)
    few = ((table[["n", "k"]] > 0) & (table[["n", "k"]] < min_cell)).any(axis=1)
    numbers = [name for name in COLUMNS if name not in ("value", "verdict")]
    table.loc[few, numbers] = np.nan
    table.loc[few, "verdict"] = "unclear"
    table.loc[table["macro_k"].between(1, min_cell - 1), list(_MACRO)] = np.nan
    # Rates that are not shown do not stand in an order that tells them.
    table = pd.concat([table[~few], table[few].sort_values("value")], ignore_index=True)
    return table, found, int(few.sum())
