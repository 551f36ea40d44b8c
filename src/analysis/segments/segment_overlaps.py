"""How far do segments overlap? Every combination with the people who are in it and in no other.

The combinations are disjoint, so their counts add up to everybody. All segments must be of one
instant: people at different times are not one population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import UsageError
from analysis.core.wording import count, label, listed, percent, share
from analysis.eventlog import filters as people
from analysis.eventlog import parallel as engine
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments.evaluate import Look, there
from analysis.segments.figures_upset import upset
from analysis.segments.result import Segment, as_segment
from analysis.segments.segment_values import few
from analysis.statistics.stats import wilson

MOST_SETS: Final = 12


@dataclass(frozen=True, eq=False, kw_only=True)
class OverlapsResult(Result):
    """The answer of `overlaps`.

    ``table`` has a row per combination that occurs, largest first, people in no segment last:
    ``set_1`` … (a boolean per segment, in the order of `sets`), ``sets`` (their names), ``k`` of
    ``n`` people who are in these and in no other, ``rate, low, high``. What is about few people
    is NaN. ``pairs`` has a row per pair: ``a``, ``b``, ``k`` people in both, ``jaccard`` (of those
    in either), and ``share_of_a``, ``share_of_b``.
    """

    sets: tuple[str, ...]
    pairs: pd.DataFrame

    def sentence(self) -> str:
        """How many people are in more than one segment, and the largest overlap."""
        several = self.table["sets"].map(len) > 1
        known = self.table[self.table["k"].notna()]
        n = int(self.table["n"].iloc[0]) if len(self.table) else 0
        own = known[several[known.index]]
        if not n or not len(own):
            return "No combination of these segments has enough people to show."
        k = int(own["k"].sum())
        low, high = (float(end) for end in wilson(k, n))
        top = own.iloc[int(own["k"].to_numpy().argmax())]
        names = listed([label(name) for name in top["sets"]])
        return (
            f"{share(k, n, k / n)} of the people are in more than one segment (95% interval "
            f"{percent(low)} to {percent(high)}); most of them in {names}: "
            f"{share(top['k'], n, top['rate'])}."
        )

    def figure(self) -> Any:
        """An UpSet figure: a row per combination, its segments as dots, its size as a bar."""
        inside = self.table["sets"].map(len) > 0
        return upset(self.table[inside], self.sets)


def overlaps(
    log: EventLog, segments: Mapping[str, Segment], *, min_cell: int = 5
) -> OverlapsResult:
    """Which people are in which of these segments at once?

    Parameters
    ----------
    log : whose people are counted: all that it shows before the instant. A view counts its own.
    segments : by name, 2 to 12, all of one instant.
    min_cell : counts of fewer people than this are hidden.

    Raises
    ------
    UsageError
        If the segments are of different instants, or too few or too many.

    Examples
    --------
    >>> from analysis.segments.rules import did
    >>> from analysis.segments.segments import segment
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "cy"], "event": ["cart", "video", "cart", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01"] * 4)}))
    >>> two = {name: segment(log, did(name)) for name in ("cart", "video")}
    >>> overlaps(log, two, min_cell=1).table[["sets", "k", "n"]].values.tolist()
    [[('cart',), 1.0, 3.0], [('cart', 'video'), 1.0, 3.0], [(), 1.0, 3.0]]
    """
    if not isinstance(segments, Mapping) or not 2 <= len(segments) <= MOST_SETS:
        raise UsageError(
            f"overlaps: {len(segments)} segments. Allowed: 2 to {MOST_SETS}, by name: "
            "{'carts': segment(log, ...), 'readers': segment(log, ...)}."
        )
    few(min_cell, "overlaps")
    first, *others = (as_segment(one, "overlaps") for one in segments.values())
    for name, other in segments.items():
        if other.at_us != first.at_us:
            raise UsageError(
                f"overlaps: {name!r} is of {other.at}, the first one of {first.at}. Ask all of "
                "them at=... the same instant."
            )
    codes, n = _codes(log, first, [first, *others])
    names = tuple(segments)
    table = _table(codes, names, n)
    hidden = (table["k"] < min_cell).to_numpy()
    table.loc[hidden, ["k", "rate", "low", "high"]] = np.nan
    many = f"{count(int(hidden.sum()))} of {count(len(table))} combinations"
    said = f"Hidden, of fewer than {min_cell} people each: {many}."
    return OverlapsResult(
        table=table,
        parameters={
            "segments": {name: one.parameters for name, one in segments.items()},
            "min_cell": min_cell,
        },
        warnings=(*((said,) if hidden.any() else ()), *hindsight(log, first.at_us)),
        sets=names,
        pairs=_pairs(codes, names, min_cell),
    )


def _codes(log: EventLog, first: Segment, segments: list[Segment]) -> tuple[np.ndarray, int]:
    """Per combination, as a set of bits, how many people are in it; and how many there are."""
    names = len(log.event_names)

    def seen_by(shard: Shard) -> np.ndarray:
        return there(Look(shard, log.event_names, first.at_us, shard.masks))

    seen = engine.over(log.shards, seen_by)
    bits = [np.zeros(len(own), np.int64) for own in seen]
    for place, one in enumerate(segments):
        chosen = people.chosen(log.shards, names, one)
        for own, mine in zip(bits, chosen, strict=True):
            own |= mine.astype(np.int64) << place
    counts = np.zeros(1 << len(segments), np.int64)
    for own, here in zip(bits, seen, strict=True):
        counts += np.bincount(own[here], minlength=len(counts))
    return counts, int(counts.sum())


def _table(counts: np.ndarray, names: tuple[str, ...], n: int) -> pd.DataFrame:
    found = np.flatnonzero(counts)
    # Largest first, those in none last; equal ones by their segments.
    order = sorted(found, key=lambda code: (code == 0, -counts[code], code))
    inside = {f"set_{i + 1}": [bool(code >> i & 1) for code in order] for i in range(len(names))}
    sets = [tuple(name for i, name in enumerate(names) if code >> i & 1) for code in order]
    table = pd.DataFrame(inside)
    table["sets"] = pd.Series(sets, dtype=object)
    table["k"] = counts[order].astype(float)
    table["n"] = float(n)
    table["rate"] = table["k"] / n if n else np.nan
    table["low"], table["high"] = wilson(table["k"], table["n"])
    return table


def _pairs(counts: np.ndarray, names: tuple[str, ...], min_cell: int) -> pd.DataFrame:
    codes = np.arange(len(counts))
    size = [int(counts[codes >> i & 1 == 1].sum()) for i in range(len(names))]
    rows = []
    for i, one in enumerate(names):
        for j in range(i + 1, len(names)):
            both = int(counts[(codes >> i & 1 == 1) & (codes >> j & 1 == 1)].sum())
            few = 0 < both < min_cell
            either = size[i] + size[j] - both
            parts = [both / whole if whole else np.nan for whole in (either, size[i], size[j])]
            numbers = [np.nan] * 4 if few else [float(both), *parts]
            rows.append((one, names[j], *numbers))
    return pd.DataFrame(rows, columns=["a", "b", "k", "jaccard", "share_of_a", "share_of_b"])
