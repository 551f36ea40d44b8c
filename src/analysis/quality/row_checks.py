"""Are there rows that no person made, cells that are suddenly missing, orders hard to believe?

Rows: lost at the import, doubled, of ids that are nobody's, at impossible times, at impossible
rates, in visits without a beginning, at night.

Missing cells: how often a property should be there nobody can tell from the log; a search has no
price. But it does not change overnight by itself. So each event's share of missing cells is held
against its own median over time, in robust standard deviations of a share that scatters more than
chance alone, because one person's rows are alike (Laney 2002, *Qual Eng* 14:531: moving ranges of
the z-scores). The scatter is that of as many people as there are, not rows. Rare events are looked
at in blocks of days that hold enough people.

Orders: values are judged on the logarithm, because orders spread by factors, and by median and
median absolute deviation, which a few wrong values cannot move. Each currency is judged on its own.
Rows that share an order's number are its lines where they are of one moment and differ in what they
say, and repeats of one event otherwise: lines are to be added up, and repeats to be left out.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.catalog import Catalog
from analysis.core.schema import MISSING, SESSION, VALUE, human_duration, timestamp
from analysis.core.wording import count, counted, day, isolate, listed, percent, share
from analysis.core.wording import money as amount
from analysis.eventlog import parallel
from analysis.eventlog.groups import CURRENCY
from analysis.eventlog.ids import NO_IDS
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn, string_hashes
from analysis.quality.scan import (
    PASS,
    SIGMA_PER_MAD,
    WARN,
    Counts,
    Days,
    Finding,
    Limits,
    filled,
    judged,
    not_applicable,
    shortened,
    verdict_of,
    words,
)

_FEWEST_FOR_CLOCK: Final = 100
"""Events among which a few impossible times can be told."""

_FEWEST_FOR_RHYTHM: Final = 1000
"""Events in which a daily rhythm shows."""

_QUIET_HOURS: Final = 6
"""Hours of a night."""

_FLAT_SHARE: Final = 0.6
"""Of the busiest hours' events; with more than that in the quietest, there is no night."""

_ONE_HOUR_SHARE: Final = 0.9
"""With more of all events than that in one hour of the day, times are dates."""

_PEOPLE_PER_BLOCK: Final = 50
_FEWEST_BLOCKS: Final = 8

_SIGMA_PER_MOVING_RANGE: Final = 1.0483
"""The median difference of two normal values is 0.954 of their standard deviation."""

_FAR_SIGMAS: Final = 6.0

_MOST_PAIRS: Final = 6
"""Pairs of event and property that a finding names."""

ORDER_ID: Final = "order_id"
_FEWEST_ORDERS: Final = 20

_LEAST_SCATTER: Final = 0.1
"""Of the logarithms: where nearly all orders have one value, another is no outlier for that."""


LOST: Final = "lost at the import"
"""The check of what the import could not read; a gate tells it beside the log's size."""


# ── rows that no person made ─────────────────────────────────────────────────────────────────────


def lost(log: EventLog, catalog: Catalog, limits: Limits) -> Finding:
    """Rows that the import could not read, and cells: of all rows, and of those that pay."""
    check, losses = LOST, log.losses()
    losses = losses[losses["fate"] != "duplicate"]
    if not len(losses):
        finding = "No row or cell is recorded as lost at an import."
        return Finding(check, PASS, 0, limits.lost[0], 0, log.events, finding)
    if log.filtered:
        why = "This is a part of a log; what its import lost is known of the whole."
        return not_applicable(check, why)
    bad, blank, left = (
        losses[losses["fate"] == fate] for fate in ("quarantined", "blanked", "excluded")
    )
    k, blanked, excluded = (int(part["rows"].sum()) for part in (bad, blank, left))
    n = log.events + k + excluded
    pays = catalog.with_role("macro")
    paid, unpaid = _kept_and_lost(log, catalog)
    value = max((k + blanked) / n, unpaid / max(paid + unpaid, 1))
    parts = []
    if k:
        parts.append(f"{share(k, n, k / n)} of the rows are in the quarantine{_why(bad)}.")
    if unpaid:
        rate = unpaid / (paid + unpaid)
        names = listed([name for name in pays if (bad["event"] == name).any()])
        parts.append(f"Of {names} it is {share(unpaid, paid + unpaid, rate)}.")
    by_week = bad[bad["week"] != ""].groupby("week")["rows"].sum()
    if len(by_week) > 1:
        worst = str(by_week.idxmax())
        most, known = by_week[worst], by_week.sum()
        if 2 * most > known:
            when = day(pd.Timestamp(worst), year=True)
            parts.append(f"Most are of the week of {when}: {count(most)} of {count(known)}.")
    for column, own in blank.groupby("column"):
        rows = int(own["rows"].sum())
        of = share(rows, log.events, rows / log.events)
        text = f"The cell {isolate(repr(column))} could not be read in {of} of the events"
        if own_paid := int(own.loc[own["event"].isin(pays), "rows"].sum()):
            names = listed([name for name in pays if (own["event"] == name).any()])
            text += f", and in {share(own_paid, paid, own_paid / max(paid, 1))} of {names}"
        parts.append(f"{text}.")
    if excluded:
        parts.append(f"{share(excluded, n, excluded / n)} were left out as the mapping says.")
    verdict = verdict_of(value, limits.lost)
    advice = (
        "Look into quarantine.parquet, which has the reason of each, and mend the file or the "
        "column mapping: a decimal comma, a time zone, a column that moved?"
    )
    numbers = (value, limits.lost[0], k + blanked, n)
    return Finding(check, verdict, *numbers, " ".join(parts), "" if verdict == PASS else advice)


