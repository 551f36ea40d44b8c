"""What an import loses, summed up: which rows are no events, and which cells could not be read.

A row in the quarantine says why it is there, but nobody reads thousands of them. Here they are
counted by reason, event and week, together with the rows left out or found twice and with the
cells that are missing because they could not be read. No cell of the data is kept but the names of
events that the log has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import US_PER_DAY
from analysis.eventlog.shard import TEXT, plain

QUARANTINED: Final = "quarantined"
EXCLUDED: Final = "excluded"
DUPLICATE: Final = "duplicate"
BLANKED: Final = "blanked"

NO_NUMBER: Final = "is no number"

NO_WEEK: Final = -(2**31)
_MONDAY: Final = 4
"""The first Monday after 1970-01-01, in days."""


class Loss(NamedTuple):
    """Rows that share a fate; `week` is the number of the week, or `NO_WEEK`."""

    fate: str
    column: str
    reason: str
    event: str
    week: int


def weeks_of(us: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """The number of the week (from Monday, UTC) of each instant; `NO_WEEK` where there is none.

    Examples
    --------
    >>> weeks_of(np.array([0, 4 * US_PER_DAY]), np.array([True, True]))
    array([-1,  0])
    """
    return np.where(readable, (us // US_PER_DAY - _MONDAY) // 7, NO_WEEK)


def week_name(week: int) -> str:
    """The ISO date of a week's Monday; empty for `NO_WEEK`.

    Examples
    --------
    >>> week_name(0), week_name(NO_WEEK)
    ('1970-01-05', '')
    """
    return "" if week == NO_WEEK else str(np.datetime64(week * 7 + _MONDAY, "D"))


def rows_lost(
    fate: str,
    events: pa.Array | pa.ChunkedArray,
    weeks: np.ndarray,
    *,
    reason: str,
    column: str = "",
) -> Counter[Loss]:
    """Count rows of one fate and reason by event and week.

    Examples
    --------
    >>> rows_lost("duplicate", pa.array(["buy", "buy"]), np.array([0, 0]), reason="twice")
    Counter({Loss(fate='duplicate', column='', reason='twice', event='buy', week=0): 2})
    """
    if not len(events):
        return Counter()
    names = pc.fill_null(plain(events).cast(TEXT), "")
    groups = pa.table({"event": names, "week": weeks}).group_by(["event", "week"])
    counted = groups.aggregate([([], "count_all")]).to_pylist()
    return Counter(
        {Loss(fate, column, reason, of["event"], of["week"]): of["count_all"] for of in counted}
    )


def listed(
    lost: Counter[Loss], names: Collection[str], before: Iterable[Sequence[Any]] = ()
) -> list[list[Any]]:
    """The losses as the manifest keeps them, added to those of earlier imports.

    An event that is none of the log's `names` is not named: it may be anything.
    """
    known = set(names)
    total: Counter[tuple[str, ...]] = Counter()
    for *place, rows in before:
        total[tuple(place)] += rows
    for loss, rows in lost.items():
        event = loss.event if loss.event in known else ""
        total[loss.fate, loss.column, loss.reason, event, week_name(loss.week)] += rows
    return [[*place, rows] for place, rows in sorted(total.items()) if rows]
