"""Answers for people: sentence and caveats as HTML, tables in words; every text is escaped.

Names of events and values of properties come from other people's data, so no text reaches a
panel but through these functions.
"""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from analysis.core import wording
from analysis.core.result import Result
from analysis.core.schema import ALL, US_PER_SECOND, human_duration

_ALERT = "border-left:4px solid #d55e00;padding:.4em .8em;margin:.6em 0"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A funnel's table for people: rates in percent beside their counts, waits in words.

    Parameters
    ----------
    table : as `funnel` returns it, perhaps with small cells suppressed.

    Returns
    -------
    A row per group (where there are several) and step, as text: the people among mature entries,
    their share of the first step and its 95 % interval, their share of the step before, and the
    median wait since then.

    Examples
    --------
    >>> rows = pd.DataFrame({"group": "all", "step": [1, 2], "event": ["cart", "purchase"],
    ...     "k": [40, 8], "n_first": 40, "n_previous": 40, "rate": [1.0, 0.2],
    ...     "rate_low": [0.91, 0.105], "rate_high": [1.0, 0.348], "step_rate": [None, 0.2],
    ...     "median_seconds": [None, 90.0]})
    >>> readable(rows).iloc[1].to_list()
    ['8', '20.0% of 40', '10.5% to 34.8%', '20.0% of 40', '1.5 min']
    """
    rows = [_cells(row) for row in table.itertuples()]
    names = ["group", "step", "people", "of the first step", "95 % interval", "of the step before"]
    shown = pd.DataFrame(rows, columns=[*names, "median wait"], dtype=str)
    if set(table["group"]) <= {ALL}:
        return shown.drop(columns="group").set_index("step")
    return shown.set_index(["group", "step"])


def answer(result: Result) -> str:
    """The sentence of a result and its caveats, as HTML."""
    lines = [_paragraph(f"<strong>{escape(result.sentence())}</strong>", "margin:.6em 0 .2em")]
    for warning in result.warnings:
        lines.append(_paragraph(f"Note: {escape(warning)}", "margin:.2em 0;opacity:.8"))
    return "".join(lines)


def difference_sentence(table: pd.DataFrame, a: Any, b: Any) -> str:
    """What `FunnelResult.compare` found between two groups or two entry ranges, in words.

    Parameters
    ----------
    table : as `compare` returns it, the whole funnel in its last row. a, b : what the two are.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": ["pay", "pay"], "denominator": ["from previous", "from first"],
    ...     "k_a": 56, "n_a": 70, "rate_a": 0.8, "k_b": 48, "n_b": 80, "rate_b": 0.6,
    ...     "difference": 0.2, "low": 0.0524, "high": 0.3339, "clear": True})
    >>> difference_sentence(table, "mobile", "desktop")
    'Of all who entered, mobile: 80.0% (56 of 70) got to Pay; desktop: 60.0% (48 of 80); a \
difference of +20.0 points (95 % interval +5.2 to +33.4). Steps that differ clearly: Pay.'
    """
    names = wording.group_name(a), wording.group_name(b)
    whole = table.iloc[-1]
    if pd.isna(whole["difference"]):
        return f"There are no two rates to compare: {names[0]} and {names[1]}."
    one, two = (
        wording.share(*(whole[f"{what}_{side}"] for what in ("k", "n", "rate"))) for side in "ab"
    )
    low, high = (wording.points(whole[name]) for name in ("low", "high"))
    steps = table[table["denominator"] == "from previous"]
    clear = ", ".join(wording.label(name) for name in steps.loc[steps["clear"], "event"])
    return (
        f"Of all who entered, {names[0]}: {one} got to {wording.label(whole['event'])}; "
        f"{names[1]}: {two}; a difference of {wording.points(whole['difference'])} points "
        f"(95 % interval {low} to {high}). "
        + (f"Steps that differ clearly: {clear}." if clear else "No single step differs clearly.")
    )


def trend_sentence(trend: pd.DataFrame, time_zone: str = "UTC") -> str:
    """The first and the last final period of `FunnelResult.trend`, in words.

    Examples
    --------
    >>> weeks = pd.date_range("2026-11-02", periods=3, freq="7D", tz="UTC")
    >>> trend_sentence(pd.DataFrame({"start": weeks[:2], "end": weeks[1:], "k": [8, 9],
    ...     "n": [40, 50], "rate": [0.2, 0.18], "low": [0.105, 0.098], "high": [0.348, 0.308],
    ...     "mature": True}))
    '2 to 8 Nov 2026: 20.0% (8 of 40), 95 % interval 10.5% to 34.8%. 9 to 15 Nov 2026: 18.0% (9 of \
50), 95 % interval 9.8% to 30.8%.'
    """
    final = trend[trend["mature"] & trend["rate"].notna()]
    if not len(final):
        return "No period is final yet: there is no rate to tell."
    said = []
    for row in final.iloc[sorted({0, len(final) - 1})].to_dict("records"):
        days = wording.days(row["start"].tz_convert(time_zone), row["end"].tz_convert(time_zone))
        low, high = wording.percent(row["low"]), wording.percent(row["high"])
        share = wording.share(row["k"], row["n"], row["rate"])
        said.append(f"{days}: {share}, 95 % interval {low} to {high}.")
    return " ".join(said)


def note(text: str) -> str:
    """A plain remark, as HTML."""
    return _paragraph(escape(text), "margin:.3em 0")


def alert(text: str) -> str:
    """What went wrong and what to do, as HTML; set apart by more than its color."""
    return f'<div role="alert" style="{_ALERT}">{_paragraph(escape(text), "margin:0")}</div>'


def _paragraph(inner: str, style: str) -> str:
    return f'<p style="{style};line-height:1.45">{inner}</p>'


def _cells(row: object) -> list[str]:
    cell = row._asdict()  # type: ignore[attr-defined]
    first = cell["step"] == 1
    low, high = (wording.percent(cell[name]) for name in ("rate_low", "rate_high"))
    unknown = first or pd.isna(cell["rate"])
    return [
        wording.group_name(cell["group"]),
        wording.label(cell["event"]),
        wording.count(cell["k"]),
        _of(cell["rate"], cell["n_first"], unknown),
        "" if unknown else f"{low} to {high}",
        _of(cell["step_rate"], cell["n_previous"], first or pd.isna(cell["step_rate"])),
        "" if first else _wait(cell["median_seconds"]),
    ]


def _of(rate: float, n: float, unknown: bool) -> str:
    return "" if unknown else f"{wording.percent(rate)} of {wording.count(n)}"


def _wait(seconds: float) -> str:
    return wording.UNDEFINED if pd.isna(seconds) else human_duration(seconds * US_PER_SECOND)