def _why(bad: pd.DataFrame) -> str:
    reasons = bad[bad["reason"] != ""].groupby("reason")["rows"].sum()
    if not len(reasons):
        return ""
    most = str(reasons.idxmax())
    return f" (most often: {isolate(most)}, {count(reasons[most])})"


def _kept_and_lost(log: EventLog, catalog: Catalog) -> tuple[int, int]:
    """Events that pay: those in the log, and those that the import could not read."""
    pays, losses = catalog.with_role("macro"), log.losses()
    own = losses[(losses["fate"] == "quarantined") & losses["event"].isin(pays)]
    seen = log.summary().set_index("event")["events"]
    return int(seen.reindex(list(pays), fill_value=0).sum()), int(own["rows"].sum())


def duplicates(
    counts: Counts,
    names: tuple[str, ...],
    properties: tuple[str, ...],
    orders: Orders,
    n: int,
    limits: Limits,
) -> Finding:
    """Rows that are the same in every cell as one before, or in all that both have.

    A file read twice, a doubled send; an export that was read once more with a column more. Two
    equal lines of an order are two lines, so where orders have lines no copy is to be left out.
    """
    exact, near = int(counts.duplicates.sum()), int(counts.near.sum())
    k = exact + near
    dates = int(counts.hours[24])
    if k and dates > _ONE_HOUR_SHARE * n:
        why = (
            f"{share(dates, n, dates / n)} of the events are at midnight, so times are dates: two "
            "equal rows of one day may be two events."
        )
        return not_applicable("duplicates", why)
    finding = "No event is there twice."
    if exact or not near:
        finding = f"{share(exact, n, exact / n)} of the events repeat one of the same instant, "
        finding += "cell for cell." + _most_of_all(counts.duplicates, names)
    if near:
        cell = properties[int(counts.near_cells.argmax())]
        also = f"{share(near, n, near / n)} {'more ' if exact else 'of the events '}"
        more = f"{also}repeat one of the same instant in all cells but such as only one of the "
        more += f"two has, most often {isolate(cell)}.{_most_of_all(counts.near, names)}"
        finding = f"{finding} {more}" if exact else more
    advice = "Import without the copies; with an event id, give it as [columns] event_id."
    if near > exact:
        advice = (
            "Was one export read twice, once with a column more? Import it once, or name the "
            "column that tells events apart: [columns] event_id."
        )
    lines, repeated, *_ = orders.shared
    if lines > repeated:
        advice = (
            "Orders have a row per line here, and two lines may be equal: do not leave them out. "
            "See the advice on duplicate orders first."
        )
    return judged(
        "duplicates",
        limits.duplicates,
        k=k,
        n=n,
        finding=finding if k else "No event is there twice.",
        advice=advice,
    )


def repeats(counts: Counts, names: tuple[str, ...], n: int, limits: Limits) -> Finding:
    """The same event with the same cells within a moment: a tag that fires twice."""
    k = int(counts.repeats.sum())
    worst = _most_of_all(counts.repeats, names)
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


