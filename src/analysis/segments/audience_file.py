"""An audience as a file: whole or not at all, and nothing in it that a spreadsheet would run.

Ids come from other people's browsers. A CSV cell that begins with ``=``, ``+``, ``-`` or ``@`` is
a formula to a spreadsheet, so such an id gets an apostrophe before it, and whoever asked is told:
the id then matches nothing until the apostrophe is off again. Parquet has no formulas, and every
id as it is.
"""

from __future__ import annotations

import csv
import os
import secrets
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from analysis.core.schema import USER, DataError, UsageError, did_you_mean
from analysis.core.wording import count

FORMATS: Final = (".csv", ".parquet")


_FORMULA: Final = r"^(?:\s*[=+\-@＝＋－＠]|[\t\r\n])"


def target_of(path: Path | str | None) -> Path | None:
    """The file to write, checked before anything is asked.

    Raises
    ------
    UsageError
        If it is neither CSV nor Parquet, or its folder is not there.

    Examples
    --------
    >>> target_of("people.csv").suffix
    '.csv'
    """
    if path is None:
        return None
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        near = did_you_mean(target.suffix, FORMATS)
        raise UsageError(
            f"audience: path={str(path)!r} ends in {target.suffix!r}.{near} "
            f"Allowed: {', '.join(FORMATS)}."
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"audience: path={str(path)!r}: there is no folder {str(target.parent)!r}. Make it, or "
            "choose another."
        )
    return target


def write(frame: pd.DataFrame, target: Path) -> tuple[str, ...]:
    """Write the people, replacing the file in one step; what must be said about it.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    said: tuple[str, ...] = ()
    try:
        if target.suffix.lower() == ".csv":
            said = _write_csv(frame, beside)
        else:
            frame.to_parquet(beside, index=False)
        os.replace(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise DataError(
            f"audience: cannot write '{target}': {error.strerror}. Choose another place."
        ) from error
    return said


def _write_csv(frame: pd.DataFrame, target: Path) -> tuple[str, ...]:
    ids = frame[USER].astype("str")
    runs = ids.str.contains(_FORMULA, regex=True).to_numpy(bool)
    # A carriage return ends a line for most readers, and csv does not quote it by itself.
    broken = bool(ids.str.contains("\r", regex=False).any())
    shown = frame.assign(**{USER: ids.where(~runs, "'" + ids)})
    quoting: Literal[0, 1] = csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    shown.to_csv(target, index=False, quoting=quoting)
    if not runs.any():
        return ()
    k = int(runs.sum())
    return (
        f"{count(k)} of the ids begin like a formula, so the CSV file has an apostrophe before "
        f"{'it' if k == 1 else 'them'}: take it off to match, or write a .parquet file.",
    )
