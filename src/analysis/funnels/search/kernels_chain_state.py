"""What the funnel's search works on: plain arrays of int64, and names for their columns.

One array instead of a structure of many keeps what numba has to compile small: a structure of
twenty arrays that goes through thirty functions takes minutes, its columns in one array seconds.

- **rows**: what matters of a unit, a column per row of the log, in order of time; a line per name
  below. Sets are bits: number k is bit k − 1.
- **labels**: a chain per line: the columns below, then for each step, in the order of doing, its
  instant and its number (`time_of`, `step_of`).
- **scratch**: room that is used again, a line per name below, an element per step (from 1).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

_ONLY_FOR_KERNELS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


inner = nb.njit(cache=True, nogil=True, **_ONLY_FOR_KERNELS)
"""A kernel that only kernels call: nothing is compiled for a call from Python."""


_READS: dict[str, Any] = {**_ONLY_FOR_KERNELS, "_nrt": False}


reader = nb.njit(cache=True, nogil=True, **_READS)
"""An inner kernel that makes no array, returns none, and calls only such kernels. So it need not
count who holds an array, which takes longer than reading a number of it, and to compile, too."""


melted = nb.njit(cache=True, nogil=True, inline="always", **_READS)
"""A reader that becomes a part of each kernel that calls it. Every kernel is made anew with all
that it calls, so those that only pass on to others are no kernels of their own."""


NEVER = np.int64(-(2**62))


FOREVER = np.int64(2**62)


# Lines of `rows`: the row's number in the shard, its instant, the steps and the exclusions that
# it matches, whether an earlier attempt has used it; then room for questions about one instant:
# rows that must be used, rows that are, and the steps that a row stands for.
NUMBER, TIME, STEPS, BARRED, USED, MUST, TAKEN, STANDS = range(8)


ROW_LINES = 8


# Columns of `labels`: the steps done, how far that is (the highest step; in any order how many),
# the instants of the entry and of the last step, the exclusions that can still end the chain; of
# the present instant the exclusions begun and the steps done; how many optional steps, how many
# steps in all; whether the label is in the search.
DONE, REACH, ENTRY, LAST, ACTIVE, FRESH, HERE, EXTRAS, COUNT, LIVE = range(10)


_HEAD = 10


# Lines of `scratch`: the row at each step, two lines for the search for a seat, the rows of a
# chain in order of doing: while one is looked for, the chosen one's, and one set aside; and what
# there was no room for, chains or labels, so that the unit has to be asked again.
OWNER, CAME_FROM, QUEUE, PICKED, BEST_ROWS, ASIDE, LACKING = range(7)


SCRATCH_LINES = 7


NO_CHAIN, NO_LABEL = range(2)


# Lines of `Ask.limits`: the longest wait before a step, the required step before it, and per
# exclusion (from 0) the steps between which it holds.
WITHIN, BEFORE, AFTER, UNTIL = range(4)


# Places among the labels: the answers of a search, what its caller keeps, and where it begins.
BEST, UNTOUCHED, CHOSEN, FIRST = range(4)


class Ask(NamedTuple):
    """What a funnel asks, as numbers; steps are counted from 1.

    ``required`` is the last required step, ``neighbors`` the strict order; ``limited``: does any
    step have a limit of its own; ``optional``: the set of optional steps.
    """

    steps: int
    required: int
    window: int
    any_order: bool
    neighbors: bool
    limited: bool
    optional: int
    exclusions: int
    limits: np.ndarray


class Entries(NamedTuple):
    """Which rows can be an entry: [low, high) in time, and one row alone where `only` is ≥ 0."""

    low: int
    high: int
    only: int


@nb.njit(cache=True, nogil=True, inline="always")
def time_of(c):
    """The column with the instant of the step done c-th (from 0)."""
    return _HEAD + 2 * c


@nb.njit(cache=True, nogil=True, inline="always")
def step_of(c):
    """The column with the number of the step done c-th (from 0)."""
    return _HEAD + 2 * c + 1


@nb.njit(cache=True, nogil=True, inline="always")
def has(steps, k):
    """Is number k (from 1) in the set?"""
    return (steps >> (k - 1)) & 1 != 0


@nb.njit(cache=True, nogil=True, inline="always")
def bit(k):
    """The set of number k alone."""
    return np.int64(1) << np.int64(k - 1)


@reader
def size(steps):
    """How many numbers a set has."""
    count = 0
    while steps != 0:
        steps &= steps - 1
        count += 1
    return count


@reader
def highest(steps):
    """The highest number of a set, 0 where it is empty."""
    k = 64 if steps < 0 else 0
    while steps > 0:
        steps >>= 1
        k += 1
    return k


@inner
def new_labels(size, steps):
    """Room for `size` labels."""
    return np.zeros((size, _HEAD + 2 * steps), np.int64)


@reader
def copy_label(labels, source, target):
    """Write a label over another."""
    for column in range(time_of(labels[source, COUNT])):
        labels[target, column] = labels[source, column]


@inner
def wider(labels):
    """The labels, with room for as many more."""
    more = np.zeros((2 * labels.shape[0], labels.shape[1]), np.int64)
    for a in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            more[a, column] = labels[a, column]
    return more