def _most_of_all(found: np.ndarray, names: tuple[str, ...]) -> str:
    most = int(found.argmax())
    return f" Most of all {isolate(names[most])}: {count(found[most])}."


def clock(log: EventLog, counts: Counts, days: Days, limits: Limits) -> Finding:
    """Events from before the log's bulk or after its end: clocks that are wrong."""
    n, late = log.events, log.events_after_end()
    if n < _FEWEST_FOR_CLOCK:
        why = f"Impossible times are known by being few among {_FEWEST_FOR_CLOCK} events or more."
        if late:
            end: Any = log.end
            last = day(end.tz_convert(days.time_zone), year=True)
            until = log.covers_until.strftime("%Y-%m-%d %H:%M UTC")
            why += f" {share(late, n, late / n)} are after {until}, as on {last}."
        return not_applicable("clock", why)
    before, after, users, only = (int(x) for x in counts.outside)
    after = max(after, late)
    low = day(timestamp(days.low), year=True)
    high = timestamp(days.high).strftime("%Y-%m-%d %H:%M UTC")
    ends: list[Any] = [log.start, log.end]
    first, last = (day(at.tz_convert(days.time_zone), year=True) for at in ends)
    impossible = [f"{count(before)} before {low}, as on {first}"] if before else []
    impossible += [f"{count(after)} after {high}, as on {last}"] if after else []
    finding = (
        f"{share(before + after, n, (before + after) / n)} of the events are at impossible times "
        f"({'; '.join(impossible)}), of {count(users)} users; {count(only)} of these have no other."
    )
    finding = finding if impossible else f"No event before {low} or after {high}."
    advice = (
        "Use the server's time where there is one, or leave these rows out: log.between. If they "
        "are right, say --covers-until at the import."
    )
    found = judged(
        "clock", limits.outside_time, k=before + after, n=n, finding=finding, advice=advice
    )
    # One event of a clock that runs ahead is worth a look: it is left out of answers.
    return found._replace(verdict=WARN, advice=advice) if after and found.verdict == PASS else found


_NOBODY: Final = (
    *("(not set)", "not set", "(none)", "none", "null", "(null)", "nil", "nan", "undefined"),
    *("unknown", "(unknown)", "n/a", "#n/a", "-", "--", "?", "anonymous", "guest", "{}", "[]"),
    *("[object object]", "missing", "empty", "00000000-0000-0000-0000-000000000000"),
)
"""Ids that are none, in lower case, beside those that no import takes."""

_FEWEST_IDS: Final = 100
"""Among which one can have too many events."""

_MUCH: Final = 0.05
"""Of all events; who has that much, and much more than others, is no person."""

_TIMES_MEAN: Final = 50
"""How many times the mean of all ids that is, at least."""


def shared_ids(log: EventLog, limits: Limits) -> Finding:
    """Ids that are none, and one id that many people seem to share; none of a person is named."""
    check, n, users = "shared ids", log.events, log.users
    much = max(_MUCH * n, _TIMES_MEAN * n / users)
    heavy = much if users >= _FEWEST_IDS else np.inf
    parts = parallel.map_shards(log.shards, partial(_ids, log=log, much=heavy))
    nobody: Counter[str] = Counter()
    for found, _, _ in parts:
        nobody.update(found)
    many, most = sum(ids for _, ids, _ in parts), sum(rows for *_, rows in parts)
    sentences = [
        f"{share(rows, n, rows / n)} of the events have the user {word!r}, which is nobody."
        for word, rows in nobody.most_common()
    ]
    if many:
        ids = "one id" if many == 1 else f"{count(many)} ids"
        sentences.append(
            f"{share(most, n, most / n)} of the events have {ids} of {count(users)}: "
            f"{'is that' if many == 1 else 'are these'} one person?"
        )
    k = sum(nobody.values()) + most
    finding = " ".join(sentences) or "No id that is nobody's, and none with a large part of all."
    advice = (
        "All of an id's events count as one person's. List it under [missing] values in the column "
        "mapping, so that such rows are set aside, or use another column as the user."
    )
    return judged(check, limits.one_id, k=k, n=n, finding=finding, advice=advice)


