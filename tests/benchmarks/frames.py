"""Polars: forward-fill of each chain's beginning, on a frame in memory sorted by user and time."""

from __future__ import annotations

import os
from pathlib import Path

import questions

os.environ.setdefault("POLARS_MAX_THREADS", str(questions.THREADS))

import polars as pl


class Frame:
    """Users are numbers that ascend, names are categories: what Polars groups fastest."""

    def __init__(self, source: Path) -> None:
        self._frame = (
            pl.scan_parquet(source)
            .select(
                pl.col("user").rank("dense").cast(pl.UInt32).alias("u"),
                pl.col("time").to_physical().alias("t"),
                pl.col("event").cast(pl.Categorical),
                pl.col(questions.GROUP).cast(pl.Categorical).alias("grp"),
            )
            .sort("u", "t", maintain_order=True)
            .collect()
            .with_columns(pl.col("u").set_sorted())
        )

    def plain(self) -> questions.Counts:
        """Users by step, in all."""
        levels = self._levels([]).select(_counts()).collect()
        return {"": [int(n) for n in levels.row(0)]}

    def by_group(self) -> questions.Counts:
        """Users by step and group."""
        levels = self._levels([pl.col("grp").first().cast(pl.String)])
        rows = levels.group_by("grp").agg(_counts()).collect().sort("grp").rows()
        return {row[0]: [int(n) for n in row[1:]] for row in rows}

    def _levels(self, more: list[pl.Expr]) -> pl.LazyFrame:
        step = pl.when(pl.col("event") == questions.STEPS[0]).then(1)
        for k, name in enumerate(questions.STEPS[1:], 2):
            step = step.when(pl.col("event") == name).then(k)  # type: ignore[assignment]
        rows = self._frame.lazy().filter(pl.col("event").is_in(questions.STEPS))
        rows = rows.with_columns(step.cast(pl.Int8).alias("s")).sort("u", "t", "s")
        first = pl.col("s") == 1
        rows = rows.with_columns(
            pl.when(first).then(pl.col("t")).forward_fill().alias("began"),
            pl.when(first).then(pl.col("u")).forward_fill().alias("whose"),
            pl.when(first).then(1).otherwise(0).alias("level"),
        )
        for k in range(2, len(questions.STEPS) + 1):
            reached = (
                (pl.col("s") == k)
                & (pl.col("whose") == pl.col("u"))
                & (pl.col("t") - pl.col("began") <= questions.WINDOW_US)
            ).fill_null(False)
            rows = rows.with_columns(
                pl.when(reached).then(pl.col("began")).forward_fill().alias("began"),
                pl.when(reached).then(pl.col("u")).forward_fill().alias("whose"),
                pl.when(reached).then(k).otherwise(pl.col("level")).alias("level"),
            )
        return rows.group_by("u").agg(pl.col("level").max(), *more)


def _counts() -> list[pl.Expr]:
    return [
        (pl.col("level") >= k + 1).sum().alias(f"step{k + 1}") for k in range(len(questions.STEPS))
    ]
