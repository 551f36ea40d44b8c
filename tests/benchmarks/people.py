"""A segment by a compound rule: two carts lately, no purchase, not seen for a week.

DuckDB answers in one grouping of its table, which reads every row once. The instant is a week
before the log's end for both.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import pandas as pd
import questions
from duck import Duck
from rounds import Entry
from workbook import NAME, Workbook

from analysis import segment
from analysis.segments.rules import did, recency

TASK: Final = "segment, compound rule"
RULE: Final = (
    did("add_to_cart", at_least=2, within="30d") & ~did("purchase") & recency(at_least="7d")
)
_DAY_US: Final = 86_400_000_000


def entries(workbook: Workbook, duck: Duck) -> list[Entry]:
    """The question to both."""
    at = workbook.log.covers_until_us - 7 * _DAY_US
    return [
        Entry(TASK, NAME, partial(_ours, workbook, at)),
        Entry(TASK, "DuckDB", partial(_theirs, duck, at)),
    ]


def _ours(workbook: Workbook, at: int) -> questions.Counts:
    instant = pd.Timestamp(at, unit="us", tz="UTC")
    return {"": [segment(workbook.log, RULE, at=instant).size]}


def _theirs(duck: Duck, at: int) -> questions.Counts:
    counted = f"""
        SELECT count(*) FILTER (event = 'add_to_cart' AND t >= {at - 30 * _DAY_US}) AS carts,
               count(*) FILTER (event = 'purchase') AS bought, max(t) AS seen
        FROM e WHERE t < {at} GROUP BY "user"
    """
    found = duck.ask(
        f"SELECT count(*) FROM ({counted}) "
        f"WHERE carts >= 2 AND bought = 0 AND seen <= {at - 7 * _DAY_US}"
    )
    return {"": [int(found[0][0])]}
