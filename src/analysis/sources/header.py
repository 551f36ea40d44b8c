"""Are these the names of columns, or the cells of somebody's row?

A file without a header has a person's data where another has names. Nobody can be asked, but such
a row gives itself away: it holds a time, an address, an id. Names that look like one are never
shown, and a file whose first record looks like one and has none of the columns that are needed is
refused with what to say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from analysis.core.schema import EVENT, TIME, USER, UsageError

_TIME: Final = re.compile(
    r"\d{4}[-/.]\d\d|\d{1,2}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{2,4}|\d:\d\d|^[\d.,]{8,}$"
)
_KINDS: Final = (
    ("an address", re.compile(r"@|%40")),
    ("an id", re.compile(r"^(?=.*\d)(?=.*[A-Fa-f])[0-9A-Fa-f-]{12,}$")),
    ("a time", _TIME),
    ("a number", re.compile(r"^[-+]?\d[\d.,]*([eE][-+]?\d+)?$")),
)
_CELLS: Final = ("an address", "an id", "a time")
"""Kinds that no column is called like; years and numbers of columns are (pivot tables)."""


def kind_of(name: str) -> str | None:
    """What a name looks like, if it looks like a cell.

    Examples
    --------
    >>> kind_of("ann@example.com"), kind_of("2026-01-01T00:00Z"), kind_of("client_id")
    ('an address', 'a time', None)
    """
    return next((kind for kind, form in _KINDS if form.search(name.strip())), None)


def without_cells(names: Sequence[str]) -> list[str]:
    """The names that do not look like cells, and may be shown.

    Examples
    --------
    >>> without_cells(["client_id", "2024", "ann@example.com"])
    ['client_id', '2024']
    """
    return [name for name in names if kind_of(name) not in _CELLS]


def refuse_no_header(names: Sequence[str], needed: Collection[str], path: Path) -> None:
    """Raise a `UsageError` if the names look like cells, and one that is needed is missing.

    Examples
    --------
    >>> refuse_no_header(["ann", "visit", "2026-01-01"], {"user", "time"}, Path("x.csv"))
    Traceback (most recent call last):
    analysis.UsageError: 'x.csv' seems to have no header: cell 3 of its first record looks like \
a time. Name its columns in their order: --no-header --columns user,event,time.
    """
    kinds = [kind_of(name) for name in names]
    place = next((n for n, kind in enumerate(kinds, 1) if kind in _CELLS), None)
    if place is None or set(needed).issubset(names):
        return
    raise UsageError(
        f"'{path}' seems to have no header: cell {place} of its first record looks like "
        f"{kinds[place - 1]}. Name its columns in their order: --no-header --columns "
        f"{','.join(_guessed(kinds))}."
    )


def _guessed(kinds: Sequence[str | None]) -> list[str]:
    """Names for the columns: user, time and event where they may be."""
    names = [""] * len(kinds)
    for role, wanted in ((TIME, ("a time",)), (USER, ("an address", "an id"))):
        found = (n for n, kind in enumerate(kinds) if kind in wanted and not names[n])
        if (place := next(found, None)) is not None:
            names[place] = role
    for role in (USER, EVENT, TIME):
        free = (n for n, name in enumerate(names) if not name)
        if role not in names and (place := next(free, None)) is not None:
            names[place] = role
    return [name or f"column_{n}" for n, name in enumerate(names, 1)]