def _ids(shard: Shard, *, log: EventLog, much: float) -> tuple[dict[str, int], int, int]:
    """Events of each id that is none; how many others have that many, and these events."""
    names = len(log.event_names)
    rows = np.diff(shard.offsets)
    if log.filtered:
        seen = np.concatenate([[0], np.cumsum(shard.event < names)])
        rows = np.diff(seen[shard.offsets])
    forms = (str, str.upper, str.title, str.capitalize)
    texts = {"", *NO_IDS, *(form(word) for word in _NOBODY for form in forms)}
    none = np.zeros(len(rows), np.bool_)
    if len(rows):
        none = pc.is_in(shard.users, pa.array(sorted(texts), shard.users.type)).to_numpy(False)
    nobody = {str(shard.users[int(u)]): int(rows[u]) for u in np.flatnonzero(none & (rows > 0))}
    large = rows[(rows >= much) & ~none]
    return nobody, len(large), int(large.sum())


def bots(counts: Counts, users: int, limits: Limits) -> Finding:
    """People whose rate no person reaches, and how much of the log is theirs."""
    fast, long, either, rows, fastest, longest = (int(x) for x in counts.haste)
    n = max(int(counts.daily.sum()), 1)
    if not either:
        finding = (
            f"Nobody is faster than {counted(fastest, 'event')} in a minute, or active in more "
            f"than {counted(longest, 'hour')} of a day."
        )
    else:
        finding = (
            f"{count(either)} of {counted(users, 'user')} have {share(rows, n, rows / n)} of the "
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
    none = " or ".join(map(isolate, known))
    finding = f"{share(k, sessions, k / sessions)} of the sessions have no {none}."
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
    if n < _FEWEST_FOR_RHYTHM:
        return not_applicable(
            "time zone", f"A daily rhythm takes {count(_FEWEST_FOR_RHYTHM)} events or more."
        )
    if hours.max() > _ONE_HOUR_SHARE * n:
        k = int(hours.max())
        why = f"{share(k, n, k / n)} of the events are in one hour of the day: dates without time?"
        return not_applicable("time zone", why)
    around = np.concatenate([hours, hours[: _QUIET_HOURS - 1]])
    blocks = np.convolve(around, np.ones(_QUIET_HOURS, np.int64), "valid")
    start = int(blocks.argmin())
    if blocks.min() > _FLAT_SHARE * blocks.max():
        return not_applicable("time zone", "No hours of the day are clearly quieter than others.")
    middle = float((start + _QUIET_HOURS / 2) % 24)
    end = (start + _QUIET_HOURS) % 24
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


# ── missing cells ────────────────────────────────────────────────────────────────────────────────


def missing(
    counts: Counts, days: Days, names: tuple[str, ...], properties: tuple[str, ...], limits: Limits
) -> tuple[Finding, pd.DataFrame]:
    """Properties whose share of missing cells changed suddenly.

    Returns
    -------
    The finding, and a row per event, property and block of days of each pair that changed:
    ``event, property, date, k, n, rate, usual, odd``.
    """
    tested = 0
    parts = []
    for e, name in enumerate(names):
        block = _blocks(counts.daily_users[e])
        if block is None:
            continue
        people = np.bincount(block, counts.daily_users[e])
        n = np.bincount(block, counts.daily[e])
        starts = days.dates[np.unique(block, return_index=True)[1]]
        for p, own in enumerate(properties):
            k = np.bincount(block, counts.missing[p, e])
            tested += 1
            rate = k / n
            odd = _unusual(rate, people, limits.null_change)
            if odd.any():
                columns = {"date": starts, "k": k, "n": n, "rate": rate, "usual": np.median(rate)}
                frame = pd.DataFrame({"event": name, "property": own, **columns, "odd": odd})
                parts.append(frame)
    if not tested:
        why = f"No event has {_FEWEST_BLOCKS} times {_PEOPLE_PER_BLOCK} people-days and a property."
        return not_applicable("missing cells", why), _missing_table(parts)
    return _missing_finding(parts, tested, limits), _missing_table(parts)


def _blocks(people: np.ndarray) -> np.ndarray | None:
    """The number of the block of every day, from 0 without a gap; None where there are too few."""
    before = np.cumsum(people) - people
    if people.sum() < _PEOPLE_PER_BLOCK * _FEWEST_BLOCKS:
        return None
    # A day opens a block once the block before has its people.
    block = np.zeros(len(people), np.int64)
    number, opened = 0, 0
    for d in range(len(people)):
        if before[d] - opened >= _PEOPLE_PER_BLOCK:
            number, opened = number + 1, int(before[d])
        block[d] = number
    if people.sum() - opened < _PEOPLE_PER_BLOCK:
        block = np.minimum(block, max(number - 1, 0))
    return block if block[-1] + 1 >= _FEWEST_BLOCKS else None


def _unusual(rate: np.ndarray, n: np.ndarray, change: float) -> np.ndarray:
    usual = np.median(rate)
    far = np.abs(rate - usual) >= change
    if not far.any():
        return far
    # Where nothing was ever missing the rate is still not known to be exactly 0.
    known = np.clip(usual, 1 / (n + 2), 1 - 1 / (n + 2))
    z = (rate - usual) / np.sqrt(known * (1 - known) / n)
    scatter = max(1.0, _SIGMA_PER_MOVING_RANGE * float(np.median(np.abs(np.diff(z)))))
    return far & (np.abs(z) >= _FAR_SIGMAS * scatter)


def _missing_finding(parts: list[pd.DataFrame], tested: int, limits: Limits) -> Finding:
    largest = [float((part["rate"] - part["usual"]).abs().max()) for part in parts]
    if not parts:
        finding = f"None of {counted(tested, 'pair')} of event and property changed suddenly."
        return Finding("missing cells", PASS, 0.0, limits.null_change, 0, tested, finding)
    order = np.argsort(largest)[::-1]
    text = shortened([_sentence(parts[i]) for i in order], _MOST_PAIRS, "more pairs")
    return Finding(
        "missing cells",
        WARN,
        max(largest),
        limits.null_change,
        len(parts),
        tested,
        "; ".join(text) + ".",
        "Ask what was released then; breakdowns by these properties hold for the other days only.",
    )


def _sentence(part: pd.DataFrame) -> str:
    odd = part[part["odd"]]
    row = odd.iloc[int((odd["rate"] - odd["usual"]).abs().argmax())]
    return (
        f"{isolate(row['property'])} of {isolate(row['event'])}: missing in {percent(row['rate'])} "
        f"({count(row['k'])} of {count(row['n'])}) on {day(row['date'], year=True)}, "
        f"usual is {percent(row['usual'])}"
    )


def _missing_table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if parts:
        return pd.concat(parts, ignore_index=True)
    columns = ["event", "property", "date", "k", "n", "rate", "usual", "odd"]
    return pd.DataFrame(columns=columns)


# ── orders ───────────────────────────────────────────────────────────────────────────────────────


class Orders(NamedTuple):
    """All rows of the events that pay, sorted by value, so that the shards do not show.

    `values`: NaN is missing. `ids`: two hashes of the order's number, of those rows that have one.
    `shared`: five numbers of the rows that share a user and a number, as `_shared` returns them.
    """

    values: np.ndarray
    ids: np.ndarray
    currencies: np.ndarray
    shared: np.ndarray


def orders_of(log: EventLog, catalog: Catalog) -> Orders:
    """The rows of all events that have the role macro."""
    codes = [i for i, name in enumerate(log.event_names) if name in catalog.with_role("macro")]
    parts = parallel.map_shards(log.shards, partial(_orders, codes=codes))
    values = np.concatenate([part.values for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    currencies = np.concatenate([part.currencies for part in parts])
    order = np.lexsort((currencies.astype(str), values))
    shared = np.sum([part.shared for part in parts], axis=0)
    return Orders(values[order], ids, currencies[order], shared)


def _orders(shard: Shard, *, codes: list[int]) -> Orders:
    rows = np.flatnonzero(np.isin(shard.event, codes))
    value = shard.columns.get(VALUE)
    values = value.numbers[rows] if isinstance(value, NumberColumn) else np.full(len(rows), np.nan)
    number, unit = shard.columns.get(ORDER_ID), shard.columns.get(CURRENCY)
    ids: np.ndarray = np.empty((0, 2), np.uint64)
    numbered = rows[:0]
    if isinstance(number, TextColumn):
        numbered = rows[number.codes[rows] >= 0]
        own, where = np.unique(number.codes[numbered].astype(np.int64), return_inverse=True)
        ids = string_hashes(number.values.take(pa.array(own)), ORDER_ID)[where]
    elif isinstance(number, NumberColumn):
        numbered = rows[~np.isnan(number.numbers[rows])]
        same = (number.numbers[numbered] + 0.0).view(np.uint64)
        ids = np.stack([same, same], axis=1)
    currencies = np.full(len(rows), MISSING, object)
    if isinstance(unit, TextColumn):
        names = np.array([*unit.values.to_pylist(), MISSING], object)
        currencies = names[unit.codes[rows].astype(np.int64)]
    return Orders(values, ids, currencies, _shared(shard, numbered, ids))


_MOMENT_US: Final = 60_000_000
"""After the first row of an order; what comes later is none of its lines."""


def _shared(shard: Shard, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Of rows that share a user and a number, those after the first: lines of an order, repeats.

    And the orders of several lines, those of them in which all lines have one value, and the
    repeats of another moment that have another value.
    """
    user = np.searchsorted(shard.offsets, rows, side="right")
    order = np.lexsort((rows, ids[:, 0], user))
    rows, user, key = rows[order], user[order], ids[order, 0]
    opens = np.ones(len(rows), np.bool_)
    opens[1:] = (user[1:] != user[:-1]) | (key[1:] != key[:-1])
    begins = np.flatnonzero(opens)
    if len(begins) == len(rows):
        return np.zeros(5, np.int64)
    number = np.cumsum(opens) - 1
    first = rows[begins][number]
    at_once = shard.time[rows] - shard.time[first] <= _MOMENT_US
    says_other, other_value, later = (np.zeros(len(rows), np.bool_) for _ in range(3))
    for name, column in shard.columns.items():
        if name in (SESSION, ORDER_ID):
            continue
        differs = filled(column, rows) & filled(column, first)
        differs &= words(column, rows) != words(column, first)
        later |= differs & ~at_once if name == VALUE else False
        differs &= at_once
        says_other |= differs
        other_value |= differs if name == VALUE else False
    several, unequal = (
        np.bincount(number[found], minlength=len(begins)) > 0 for found in (says_other, other_value)
    )
    lines = int((several[number] & at_once & ~opens).sum())
    alike = int((several & ~unequal).sum())
    repeats = int((~opens).sum()) - lines
    return np.array([lines, repeats, int(several.sum()), alike, int(later.sum())])


def without_value(orders: Orders, log: EventLog, catalog: Catalog, limits: Limits) -> Finding:
    """Orders whose value is missing, zero or negative."""
    check, n = "orders without value", len(orders.values)
    if log.kinds.get(VALUE) != "number":
        return not_applicable(check, "The log has no property value that is a number.")
    if not n:
        return not_applicable(check, "There is no order in the log.")
    k = int(n - (orders.values > 0).sum())
    if k == n and catalog.currency is None:
        why = "No order has a value, and the catalog names no currency."
        return not_applicable(check, why)
    negative = int((orders.values < 0).sum())
    finding = f"{share(k, n, k / n)} of the orders have no value above zero."
    finding += f" {count(negative)} of them are negative." if negative else ""
    advice = "Map the column that holds the value; refunds are events of their own."
    return judged(check, limits.orders_without_value, k=k, n=n, finding=finding, advice=advice)


def order_ids(orders: Orders, log: EventLog, catalog: Catalog, limits: Limits) -> Finding:
    """Orders that are there more than once, by their number: lines of one order, or repeats."""
    check, n = "duplicate orders", len(orders.ids)
    if ORDER_ID not in log.kinds:
        return not_applicable(check, f"The log has no property {ORDER_ID}.")
    if not n:
        return not_applicable(check, f"No order of the log has an {ORDER_ID}.")
    k = n - len(np.unique(np.ascontiguousarray(orders.ids).view("u8,u8")))
    lines, repeats, several, alike, later = (int(number) for number in orders.shared)
    others = k - lines - repeats + later
    seen = log.summary()["event"]
    pays = next(name for name in seen if name in catalog.with_role("macro"))
    column = log.terms.get("columns", {}).get(ORDER_ID, ORDER_ID)
    finding = f"{share(k, n, k / n)} of the orders with a number have one that was there before."
    advice = f"Import with [duplicates] {pays} = {_toml([column])}, which keeps one event of each."
    if lines > repeats:
        finding = (
            f"{share(k, n, k / n)} of the rows with an order's number have one that was there "
            f"before: {count(lines)} are further lines of {count(several)} orders (one moment, "
            "other items or values), so each line counts as a purchase."
        )
        advice = (
            f"Import with [orders] key = {_toml(column)}, sum = {_toml(VALUE)}, "
            f"event = {_toml(pays)}: the lines of an order become one event with their sum. Do not "
            "list them under [duplicates]: that keeps one line and loses the value of the others."
        )
        if alike == several and VALUE in log.kinds:
            advice += (
                " Check first what a line's value is: all lines of an order have the same here. "
                "If it is that of the whole order, adding it up counts it once per line."
            )
    elif lines:
        finding += (
            f" {count(lines)} of these rows are further lines of {count(several)} orders (one "
            "moment, other items or values), and no repeats."
        )
        advice = (
            "Some are repeats and some are lines of one order. Tell them apart before the import: "
            "[duplicates] would lose the value of lines, [orders] would add up repeats."
        )
    elif others:
        finding += (
            f" {count(others)} of these rows are of another user, or of another moment with "
            "another value."
        )
        advice = (
            "These may be orders of their own: does the number begin anew, or belong to something "
            "else? Look before you leave any out: [duplicates] loses their value."
        )
    finding = finding if k else f"Each of {count(n)} orders with a number has its own."
    return judged(check, limits.duplicate_orders, k=k, n=n, finding=finding, advice=advice)


def _toml(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)


def outliers(orders: Orders, limits: Limits) -> tuple[Finding, pd.DataFrame]:
    """Orders of values so far from the others that they are mistakes or not people.

    Returns
    -------
    The finding, and a row per class of values: ``low, high`` (a factor of 10 ** 0.1 apart),
    ``count``, ``odd`` (how many of them are outliers). No row where there are several currencies:
    their amounts have no common axis.
    """
    usable = (orders.values > 0) & np.isfinite(orders.values)
    values, currencies = orders.values[usable], orders.currencies[usable]
    n = len(values)
    if n < _FEWEST_ORDERS:
        why = (
            f"An unusual value takes {_FEWEST_ORDERS} usual ones; "
            f"the log has {counted(n, 'order')} with a value."
        )
        return not_applicable("revenue outliers", why), _value_classes(values[:0], values[:0] > 0)
    level = np.log(values)
    z = np.zeros(n)
    units = np.unique(currencies.astype(str))
    for unit in units:
        mine = currencies == unit
        middle = np.median(level[mine])
        scatter = SIGMA_PER_MAD * np.median(np.abs(level[mine] - middle))
        z[mine] = (level[mine] - middle) / max(scatter, _LEAST_SCATTER)
    odd = np.abs(z) >= limits.outlier_z
    finding = f"None of {count(n)} orders has a value far from the others."
    # Values of several currencies are not added up: the currency that the outliers weigh most in.
    of_unit = [currencies == unit for unit in units]
    money = max(float(values[odd & mine].sum() / values[mine].sum()) for mine in of_unit)
    if odd.any() and len(units) > 1:
        finding = (
            f"{share(odd.sum(), n, odd.mean())} of the orders are far from the median of their "
            f"currency; they hold up to {percent(money)} of a currency's revenue."
        )
    elif odd.any():
        ends = f"{amount(values[odd].min())} to {amount(values[odd].max())}"
        finding = (
            f"{share(odd.sum(), n, odd.mean())} of the orders ({ends}) are far from the median of "
            f"{amount(np.median(values))}; they hold {percent(money)} of the revenue."
        )
    # The larger of two shares: one order may hold most of the revenue, or many hold little.
    value = max(money, float(odd.mean()))
    verdict = verdict_of(value, limits.outliers)
    advice = "Look at them: test orders, cents read as euros, or business customers?"
    numbers = (value, limits.outliers[0], int(odd.sum()), n)
    advice = "" if verdict == PASS else advice
    drawn = slice(None) if len(units) == 1 else slice(0)
    return Finding("revenue outliers", verdict, *numbers, finding, advice), _value_classes(
        values[drawn], odd[drawn]
    )


def _value_classes(values: np.ndarray, odd: np.ndarray) -> pd.DataFrame:
    place = np.floor(10 * np.log10(values)).astype(np.int64)
    classes = np.arange(place.min(), place.max() + 1) if len(place) else np.arange(0)
    at = place - (classes[0] if len(classes) else 0)
    many = np.bincount(at, minlength=len(classes))
    strange = np.bincount(at[odd], minlength=len(classes))
    low, high = 10 ** (classes / 10), 10 ** ((classes + 1) / 10)
    return pd.DataFrame({"low": low, "high": high, "count": many, "odd": strange})
