"""Are the planned names there, were they there all the time, and do the days hold enough events?

Volume: a day is held against the same weekday of up to four weeks before and after, by the median,
so that neither growth, nor the weekday, nor another odd day makes it look odd. Its distance is
measured on the logarithm in robust standard deviations of all such distances, but is never more
than it would be if people came by chance (on the square root, Anscombe 1948, *Biometrika* 35:246).
One person's events come together, so chance scatters more than a Poisson count of events does: the
variance is the count times the mean square of a person's events of a day, over their mean.

A lasting shift moves those medians along and hides. So each week is also held against the week
before it, weekday by weekday, again by the median: one odd day moves that little, a shift fully.

The first week is held against nothing, and the second not against it: a log that begins with new
people fills up at first, and where in its first day it begins nobody knows.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.wording import count, day, listed, percent
from analysis.quality.scan import (
    FAIL,
    PASS,
    SIGMA_PER_MAD,
    WARN,
    Counts,
    Days,
    Finding,
    Limits,
    not_applicable,
    shortened,
    verdict_of,
)

_MOST_NAMES: Final = 8
"""Names that a finding lists."""

_SHORTEST_SILENCE: Final = 3
"""Days."""

ALL_EVENTS: Final = "all events"

_WEEKS: Final = 4
"""Before and after a day; their same weekday says what is usual."""

_FEWEST_DAYS: Final = 21
"""Whole days in which a weekday's pattern shows."""

_FEWEST_DAILY_EVENTS: Final = 30
"""Median of an event name that is judged on its own."""

_FIRST_WEEK: Final = 7

_MEDIAN_OF_7: Final = 1.21
"""Standard error of a median of seven, over that of their mean."""

_MOST_DAYS: Final = 6
"""Odd days and shifts that a finding lists."""


# ── planned and seen names ───────────────────────────────────────────────────────────────────────


def never_seen(seen: dict[str, int], catalog: Catalog, limits: Limits) -> Finding:
    """Events of the catalog that the log does not have; fails where all that pays is missing."""
    planned = list(catalog.events)
    missing = [name for name in planned if name not in seen]
    if not missing:
        finding = f"All {count(len(planned))} events of the catalog are in the log."
        return Finding("planned, never seen", PASS, 0, 1, 0, len(planned), finding)
    sentences = []
    for name in missing:
        near = [other for other in seen if _alike(name, other) >= limits.similar_names]
        sentences.append(
            f"{name} (is it {near[0]!r}?)" if near and near[0] not in planned else name
        )
    macros = catalog.with_role("macro")
    return Finding(
        "planned, never seen",
        FAIL if set(macros) <= set(missing) else WARN,
        len(missing),
        1,
        len(missing),
        len(planned),
        f"Never seen: {listed(shortened(sentences, _MOST_NAMES))}.",
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
            " ".join(shortened(slips, _MOST_NAMES)),
            "Rename them at the import, in the table [events] of the column mapping.",
        )
    finding = "Every event name is in the catalog."
    if strange:
        named = listed(shortened(strange, _MOST_NAMES))
        finding = (
            f"{count(len(strange))} of {count(len(seen))} names are not in the catalog and count "
            f"as context: {named}. None looks like a slip of a planned one."
        )
    return Finding("seen, not planned", PASS, *counts, finding)


def _alike(one: str, other: str) -> float:
    """Likeness from 0 to 1; case and separators do not count, other digits are other names."""
    a, b = (re.sub(r"[\W_]+", "", name.casefold()) or name for name in (one, other))
    if a != b and re.sub(r"\d+", "", a) == re.sub(r"\d+", "", b):
        return 0.0
    return difflib.SequenceMatcher(None, a, b).ratio()


# ── new and vanished names ───────────────────────────────────────────────────────────────────────


