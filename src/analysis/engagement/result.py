"""Who is engaged, and which small actions do the engaged do more often?

Engagement is a score of recency, frequency, depth and diversity (`scores`), cut into three levels.
The table then asks of every micro conversion how often it is done per session at each level
(`table`). Two things would make such a table true whatever the people are like, and both are taken
out: a row's own event counts in nobody's score for that row, and rates are per session and not per
person, because people who come more often do more of everything. The share of people who ever did
it stands beside the rate, so that the difference can be seen. A third is left where the same
sessions make the level and are counted: people who stayed long did more of everything in them.
``until=`` counts the sessions that came after.

What this module refuses to do: call a trend an effect of engagement, or of the action. Controls,
which cannot do anything, stand in the same table; where they rise too, so would anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result, small, suppress_parts
from analysis.core.schema import US_PER_DAY, UsageError, instant_us, one_of, timestamp
from analysis.core.wording import UNDEFINED, count, percent, share, tenths
from analysis.engagement.figures import engagement_ratios, level_bars
from analysis.engagement.scores import (
    Scores,
    activity,
    checked_cuts,
    left_out,
    micro_events,
    scores,
)
from analysis.engagement.table import judged_trends, level_rows, row_specs
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.segments.evaluate import EARLIEST
from analysis.segments.result import Segment, instant_of, picked
from analysis.statistics.rates import LEVELS, wilson

_NOT_CAUSED: Final = (
    "A trend says who does it, not what it does: it makes nobody engaged, and engagement does not "
    "make anybody do it."
)
_PATH: Final = (
    "Milestones come one after the other, so a score that leaves out one still holds the others: "
    "their trends are in part true by construction."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelsResult(Result):
    """The answer of `engagement_levels`.

    ``table`` has a row per level: ``level`` (low, medium, high), ``score_low``, ``score_high`` (the
    least and greatest score in it), ``k`` of ``n`` people (``rate, low, high``), and the medians
    ``recency_days``, ``sessions``, ``depth`` (micro conversions per session) and ``diversity``
    (different ones). ``users`` has a row per person, with the same numbers, ``score`` and
    ``level``. ``cut_points``: low is up to the first, high above the second.
    """

    users: pd.DataFrame
    cut_points: tuple[float, float]
    at: pd.Timestamp
    log: EventLog = field(repr=False)

    def segment(self, level: str) -> Segment:
        """The people of one level."""
        one_of("engagement: level", level, LEVELS)
        mask = pd.Series((self.users["level"] == level).to_numpy(), index=self.users["user"])
        return picked(self.log, mask, at=self.at, name=f"{level} engagement")

    def sentence(self) -> str:
        """The cut points, and how many people are highly engaged."""
        n = len(self.users)
        if not n:
            return f"Nobody was seen before {self.at:%Y-%m-%d %H:%M} UTC."
        top = self.table.iloc[2]
        low, high = self.cut_points
        high_above, low_up_to = tenths(high), tenths(low)
        cuts = (
            f"Engagement is high above a score of {high_above} and low up to {low_up_to} (of 100)"
        )
        if np.isnan(top["k"]):
            if small((self.users["level"] == LEVELS[2]).sum(), int(self.parameters["min_cell"])):
                return f"{cuts}: too few people are there to show."
            return f"{cuts}. How many are there is hidden: it would tell how few another level has."
        return (
            f"{cuts}: {share(top['k'], n, top['rate'])} of the people are there (95% interval "
            f"{percent(top['low'])} to {percent(top['high'])})."
        )

    def figure(self) -> Any:
        """How many people each level has, and what its people are like."""
        return level_bars(self.table)


@dataclass(frozen=True, eq=False, kw_only=True)
class EngagementResult(Result):
    """The answer of `engagement_table`.

    ``table`` has a row per event and level: ``event``, ``label``, ``role``, ``level``, ``unit``
    (sessions, or carts for what is left); ``events`` in ``trials`` of that unit, ``per_100`` with
    ``low`` and ``high``; ``k`` of ``n`` people did it at all (``share, share_low, share_high``).
    ``trends`` has a row per event: ``ratio`` of the rate at high to that at low with ``ratio_low``,
    ``ratio_high``, ``p_value``, ``q_value``, ``trend`` (rises, falls, unclear), and
    ``share_p_value``, ``share_q_value``, ``share_trend`` of the share of people. Numbers
    about fewer than `min_cell` people are NaN.
    """

    trends: pd.DataFrame
    at: pd.Timestamp

    def sentence(self) -> str:
        """How many micro conversions go up with engagement, and the one that does most."""
        return _sentence(self.table, self.trends)

    def figure(self) -> Any:
        """How many times as often as at the low level, with intervals."""
        return engagement_ratios(self.table, self.trends)

    def readable(self) -> pd.DataFrame:
        """The table for people: a row per event, rates and shares with their numbers as text."""
        return _readable(self.table, self.trends, min_cell=int(self.parameters["min_cell"]))


def engagement_levels(
    log: EventLog,
    catalog: Catalog,
    *,
    at: Any = None,
    cuts: Sequence[float] | None = None,
    without: str | Sequence[str] | None = None,
    min_cell: int = 1,
) -> LevelsResult:
    """Who is highly, somewhat and little engaged, as of an instant?

    Parameters
    ----------
    log : see `analysis.core.checks`.
    catalog : its milestones and secondary events are the micro conversions.
    at : only events strictly before this instant count; default: the end of what the log covers.
    cuts : two scores from 0 to 100 that end the low and begin the high level; default: the
        terciles.
    without : an event, or several, whose rows count nowhere in the score.
    min_cell : levels of fewer people than this are hidden in the table, and never one alone; 1
        shows all.

    Raises
    ------
    UsageError
        If the log has none of the micro conversions, or an argument is unknown or out of range.

    Notes
    -----
    The score is the mean of the percentiles (mean ranks) of recency, sessions, micro conversions
    per session, and different micro conversions, each of equal weight.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "cy"],
    ...     "event": ["share", "video_start", "share", "visit"],
    ...     "time": pd.to_datetime(["2026-01-03", "2026-01-09", "2026-01-02", "2026-01-01"])}))
    >>> found = engagement_levels(log, Catalog.load("data/catalogs/ecommerce.toml"))
    >>> found.users[["user", "diversity", "score", "level"]].to_dict("records")[0]
    {'user': 'ann', 'diversity': 2, 'score': 79.16666666666667, 'level': 'high'}
    """
    micros = micro_events(log, catalog)
    instant = instant_of(log, at, "engagement")
    own, given = left_out(log, without), checked_cuts(cuts)
    least = checks.min_cell("engagement", min_cell)
    found = activity(log, instant)
    scored = scores(log, micros, found, instant=instant, without=own, cuts=given)
    users = _users(log, scored)
    return LevelsResult(
        table=_level_table(users, least),
        parameters={
            "at": timestamp(instant).isoformat(),
            "cuts": None if given is None else list(given),
            "without": list(own),
            "micros": micros,
            "min_cell": least,
        },
        warnings=(*_level_warnings(users, given is None, least), *look_ahead_warnings(log)),
        users=users,
        cut_points=scored.cuts,
        at=timestamp(instant),
        log=log,
    )


def _users(log: EventLog, scored: Scores) -> pd.DataFrame:
    own = scored.seen
    return pd.DataFrame(
        {
            "user": log.user_ids[own],
            "recency_days": scored.recency[own] / US_PER_DAY,
            "sessions": scored.frequency[own],
            "depth": scored.depth[own],
            "diversity": scored.diversity[own],
            "score": scored.score[own],
            "level": pd.array([LEVELS[level] for level in scored.level[own]], dtype="str"),
        }
    )


def _level_table(users: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """A row per level: its scores, its people and their medians."""
    numbers = ["recency_days", "sessions", "depth", "diversity"]
    n = len(users)
    rows = []
    for level in LEVELS:
        own = users[users["level"] == level]
        known = len(own) > 0
        ends = [own["score"].min(), own["score"].max()] if known else [np.nan] * 2
        middle = [float(own[name].median()) if known else np.nan for name in numbers]
        rows.append([level, *ends, len(own), n, len(own) / n if n else np.nan, *middle])
    names = ["level", "score_low", "score_high", "k", "n", "rate", *numbers]
    table = pd.DataFrame(rows, columns=names)
    low, high = wilson(table["k"], table["n"])
    table.insert(6, "low", low)
    table.insert(7, "high", high)
    hidden = ["score_low", "score_high", "k", "rate", "low", "high", *numbers]
    table, _ = suppress_parts(table, min_cell=min_cell, size="k", total="n", columns=hidden)
    return table


def _level_warnings(users: pd.DataFrame, terciles: bool, min_cell: int) -> tuple[str, ...]:
    notes = [
        "The score ranks people among each other: with terciles a third is highly engaged in any "
        "log. Give cuts=... to follow levels over time."
    ]
    found = set(users["level"])
    missing = [level for level in LEVELS if level not in found]
    if missing and len(users):
        why = "equal scores fill the others" if terciles else "no score is between its cuts"
        notes.append(f"Nobody is at the level {missing[0]}: {why}.")
    few = users.groupby("level").size()
    if len(few) and few.min() < np.sqrt(len(users)):
        size = int(few.min())
        many = f"fewer than {min_cell}" if small(size, min_cell) else count(size)
        notes.append(f"The smallest level has {many} people.")
    return tuple(notes[0 if terciles else 1 :])


def engagement_table(
    log: EventLog,
    catalog: Catalog,
    *,
    at: Any = None,
    cuts: Sequence[float] | None = None,
    until: Any = None,
    events: str | Sequence[str] | None = None,
    most_false: float = 0.05,
    min_cell: int = 5,
) -> EngagementResult:
    """Which micro conversions do engaged people do more often per session?

    Parameters
    ----------
    catalog, at, cuts : as of `engagement_levels`. The levels are made anew for every row, without
        the row's own event.
    until : count what the people of each level did from `at` until this instant (excluded);
        default: what they did before `at`, in the very sessions that made the levels.
    events : which rows: names of events of the log, or of derived ones of the catalog; default:
        all that have a role, except the macro conversion.
    most_false : the false discovery rate below which a trend is called one.
    log, min_cell : see `analysis.core.checks`.

    Raises
    ------
    UsageError
        If an event is unknown, or an argument out of range.

    Notes
    -----
    Intervals and tests are over people, since the sessions of one person are alike
    (`statistics.rates`). A derived event is counted per cart: per `after` that is decided by then,
    and its score leaves out both events that make it. Benjamini & Hochberg 1995 over the rows.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> found = engagement_table(simulate(users=1_000).log, shop, events=["share"])
    >>> found.table["level"].tolist(), found.trends["trend"].item()
    (['low', 'medium', 'high'], 'rises')
    """
    checks.share("engagement: most_false", most_false)
    checks.min_cell("engagement", min_cell)
    micros = micro_events(log, catalog)
    instant, given = instant_of(log, at, "engagement"), checked_cuts(cuts)
    specs = row_specs(log, catalog, checks.names("engagement: events", events))
    period = _period(log, instant, until)
    found = activity(log, instant)
    counted = found if until is None else activity(log, period[1], period[0])
    parts, tests, unplaced = [], [], 0
    for spec in specs:
        scored = scores(log, micros, found, instant=instant, without=spec.without, cuts=given)
        rows, test = level_rows(log, spec, counted, scored, period)
        parts.append(rows)
        tests.append(test)
        unplaced = max(unplaced, int((found.tally.sum(axis=1) > 0).sum() - scored.seen.sum()))
    table, trends, hidden = judged_trends(parts, tests, most_false=most_false, min_cell=min_cell)
    return EngagementResult(
        table=table,
        parameters={
            "at": timestamp(instant).isoformat(),
            "cuts": None if given is None else list(given),
            "until": None if until is None else timestamp(period[1]).isoformat(),
            "events": [spec.event for spec in specs],
            "most_false": most_false,
            "min_cell": min_cell,
        },
        warnings=(
            *_table_warnings(trends, hidden=hidden, unplaced=unplaced, min_cell=min_cell),
            _period_sentence(None if until is None else period),
            *look_ahead_warnings(log),
        ),
        trends=trends,
        at=timestamp(instant),
    )


def _period(log: EventLog, instant: int, until: Any) -> tuple[int, int]:
    if until is None:
        return EARLIEST, instant
    end = min(instant_us(until, "engagement: until"), log.covers_until_us)
    if end <= instant:
        raise UsageError(
            f"engagement: until={until!r} is not after at={timestamp(instant)}, or the log ends "
            "there. Give an earlier at=, or leave until= out to count what came before."
        )
    return instant, end


def _table_warnings(
    trends: pd.DataFrame, *, hidden: int, unplaced: int, min_cell: int
) -> tuple[str, ...]:
    """What must be known to read the table."""
    notes = [_NOT_CAUSED, _share_sentence(trends)]
    controls = trends[trends["role"] == "control"]
    if len(controls):
        k = int((controls["trend"] == "rises").sum())
        notes.append(
            f"Of {count(len(controls))} controls, which cannot do anything, {count(k)} rise per "
            "session too: "
            + (
                "active people do more of everything, also within a session, so a rise by itself "
                f"says nothing of an action. Compare it with theirs{_range(controls['ratio'])}."
                if k
                else "a rise of an action is more than being active."
            )
        )
    if (trends["role"] == "milestone").any():
        notes.append(_PATH)
    if hidden:
        notes.append(f"{count(hidden)} rows of fewer than {min_cell} people are hidden.")
    if unplaced:
        notes.append(
            f"Up to {count(unplaced)} people did nothing but the row's own event, and are not in "
            "that row."
        )
    return tuple(notes)


def _share_sentence(trends: pd.DataFrame) -> str:
    k = int((trends["share_trend"] == "rises").sum())
    flat = int(((trends["share_trend"] == "rises") & (trends["trend"] == "unclear")).sum())
    text = (
        f"The share of people who ever did it rises with engagement in {count(k)} of "
        f"{count(len(trends))} rows: who comes more often has more chances. Read the rate"
    )
    return text + (f"; in {count(flat)} of these rows it shows no trend." if flat else ".")


def _range(ratios: pd.Series) -> str:
    if not ratios.notna().any():
        return ""
    ends = f"from {tenths(ratios.min())} to {tenths(ratios.max())}"
    return f", {ends} times as often at high as at low"


def _period_sentence(period: tuple[int, int] | None) -> str:
    """Which sessions were counted; None: those that the levels were made of."""
    if period is None:
        return (
            "The sessions counted are those that made the levels: whoever stayed long in one did "
            "more of everything in it. until=... counts those that came after."
        )
    start, end = (timestamp(instant) for instant in period)
    return (
        f"The levels are as of {start:%Y-%m-%d %H:%M} UTC, the sessions counted those from then "
        f"until {end:%Y-%m-%d %H:%M}: what made the levels is not counted."
    )


def _sentence(table: pd.DataFrame, trends: pd.DataFrame) -> str:
    """How many micro conversions rise per session, and the one that does most."""
    own = trends[trends["role"].isin(["milestone", "secondary"])]
    up = own[own["trend"] == "rises"]
    text = (
        f"{count(len(up))} of {count(len(own))} micro conversions are done clearly more often per "
        "session by people who are more engaged in all else"
    )
    known = up[up["ratio"].notna()]
    if not len(known):
        return f"{text}."
    top = known.iloc[int(known["ratio"].to_numpy().argmax())]
    levels = table[table["event"] == top["event"]].set_index("level")
    return (
        f"{text}; the steepest is “{top['label']}”: {_rate(levels.loc['high'])} at the high level "
        f"against {_rate(levels.loc['low'])} at the low one, {tenths(top['ratio'])} times as often "
        f"(95% interval {tenths(top['ratio_low'])} to {tenths(top['ratio_high'])})."
    )


def _rate(row: Any) -> str:
    return (
        f"{tenths(row['per_100'])} per 100 sessions ({count(row['events'])} in "
        f"{count(row['trials'])} sessions of {count(row['n'])} people)"
    )


def _readable(table: pd.DataFrame, trends: pd.DataFrame, *, min_cell: int) -> pd.DataFrame:
    """The table for people: a row per event, a column per level, everything as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "event": "share", "level": ["low", "medium", "high"], "per_100": [2.0, 3.0, 6.0],
    ...     "low": [1.5, 2.5, 5.0], "high": [2.5, 3.5, 7.0], "k": 10, "n": 40, "share": 0.25})
    >>> found = _readable(rows, pd.DataFrame({
    ...     "event": ["share"], "label": "Shared", "unit": "sessions", "trend": "rises",
    ...     "share_trend": "unclear"}), min_cell=5)
    >>> found.iloc[0].to_list()[2:5]
    ['6.0 (5.0 to 7.0)', 'rises', '25.0% (10 of 40)']
    """
    few = f"fewer than {min_cell} people"
    cells: dict[str, list[str]] = {}
    for row in table.to_dict("records"):
        interval = f"{tenths(row['low'])} to {tenths(row['high'])}"
        rate = UNDEFINED if np.isnan(row["per_100"]) else f"{tenths(row['per_100'])} ({interval})"
        hidden = np.isnan(row["k"])
        own = cells.setdefault(row["event"], [])
        own.append(few if hidden else rate)
        own.append(few if hidden else share(row["k"], row["n"], row["share"]))
    rows = [
        [*cells[row["event"]][::2], row["trend"], *cells[row["event"]][1::4], row["share_trend"]]
        for row in trends.to_dict("records")
    ]
    names = [f"{level}, per 100" for level in LEVELS]
    names += ["rate", "did it, low", "did it, high", "share"]
    titles = [f"{row['label']} ({row['unit']})" for row in trends.to_dict("records")]
    return pd.DataFrame(rows, pd.Index(titles, name="event"), names, dtype=str)
