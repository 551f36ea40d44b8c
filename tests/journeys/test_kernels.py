"""The kernels of journeys against plain Python lists.

Transitions are counted in the rows themselves; all others in sequences of group codes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.journeys import kernels

EVENTS, GROUPS, SESSIONS = 4, 3, 3
LUT = np.array([0, 1, 2, 2, -1], np.int64)
"""Codes 0 to 3 are events, two of them one group; 4 is a hidden row."""

# Rows: (time, event, session), of each person.
Row = tuple[int, int, int]
row = st.tuples(st.integers(0, 5), st.integers(0, EVENTS), st.integers(-1, SESSIONS - 1))
people_rows = st.lists(st.lists(row, max_size=10), max_size=4)

# Sequences: groups only.
sequence_codes = st.lists(st.lists(st.integers(0, GROUPS - 1), min_size=1, max_size=8), max_size=6)
anchors = st.integers(-1, GROUPS - 1)


def arrays(people: list[list[Row]], *, split: bool) -> tuple[np.ndarray, ...]:
    flat = [r for own in people for r in own]
    time, event, session = (np.array([r[k] for r in flat], np.int64) for k in range(3))
    offsets = np.cumsum([0, *map(len, people)]).astype(np.int64)
    codes = session.astype(np.int8) if split else np.empty(0, np.int8)
    return time, event.astype(np.uint8), codes, offsets


@given(people_rows, st.booleans())
def test_sequences_hold_each_unit_s_rows_behind_one_another(
    people: list[list[Row]], split: bool
) -> None:
    flat = [r for own in people for r in own]
    _, event, session, offsets = arrays(people, split=split)
    rows, starts, users = kernels.sequences(event, session, offsets, LUT)
    wanted: list[tuple[int, list[int]]] = []
    for user in range(len(people)):
        shown = [
            i
            for i in range(offsets[user], offsets[user + 1])
            if LUT[flat[i][1]] >= 0 and (flat[i][2] >= 0 or not split)
        ]
        sessions = dict.fromkeys(flat[i][2] if split else 0 for i in shown)
        wanted += [(user, [i for i in shown if not split or flat[i][2] == s]) for s in sessions]
    found = [rows[a:b].tolist() for a, b in itertools.pairwise(starts)]
    assert list(zip(users.tolist(), found, strict=True)) == wanted


def pairs(people: list[list[Row]], *, split: bool) -> list[tuple[int, int, int, int | None]]:
    """(user, group before or GROUPS, group, wait) of every row, sequence by sequence."""
    found: list[tuple[int, int, int, int | None]] = []
    for user, own in enumerate(people):
        shown = [r for r in own if LUT[r[1]] >= 0 and (r[2] >= 0 or not split)]
        for s in dict.fromkeys(r[2] if split else 0 for r in shown):
            sequence = [r for r in shown if not split or r[2] == s]
            found += [(user, GROUPS, int(LUT[sequence[0][1]]), None)]
            found += [
                (user, int(LUT[a[1]]), int(LUT[b[1]]), b[0] - a[0])
                for a, b in itertools.pairwise(sequence)
            ]
    return found


def tied_departures(people: list[list[Row]], *, split: bool) -> int:
    """Departures that lead into, within or out of instants of several groups."""
    tied = 0
    for own in people:
        shown = [r for r in own if LUT[r[1]] >= 0 and (r[2] >= 0 or not split)]
        for s in dict.fromkeys(r[2] if split else 0 for r in shown):
            rows = [(r[0], int(LUT[r[1]])) for r in shown if not split or r[2] == s]
            marks = [any(t == b and g != h for b, h in rows) for t, g in rows]
            tied += sum(a or b for a, b in itertools.pairwise([False, *marks, False]))
    return tied


def in_order(people: list[list[Row]]) -> list[list[Row]]:
    return [sorted(own, key=lambda r: r[0]) for own in people]


@given(people_rows, st.booleans())
@example([[(0, 0, 0), (1, 1, 1), (2, 2, 0), (3, 0, 1)]], True)  # sessions that overlap
@example([[(0, 0, 0)], [(0, 1, 0)]], True)  # two users whose sessions have the same number
@example([[(0, 0, 0), (1, 1, -1), (2, 2, 0)]], True)  # a row of no session is in no sequence
def test_counts_people_and_waits_are_those_seen_by_hand(
    people: list[list[Row]], split: bool
) -> None:
    people = in_order(people)
    time, event, session, offsets = arrays(people, split=split)
    wanted = pairs(people, split=split)
    asked = (time, event, session, SESSIONS, offsets, LUT, GROUPS)
    found, tied = kernels.transition_counts(*asked)
    assert tied == tied_departures(people, split=split)
    known = Counter((f, g) for _, f, g, _ in wanted)
    assert {at: k for at, k in np.ndenumerate(found) if k} == known

    inner = found[:GROUPS].ravel()
    place = (np.cumsum(inner) - inner).reshape(GROUPS, GROUPS)
    starts = place.copy()
    users, left, out = kernels.transition_gaps(*asked, place)
    leaving = {(u, f) for u, f, _, _ in wanted} | {(u, g) for u, _, g, _ in wanted}
    assert left.tolist() == [sum(f == g for _, f in leaving) for g in range(GROUPS + 1)]
    whose = {(f, g): {u for u, a, b, _ in wanted if (a, b) == (f, g)} for f, g in known}
    assert {at: k for at, k in np.ndenumerate(users) if k} == {
        at: len(own) for at, own in whose.items()
    }
    for (f, g), begin in np.ndenumerate(starts):
        own = sorted(out[begin : begin + found[f, g]].tolist())
        assert own == sorted(wait for _, a, b, wait in wanted if (a, b) == (f, g))


def joined(sequences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    codes = np.array([code for sequence in sequences for code in sequence], np.int64)
    return codes, np.cumsum([0, *map(len, sequences)]).astype(np.int64)


def drawn_users(sequences: list[list[int]], data: st.DataObject) -> np.ndarray:
    """Whose each sequence is; those of one user are behind one another."""
    return np.cumsum([data.draw(st.integers(0, 1)) for _ in sequences], dtype=np.int64)


def drawn_times(sequences: list[list[int]], data: st.DataObject, latest: int) -> np.ndarray:
    """Instants within each sequence, in order, some the same."""
    own = [sorted(data.draw(st.tuples(*[st.integers(0, latest)] * len(s)))) for s in sequences]
    return np.array([time for times in own for time in times], np.int64)


@given(sequence_codes)
def test_runs_become_one(sequences: list[list[int]]) -> None:
    codes, starts = joined(sequences)
    kept, new = kernels.collapsed(codes, starts)
    found = [codes[kept[a:b]].tolist() for a, b in itertools.pairwise(new)]
    assert found == [
        [code for i, code in enumerate(sequence) if i == 0 or sequence[i - 1] != code]
        for sequence in sequences
    ]


@given(sequence_codes, anchors, st.integers(1, 4), st.booleans(), st.data())
def test_positions_are_counted_from_the_anchor(
    sequences: list[list[int]], anchor: int, steps: int, back: bool, data: st.DataObject
) -> None:
    codes, starts = joined(sequences)
    hanging = np.array([data.draw(st.booleans()) for _ in codes], np.bool_)
    asked = (GROUPS, anchor, steps, back)
    users = drawn_users(sequences, data)
    counts, units, people, tied = kernels.positions(codes, starts, users, hanging, *asked)
    own = [u for u, s in zip(users, sequences, strict=True) if anchor < 0 or anchor in s]
    assert people == len(set(own))
    marked = 0
    for begin, sequence in zip(starts, sequences, strict=False):
        marks = hanging[begin : begin + len(sequence)].tolist()
        if anchor in sequence or anchor < 0:
            at = sequence.index(anchor) if anchor >= 0 else 0
            marked += any((marks[: at + 1][::-1] if back else marks[at:])[: steps + 1])
    assert tied == marked
    wanted: Counter[tuple[int, int]] = Counter()
    have = [sequence for sequence in sequences if anchor in sequence or anchor < 0]
    for sequence in have:
        at = sequence.index(anchor) if anchor >= 0 else 0
        own = sequence[: at + 1][::-1] if back else sequence[at:]
        wanted.update(enumerate((own + [GROUPS] * (steps + 1))[: steps + 1]))
    assert units == len(have)
    assert {at: k for at, k in np.ndenumerate(counts) if k} == wanted


def walked(sequence: list[int], start: int, to: int) -> tuple[list[int], bool] | None:
    """The part of a sequence that is looked at, and whether it comes to the end; None: no start."""
    if start >= 0:
        if start not in sequence:
            return None
        sequence = sequence[sequence.index(start) :]
    after = 1 if start >= 0 else 0
    if to >= 0 and to in sequence[after:]:
        return sequence[: sequence.index(to, after)], True
    return sequence, False


def key_of(events: list[int], *, begins: bool) -> int:
    key = GROUPS + 1 if begins else 0
    for event in events:
        key = key * (GROUPS + 2) + event + 1
    return key


def through_forward(own: list[int], length: int) -> set[int]:
    return {key_of(own[:i], begins=False) for i in range(min(len(own), length) + 1)}


def through_backward(own: list[int], length: int) -> set[int]:
    """All that may be the last `length` events, the sequence's beginning being one of them."""
    whole = [None, *own]
    keys = set()
    for end in range(1, len(whole) + 1):
        part = whole[max(0, end - length) : end]
        keys.add(key_of([e for e in part if e is not None], begins=part[0] is None))
    return keys