def silences(
    counts: Counts, days: Days, names: tuple[str, ...], limits: Limits
) -> tuple[Finding, pd.DataFrame]:
    """Names that begin late, end early or pause for long, though many people were expected.

    Each of a name's people-days might as well lie on any other day, in proportion to everybody's.
    The evidence is how improbable it is that all of them lie outside of these days, as minus its
    logarithm. So a hole in the whole log is not counted against a name. People per day are counted,
    not events, because one person's events come together.

    Returns
    -------
    The finding, and a row per silence: ``event, kind, start, end`` (local days, `end` excluded),
    ``evidence``, and the log's own days ``log_start, log_end``.
    """
    if len(days) < 2 * _SHORTEST_SILENCE:
        why = f"The log has {count(len(days))} days; new and vanished names take more."
        return not_applicable("new and vanished names", why), _silence_table([])
    daily_users = counts.daily_users[:-1]
    everybody = daily_users.sum(axis=0)
    rows: list[tuple[object, ...]] = []
    for name, people in zip(names, daily_users, strict=True):
        for start, end in _empty_runs(people):
            inside = everybody[start:end].sum() / everybody.sum()
            evidence = -people.sum() * np.log1p(-inside)
            if evidence >= limits.silence and end - start >= _SHORTEST_SILENCE:
                kind = "new" if start == 0 else "vanished" if end == len(days) else "paused"
                edge = [days.dates[0] + pd.Timedelta(days=int(d)) for d in (start, end)]
                whole = (days.dates[0], days.dates[-1] + pd.Timedelta(days=1))
                rows.append((name, kind, *edge, float(evidence), *whole))
    table = _silence_table(rows)
    seen = int((counts.daily.sum(axis=1) > 0).sum())
    odd = table["event"].nunique()
    if not len(table):
        finding = f"Each of the {count(seen)} names was there the whole time, as far as it shows."
        return Finding("new and vanished names", PASS, 0, 1, 0, seen, finding), table
    sentences = [_silence_sentence(row) for row in table.itertuples()]
    advice = "Ask what was released then. Rates that use these events hold for the other days only."
    found = "; ".join(shortened(sentences, _MOST_NAMES)) + "."
    return Finding("new and vanished names", WARN, odd, 1, odd, seen, found, advice), table


def _empty_runs(people: np.ndarray) -> list[tuple[int, int]]:
    """Runs of days without anybody (start, end excluded), of a name that was there on some day."""
    if not people.any():
        return []
    empty = np.concatenate([[0], people == 0, [0]]).astype(np.int8)
    edges = np.diff(empty)
    return list(
        zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    )


def _silence_sentence(row: Any) -> str:
    name, start, end = row.event, row.start, row.end
    if row.kind == "new":
        return f"{name} is new since {day(end, year=True)}"
    if row.kind == "vanished":
        return f"{name} vanished after {day(start - pd.Timedelta(days=1), year=True)}"
    last = end - pd.Timedelta(days=1)
    return f"{name} paused from {day(start)} to {day(last, year=True)}"


def _silence_table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(
        rows, columns=["event", "kind", "start", "end", "evidence", "log_start", "log_end"]
    )


# ── volume ───────────────────────────────────────────────────────────────────────────────────────


def volume(
    counts: Counts, days: Days, names: tuple[str, ...], limits: Limits
) -> tuple[Finding, Finding, pd.DataFrame]:
    """Days and weeks with far more or fewer events than usual; is the last day complete?

    Returns
    -------
    Both findings, and a row per series and day: ``series, date, count, expected, ratio, z, odd``
    (whether the day is), ``shift`` (whether a lasting change begins there).
    """
    total = counts.daily.sum(axis=0)
    whole_days = len(days) - (0 if days.last_whole else 1)
    if whole_days < _FEWEST_DAYS:
        why = (
            f"A weekday's pattern takes {_FEWEST_DAYS} whole days; "
            f"the log has {max(whole_days, 0)}."
        )
        last = not_applicable("last day", why)
        return not_applicable("daily volume", why), last, _volume_table([], days)
    parts = []
    series = np.vstack([total, counts.daily])[:, :whole_days]
    squares = np.roll(counts.squares, 1)
    for name, own, square in zip((ALL_EVENTS, *names), series, squares, strict=True):
        if name == ALL_EVENTS or np.median(own) >= _FEWEST_DAILY_EVENTS:
            clumps = max(float(square / max(own.sum(), 1)), 1.0)
            parts.append(_judged_series(name, own, days, limits, clumps))
    table = _volume_table(parts, days)
    return (
        _volume_finding(table, whole_days, limits),
        _last_day_finding(parts[0], days, limits),
        table,
    )


def _judged_series(
    name: str, own: np.ndarray, days: Days, limits: Limits, clumps: float
) -> pd.DataFrame:
    series = _against_weekdays(own, clumps)
    least = np.log(limits.volume_ratio)
    odd = (np.abs(series.z) >= limits.volume_z) & (np.abs(np.log(series.ratio)) >= least)
    odd[:_FIRST_WEEK] = False
    odd[-1] = False  # has a check of its own
    shift = np.zeros(len(own), np.bool_)
    cut = _shift_start(own, limits, clumps)
    if cut:
        shift[cut] = True
    columns = {"count": own, "expected": series.expected, "ratio": series.ratio, "z": series.z}
    frame = pd.DataFrame({"series": name, "date": days.dates[: len(own)], **columns})
    return frame.assign(odd=odd, shift=shift)


class _AgainstWeekdays(NamedTuple):
    expected: np.ndarray
    z: np.ndarray
    ratio: np.ndarray


