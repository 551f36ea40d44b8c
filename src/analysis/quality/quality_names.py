"""Are the log's event names the planned ones, and were they there the whole time?"""

from __future__ import annotations

import difflib
import re
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.wording import count, day, listed
from analysis.quality.quality_words import FAIL, PASS, WARN, Finding, Limits, not_applicable
from analysis.quality.scan import Counts, Days

_MOST_NAMES = 8


_FEWEST_DAYS = 3


def never_seen(seen: dict[str, int], catalog: Catalog, limits: Limits) -> Finding:
    """Events of the catalog that the log does not have; fails where all that pays is missing."""
    planned = list(catalog.events)
    missing = [name for name in planned if name not in seen]
    if not missing:
        finding = f"All {count(len(planned))} events of the catalog are in the log."
        return Finding("planned, never seen", PASS, 0, 1, 0, len(planned), finding)
    said = []
    for name in missing:
        near = [other for other in seen if _alike(name, other) >= limits.similar_names]
        said.append(f"{name} (is it {near[0]!r}?)" if near and near[0] not in planned else name)
    macros = catalog.with_role("macro")
    return Finding(
        "planned, never seen",
        FAIL if set(macros) <= set(missing) else WARN,
        len(missing),
        1,
        len(missing),
        len(planned),
        f"Never seen: {listed(_cut(said))}.",
        "Look whether the tag fires, or take the event out of the catalog.",
    )


def not_planned(seen: dict[str, int], catalog: Catalog, limits: Limits) -> Finding:
    """Names the catalog does not know; suspicious are those that look like a planned one."""
    strange = [name for name in seen if name not in catalog.events]
    slips = []
    for name in strange:
        likeness = [(_alike(name, planned), planned) for planned in catalog.events]
        best, planned = max(likeness, default=(0.0, ""))
        if best >= limits.similar_names:
            times = f"{count(seen[name])} event{'s' if seen[name] != 1 else ''}"
            slips.append(f"{name!r} ({times}): did they mean {planned!r}?")
    counts = (len(slips), 1, len(strange), len(seen))
    if slips:
        return Finding(
            "seen, not planned",
            WARN,
            *counts,
            " ".join(_cut(slips)),
            "Rename them at the import, in the table [events] of the column mapping.",
        )
    finding = "Every event name is in the catalog."
    if strange:
        finding = (
            f"{count(len(strange))} of {count(len(seen))} names are not in the catalog and count "
            f"as context: {listed(_cut(strange))}. None looks like a slip of a planned one."
        )
    return Finding("seen, not planned", PASS, *counts, finding)


def _alike(one: str, other: str) -> float:
    """Likeness from 0 to 1; case and separators do not count, other digits are other names."""
    a, b = (re.sub(r"[\W_]+", "", name.casefold()) or name for name in (one, other))
    if a != b and re.sub(r"\d+", "", a) == re.sub(r"\d+", "", b):
        return 0.0
    return difflib.SequenceMatcher(None, a, b).ratio()


def _cut(said: list[str]) -> list[str]:
    more = len(said) - _MOST_NAMES
    return [*said[:_MOST_NAMES], f"{more} more"] if more > 0 else said


def silences(
    counts: Counts, days: Days, names: tuple[str, ...], limits: Limits
) -> tuple[Finding, pd.DataFrame]:
    """Names that begin late, end early or pause for long, though many people were expected.

    Each of a name's people-days might as well lie on any other day, in proportion to everybody's.
    The evidence is how improbable it is that all of them lie outside of these days, as minus its
    logarithm. A hole in the whole log is so no name's own. Counted are people per day, because one
    person's events come together.

    Returns
    -------
    The finding, and a row per silence: ``event, kind, start, end`` (local days, `end` excluded),
    ``evidence``, and the log's own days ``log_start, log_end``.
    """
    if len(days) < 2 * _FEWEST_DAYS:
        why = f"The log has {count(len(days))} days; new and vanished names take more."
        return not_applicable("new and vanished names", why), _silences([])
    daily_users = counts.daily_users[:-1]
    everybody = daily_users.sum(axis=0)
    rows: list[tuple[object, ...]] = []
    for name, people in zip(names, daily_users, strict=True):
        for start, end in _empty_runs(people):
            inside = everybody[start:end].sum() / everybody.sum()
            evidence = -people.sum() * np.log1p(-inside)
            if evidence >= limits.silence and end - start >= _FEWEST_DAYS:
                kind = "new" if start == 0 else "vanished" if end == len(days) else "paused"
                edge = [days.dates[0] + pd.Timedelta(days=int(d)) for d in (start, end)]
                whole = (days.dates[0], days.dates[-1] + pd.Timedelta(days=1))
                rows.append((name, kind, *edge, float(evidence), *whole))
    table = _silences(rows)
    seen = int((counts.daily.sum(axis=1) > 0).sum())
    odd = table["event"].nunique()
    if not len(table):
        finding = f"Each of the {count(seen)} names was there the whole time, as far as it shows."
        return Finding("new and vanished names", PASS, 0, 1, 0, seen, finding), table
    said = [_silence(row) for row in table.itertuples()]
    advice = "Ask what was released then. Rates that use these events hold for the other days only."
    found = "; ".join(_cut(said)) + "."
    return Finding("new and vanished names", WARN, odd, 1, odd, seen, found, advice), table


def _silence(row: Any) -> str:
    name, start, end = row.event, row.start, row.end
    if row.kind == "new":
        return f"{name} is new since {day(end, year=True)}"
    if row.kind == "vanished":
        return f"{name} vanished after {day(start - pd.Timedelta(days=1), year=True)}"
    last = end - pd.Timedelta(days=1)
    return f"{name} paused from {day(start)} to {day(last, year=True)}"


def _silences(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(
        rows, columns=["event", "kind", "start", "end", "evidence", "log_start", "log_end"]
    )


def _empty_runs(people: np.ndarray) -> list[tuple[int, int]]:
    """Runs of days on which nobody did it, of a name that somebody did on some day."""
    if not people.any():
        return []
    empty = np.concatenate([[0], people == 0, [0]]).astype(np.int8)
    edges = np.diff(empty)
    return list(
        zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    )
