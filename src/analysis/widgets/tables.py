"""How does a panel, or a notebook, say an answer to people? As HTML, as sentences, as tables.

Three parts, in this order: a result's sentence and caveats as HTML; a funnel's table, comparison
and trend; the verdicts on micro conversions, each ratio beside its interval and its n.

Names of events and values of properties come from other people's data, so no text reaches a panel
as HTML but through the functions here, which escape it. No rate is shown without its count and no
ratio without its interval.
"""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd

from analysis.core import wording
from analysis.core.result import Result, records
from analysis.core.schema import ALL, US_PER_SECOND, human_duration
from analysis.core.wording import as_html, between, times
from analysis.correlation.verdict import CONTROL, STRUCTURAL
from analysis.plotting.theme import TOO_FEW

# Answers as HTML

_ALERT: Final = "border-left:4px solid #d55e00;padding:.4em .8em;margin:.6em 0"


def answer(result: Result) -> str:
    """The sentence of a result and its caveats, as HTML."""
    paragraphs = [
        _paragraph(f"<strong>{as_html(result.sentence())}</strong>", "margin:.6em 0 .2em")
    ]
    for warning in result.warnings:
        paragraphs.append(_paragraph(f"Note: {as_html(warning)}", "margin:.2em 0;opacity:.8"))
    return "".join(paragraphs)


def note(text: str) -> str:
    """A plain remark, as HTML."""
    return _paragraph(as_html(text), "margin:.3em 0")


def alert(text: str) -> str:
    """What went wrong and what to do, as HTML; set apart by more than its color."""
    return f'<div role="alert" style="{_ALERT}">{_paragraph(as_html(text), "margin:0")}</div>'


def _paragraph(inner: str, style: str) -> str:
    return f'<p style="{style};line-height:1.45">{inner}</p>'


# Funnels


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Where are people lost? A funnel's table for people: percent beside counts, waits in words.

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
    rows = [_step_cells(row) for row in records(table)]
    names = ["group", "step", "people", "of the first step", "95 % interval", "of the step before"]
    shown = pd.DataFrame(rows, columns=[*names, "median wait"], dtype=str)
    if set(table["group"]) <= {ALL}:
        return shown.drop(columns="group").set_index("step")
    return shown.set_index(["group", "step"])


def _step_cells(row: Any) -> list[str]:
    step = [wording.group_name(row.group), wording.label(row.event), wording.count(row.k)]
    if row.step == 1:
        return [*step, "", "", "", ""]
    low, high = wording.percent(row.rate_low), wording.percent(row.rate_high)
    wait = row.median_seconds
    return [
        *step,
        _share_of(row.rate, row.n_first),
        "" if pd.isna(row.rate) else f"{low} to {high}",
        _share_of(row.step_rate, row.n_previous),
        wording.UNDEFINED if pd.isna(wait) else human_duration(wait * US_PER_SECOND),
    ]


def _share_of(rate: float, n: float) -> str:
    return "" if pd.isna(rate) else f"{wording.percent(rate)} of {wording.count(n)}"


def difference_sentence(table: pd.DataFrame, a: Any, b: Any) -> str:
    """In what do two groups or entry ranges differ? What `FunnelResult.compare` found, in words.

    Parameters
    ----------
    table : as `compare` returns it, the whole funnel in its last row.
    a, b : what the two are.

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
        wording.share(whole[f"k_{side}"], whole[f"n_{side}"], whole[f"rate_{side}"])
        for side in "ab"
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
    """How did a rate change? The first and the last final period of `FunnelResult.trend`, in words.

    Parameters
    ----------
    trend : as `FunnelResult.trend` returns it.
    time_zone : whose days are named.

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
    sentences = []
    for row in final.iloc[sorted({0, len(final) - 1})].to_dict("records"):
        days = wording.days(row["start"].tz_convert(time_zone), row["end"].tz_convert(time_zone))
        low, high = wording.percent(row["low"]), wording.percent(row["high"])
        share = wording.share(row["k"], row["n"], row["rate"])
        sentences.append(f"{days}: {share}, 95 % interval {low} to {high}.")
    return " ".join(sentences)


# Verdicts

MICRO: Final = "micro conversion"

CALIBRATED: Final = "calibrated"

ADJUSTED: Final = "adjusted"


def readable_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """What is found about each micro conversion? A table for people.

    Parameters
    ----------
    table : as `micro_to_macro` returns it; of groups only everybody together is shown.

    Returns
    -------
    A row per event in the order of the ranking, as text: its verdict; how many of those who
    converted did it before; the odds ratio by the rule of other tools (``peers' rule``), the one
    next to the controls (``calibrated``, or ``adjusted`` where there is no control to calibrate
    by) and the one that lets later activity in (``total``, to be compared with that of the
    controls), each with its 95 % interval; and the conversions after it. What converting requires
    has no ratios, because none of them means anything.

    Examples
    --------
    >>> row = {"group": "all", "label": "Video", "verdict": "leads", "reach_k": 40, "reach": 0.4,
    ...     "converters": 100, "calibrated": 1.5, "calibrated_low": 1.2, "calibrated_high": 1.9,
    ...     "total": 1.8, "total_low": 1.5, "total_high": 2.2, "exposed_macros": 30,
    ...     "peers": 4.0, "peers_low": 3.0, "peers_high": 5.2, "only_after": None}
    >>> shown = readable_verdicts(pd.DataFrame([row])).loc["Video"]
    >>> [cell.replace("\xa0", " ") for cell in shown[:3]]
    ['leads', '40.0% (40 of 100)', '4.00 (3.00 to 5.20)']
    >>> [cell.replace("\xa0", " ") for cell in shown[3:]]
    ['1.50 (1.20 to 1.90)', '1.80 (1.50 to 2.20)', '30']
    """
    rows = records(table[table["group"] == ALL])
    basis = _basis(table)
    labels = {row.event: row.label for row in rows if "event" in table}
    names = ["verdict", "done before", "peers' rule", basis, "total", "n after it"]
    cells = [
        (
            _verdict(row, labels),
            _unbroken(_reach(row)),
            _unbroken(_ratio(row, "peers")),
            _unbroken(_ratio(row, basis)),
            _unbroken(_ratio(row, "total")),
            wording.count(row.exposed_macros),
        )
        for row in rows
    ]
    index = pd.Index([row.label for row in rows], name=MICRO, dtype=str)
    return pd.DataFrame(cells, columns=names, index=index, dtype=str)