def _against_weekdays(own: np.ndarray, clumps: float) -> _AgainstWeekdays:
    level = np.log(own + 0.5)
    near = np.full((2 * _WEEKS, len(own)), np.nan)
    for week in range(1, _WEEKS + 1):
        near[2 * week - 2, 7 * week :] = level[: -7 * week] if 7 * week < len(own) else []
        near[2 * week - 1, : -7 * week] = level[7 * week :] if 7 * week < len(own) else []
    usual = np.nanmedian(near, axis=0)
    distance = level - usual
    scatter = SIGMA_PER_MAD * np.median(np.abs(distance - np.median(distance)))
    by_chance = 2 * (np.sqrt(own / clumps) - np.sqrt(np.exp(usual) / clumps))
    z = np.sign(distance) * np.minimum(np.abs(by_chance), np.abs(distance) / max(scatter, 1e-9))
    return _AgainstWeekdays(np.exp(usual), z, np.exp(distance))


def _shift_start(own: np.ndarray, limits: Limits, clumps: float) -> int:
    """The day at which a lasting change begins, or 0."""
    level = np.log(own + 0.5)
    change = level[7:] - level[:-7]
    # Entry c: the week from day c + 7 on against the week before it.
    weeks = np.median(np.lib.stride_tricks.sliding_window_view(change, 7), axis=1)
    weeks = weeks[_FIRST_WEEK:-1]
    if not len(weeks):
        return 0
    usual = np.median(weeks)
    scatter = SIGMA_PER_MAD * np.median(np.abs(weeks - usual))
    best = int(np.argmax(np.abs(weeks - usual)))
    size = abs(weeks[best] - usual)
    week = 7 * np.median(own) / clumps
    # Careful: as if the busier of the two weeks were the usual one.
    by_chance = np.sqrt(2 * week) * (1 - np.exp(-size / 2)) / _MEDIAN_OF_7
    far = min(by_chance, size / max(scatter, 1e-9)) >= limits.volume_z
    return best + _FIRST_WEEK + 7 if far and size >= np.log(limits.volume_ratio) else 0


def _volume_finding(table: pd.DataFrame, whole_days: int, limits: Limits) -> Finding:
    whole = table[table["series"] == ALL_EVENTS]
    k = int(whole["odd"].sum())
    value = k / whole_days
    limit = (1 / whole_days, limits.volume_days)
    verdict = verdict_of(value, limit)
    shifts = table[table["shift"]]
    single = table[table["odd"] & (table["series"] != ALL_EVENTS)]
    single = single[~single["date"].isin(whole.loc[whole["odd"], "date"])]
    if verdict == PASS and (len(shifts) or len(single)):
        verdict = WARN
    odd = pd.concat([whole[whole["odd"]], single])
    sentences = [_odd_day_sentence(row) for row in odd.itertuples()]
    sentences = [_shift_sentence(row) for row in shifts.itertuples()] + sentences
    if not sentences:
        finding = f"Each of {count(whole_days)} days holds about what its weekday usually does."
        advice = ""
    else:
        finding = "; ".join(shortened(sentences, _MOST_DAYS)) + "."
        advice = "Ask what happened: a campaign, a release, a broken tag or a lost file?"
    return Finding("daily volume", verdict, value, limit[0], k, whole_days, finding, advice)


def _odd_day_sentence(row: Any) -> str:
    when = day(row.date, year=True)
    return f"{when}: {count(row.count)} of {row.series}, usual are {count(row.expected)}"


def _shift_sentence(row: Any) -> str:
    return f"{row.series} changed lastingly about {day(row.date, year=True)}"


def _last_day_finding(whole: pd.DataFrame, days: Days, limits: Limits) -> Finding:
    if not days.last_whole:
        return not_applicable("last day", "The log does not claim to cover its last day whole.")
    last = whole.iloc[-1]
    # A log that stops earlier has several empty days at its end.
    few = last["ratio"] <= 1 / limits.volume_ratio and last["z"] <= -limits.volume_z
    share = min(float(last["ratio"]), 1.0)
    text = f"{count(last['count'])} events, usual are {count(last['expected'])}"
    when = day(last["date"], year=True)
    numbers = (1 - share, 1 - 1 / limits.volume_ratio, int(last["count"]), round(last["expected"]))
    if not few:
        return Finding("last day", PASS, *numbers, f"{when} looks complete: {text}.")
    return Finding(
        "last day",
        FAIL if not last["count"] and not whole["count"].iloc[-3:].any() else WARN,
        *numbers,
        f"{when} looks incomplete ({percent(share)} of the usual): {text}.",
        "Import the rest, or say with --covers-until how far the log really goes.",
    )


def _volume_table(parts: list[pd.DataFrame], days: Days) -> pd.DataFrame:
    if parts:
        return pd.concat(parts, ignore_index=True)
    columns = ["series", "date", "count", "expected", "ratio", "z", "odd", "shift"]
    return pd.DataFrame(columns=columns)
