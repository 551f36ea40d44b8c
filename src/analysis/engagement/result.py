"""Who is engaged, and which small actions do the engaged do more often?

Engagement is a score of recency, frequency, depth and diversity (`engagement_scores`), cut into
three levels. The table then asks of every micro conversion how often it is done per session at
each level. Two things would make such a table true whatever the people are like, and both are
taken out: a row's own event counts in nobody's score for that row, and rates are per session and
not per person, because who comes more often does more of everything. The share of people who ever
did it stands beside the rate, so that the difference can be seen. A third is left where the same
sessions make the level and are counted: who stayed long did more of everything in them. ``until=``
counts the sessions that came after.

What this module refuses to do: call a trend an effect of engagement, or of the action. Controls,
which cannot do anything, stand in the same table; where they rise too, so would anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import US_PER_DAY, UsageError, instant_us, one_of, timestamp
from analysis.core.wording import count, percent, share
from analysis.engagement.engagement_rows import questions, rows_of, trend_rows
from analysis.engagement.engagement_words import (
    period_note,
    readable_rows,
    score_table,
    table_sentence,
    table_warnings,
)
from analysis.engagement.figures import engagement_ratios, level_bars
from analysis.engagement.scores import (
    Scores,
    activity,
    checked_cuts,
    left_out,
    level_names,
    micro_events,
    scores,
)
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.segments.kernels import EVER
from analysis.segments.result import Segment, instant_of, picked
from analysis.segments.segment_values import few, names_of, share_between
from analysis.statistics.rates import LEVELS


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
        cuts = f"Engagement is high above a score of {high:.1f} and low up to {low:.1f} (of 100)"
        if np.isnan(top["k"]):
            return f"{cuts}: too few people are there to show."
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
    ``share_p_value``, ``share_q_value``, ``share_trend`` of the share of people. What is about few
    people is NaN.
    """

    trends: pd.DataFrame
    at: pd.Timestamp

    def sentence(self) -> str:
        """How many micro conversions go up with engagement, and the one that does most."""
        return table_sentence(self.table, self.trends)

    def figure(self) -> Any:
        """How many times as often as at the low level, with intervals."""
        return engagement_ratios(self.table, self.trends)

    def readable(self) -> pd.DataFrame:
        """The table for people: a row per event, rates and shares with their numbers as text."""
        return readable_rows(self.table, self.trends, min_cell=int(self.parameters["min_cell"]))


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
    catalog : its milestones and secondary events are the micro conversions.
    at : only events strictly before this instant count; default: the end of what the log covers.
    cuts : two scores from 0 to 100 that end the low and begin the high level; default: the
        terciles.
    without : an event, or several, whose rows count nowhere in the score.
    min_cell : levels of fewer people than this are hidden in the table; 1 shows all.

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
    least = few(min_cell, "engagement")
    found = activity(log, instant)
    scored = scores(log, micros, found, instant=instant, without=own, cuts=given)
    users = _users(log, scored)
    return LevelsResult(
        table=score_table(users, least),
        parameters={
            "at": timestamp(instant).isoformat(),
            "cuts": None if given is None else list(given),
            "without": list(own),
            "micros": micros,
            "min_cell": least,
        },
        warnings=(*_level_warnings(users, given is None), *hindsight(log)),
        users=users,
        cut_points=scored.cuts,
        at=timestamp(instant),
        log=log,
    )


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
    min_cell : counts of fewer people than this are hidden.

    Raises
    ------
    UsageError
        If an event is unknown, or an argument out of range.

    Notes
    -----
    Intervals and tests are over people, since the sessions of one person are alike
    (`engagement_rates`). A derived event is counted per cart: per `after` that is decided by then,
    and its score leaves out both events that make it. Benjamini & Hochberg 1995 over the rows.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> found = engagement_table(simulate(users=1_000).log, shop, events=["share"])
    >>> found.table["level"].tolist(), found.trends["trend"].item()
    (['low', 'medium', 'high'], 'rises')
    """
    share_between(most_false, "engagement: most_false")
    few(min_cell, "engagement")
    micros = micro_events(log, catalog)
    instant, given = instant_of(log, at, "engagement"), checked_cuts(cuts)
    asked = questions(log, catalog, names_of(events, "engagement: events"))
    period = _period(log, instant, until)
    found = activity(log, instant)
    counted = found if until is None else activity(log, period[1], period[0])
    parts, tests, unplaced = [], [], 0
    for question in asked:
        scored = scores(log, micros, found, instant=instant, without=question.without, cuts=given)
        rows, test = rows_of(log, question, counted, scored, period)
        parts.append(rows)
        tests.append(test)
        unplaced = max(unplaced, int((found.tally.sum(axis=1) > 0).sum() - scored.seen.sum()))
    table, trends, hidden = trend_rows(parts, tests, most_false=most_false, min_cell=min_cell)
    return EngagementResult(
        table=table,
        parameters={
            "at": timestamp(instant).isoformat(),
            "cuts": None if given is None else list(given),
            "until": None if until is None else timestamp(period[1]).isoformat(),
            "events": [question.event for question in asked],
            "most_false": most_false,
            "min_cell": min_cell,
        },
        warnings=(
            *table_warnings(trends, hidden=hidden, unplaced=unplaced, min_cell=min_cell),
            period_note(None if until is None else period),
            *hindsight(log),
        ),
        trends=trends,
        at=timestamp(instant),
    )


def _period(log: EventLog, instant: int, until: Any) -> tuple[int, int]:
    if until is None:
        return -int(EVER), instant
    end = min(instant_us(until, "engagement: until"), log.covers_until_us)
    if end <= instant:
        raise UsageError(
            f"engagement: until={until!r} is not after at={timestamp(instant)}, or the log ends "
            "there. Give an earlier at=, or leave until= out to count what came before."
        )
    return instant, end


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
            "level": pd.array(level_names(scored.level[own]), dtype="str"),
        }
    )


def _level_warnings(users: pd.DataFrame, terciles: bool) -> tuple[str, ...]:
    said = [
        "The score ranks people among each other: with terciles a third is highly engaged in any "
        "log. Give cuts=... to follow levels over time."
    ]
    found = set(users["level"])
    missing = [level for level in LEVELS if level not in found]
    if missing and len(users):
        why = "equal scores fill the others" if terciles else "no score is between its cuts"
        said.append(f"Nobody is at the level {missing[0]}: {why}.")
    few = users.groupby("level").size()
    if len(few) and few.min() < np.sqrt(len(users)):
        said.append(f"The smallest level has {count(float(few.min()))} people.")
    return tuple(said[0 if terciles else 1 :])
