"""How a notebook hands its numbers to its report: one call, one MIME bundle.

A notebook calls `emit` in a cell. The numbers travel as an output of that cell, in a format that
no browser shows, so they are kept with the notebook that made them, are compared when it is
tested, and need no file and no shared folder. `collect` takes them out of the finished notebook.

Numbers are rounded to ten significant digits: what differs beyond is the order of a sum, not the
world, and it would make two equal reports differ. Undefined (NaN) becomes null. Only aggregates
come this way; nothing here looks at users.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd

from analysis.core.schema import DataError, UsageError, one_of

MIME_TYPE = "application/vnd.workbook.numbers+json"


GATES = ("pass", "warn", "fail")


SIGNIFICANT_DIGITS = 10


class ReportError(DataError):
    """A report could not be made; the message says which, why, and what to do."""


class _HasFingerprint(Protocol):
    @property
    def fingerprint(self) -> str: ...


def emit(
    *,
    headline: str,
    numbers: Mapping[str, Any],
    warnings: Iterable[str] = (),
    gate: str = "pass",
    log: _HasFingerprint | None = None,
) -> None:
    """Hand the report its headline and numbers; called once, in a cell of the notebook.

    Parameters
    ----------
    headline : the answer in one or two plain sentences.
    numbers : name → number, or name → ``{"value": …, "low": …, "high": …, "n": …, …}``; rates
        are fractions, undefined is NaN or None.
    warnings : caveats in plain words; they go wherever the numbers go.
    gate : what the quality gate says: ``pass``, ``warn`` or ``fail``; a report that fails does
        not replace the last good one.
    log : the log the numbers come from; its fingerprint goes with them.

    Raises
    ------
    UsageError
        If the headline is empty, or a number is none.
    """
    from IPython.display import display

    payload = {
        "headline": _text(headline, "headline"),
        "numbers": {_text(k, "numbers"): number(v, str(k)) for k, v in numbers.items()},
        "warnings": [_text(warning, "warnings") for warning in warnings],
        "gate": one_of("emit: gate", gate, GATES),
        "log": None if log is None else log.fingerprint,
    }
    display({MIME_TYPE: payload}, raw=True)


def collect(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the notebook emitted: ``headline``, ``numbers``, ``warnings``, ``gate``, ``log``.

    Raises
    ------
    ReportError
        If it emitted nothing, or more than once.

    Examples
    --------
    >>> collect({"cells": []}, "weekly")
    Traceback (most recent call last):
    analysis.reports.numbers.ReportError: weekly: the notebook emitted no numbers. Call \
analysis.reports.emit(headline=…, numbers=…) once, in a cell that runs when report is True.
    """
    found = [
        output["data"][MIME_TYPE]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if MIME_TYPE in output.get("data", {})
    ]
    if len(found) == 1:
        return dict(found[0])
    what = f"emitted numbers {len(found)} times" if found else "emitted no numbers"
    raise ReportError(
        f"{name}: the notebook {what}. Call analysis.reports.emit(headline=…, numbers=…) once, "
        "in a cell that runs when report is True."
    )


def number(value: Any, name: str) -> dict[str, Any]:
    """A number with its fields as plain data, rounded to ten significant digits.

    Examples
    --------
    >>> number({"value": 1 / 3, "n": np.int64(7), "low": np.nan}, "rate")
    {'value': 0.3333333333, 'n': 7, 'low': None}
    >>> number(12, "entered")
    {'value': 12}
    """
    fields = value if isinstance(value, Mapping) else {"value": value}
    if "value" not in fields:
        raise UsageError(
            f"emit: numbers[{name!r}] has no 'value', only {', '.join(map(repr, fields))}. "
            "Add it; use NaN where it is undefined."
        )
    return {_text(key, "numbers"): _rounded(cell, f"{name}.{key}") for key, cell in fields.items()}


def _rounded(value: Any, what: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return _text(value, what)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        # The largest floats round beyond what a float holds. Adding 0.0 makes -0.0 plain 0.0.
        kept = rounded if math.isfinite(rounded) else value
        return kept + 0.0 if math.isfinite(value) else None
    raise UsageError(
        f"emit: numbers: {what} = {value!r} is of type {type(value).__name__}. "
        "Allowed: a number, text, true/false, or NaN where it is undefined."
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"emit: {what} = {value!r} must be text. Write what a reader should read.")
    # Half a surrogate pair is text to Python and to nobody else; it must not break the files.
    return value.encode("utf-8", "replace").decode("utf-8")
