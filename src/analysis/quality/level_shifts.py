"""Did an event come more, or less, often from the people who were there, for a week or longer?

A tag that loses a third of an event for a month makes no single day odd. So each span of days is
held against the days around it. Asked is not how many events a day has, but how many there are per
person who was active that day: neither growth nor a campaign changes that.

Each day's level is a logarithm, less what its weekday usually does. Chance gives its variance:
one over the expected events, times what one person's events come together, times the square of
Laney's sigma-z (2002, *Qual Eng* 14:531), the median moving range of the z-scores, because days
scatter more than chance. Rates also wander from week to week. So the level is a random walk, of a
pace that is not known: all paces of a grid are averaged by how well they fit the days, and those
of the log's other events. A fault is a span in which the level lies elsewhere; each span has its
likelihood ratio (the steps of de Jong & Penzer 1998, *JASA* 93:796, and pairs of them).

Were the model exact, the mean of these ratios over all spans would be 1 where nothing changed, and
by Markov's inequality exceed a number in one of as many series at most. The line is drawn by
simulation: tests count the alarms on clean logs whose rates wander.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from analysis.quality.kernels import largest_ratios, running_median

_DAILY: Final = 6
"""Events a day from which on each day is looked at by itself; rarer ones are by week.

Of events that come together only so many count as come by themselves.
"""

_WEEKLY: Final = 8
"""Events a week below which nothing can be told."""

_FEWEST_BLOCKS: Final = 8
"""Days or weeks in which a level and its scatter show."""

_SHORTEST: Final = 7
"""Days that a change lasts, at least, and that lie before and after it."""

_PIECE: Final = 182
"""Days or weeks that are looked at together; longer logs are cut into pieces that overlap."""

_PACES: Final = np.array([0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08])
"""Standard deviations of a week's walk, on the logarithm."""

_WEIGHTS: Final = np.log(np.gradient(_PACES)) - 0.5 * (_PACES / 0.03) ** 2

_OTHERS: Final = 4.0
"""As how many series the others of the log count together for the pace of one."""

_PRECISION: Final = np.log(2.0) ** -2
"""Of the logarithm of a change, where there is one: half or twice is usual."""

_FARTHEST: Final = 3.5
"""Standard deviations beyond which a single day counts as that far: it may be lost or doubled."""

_SIGMA_PER_MOVING_RANGE: Final = 1.0483
"""The median difference of two normal values is 0.954 of their standard deviation."""

_FAR_WEEKS: Final = 4.5
"""How many times as far as weeks scatter a change goes, at least.

A week may be odd by itself, sharply, from Monday to Sunday; a walk does not foretell that.
"""

_UNKNOWN: Final = 1e4
"""The variance of a day without anybody."""

_MOST: Final = 3
"""Spans that are looked for in a series."""

_BEFORE: Final = 28
"""Days before a span that say what is usual."""


class Shift(NamedTuple):
    """A span of days (`end` excluded) with other events per active person than in those before.

    `series` is the number of the series, `usual` and `rate` are events per active person and day,
    `evidence` is the logarithm of the mean likelihood ratio.
    """

    series: int
    start: int
    end: int
    usual: float
    rate: float
    evidence: float