@given(sequence_codes, anchors, anchors, st.integers(1, 4), st.booleans(), st.randoms())
@example([[0, 1, 0, 1, 2]], -1, 2, 2, False, Random(1))  # goes through one path twice
@example([[0, 0]], 0, 0, 3, True, Random(1))  # from an event to the same event
def test_sequences_are_those_walked_by_hand(
    sequences: list[list[int]], start: int, to: int, length: int, forward: bool, luck: Random
) -> None:
    codes, starts = joined(sequences)
    asked = (GROUPS, start, to, length, forward)
    hanging = np.array([luck.random() < 0.2 for _ in codes], np.bool_)
    found, looked_at, tied = kernels.path_keys(codes, starts, hanging, *asked)
    parts = [walked(sequence, start, to) for sequence in sequences]
    assert looked_at == sum(part is not None for part in parts)
    marked = 0
    for begin, sequence, part in zip(starts, sequences, parts, strict=False):
        if part is not None:
            at = begin + (sequence.index(start) if start >= 0 else 0)
            size = len(part[0]) + part[1]  # with the event that ends it
            marked += hanging[at : at + (min(size, length) if forward else size)].any()
    assert tied == marked
    through = through_forward if forward else through_backward
    own_keys: list[int] = []
    for part in parts:
        if part is None or not (forward or part[1]):
            own_keys.append(-1)
        elif forward:
            own_keys.append(key_of(part[0][:length], begins=False))
        else:
            tail = [None, *part[0]][-length:]
            own_keys.append(key_of([e for e in tail if e is not None], begins=tail[0] is None))
    assert found.tolist() == own_keys

    wanted = np.array(sorted({key for key in own_keys if key >= 0}), np.int64)
    counts = kernels.path_counts(codes, starts, *asked, wanted)
    for key, (n, k) in zip(wanted.tolist(), counts.tolist(), strict=True):
        gone = [part for part in parts if part and key in through(part[0], length)]
        assert (n, k) == (len(gone), sum(part[1] for part in gone))


