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

A loss of a third makes no day odd. So it is also asked, of each event and of each event in each
group of a property with few values, whether it came more or less often per active person for a
week or longer (`level_shifts`). What holds for an event as a whole is not said of its groups again.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.wording import count, counted, day, isolate, listed, percent, relative, times
from analysis.quality.level_shifts import often_enough, shifts_of
from analysis.quality.scan import (
    FAIL,
    PASS,
    SIGMA_PER_MAD,
    WARN,
    Counts,
    Days,
    Finding,
    Group,
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
            slip = f"{isolate(repr(name))} ({counted(seen[name], 'event')})"
            slips.append(f"{slip}: did they mean {isolate(repr(planned))}?")
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
    counts: Counts, days: Days, names: tuple[str, ...], persons: np.ndarray, limits: Limits
) -> tuple[Finding, pd.DataFrame]:
    """Names that begin late, end early or pause for long, though many people were expected.

    Each of a name's people-days might as well lie on any other day, in proportion to everybody's.
    The evidence is how improbable it is that all of them lie outside of these days, as minus its
    logarithm. So a hole in the whole log is not counted against a name. People are counted, not
    events, because one person's events come together: `persons` has those of every name.

    A name has about as many pauses as people. So the evidence must exceed the logarithm of both,
    people and names, by the limit: then a small shop's faults are found, too.

    Returns
    -------
    The finding, and a row per silence: ``event, kind, start, end`` (local days, `end` excluded),
    ``evidence``, and the log's own days ``log_start, log_end``.
    """
    if len(days) < 2 * _SHORTEST_SILENCE:
        why = f"The log has {counted(len(days), 'day')}; new and vanished names take more."
        return not_applicable("new and vanished names", why), _silence_table([])
    daily_users = counts.daily_users[:-1]
    everybody = counts.daily_users[-1]
    seen = int((counts.daily.sum(axis=1) > 0).sum())
    rows = [
        (name, *silence)
        for name, people, own in zip(names, daily_users, persons, strict=True)
        for silence in _silent(people, everybody, min(own, people.sum()), seen, days, limits)
    ]
    table = _silence_table(rows)
    odd = table["event"].nunique()
    if not len(table):
        finding = f"Each of the {count(seen)} names was there the whole time, as far as it shows."
        return Finding("new and vanished names", PASS, 0, 1, 0, seen, finding), table
    sentences = [_silence_sentence(row) for row in table.itertuples()]
    advice = "Ask what was released then. Rates that use these events hold for the other days only."
    found = "; ".join(shortened(sentences, _MOST_NAMES)) + "."
    return Finding("new and vanished names", WARN, odd, 1, odd, seen, found, advice), table


def _silent(
    own: np.ndarray, everybody: np.ndarray, people: float, series: int, days: Days, limits: Limits
) -> Iterator[tuple[object, ...]]:
    """Kind, bounds, evidence and the log's days of each silence; `people` is how many it is of."""
    runs = _empty_runs(own)
    if not runs:
        return
    line = limits.silence + np.log(max(people, 1)) + np.log(max(series, 1))
    whole = (days.dates[0], days.dates[-1] + pd.Timedelta(days=1))
    for start, end in runs:
        inside = everybody[start:end].sum() / everybody.sum()
        evidence = -people * np.log1p(-inside) if inside < 1 else 0.0
        if evidence >= line and end - start >= _SHORTEST_SILENCE:
            kind = "new" if start == 0 else "vanished" if end == len(days) else "paused"
            edge = [days.dates[0] + pd.Timedelta(days=int(d)) for d in (start, end)]
            yield kind, *edge, float(evidence), *whole


def _empty_runs(people: np.ndarray) -> list[tuple[int, int]]:
    """Runs of days without anybody (start, end excluded), of a name that was there on some day."""
    if not people.any() or people.all():
        return []
    empty = np.concatenate([[0], people == 0, [0]]).astype(np.int8)
    edges = np.diff(empty)
    return list(
        zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    )


def _silence_sentence(row: Any) -> str:
    name, start, end = isolate(row.event), row.start, row.end
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


# ── lasting changes ──────────────────────────────────────────────────────────────────────────────

_CHANGES: Final = [
    *("event", "property", "value", "start", "end", "usual", "rate", "evidence"),
    *("log_start", "log_end"),
]

_NO_CHANGE_KNOWN: Final = "No event comes often enough on enough whole days to have a level."


