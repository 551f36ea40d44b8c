"""The verdicts on micro conversions as tables for people: ratios beside their interval and n."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.core import wording
from analysis.core.ratio_words import between, times
from analysis.core.schema import ALL
from analysis.correlation.verdict import CONTROL, STRUCTURAL
from analysis.plotting.theme import TOO_FEW, records

_INDEX, _NOT_JUDGED = "micro conversion", "not judged"


_BEST, _NEXT = "calibrated", "adjusted"


_PEERS = "peers' rule"


_JOINED = "\u00a0"
"""A space at which no line breaks: a number stays with its name."""


def readable_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """What may be said of each micro conversion: a table for people.

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
    names = ["verdict", "done before", _PEERS, basis, "total"]
    cells = [
        (
            _verdict(row, labels),
            _joined(_reach(row)),
            _joined(_ratio(row, "peers")),
            _joined(_ratio(row, basis)),
            _joined(_ratio(row, "total")),
            _number(row.exposed_macros),
        )
        for row in rows
    ]
    index = pd.Index([row.label for row in rows], name=_INDEX, dtype=str)
    return pd.DataFrame(cells, columns=[*names, "n after it"], index=index, dtype=str)


def reasons(table: pd.DataFrame) -> list[str]:
    """Why does each micro conversion have its verdict? Those of one reason are named together.

    Parameters
    ----------
    table : as `micro_to_macro` returns it; of groups only everybody together is told, and no
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
        f"{wording.listed(labels)}: {_words(verdict)}. {reason}"
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
    cells = {(row.event, row.group): _cell(row, basis) for row in records(judged)}
    labels = dict(zip(judged["event"], judged["label"], strict=True))
    groups = list(table["group"].drop_duplicates())
    rows = [[cells.get((e, g), wording.UNDEFINED) for g in groups] for e in labels]
    names = [wording.group_name(group) for group in groups]
    index = pd.Index(list(labels.values()), name=_INDEX, dtype=str)
    return pd.DataFrame(rows, columns=names, index=index, dtype=str)


def _basis(table: pd.DataFrame) -> str:
    return _BEST if table[_BEST].notna().any() else _NEXT


def _cell(row: Any, basis: str) -> str:
    """Verdict, ratio and n of one event in one group."""
    if pd.isna(row.exposed_macros):
        return TOO_FEW
    n = _joined(f"n = {_number(row.exposed_macros)}")
    ratio = _ratio(row, basis)
    if ratio == wording.UNDEFINED:
        return f"{_words(row.verdict)}, {n}"
    return f"{_words(row.verdict)}: {'' if basis == _BEST else f'{basis} '}{ratio}, {n}"


def _verdict(row: Any, labels: dict[str, str]) -> str:
    """The verdict, and the milestone that nearly all who did it had reached, if there is one."""
    if row.only_after is None:
        return _words(row.verdict)
    milestone = labels.get(row.only_after, wording.label(row.only_after))
    return f"{_words(row.verdict)}, after “{milestone}”"


def _joined(cell: str) -> str:
    return cell.replace(" ", _JOINED)


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")


def _reach(row: Any) -> str:
    known = not (pd.isna(row.reach) or pd.isna(row.reach_k))
    return wording.share(row.reach_k, row.converters, row.reach) if known else wording.UNDEFINED


def _ratio(row: Any, name: str) -> str:
    if row.verdict == STRUCTURAL:
        return _NOT_JUDGED
    ratio, low, high = (float(getattr(row, f"{name}{end}")) for end in ("", "_low", "_high"))
    return times(ratio) if ratio != ratio else f"{times(ratio)} ({between(low, high)})"


def _number(number: float) -> str:
    return wording.UNDEFINED if pd.isna(number) else wording.count(number)