@given(sequence_codes, st.data())
def test_orders_are_of_first_occurrences(sequences: list[list[int]], data: st.DataObject) -> None:
    codes, starts = joined(sequences)
    times = drawn_times(sequences, data, 3)
    users = drawn_users(sequences, data)
    has, first, same, both_people, apart = kernels.orders(codes, times, starts, users, GROUPS)
    firsts = []
    for begin, sequence in zip(starts, sequences, strict=False):
        firsts.append({g: int(times[begin + sequence.index(g)]) for g in set(sequence)})
    for a in range(GROUPS):
        assert has[a] == sum(a in own for own in firsts)
        for b in range(GROUPS):
            both = [own for own in firsts if a != b and a in own and b in own]
            assert first[a, b] == sum(own[a] < own[b] for own in both)
            assert same[a, b] == sum(own[a] == own[b] for own in both)
            whose = zip(users.tolist(), firsts, strict=True)
            mine = [(u, own[a] != own[b]) for u, own in whose if a != b and a in own and b in own]
            assert both_people[a, b] == len({u for u, _ in mine})
            assert apart[a, b] == len({u for u, differ in mine if differ})


@given(sequence_codes, st.data())
def test_distances_are_from_the_last_time_before_the_first_macro(
    sequences: list[list[int]], data: st.DataObject
) -> None:
    codes, starts = joined(sequences)
    times = drawn_times(sequences, data, 5)
    macro = 0
    users = drawn_users(sequences, data)
    rows = (codes, times, starts, users)
    totals, did, converted, people, *columns = kernels.distances(*rows, GROUPS, macro)
    wanted: list[tuple[int, int, int]] = []
    have, came = Counter[int](), Counter[int]()
    whose: list[list[set[int]]] = [[set() for _ in range(GROUPS)] for _ in range(2)]
    together = 0
    for user, begin, sequence in zip(users.tolist(), starts, sequences, strict=False):
        at = times[begin : begin + len(sequence)].tolist()
        paid = [t for t, g in zip(at, sequence, strict=True) if g == macro]
        seen = [(t, g) for t, g in zip(at, sequence, strict=True) if not paid or t <= paid[0]]
        together += any(paid and t == paid[0] and g != macro for t, g in seen)
        if paid:
            whose[1][macro].add(user)
        for g in sorted({g for _, g in seen} - {macro}):
            have[g] += 1
            whose[0][g].add(user)
            last = max(t for t, own in seen if own == g)
            if paid:
                came[g] += 1
                whose[1][g].add(user)
                between = sum(last < t < paid[0] for t, _ in seen)
                wanted.append((g, between + 1, paid[0] - last))
    assert people.tolist() == [[len(own) for own in row] for row in whose]
    assert totals.tolist() == [sum(macro in own for own in sequences), together]
    assert {g: k for g, k in enumerate(did.tolist()) if k} == have
    assert {g: k for g, k in enumerate(converted.tolist()) if k} == came
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == wanted


@given(sequence_codes, st.data())
def test_mixed_instants_hold_several_groups(
    sequences: list[list[int]], data: st.DataObject
) -> None:
    codes, starts = joined(sequences)
    times = drawn_times(sequences, data, 3)
    wanted = [
        any(times[j] == times[i] and codes[j] != codes[i] for j in range(a, b))
        for a, b in itertools.pairwise(starts)
        for i in range(a, b)
    ]
    assert kernels.mixed(codes, times, starts).tolist() == wanted