def lasting(
    counts: Counts,
    days: Days,
    names: tuple[str, ...],
    groups: tuple[Group, ...],
    persons: np.ndarray,
    limits: Limits,
) -> tuple[Finding, Finding, pd.DataFrame]:
    """Events that came more or less often per active person for a week or longer.

    Returns
    -------
    The findings on the events and on their groups, and a row per change: ``event``, ``property``
    and ``value`` (of its group; empty for all), ``start, end`` (local days, `end` excluded),
    ``usual`` and ``rate`` (events per active person and day before it and in it), ``evidence``, and
    the log's own days ``log_start, log_end``.
    """
    checks = ("lasting changes", "changes in one group")
    first, end = _FIRST_WEEK, len(days) - (0 if days.last_whole else 1)
    if end - first < _FEWEST_DAYS:
        why = f"A level takes {_FEWEST_DAYS + _FIRST_WEEK} whole days; the log has {count(end)}."
        return *(not_applicable(check, why) for check in checks), _changes([], days)  # type: ignore[return-value]
    clumps = np.maximum(counts.squares[:-1] / np.maximum(counts.daily.sum(axis=1), 1), 1.0)
    people = np.broadcast_to(counts.daily_users[-1], counts.daily.shape)
    whole = slice(first, end)
    tested, found = _shifts(counts.daily[:, whole], people[:, whole], clumps, 0.0, limits)
    rows = [(names[s.series], "", "", s.start + first, s.end + first, *s[3:]) for s in found]
    findings = [_lasting_finding(checks[0], rows, tested, days, end)]
    shown = _groups_shown(counts, groups)
    share = np.minimum(persons / np.maximum(counts.daily_users[:-1].sum(axis=1), 1), 1.0) / clumps
    pairs = [(g, e) for g in shown for e in range(len(names))]
    series = np.array([counts.groups[g, e] for g, e in pairs]).reshape(len(pairs), len(days))
    active = np.array([counts.group_users[g] for g, _ in pairs]).reshape(len(pairs), len(days))
    wide = np.array([clumps[e] for _, e in pairs])
    tested, found = _shifts(series[:, whole], active[:, whole], wide, 1.0, limits)
    parts = [(s.series, s.start + first, s.end + first, *s[3:]) for s in found]
    seen = int((series.sum(axis=1) > 0).sum())
    for at, (g, e) in enumerate(pairs):
        own, there = series[at], counts.group_users[g]
        for kind, low, high, evidence, *_ in _silent(
            own, there, own.sum() * share[e], seen, days, limits
        ):
            bounds = [(day - days.dates[0]).days for day in (low, high)]  # type: ignore[operator]
            before = slice(0, bounds[0]) if bounds[0] else slice(bounds[1], None)
            usual = own[before].sum() / max(there[before].sum(), 1)
            # What is new in a group is new, or was only added to what is measured of it.
            if kind != "new":
                parts.append((at, *bounds, float(usual), 0.0, evidence))  # type: ignore[arg-type]
    kept = list(rows)
    for at, low, high, *numbers in sorted(parts, key=lambda part: -part[-1]):
        g, e = pairs[at]
        # Of groups that overlap the one with the most evidence is named, and none where the event
        # as a whole shows it better.
        if not any(
            r[0] == names[e] and r[3] < high and low < r[4] and r[-1] >= numbers[-1] for r in kept
        ):
            kept.append((names[e], groups[g].name, groups[g].value, low, high, *numbers))
    in_group = kept[len(rows) :]
    findings.append(_lasting_finding(checks[1], in_group, max(tested, len(in_group)), days, end))
    return *findings, _changes(kept, days)  # type: ignore[return-value]


def _shifts(
    events: np.ndarray, people: np.ndarray, clumps: np.ndarray, more: float, limits: Limits
) -> tuple[int, list[Any]]:
    """How many series are tested, and their shifts."""
    tested = int(often_enough(events, clumps).sum())
    line = limits.lasting + more + np.log(max(tested, 1))
    return tested, shifts_of(events, people, clumps, least=limits.lasting_ratio, evidence=line)


def _groups_shown(counts: Counts, groups: tuple[Group, ...]) -> list[int]:
    """The groups with people, of properties that have two such groups or more."""
    seen = [g for g in range(len(groups)) if counts.group_users[g].any()]
    many = Counter(groups[g].name for g in seen)
    return [g for g in seen if many[groups[g].name] > 1]


