"""The kernels of journeys against plain Python lists.

Transitions are counted in the rows themselves; all others in sequences of group codes.
"""

from __future__ import annotations

import itertools
from collections import Counter

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
    found = kernels.transition_counts(event, session, SESSIONS, offsets, LUT, GROUPS)
    known = Counter((f, g) for _, f, g, _ in wanted)
    assert {at: k for at, k in np.ndenumerate(found) if k} == known

    inner = found[:GROUPS].ravel()
    place = (np.cumsum(inner) - inner).reshape(GROUPS, GROUPS)
    starts = place.copy()
    users, out = kernels.transition_gaps(
        time, event, session, SESSIONS, offsets, LUT, GROUPS, place
    )
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


@given(sequence_codes, anchors, st.integers(1, 4), st.booleans())
def test_positions_are_counted_from_the_anchor(
    sequences: list[list[int]], anchor: int, steps: int, back: bool
) -> None:
    counts, units = kernels.positions(*joined(sequences), GROUPS, anchor, steps, back)
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


@given(sequence_codes, anchors, anchors, st.integers(1, 4), st.booleans())
@example([[0, 1, 0, 1, 2]], -1, 2, 2, False)  # goes through one path twice
@example([[0, 0]], 0, 0, 3, True)  # from an event to the same event
def test_sequences_are_those_walked_by_hand(
    sequences: list[list[int]], start: int, to: int, length: int, forward: bool
) -> None:
    codes, starts = joined(sequences)
    asked = (GROUPS, start, to, length, forward)
    found = kernels.path_keys(codes, starts, *asked)
    parts = [walked(sequence, start, to) for sequence in sequences]
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
    has, first, same = kernels.orders(codes, times, starts, GROUPS)
    firsts = []
    for begin, sequence in zip(starts, sequences, strict=False):
        firsts.append({g: int(times[begin + sequence.index(g)]) for g in set(sequence)})
    for a in range(GROUPS):
        assert has[a] == sum(a in own for own in firsts)
        for b in range(GROUPS):
            both = [own for own in firsts if a != b and a in own and b in own]
            assert first[a, b] == sum(own[a] < own[b] for own in both)
            assert same[a, b] == sum(own[a] == own[b] for own in both)


@given(sequence_codes, st.data())
def test_distances_are_from_the_last_time_before_the_first_macro(
    sequences: list[list[int]], data: st.DataObject
) -> None:
    codes, starts = joined(sequences)
    times = drawn_times(sequences, data, 9)
    macro = 0
    did, converted, *columns = kernels.distances(codes, times, starts, GROUPS, macro)
    wanted: list[tuple[int, int, int]] = []
    have, came = Counter[int](), Counter[int]()
    for begin, sequence in zip(starts, sequences, strict=False):
        reached = macro in sequence
        end = sequence.index(macro) if reached else len(sequence)
        for g in sorted(set(sequence[:end])):
            have[g] += 1
            last = end - 1 - sequence[:end][::-1].index(g)
            if reached:
                came[g] += 1
                wanted.append((g, end - last, int(times[begin + end] - times[begin + last])))
    assert {g: k for g, k in enumerate(did.tolist()) if k} == have
    assert {g: k for g, k in enumerate(converted.tolist()) if k} == came
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == wanted
