"""What is drawn of a form, field by field: how many stop, go back and fail there, and how long."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import US_PER_SECOND, human_duration
from analysis.core.wording import count, label, percent, share
from analysis.plotting.theme import TOO_FEW, Bar, bars_under_headings, empty, percent_axis

_BARS = (
    ("stop here", "k", "n", "rate", "low", "high"),
    ("fill it in again", "refills", "n", "refill_rate", "refill_low", "refill_high"),
    ("see an error", "failed", "n", "error_rate", "error_low", "error_high"),
    ("submit it blank", "blanks", "submits", "blank_rate", "blank_low", "blank_high"),
)
"""Of each bar: its name, and the columns of count, denominator, rate, low and high."""


def form_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """At which field do people stop, go back, fail, or leave a blank?

    Parameters
    ----------
    table : a row per field, in their order: ``field, n, median_seconds``, and counts, rates and
        intervals as `form_fields` has them. What is hidden is NaN.

    Examples
    --------
    >>> row = {"field": "mail", "n": 40, "median_seconds": 9.0, "submits": 20}
    >>> for k, rate, low, high in [("k", "rate", "low", "high")] + [
    ...     (k, f"{name}_rate", f"{name}_low", f"{name}_high")
    ...     for k, name in (("refills", "refill"), ("failed", "error"), ("blanks", "blank"))]:
    ...     row |= {k: 10, rate: 0.25, low: 0.14, high: 0.4}
    >>> form_bars(pd.DataFrame([row])).layout.meta["alt"].split(";")[0]
    'Mail: stop here 25.0% (10 of 40)'
    """
    if not len(table) or table["n"].isna().all():
        return empty("Too few people touched this form to show.", title=title)
    blocks, captions, upper = [], [], 0.01
    for row in records(table):
        name = label(row.field)
        time = row.median_seconds
        waited = "" if pd.isna(time) else f" · {human_duration(time * US_PER_SECOND)} in it"
        bars = [_bar(row, name, *names) for names in _BARS]
        upper = max([upper, *(bar.high for bar in bars if bar.high == bar.high)])
        people = TOO_FEW if pd.isna(row.n) else f"{count(row.n)} touched it{waited}"
        blocks.append((f"{name} · {people}", bars))
        captions.append(f"{name}: " + "; ".join(f"{bar.name} {bar.words}" for bar in bars) + ".")
    axis = percent_axis(min(1.0, upper)) | {"range": [0, upper * 1.7]}
    return bars_under_headings(blocks, axis, alt=" ".join(captions), title=title)


def _bar(row: Any, field: str, name: str, *columns: str) -> Bar:
    k, n, rate, low, high = (float(getattr(row, column)) for column in columns)
    if rate != rate:
        reason = TOO_FEW if k != k else "nobody submitted"
        return Bar(name, rate, low, high, reason, [f"{field}: {name}", reason])
    many = share(k, n, rate)
    interval = f"95% interval {percent(low)} to {percent(high)}"
    return Bar(name, rate, low, high, many, [f"{field}: {name}", many, interval])