def shifts_of(
    events: np.ndarray, people: np.ndarray, clumps: np.ndarray, *, least: float, evidence: float
) -> list[Shift]:
    """The spans of a week or longer in which the events per active person lie elsewhere.

    Parameters
    ----------
    events, people : events, and active people, of shape (series, whole days).
    clumps : of each series, how many times more than by chance the events scatter because one
        person's come together.
    least : the smallest ratio of two rates, the larger over the smaller, that matters.
    evidence : the smallest logarithm of the mean likelihood ratio that is taken for a change.

    Examples
    --------
    >>> people = np.full((1, 70), 500)
    >>> events = np.where(np.arange(70) < 42, 100, 60)[None] + np.arange(70) % 7
    >>> [s[1:3] for s in shifts_of(events, people, np.ones(1), least=1.2, evidence=8.0)]
    [(42, 70)]
    """
    days = events.shape[1]
    if not events.size:
        return []
    daily = events.mean(axis=1) >= _DAILY * clumps
    found = []
    for width, chosen in ((1, daily), (7, ~daily & often_enough(events, clumps))):
        skip, series = days % width, np.flatnonzero(chosen)
        if days < width * _FEWEST_BLOCKS or not len(series):
            continue
        own, active = (
            each[series, skip:].reshape(len(series), -1, width).sum(axis=2)
            for each in (events, people)
        )
        for at, start, end, sure in _spans(own, active, clumps[series], width, evidence):
            before = slice(max(start - _BEFORE // width, 0), start)
            usual, rate = (
                float(own[at, part].sum() / max(active[at, part].sum(), 1))
                for part in (before, slice(start, end))
            )
            place = (skip + start * width, skip + end * width)
            if max(usual, rate) >= least * min(usual, rate):
                found.append(Shift(int(series[at]), *place, usual, rate, sure))
    return _apart(found)


def often_enough(events: np.ndarray, clumps: np.ndarray) -> np.ndarray:
    """Which series (rows of events per day) hold enough events to be looked at.

    Examples
    --------
    >>> often_enough(np.array([[0] * 70, [9] * 70]), np.ones(2)).tolist()
    [False, True]
    """
    days = events.shape[1]
    alone = events.sum(axis=1) / clumps / max(days, 1)
    enough, daily = alone * 7 >= _WEEKLY, alone >= _DAILY
    return enough & (np.where(daily, days, days // 7) >= _FEWEST_BLOCKS)


def _apart(shifts: list[Shift]) -> list[Shift]:
    """Of a series' spans that overlap, the one with the most evidence; by series and time."""
    kept: list[Shift] = []
    for shift in sorted(shifts, key=lambda s: -s.evidence):
        rest = [other for other in kept if other.series == shift.series]
        if all(shift.end <= other.start or other.end <= shift.start for other in rest):
            kept.append(shift)
    return sorted(kept)


def _spans(
    own: np.ndarray, active: np.ndarray, clumps: np.ndarray, width: int, evidence: float
) -> Iterator[tuple[int, int, int, float]]:
    """Series, first and last block (excluded) and evidence of each span, set right one by one."""
    levels, variances = _levels(own, active, clumps, 7 // width)
    paces = _PACES * np.sqrt(width / 7)
    for low in range(0, max(own.shape[1] - _PIECE // 2, 1), _PIECE // 2):
        piece = slice(low, low + _PIECE)
        level, variance = levels[:, piece].copy(), variances[:, piece]
        fits = _fits(level, variance, paces)
        fits -= fits.max(axis=1, keepdims=True)
        rest = (fits.sum(axis=0) - fits) / max(len(fits) - 1, 1)
        places = _places(level.shape[1], _SHORTEST // width)
        scatter = _week_to_week(level, variance, 7 // width)
        # Quick, and too large where something wanders: it spares most series the rest.
        likely = largest_ratios(level, variance, *places) >= evidence
        for at, weights in enumerate(_WEIGHTS + _OTHERS * rest):
            for _ in range(_MOST if likely[at] else 0):
                span = _strongest(level[at], variance[at], paces, weights, *places)
                if span.evidence < evidence:
                    break
                level[at, span.start : span.end] -= span.size
                weeks = (span.end - span.start) * width / 7
                usual = scatter[at] * np.sqrt(1 / weeks + 7 / _BEFORE)
                if abs(span.size) < _FAR_WEEKS * usual:
                    continue
                yield at, low + span.start, low + span.end, span.evidence


def _levels(
    own: np.ndarray, active: np.ndarray, clumps: np.ndarray, season: int
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of every block's rate without its weekday, and its variance; a row a series."""
    known = active > 0
    level = np.where(known, np.log((own + 0.5) / np.maximum(active, 1)), np.nan)
    if season > 1:
        off = level - running_median(level, season)
        for weekday in range(season):
            level[:, weekday::season] -= _median(off[:, weekday::season])
    usual = _median(level)
    expected = np.maximum(np.exp(usual) * active, 1.0)
    variance = np.where(known, clumps[:, None] / expected, _UNKNOWN)
    near = running_median(level, 2 * season + 1 if season > 1 else 5)
    moving = np.abs(np.diff((level - near) / np.sqrt(variance), axis=1))
    variance *= np.maximum(1.0, _SIGMA_PER_MOVING_RANGE * _median(moving)) ** 2
    far = _FARTHEST * np.sqrt(variance)
    return np.where(known, np.clip(level, near - far, near + far), usual), variance


def _median(values: np.ndarray) -> np.ndarray:
    """The median of every row, as a column; of those without a number it is 0."""
    return pd.DataFrame(values.T).median().fillna(0.0).to_numpy()[:, None]


def _week_to_week(level: np.ndarray, variance: np.ndarray, season: int) -> np.ndarray:
    """The standard deviation of a week's level: by chance, and what weeks scatter more than that.

    What is more is known from few weeks. So it is that of the log's events in the median, or half
    of the event's own.
    """
    weeks = level[:, level.shape[1] % season :].reshape(len(level), -1, season).mean(axis=2)
    by_chance = np.where(variance < _UNKNOWN, variance, np.nan)
    by_chance = np.nanmean(by_chance, axis=1) / season
    moving = np.median(np.abs(np.diff(weeks, axis=1)), axis=1)
    more = (_SIGMA_PER_MOVING_RANGE * moving) ** 2 - by_chance
    return np.sqrt(by_chance + np.maximum(np.maximum(more / 2, np.median(more)), 0.0))


def _fits(level: np.ndarray, variance: np.ndarray, paces: np.ndarray) -> np.ndarray:
    """The logarithm of the likelihood of every series (rows) under every pace: a Kalman filter."""
    state = np.repeat(level[:, :1], len(paces), axis=1)
    doubt = np.repeat(variance[:, :1], len(paces), axis=1)
    fit = np.zeros_like(state)
    for t in range(1, level.shape[1]):
        doubt = doubt + paces**2
        spread = doubt + variance[:, t, None]
        error = level[:, t, None] - state
        fit -= 0.5 * (np.log(spread) + error**2 / spread)
        state = state + doubt / spread * error
        doubt = doubt * (1 - doubt / spread)
    return fit


class _Span(NamedTuple):
    start: int
    end: int
    size: float
    evidence: float


def _places(blocks: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and end (excluded) of all spans that are long enough, and have so much around them."""
    start, end = np.triu_indices(blocks + 1, least)
    inside = (start >= least) & ((end == blocks) | (end <= blocks - least))
    return start[inside], end[inside]


def _strongest(
    level: np.ndarray,
    variance: np.ndarray,
    paces: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
) -> _Span:
    """The most likely of the spans, and the evidence that there is one at all."""
    stays = end == len(level)
    # Half of the weight lies on changes that stay, half on those that end.
    prior = np.where(stays, 0.5 / stays.sum(), 0.5 / max((~stays).sum(), 1))
    base, joint, sizes = [], [], []
    for pace, weight in zip(paces, weights, strict=True):
        fit, score, mass = _explained(level, variance, pace, start, end)
        mass = mass + _PRECISION
        base.append(weight + fit)
        joint.append(weight + fit + 0.5 * score**2 / mass - 0.5 * np.log(mass / _PRECISION))
        sizes.append(score / mass)
    each = logsumexp(joint, axis=0)
    best = int((each + np.log(prior)).argmax())
    share = np.exp([paced[best] - each[best] for paced in joint])
    size = float(share @ [paced[best] for paced in sizes])
    total = float(logsumexp(each, b=prior) - logsumexp(base))
    return _Span(int(start[best]), int(end[best]), size, total)


def _explained(
    level: np.ndarray, variance: np.ndarray, pace: float, start: np.ndarray, end: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """How well a walk of that pace fits, and each span's score and information.

    The level that it starts from is not known; its likelihood is that of the differences.
    """
    at = np.arange(len(level))
    cover = np.diag(variance) + pace**2 * np.minimum(at[:, None], at)
    inverse = np.linalg.inv(cover)
    one = inverse.sum(axis=1)
    inverse -= np.outer(one, one) / one.sum()
    pulled = inverse @ level
    fit = -0.5 * (np.linalg.slogdet(cover)[1] + np.log(one.sum()) + float(level @ pulled))
    sums = np.concatenate([[0.0], np.cumsum(pulled)])
    square = np.zeros((len(at) + 1, len(at) + 1))
    square[1:, 1:] = inverse.cumsum(axis=0).cumsum(axis=1)
    mass = square[end, end] - 2 * square[start, end] + square[start, start]
    return fit, sums[end] - sums[start], mass
