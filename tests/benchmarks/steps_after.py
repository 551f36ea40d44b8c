"""What comes right after what within a session: transitions per pair, and with the median gap.

Polars reads a frame in memory that is sorted by user, session and time, which is what it answers
quickest from. Its users are numbers and its events are categories.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import polars as pl
from rounds import Entry
from workbook import NAME, Workbook

from analysis.journeys.flows import transitions

COUNTS: Final = "transitions, counts"
GAPS: Final = "transitions, median gap"
Answer = list[tuple[Any, ...]]


def entries(workbook: Workbook) -> list[Entry]:
    """Both questions to both; the log's rows come from the log, so that sessions are the same."""
    frame = _frame(workbook)
    return [
        Entry(COUNTS, NAME, partial(_ours, workbook, gaps=False)),
        Entry(COUNTS, "Polars", partial(_theirs, frame, gaps=False)),
        Entry(GAPS, NAME, partial(_ours, workbook, gaps=True)),
        Entry(GAPS, "Polars", partial(_theirs, frame, gaps=True)),
    ]


def _frame(workbook: Workbook) -> pl.DataFrame:
    names = pl.Series(workbook.log.event_names)
    parts, users = [], 0
    for shard in workbook.log.shards:
        own = pl.Series(range(users, users + len(shard.users)), dtype=pl.UInt32)
        sizes = pl.Series(shard.offsets[1:] - shard.offsets[:-1])
        parts.append(
            pl.DataFrame(
                {
                    "u": own.repeat_by(sizes).explode(),
                    "s": shard.columns["session"].codes,  # type: ignore[union-attr]
                    "t": shard.time,
                    "e": names.gather(pl.Series(shard.event).cast(pl.UInt32)),
                }
            ).cast({"e": pl.Categorical})
        )
        users += len(shard.users)
    return pl.concat(parts).sort("u", "s", "t", maintain_order=True).rechunk()


def _ours(workbook: Workbook, *, gaps: bool) -> Answer:
    table = transitions(workbook.log, gaps=gaps, min_cell=1).table
    table = table[(table["event"] != "(start)") & (table["next_event"] != "(end)")]
    columns = ["event", "next_event", "k", *(["median_seconds"] if gaps else [])]
    return _plain(table[columns].itertuples(index=False, name=None))


def _theirs(frame: pl.DataFrame, *, gaps: bool) -> Answer:
    user, session, time, event = (pl.col(name) for name in "uste")
    same = (user == user.shift(-1)) & (session == session.shift(-1))
    told = [pl.len().cast(pl.Float64)]
    told += [(pl.col("gap").median() / 1_000_000).alias("median")] if gaps else []
    pairs = frame.lazy().with_columns(
        same.alias("same"), event.shift(-1).alias("next"), (time.shift(-1) - time).alias("gap")
    )
    found = pairs.filter("same").group_by("e", "next").agg(*told).collect()
    return _plain(found.with_columns(pl.col("e", "next").cast(pl.String)).rows())


def _plain(rows: Iterable[tuple[Any, ...]]) -> Answer:
    """Sorted; to a tenth of a microsecond, because Polars divides by multiplying."""
    return sorted((*row[:3], *(round(wait, 7) for wait in row[3:])) for row in rows)