def reasons(table: pd.DataFrame) -> list[str]:
    """Why does each micro conversion have its verdict? Events of one reason share a sentence.

    Parameters
    ----------
    table : as `micro_to_macro` returns it; of groups only everybody together is named, and no
        controls.

    Examples
    --------
    >>> row = {"group": "all", "label": "Cart", "verdict": "structural", "reason": "A milestone."}
    >>> reasons(pd.DataFrame([row, row | {"label": "Checkout"}]))
    ['Cart and Checkout: structural. A milestone.']
    """
    named: dict[tuple[str, str], list[str]] = {}
    for row in records(table[(table["group"] == ALL) & (table["verdict"] != CONTROL)]):
        named.setdefault((row.verdict, row.reason), []).append(row.label)
    return [
        f"{wording.listed(labels)}: {_verdict_words(verdict)}. {reason}"
        for (verdict, reason), labels in named.items()
    ]


def verdicts_by_group(table: pd.DataFrame) -> pd.DataFrame:
    """Is the verdict the same in each group? A table for people.

    Parameters
    ----------
    table : as `micro_to_macro` returns it, asked with ``by``.

    Returns
    -------
    A row per event that a verdict was sought for, a column per group, everybody first: the
    verdict, the odds ratio (``calibrated`` by the controls, or ``adjusted`` where there is none to
    calibrate by) with its 95 % interval, and the conversions after it.

    Examples
    --------
    >>> row = {"group": "all", "event": "video_start", "label": "Video", "verdict": "leads",
    ...     "calibrated": 1.5, "calibrated_low": 1.2, "calibrated_high": 1.9, "exposed_macros": 30}
    >>> verdicts_by_group(pd.DataFrame([row])).loc["Video", "all"]
    'leads: 1.50 (1.20 to 1.90), n\xa0=\xa030'
    """
    judged = table[~table["verdict"].isin([STRUCTURAL, CONTROL])]
    basis = _basis(table)
    cells = {(row.event, row.group): _group_cell(row, basis) for row in records(judged)}
    labels = dict(zip(judged["event"], judged["label"], strict=True))
    groups = list(table["group"].drop_duplicates())
    rows = [[cells.get((event, group), wording.UNDEFINED) for group in groups] for event in labels]
    names = [wording.group_name(group) for group in groups]
    index = pd.Index(list(labels.values()), name=MICRO, dtype=str)
    return pd.DataFrame(rows, columns=names, index=index, dtype=str)


def _group_cell(row: Any, basis: str) -> str:
    """Verdict, ratio and n of one event in one group."""
    if pd.isna(row.exposed_macros):
        return TOO_FEW
    n = _unbroken(f"n = {wording.count(row.exposed_macros)}")
    ratio = _ratio(row, basis)
    if ratio == wording.UNDEFINED:
        return f"{_verdict_words(row.verdict)}, {n}"
    which = "" if basis == CALIBRATED else f"{basis} "
    return f"{_verdict_words(row.verdict)}: {which}{ratio}, {n}"


def _basis(table: pd.DataFrame) -> str:
    """The column of the ratio that the verdicts go by."""
    return CALIBRATED if table[CALIBRATED].notna().any() else ADJUSTED


def _verdict(row: Any, labels: dict[str, str]) -> str:
    """The verdict, and the milestone that nearly all who did it had reached, if there is one."""
    if row.only_after is None:
        return _verdict_words(row.verdict)
    milestone = labels.get(row.only_after, wording.label(row.only_after))
    return f"{_verdict_words(row.verdict)}, after “{milestone}”"


def _verdict_words(verdict: str) -> str:
    return verdict.replace("_", " ")


def _reach(row: Any) -> str:
    known = not (pd.isna(row.reach) or pd.isna(row.reach_k))
    return wording.share(row.reach_k, row.converters, row.reach) if known else wording.UNDEFINED


def _ratio(row: Any, name: str) -> str:
    if row.verdict == STRUCTURAL:
        return "not judged"
    ratio, low, high = (float(getattr(row, f"{name}{end}")) for end in ("", "_low", "_high"))
    return times(ratio) if math.isnan(ratio) else f"{times(ratio)} ({between(low, high)})"


def _unbroken(cell: str) -> str:
    """The cell without a space at which a line breaks: a number stays with its name."""
    return cell.replace(" ", "\u00a0")
