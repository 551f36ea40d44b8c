"""Did a property begin to be missing, or to be there?

How often a property should be there nobody can tell from the log: a search has no price. But it
does not change overnight by itself. So each event's share of missing cells is held against its own
median over time, in robust standard deviations of a share that scatters more than chance alone,
because one person's rows are alike (Laney 2002, *Qual Eng* 14:531: moving ranges of the z-scores).
The scatter is that of as many people as there are, not rows. Rare events are looked at in blocks
of days that hold enough people.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.core.wording import count, day, percent
from analysis.quality.quality_words import PASS, WARN, Finding, Limits, not_applicable
from analysis.quality.scan import Counts, Days

_PEOPLE = 50


_FEWEST_BLOCKS = 8


_TO_SIGMA = 1.0483  # the median of the difference of two normal values is 0.954 of their sigma


_FAR = 6.0


_MOST = 6


def missing(
    counts: Counts, days: Days, names: tuple[str, ...], properties: tuple[str, ...], limits: Limits
) -> tuple[Finding, pd.DataFrame]:
    """Properties whose share of missing cells changed suddenly.

    Returns
    -------
    The finding, and a row per event, property and block of days of each pair that changed:
    ``event, property, date, k, n, rate, usual, odd``.
    """
    tested = 0
    parts = []
    for e, name in enumerate(names):
        block = _blocks(counts.daily_users[e])
        if block is None:
            continue
        people = np.bincount(block, counts.daily_users[e])
        n = np.bincount(block, counts.daily[e])
        starts = days.dates[np.unique(block, return_index=True)[1]]
        for p, own in enumerate(properties):
            k = np.bincount(block, counts.missing[p, e])
            tested += 1
            rate = k / n
            odd = _odd(rate, people, limits.null_change)
            if odd.any():
                columns = {"date": starts, "k": k, "n": n, "rate": rate, "usual": np.median(rate)}
                frame = pd.DataFrame({"event": name, "property": own, **columns, "odd": odd})
                parts.append(frame)
    if not tested:
        why = f"No event has {_FEWEST_BLOCKS} times {_PEOPLE} people-days and a property."
        return not_applicable("missing cells", why), _table(parts)
    return _finding(parts, tested, limits), _table(parts)


def _blocks(people: np.ndarray) -> np.ndarray | None:
    """The number of the block of every day, from 0 without a gap; None where there are too few."""
    before = np.cumsum(people) - people
    if people.sum() < _PEOPLE * _FEWEST_BLOCKS:
        return None
    # A day opens a block once the block before has its people.
    block = np.zeros(len(people), np.int64)
    number, opened = 0, 0
    for d in range(len(people)):
        if before[d] - opened >= _PEOPLE:
            number, opened = number + 1, int(before[d])
        block[d] = number
    if people.sum() - opened < _PEOPLE:
        block = np.minimum(block, max(number - 1, 0))
    return block if block[-1] + 1 >= _FEWEST_BLOCKS else None


def _odd(rate: np.ndarray, n: np.ndarray, change: float) -> np.ndarray:
    usual = np.median(rate)
    far = np.abs(rate - usual) >= change
    if not far.any():
        return far
    # Where nothing was ever missing the rate is still not known to be exactly 0.
    known = np.clip(usual, 1 / (n + 2), 1 - 1 / (n + 2))
    z = (rate - usual) / np.sqrt(known * (1 - known) / n)
    scatter = max(1.0, _TO_SIGMA * float(np.median(np.abs(np.diff(z)))))
    return far & (np.abs(z) >= _FAR * scatter)


def _finding(parts: list[pd.DataFrame], tested: int, limits: Limits) -> Finding:
    largest = [float((part["rate"] - part["usual"]).abs().max()) for part in parts]
    if not parts:
        finding = f"None of {count(tested)} pairs of event and property changed suddenly."
        return Finding("missing cells", PASS, 0.0, limits.null_change, 0, tested, finding)
    order = np.argsort(largest)[::-1]
    said = [_said(parts[i]) for i in order[:_MOST]]
    said += [f"{len(parts) - _MOST} more pairs"] if len(parts) > _MOST else []
    return Finding(
        "missing cells",
        WARN,
        max(largest),
        limits.null_change,
        len(parts),
        tested,
        "; ".join(said) + ".",
        "Ask what was released then; breakdowns by these properties hold for the other days only.",
    )


def _said(part: pd.DataFrame) -> str:
    odd = part[part["odd"]]
    row = odd.iloc[int((odd["rate"] - odd["usual"]).abs().argmax())]
    return (
        f"{row['property']} of {row['event']}: missing in {percent(row['rate'])} "
        f"({count(row['k'])} of {count(row['n'])}) on {day(row['date'], year=True)}, "
        f"usual is {percent(row['usual'])}"
    )


def _table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if parts:
        return pd.concat(parts, ignore_index=True)
    columns = ["event", "property", "date", "k", "n", "rate", "usual", "odd"]
    return pd.DataFrame(columns=columns)
