"""What each step takes away: odds ratios of micro conversions, crude, adjusted, calibrated.

Under each micro conversion stand the crude odds ratio, the adjusted and the calibrated one, so that
the eye follows how much of a striking number is left. The controls stand at the end, as a cloud:
what the adjustment still finds where there is nothing to find.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.ratio_words import chance, times, with_interval
from analysis.core.wording import count, share
from analysis.plotting.intervals import Block, Mark, Row, clear_of_one, forest, numbers
from analysis.plotting.theme import PALETTE, REST, TOO_FEW, records, short

STEPS = (("crude", REST), ("adjusted", PALETTE[4]), ("calibrated", PALETTE[0]))


_AXIS = "← fewer · odds ratio of converting · more →"


_CONTROL, _STRUCTURAL = "control", "structural"


_MOST = 12


_HEADING = 36
"""Letters that a phone has room for."""


def ratio_forest(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How much of each association is left after adjustment and calibration?

    Parameters
    ----------
    table : rows of one group as `micro_to_macro` gives them: ``label, role, verdict, reach,
        reach_k, converters, exposed_macros, macros, controls, q_value`` and, each with ``_low``
        and ``_high``, ``crude, adjusted, calibrated``. What converting requires is left out, as
        is what comes after the first twelve.

    Examples
    --------
    >>> row = {"label": "Video", "role": "secondary", "verdict": "leads", "q_value": 0.004,
    ...        "reach": 0.4, "reach_k": 40.0, "converters": 100.0, "exposed_macros": 39,
    ...        "macros": 98, "controls": 8}
    >>> for name, ratio in (("crude", 3.0), ("adjusted", 2.1), ("calibrated", 1.5)):
    ...     row |= {name: ratio, f"{name}_low": ratio / 1.2, f"{name}_high": ratio * 1.2}
    >>> ratio_forest(pd.DataFrame([row])).layout.meta["alt"]
    'Video, leads: crude 3.00 (95% interval 2.50 to 3.60), adjusted 2.10 (95% interval 1.75 to \
2.52), calibrated 1.50 (95% interval 1.25 to 1.80), 39 of 98 conversions after it.'
    """
    judged = table[~table["verdict"].isin([_CONTROL, _STRUCTURAL])]
    shown = records(judged.head(_MOST))
    controls = records(table[table["role"] == _CONTROL])
    blocks = [Block(_heading(row), _rows(row)) for row in shown]
    if controls:
        blocks.append(_cloud(controls))
    said = [_said(row) for row in shown] + [_controls_said(controls)] * bool(controls)
    if len(judged) > _MOST:
        said.append(f"The first {_MOST} of {len(judged)}.")
    return forest(
        blocks,
        axis=_AXIS,
        alt=" ".join(said),
        title=title,
        nothing="There is no odds ratio to show: too few conversions.",
    )


def _heading(row: Any) -> str:
    verdict = _words(row)
    return f"{short(row.label, _HEADING - len(verdict))} · {verdict}"


def _words(row: Any) -> str:
    """The verdict; what only those do who have got to some milestone is on the way."""
    on_the_way = isinstance(getattr(row, "only_after", None), str)
    return f"{row.verdict.replace('_', ' ')}{', on the way' if on_the_way else ''}"


def _triple(row: Any, name: str) -> tuple[float, float, float]:
    return getattr(row, name), getattr(row, f"{name}_low"), getattr(row, f"{name}_high")


def _rows(row: Any) -> list[Row]:
    rows = []
    for name, color in STEPS:
        ratio, low, high = _triple(row, name)
        mark = Mark(ratio, low, high, color, _told(row, name), clear_of_one(low, high))
        beside = numbers(ratio, low, high)
        if name == "calibrated" and ratio != ratio and row.adjusted == row.adjusted:
            beside = "too few controls"
        rows.append(Row(name, [mark], beside))
    return rows


def _told(row: Any, name: str) -> list[str]:
    lines = [row.label, f"{name}: {with_interval(*_triple(row, name))}"]
    if name == "calibrated":
        lines.append(f"next to {count(row.controls)} controls, q = {chance(row.q_value)}")
    lines.append(_of(row))
    if row.reach == row.reach:
        done = share(row.reach_k, row.converters, row.reach)
        lines.append(f"{done} of all who converted had done it")
    return [*lines, f"verdict: {_words(row)}"]


def _cloud(controls: list[Any]) -> Block:
    rows = []
    for name, color in STEPS[:2]:
        known = [row for row in controls if getattr(row, name) == getattr(row, name)]
        marks = [Mark(*_triple(row, name), color, _told(row, name), False) for row in known]
        values = [mark.ratio for mark in marks]
        ends = f"{times(min(values))} to {times(max(values))}" if values else "too few"
        rows.append(Row(name, marks, ends))
    return Block(f"Controls ({len(controls)}): nothing to find here", rows)


def _said(row: Any) -> str:
    parts = []
    for name, _ in STEPS:
        ratio = _triple(row, name)
        parts.append(f"{name} {with_interval(*ratio) if ratio[0] == ratio[0] else 'undefined'}")
    return f"{row.label}, {_words(row)}: {', '.join(parts)}, {_of(row)}."


def _of(row: Any) -> str:
    if pd.isna(row.exposed_macros):
        return TOO_FEW
    return f"{count(row.exposed_macros)} of {count(row.macros)} conversions after it"


def _controls_said(controls: list[Any]) -> str:
    known = [row.adjusted for row in controls if row.adjusted == row.adjusted]
    if not known:
        return f"{len(controls)} controls, with too few conversions."
    ends = f"{times(min(known))} to {times(max(known))}"
    return f"{len(controls)} controls, adjusted from {ends}."
