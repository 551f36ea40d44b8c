"""Are there rows that no person made: doubled, at impossible times, at impossible rates?"""

from __future__ import annotations

import numpy as np

from analysis.core.schema import human_duration, timestamp
from analysis.core.wording import count, day, listed, percent, share
from analysis.quality.quality_words import PASS, WARN, Finding, Limits, judged, not_applicable
from analysis.quality.scan import Counts, Days

_FEW = 100


_QUIET = 6


_FEWEST = 1000


_FLAT = 0.6


_ONE_HOUR = 0.9


def duplicates(counts: Counts, names: tuple[str, ...], n: int, limits: Limits) -> Finding:
    """Rows that are the same in every cell as one before: a file read twice, a doubled send."""
    k = int(counts.duplicates.sum())
    worst = _worst(counts.duplicates, names)
    finding = f"{share(k, n, k / n)} of the events repeat one of the same instant, cell for cell."
    return judged(
        "duplicates",
        limits.duplicates,
        k=k,
        n=n,
        finding=finding + worst if k else "No event is there twice.",
        advice="Import without the copies; with an event id, give it as [duplicates].",
    )


def repeats(counts: Counts, names: tuple[str, ...], n: int, limits: Limits) -> Finding:
    """The same event with the same cells within a moment: a tag that fires twice."""
    k = int(counts.repeats.sum())
    worst = _worst(counts.repeats, names)
    pause = human_duration(limits.repeat_within_us)
    finding = f"{share(k, n, k / n)} of the events repeat the user's last of that name within "
    return judged(
        "bursts",
        limits.repeats,
        k=k,
        n=n,
        finding=f"{finding}{pause}, cell for cell.{worst if k else ''}",
        advice="Look for a tag that fires twice; count people, not events, until it is mended.",
    )


def _worst(found: np.ndarray, names: tuple[str, ...]) -> str:
    most = int(found.argmax())
    return f" Most of all {names[most]}: {count(found[most])}."


def clock(counts: Counts, days: Days, n: int, limits: Limits) -> Finding:
    """Events from before the log's bulk or after its end: clocks that are wrong."""
    if n < _FEW:
        why = f"Impossible times are known by being few among {_FEW} events or more."
        return not_applicable("clock", why)
    before, after, users, only = (int(x) for x in counts.outside)
    low = day(timestamp(days.low), year=True)
    high = timestamp(days.high).strftime("%Y-%m-%d %H:%M UTC")
    said = [f"{count(before)} before {low}"] if before else []
    said += [f"{count(after)} after {high}"] if after else []
    finding = (
        f"{share(before + after, n, (before + after) / n)} of the events are at impossible times "
        f"({listed(said)}), of {count(users)} users; {count(only)} of these have no other."
    )
    finding = finding if said else f"No event before {low} or after {high}."
    advice = "Use the server's time where there is one, or leave these rows out: log.between."
    found = judged(
        "clock", limits.outside_time, k=before + after, n=n, finding=finding, advice=advice
    )
    # One stray event is enough to make the log seem complete up to its date.
    if found.verdict == PASS and after and days.claims_too_much:
        return found._replace(verdict=WARN, advice=f"{advice} Say --covers-until at the import.")
    return found


def bots(counts: Counts, users: int, limits: Limits) -> Finding:
    """People whose rate no person reaches, and how much of the log is theirs."""
    fast, long, either, rows, fastest, longest = (int(x) for x in counts.haste)
    n = max(int(counts.daily.sum()), 1)
    if not either:
        finding = (
            f"Nobody is faster than {count(fastest)} events in a minute, or active in more than "
            f"{count(longest)} hours of a day."
        )
    else:
        finding = (
            f"{count(either)} of {count(users)} users have {share(rows, n, rows / n)} of the "
            f"events: {count(fast)} with more than {count(limits.events_per_minute)} in a minute "
            f"(at most {count(fastest)}), {count(long)} active in {count(limits.hours_per_day)} "
            f"or more hours of a day."
        )
    advice = "Look who they are (monitoring, scrapers, shared ids) and leave them out."
    return judged("bots", limits.bots, k=rows, n=n, finding=finding, advice=advice)


def entries(
    counts: Counts, entry: tuple[str, ...], names: tuple[str, ...], limits: Limits
) -> Finding:
    """Sessions without the event that every visit begins with."""
    sessions, entered = (int(x) for x in counts.sessions)
    known = [name for name in entry if name in names]
    if not known or not entered:
        why = f"No event of the log begins a visit; looked for: {listed(list(entry))}."
        return not_applicable("sessions without an entry", why)
    if not sessions:
        return not_applicable("sessions without an entry", "No event of the log has a session.")
    k = sessions - entered
    finding = f"{share(k, sessions, k / sessions)} of the sessions have no {' or '.join(known)}."
    advice = "Events may be lost, or belong to other ids; say with entry= how your visits begin."
    return judged(
        "sessions without an entry",
        limits.no_entry,
        k=k,
        n=sessions,
        finding=finding,
        advice=advice,
    )


def night(counts: Counts, days: Days, limits: Limits) -> Finding:
    """Do people sleep at night? Where the quietest hours lie by day, times are off by hours."""
    hours, n = counts.hours[:24], int(counts.hours[:24].sum())
    if n < _FEWEST:
        return not_applicable("time zone", f"A daily rhythm takes {count(_FEWEST)} events or more.")
    if hours.max() > _ONE_HOUR * n:
        k = int(hours.max())
        why = f"{share(k, n, k / n)} of the events are in one hour of the day: dates without time?"
        return not_applicable("time zone", why)
    around = np.concatenate([hours, hours[: _QUIET - 1]])
    blocks = np.convolve(around, np.ones(_QUIET, np.int64), "valid")
    start = int(blocks.argmin())
    if blocks.min() > _FLAT * blocks.max():
        return not_applicable("time zone", "No hours of the day are clearly quieter than others.")
    middle = float((start + _QUIET / 2) % 24)
    end = (start + _QUIET) % 24
    k = int(blocks.min())
    low, high = limits.night
    credible = low <= middle <= high
    finding = (
        f"The quietest hours are {start} to {end} o'clock in {days.time_zone}, "
        f"with {percent(k / n)} ({count(k)} of {count(n)}) of the events."
    )
    advice = "If your people live elsewhere, give time_zone=; else times were read in a wrong zone."
    verdict = PASS if credible else WARN
    return Finding("time zone", verdict, middle, high, k, n, finding, "" if credible else advice)