def _lasting_finding(
    check: str, rows: list[tuple[Any, ...]], tested: int, days: Days, end: int
) -> Finding:
    if not tested:
        return not_applicable(check, _NO_CHANGE_KNOWN)
    odd = len({row[:3] for row in rows})
    if not rows:
        whole = check == "lasting changes"
        what = (
            counted(tested, "event") if whole else f"{counted(tested, 'pair')} of event and group"
        )
        finding = f"None of {what} came more or less often for a week or longer."
        return Finding(check, PASS, 0, 1, 0, tested, finding)
    strongest = sorted(rows, key=lambda row: -row[-1])
    sentences = [_change_sentence(row, days, end) for row in strongest]
    advice = (
        "Ask what was released then: a tag, a page, a payment? "
        "Rates that use these events hold for the other days only."
    )
    found = "; ".join(shortened(sentences, _MOST_NAMES)) + "."
    return Finding(check, WARN, odd, 1, odd, tested, found, advice)


def _change_sentence(row: tuple[Any, ...], days: Days, end: int) -> str:
    event, name, value, first, until, usual, rate, _ = row
    start, last = (days.dates[0] + pd.Timedelta(days=int(d)) for d in (first, until - 1))
    when = f"since {day(start, year=True)}"
    if until < end:
        when = f"from {day(start)} to {day(last, year=True)}"
    what = isolate(event)
    if name:
        what += f" where {isolate(name)} is {isolate(value)}"
    per = "per active person and day"
    if not rate:
        return f"{what}: none {when}, {times(usual)} {per} in the weeks before"
    change = f" ({relative(rate / usual - 1)})" if usual else ""
    return f"{what}: {times(rate)} {per} {when}, {times(usual)} in the weeks before{change}"


def _changes(rows: list[tuple[Any, ...]], days: Days) -> pd.DataFrame:
    whole = (days.dates[0], days.dates[-1] + pd.Timedelta(days=1))
    edges = [[days.dates[0] + pd.Timedelta(days=int(d)) for d in row[3:5]] for row in rows]
    return pd.DataFrame(
        [(*row[:3], *edge, *row[5:], *whole) for row, edge in zip(rows, edges, strict=True)],
        columns=_CHANGES,
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
    all_clumps = max(float(counts.squares[-1] / max(total.sum(), 1)), 1.0)
    series = np.vstack([total, counts.daily])[:, :whole_days]
    squares = np.roll(counts.squares, 1)
    for name, own, square in zip((ALL_EVENTS, *names), series, squares, strict=True):
        if name == ALL_EVENTS or np.median(own) >= _FEWEST_DAILY_EVENTS:
            clumps = max(float(square / max(own.sum(), 1)), 1.0)
            parts.append(_judged_series(name, own, days, limits, clumps))
    table = _volume_table(parts, days)
    return (
        _volume_finding(table, whole_days, limits),
        _last_day_finding(parts[0], days, limits, all_clumps),
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
    return f"{when}: {count(row.count)} of {isolate(row.series)}, usual are {count(row.expected)}"


def _shift_sentence(row: Any) -> str:
    return f"{isolate(row.series)} changed lastingly about {day(row.date, year=True)}"


def _last_day_finding(whole: pd.DataFrame, days: Days, limits: Limits, clumps: float) -> Finding:
    if not days.last_whole:
        return not_applicable("last day", "The log does not claim to cover its last day whole.")
    last = whole.iloc[-1]
    low = last["ratio"] <= 1 / limits.volume_ratio
    # A log that stops earlier has several empty days at its end.
    few = low and last["z"] <= -limits.volume_z
    share = min(float(last["ratio"]), 1.0)
    text = f"{counted(last['count'], 'event')}, usual are {count(last['expected'])}"
    when = day(last["date"], year=True)
    numbers = (1 - share, 1 - 1 / limits.volume_ratio, int(last["count"]), round(last["expected"]))
    if few:
        return Finding(
            "last day",
            FAIL if not last["count"] and not whole["count"].iloc[-3:].any() else WARN,
            *numbers,
            f"{when} looks incomplete ({percent(share)} of the usual): {text}.",
            "Import the rest, or say with --covers-until how far the log really goes.",
        )
    if low:
        why = f"{when} may be incomplete: {text}. Days scatter too much here to tell."
        return not_applicable("last day", why)
    if 2 * np.sqrt(last["expected"] / clumps) < limits.volume_z:
        why = f"A lost day would not show among so few events: {when} has {text}."
        return not_applicable("last day", why)
    return Finding("last day", PASS, *numbers, f"{when} looks complete: {text}.")


def _volume_table(parts: list[pd.DataFrame], days: Days) -> pd.DataFrame:
    if parts:
        return pd.concat(parts, ignore_index=True)
    columns = ["series", "date", "count", "expected", "ratio", "z", "odd", "shift"]
    return pd.DataFrame(columns=columns)
