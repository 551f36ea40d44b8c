"""What an audit counts, against plain Python; what a view hides counts nowhere."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.quality import kernels

NAMES = 3
"""Codes 0 to 2 are events, 3 is a hidden row."""
HOUR = 3_600_000_000
MIDNIGHTS = np.array([0, 24, 47, 72], np.int64) * HOUR
"""Three days, the second an hour short, the third an hour long."""

row = st.tuples(
    st.one_of(
        st.integers(-2, 74).map(lambda hour: hour * HOUR),
        st.integers(0, 5).map(lambda tick: tick * 20_000_000),
    ),
    st.integers(0, NAMES),
    st.integers(-1, 3),
)
people_rows = st.lists(st.lists(row, min_size=1, max_size=8), max_size=5)


def arrays(people: Any) -> tuple[np.ndarray, ...]:
    flat = [r for own in people for r in sorted(own, key=lambda r: r[0])]
    time, event, session = ([r[k] for r in flat] for k in range(3))
    offsets = np.cumsum([0, *map(len, people)]).astype(np.int64)
    return np.array(time, np.int64), np.array(event, np.uint8), np.array(session, np.int16), offsets


def shown(people: Any) -> Any:
    return [
        [(t, e, s) for t, e, s in sorted(own, key=lambda r: r[0]) if e < NAMES] for own in people
    ]


def day_by_hand(time: Any) -> int:
    found = [d for d in range(3) if MIDNIGHTS[d] <= time < MIDNIGHTS[d + 1]]
    return found[0] if found else -1


@given(people_rows)
def test_days_hours_and_missing_cells(people: Any) -> None:
    time, event, session, _ = arrays(people)
    day = kernels.day_of(time, event, NAMES, MIDNIGHTS)
    expected = [
        day_by_hand(t) if e < NAMES else -1 for t, e in zip(time.tolist(), event, strict=True)
    ]
    assert day.tolist() == expected
    rows = [(int(e), d) for e, d in zip(event, expected, strict=True) if d >= 0]
    assert _cells(kernels.per_day(event, day, NAMES, 3)) == Counter(rows)
    gone = [
        (int(e), d) for e, d, s in zip(event, expected, session, strict=True) if d >= 0 and s < 0
    ]
    assert _cells(kernels.missing_codes(event, day, session, NAMES, 3)) == Counter(gone)
    numbers = np.where(session < 0, np.nan, session.astype(float))
    assert _cells(kernels.missing_numbers(event, day, numbers, NAMES, 3)) == Counter(gone)
    hours, sharp = kernels.per_hour(time, day, MIDNIGHTS)
    since = [t - MIDNIGHTS[d] for t, d in zip(time.tolist(), expected, strict=True) if d >= 0]
    by_hand = Counter(min(int(s // HOUR), 23) for s in since)
    assert {h: int(k) for h, k in enumerate(hours) if k} == by_hand
    assert sharp == sum(s == 0 for s in since)


@given(people_rows)
def test_users_per_day_and_their_squares(people: Any) -> None:
    time, event, _, offsets = arrays(people)
    day = kernels.day_of(time, event, NAMES, MIDNIGHTS)
    users, squares = kernels.users_per_day(event, day, offsets, NAMES, 3)
    many: Counter[Any] = Counter()
    for u, own in enumerate(shown(people)):
        for t, e, _ in own:
            if day_by_hand(t) >= 0:
                many[u, e, day_by_hand(t)] += 1
                many[u, NAMES, day_by_hand(t)] += 1
    assert _cells(users) == Counter((e, d) for _, e, d in many)
    by_hand = [sum(k * k for (_, e, _), k in many.items() if e == n) for n in range(NAMES + 1)]
    assert squares.tolist() == by_hand


@given(people_rows, st.integers(-2, 74), st.integers(0, 30))
def test_rows_outside(people: Any, low: int, width: int) -> None:
    low, high = low * HOUR, (low + width) * HOUR
    time, event, _, offsets = arrays(people)
    before = after = some = only = 0
    for own in shown(people):
        early, late = sum(t < low for t, _, _ in own), sum(t >= high for t, _, _ in own)
        before, after = before + early, after + late
        some += early + late > 0
        only += 0 < early + late == len(own)
    found = kernels.outside(time, event, offsets, NAMES, low, high)
    assert found.tolist() == [before, after, some, only]


@given(people_rows)
def test_entries(people: Any) -> None:
    _, event, session, offsets = arrays(people)
    is_entry = np.array([True, False, False])
    sessions = {(u, s) for u, own in enumerate(shown(people)) for _, _, s in own if s >= 0}
    entered = {
        (u, s) for u, own in enumerate(shown(people)) for _, e, s in own if s >= 0 and is_entry[e]
    }
    found = kernels.entries(event, session, offsets, NAMES, is_entry)
    assert found == (len(sessions), len(entered))


@given(people_rows, st.integers(1, 4), st.integers(1, 4))
def test_haste(people: Any, per_minute: int, hours: int) -> None:
    time, event, _, offsets = arrays(people)
    day = kernels.day_of(time, event, NAMES, MIDNIGHTS)
    by_hand = [0] * 6
    for own in shown(people):
        times = [t for t, _, _ in own if day_by_hand(t) >= 0]
        fastest = max((sum(t - 60_000_000 < s <= t for s in times) for t in times), default=0)
        awake = defaultdict(set)
        for t in times:
            d = day_by_hand(t)
            awake[d].add((t - int(MIDNIGHTS[d])) // HOUR)
        longest = max(map(len, awake.values()), default=0)
        fast, long = fastest > per_minute, longest >= hours
        by_hand = [
            by_hand[0] + fast,
            by_hand[1] + long,
            by_hand[2] + (fast or long),
            by_hand[3] + (len(times) if fast or long else 0),
            max(by_hand[4], fastest),
            max(by_hand[5], longest),
        ]
    found = kernels.haste(time, event, day, offsets, MIDNIGHTS, per_minute, hours)
    assert found.tolist() == by_hand


@given(people_rows, st.sampled_from([20_000_000, HOUR]))
def test_rows_of_one_instant_and_repeats(people: Any, gap: Any) -> None:
    time, event, _, offsets = arrays(people)
    first, before = np.full(len(time), -1), np.full(len(time), -1)
    for a, b in itertools.pairwise(offsets):
        mine = [i for i in range(a, b) if event[i] < NAMES]
        for i in mine:
            if sum(time[j] == time[i] for j in mine) > 1:
                first[i] = min(j for j in range(a, b) if time[j] == time[i])
            earlier = [j for j in mine if j < i and event[j] == event[i]]
            if earlier and 0 < time[i] - time[earlier[-1]] <= gap:
                before[i] = earlier[-1]
    assert kernels.shared_instants(time, event, offsets, NAMES).tolist() == first.tolist()
    assert kernels.repeats(time, event, offsets, NAMES, gap).tolist() == before.tolist()


@given(people_rows, st.integers(-3, 3))
def test_rows_per_utc_day(people: Any, first: int) -> None:
    time, event, _, _ = arrays(people)
    found = kernels.per_utc_day(time, event, NAMES, first * 24 * HOUR, 4)
    days = [min(max(t // (24 * HOUR) - first, 0), 3) for own in shown(people) for t, _, _ in own]
    assert {d: int(k) for d, k in enumerate(found) if k} == Counter(days)


def _cells(table: np.ndarray) -> Counter[tuple[int, int]]:
    return Counter({(int(e), int(d)): int(table[e, d]) for e, d in np.argwhere(table)})


@given(people_rows)
def test_rows_and_people_of_each_value(people: Any) -> None:
    """Values of the codes 0 to 3 lie at the places 2, 0, 2 and 1; 3 is for missing cells."""
    time, event, codes, offsets = arrays(people)
    place = np.array([2, 0, 2, 1], np.int64)
    days = kernels.day_of(time, event, NAMES, MIDNIGHTS)
    rows, firsts = kernels.by_value(event, days, codes, offsets, place, NAMES, 3, 3)
    wanted_rows, wanted_people = np.zeros((4, NAMES, 3), int), np.zeros((4, 3), int)
    for own in people:
        seen = set()
        for at, name, code in sorted(own, key=lambda r: r[0]):
            if name >= NAMES or not MIDNIGHTS[0] <= at < MIDNIGHTS[-1]:
                continue
            day = int(np.searchsorted(MIDNIGHTS, at, side="right")) - 1
            value = 3 if code < 0 else int(place[code])
            wanted_rows[value, name, day] += 1
            wanted_people[value, day] += day not in seen
            seen.add(day)
    np.testing.assert_array_equal(rows, wanted_rows)
    np.testing.assert_array_equal(firsts, wanted_people)


@given(st.lists(st.one_of(st.floats(-9, 9), st.just(np.nan)), min_size=1, max_size=20))
def test_a_running_median_is_that_of_pandas(values: list[float]) -> None:
    for window in (5, 7, 15):
        found = kernels.running_median(np.array([values]), window)[0]
        wanted = pd.Series(values).rolling(window, center=True, min_periods=1).median()
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_the_largest_ratio_is_that_of_two_means() -> None:
    """Against the log likelihoods of a level of its own within a span, and of one for all."""
    random = np.random.default_rng(1)
    level, variance = random.normal(0, 1, (3, 12)), random.uniform(0.5, 2, (3, 12))
    starts, ends = np.triu_indices(13, 2)
    proper = ends - starts < 12
    starts, ends = starts[proper], ends[proper]

    def fit(values: np.ndarray, spread: np.ndarray) -> float:
        mean = np.average(values, weights=1 / spread)
        return float(-0.5 * ((values - mean) ** 2 / spread).sum())

    wanted = []
    for own, spread in zip(level, variance, strict=True):
        ratios = []
        for a, b in zip(starts, ends, strict=True):
            inside = np.zeros(12, bool)
            inside[a:b] = True
            apart = fit(own[inside], spread[inside]) + fit(own[~inside], spread[~inside])
            ratios.append(apart - fit(own, spread))
        wanted.append(max(ratios))
    found = kernels.largest_ratios(level, variance, starts, ends)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
