"""What the chains of a funnel add up to, block by block: counts, waits, and what one user does.

A search finds the chains of some thousand users (a `Block`), and before it goes on they are added
up (`Sums`), written down (`ChainList`), or both. So most questions, which need sums, are answered
without a list of everybody's chains, and the room for a block stays in the processor's cache and
is used again.

Everything but the waits is a sum of integers, so the number of shards never changes a digit, and
a funnel of a million users leaves a few numbers and the waits that its medians are made of.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from analysis.funnels.search.state import internal, without_refcounts

USERS = 1024
"""How many users a block has."""


# The marks of a chain.

MATURE = np.uint8(1)
CHOSEN = np.uint8(2)
TIED = np.uint8(4)
EXCLUDED = np.uint8(8)

NOT_DONE = np.iinfo(np.int64).min


class Block(NamedTuple):
    """Chains, an element or line each.

    ``user``: its number in the shard. ``reach``: how far the chain gets. ``marks``: a sum of
    MATURE (the entry is mature), CHOSEN (the best among all entries), TIED (the reach depends on
    a tie) and EXCLUDED (an excluded event ended it). ``group``: the row that its group is read
    from, −1 for none. ``rows``, ``times``: row and instant of each step (in any order of the k-th
    one done), −1 and NOT_DONE where one was left out; what stands beyond the reach has no meaning.
    ``rows`` has room for one more. A reach of 0, without marks, is no chain.
    """

    user: np.ndarray
    reach: np.ndarray
    marks: np.ndarray
    group: np.ndarray
    rows: np.ndarray
    times: np.ndarray


class ChainList(NamedTuple):
    """Chains for good, as `Block` has them, the first `sizes[0]`; most never get beyond their
    entry, so `rows` and `times` have a line only for those that do, the first `sizes[1]`.
    ``entry`` is the row of the first step.
    """

    user: np.ndarray
    reach: np.ndarray
    marks: np.ndarray
    group: np.ndarray
    entry: np.ndarray
    rows: np.ndarray
    times: np.ndarray
    sizes: np.ndarray


# Places in `Sums.facts`.
ALL_CHAINS, TIED_CHAINS, UNGROUPED = range(3)

FEW_STEPS = 8
"""Up to how many steps it is quicker to go through all of them than to stop at the reach."""


class Sums(NamedTuple):
    """Sums of chains, by group; the last group are those without a value.

    ``counts``: int64 (2, groups, steps): chains that did each step, of those chosen among all
    entries, and of the mature ones. ``facts``: int64 (3,): of the chosen ones all, the tied, and
    those that are in no group. ``waits``: int64 (steps, …): of the mature ones the
    microseconds before each step since the one done before it, the first `sizes[k]` of line k;
    ``owners``: their groups, of size 0 where there is one group.

    ``moments``: int64 (groups, steps, steps), of size 0 where no user has several chains: with m
    of a user's mature chains having done step k and n of them step j, the sum of m·n over users;
    ``members``: int64 (groups, steps): users with any chain that did the step. ``own``: int64
    (groups, steps), of the user at hand; ``last``: int64 (1,), who that is.
    """

    counts: np.ndarray
    facts: np.ndarray
    waits: np.ndarray
    owners: np.ndarray
    sizes: np.ndarray
    moments: np.ndarray
    members: np.ndarray
    own: np.ndarray
    last: np.ndarray


class Grouping(NamedTuple):
    """The property that makes the groups: per row a code of `width` bytes, all of their bits set
    where there is no value; ``values``: how many codes there are. Of width 0 where all chains are
    of one group.
    """

    codes: np.ndarray
    width: int
    values: int


# Adding up.


@nb.njit(cache=True, nogil=True)
def sums_of_list(kept, groups, counted, repeats):
    """The sums of chains that were kept; `groups` is the group of each, below `counted`."""
    steps = kept.rows.shape[1]
    sums = new_sums(counted, steps, kept.sizes[1], repeats)
    block = new_block(USERS, steps)
    grouping = Grouping(groups.view(np.uint8), groups.itemsize, counted - 1)
    n, beyond = np.int64(0), 0
    for i in range(kept.user.size):
        block.user[n], block.reach[n], block.marks[n] = kept.user[i], kept.reach[i], kept.marks[i]
        block.group[n], block.rows[n, 0] = i, kept.entry[i]
        if kept.reach[i] > 1:
            for k in range(steps):
                block.rows[n, k], block.times[n, k] = kept.rows[beyond, k], kept.times[beyond, k]
            beyond += 1
        n += 1
        if n == USERS:
            add(sums, block, n, grouping)
            n = 0
    add(sums, block, n, grouping)
    if repeats:
        close_user(sums)
    return sums


@internal
def new_sums(groups, steps, waits, repeats):
    """No chains yet; room for so many waits of a step, and one to write over; can a user have
    several chains?
    """
    users = groups if repeats else 0
    return Sums(
        np.zeros((2, groups, steps), np.int64),
        np.zeros(3, np.int64),
        np.empty((steps, waits + 1), np.int64),
        np.empty((steps, waits + 1 if groups > 1 else 0), np.int32),
        np.zeros(steps, np.int64),
        np.zeros((users, steps, steps), np.int64),
        np.zeros((users, steps), np.int64),
        np.zeros((users, steps), np.int64),
        np.full(1, -1, np.int64),
    )


@without_refcounts
def add(sums, block, n, grouping):
    """Add the first n chains of a block; all chains of a user come one after another."""
    for j in range(n):
        marks = block.marks[j]
        chosen, mature = (marks & CHOSEN) != 0, (marks & MATURE) != 0
        group = group_of(grouping, block.group[j])
        sums.facts[ALL_CHAINS] += chosen
        sums.facts[TIED_CHAINS] += chosen & ((marks & TIED) != 0)
        sums.counts[0, group, 0] += chosen
        sums.counts[1, group, 0] += mature
        if sums.own.size and mature:
            if block.user[j] != sums.last[0]:
                close_user(sums)
                sums.last[0] = block.user[j]
            sums.own[group, 0] += 1
        if block.reach[j] > 1:
            _add_steps(sums, block, j, group, chosen, mature)


@without_refcounts
def _add_steps(sums, block, j, group, chosen, mature):
    """Count the steps of a chain beyond the first, and note its waits."""
    reach, steps = block.reach[j], block.times.shape[1]
    before = block.times[j, 0]
    # Of few steps all are gone through, without a branch: how many are done is as good as random.
    for k in range(1, steps if steps <= FEW_STEPS else min(reach, steps)):
        did = (k < reach) & (block.rows[j, k] >= 0)
        own, place = block.times[j, k], sums.sizes[k]
        sums.counts[0, group, k] += did & chosen
        sums.counts[1, group, k] += did & mature
        # What is not done is written over by the next.
        sums.waits[k, place] = own - before
        if sums.owners.size:
            sums.owners[k, place] = group
        if sums.own.size:
            sums.own[group, k] += did & mature
        sums.sizes[k] = place + (did & mature)
        before = own if did else before


@without_refcounts
def add_entries(sums, n):
    """Add n mature chains that got no further, where there is one group and one chain a user."""
    sums.facts[ALL_CHAINS] += n
    sums.counts[0, 0, 0] += n
    sums.counts[1, 0, 0] += n


@without_refcounts
def group_of(grouping, row):
    """The group of a row; the last where it has no value."""
    if grouping.width == 0:
        return 0
    if row < 0:
        return grouping.values
    code = np.int64(0)
    for byte in range(grouping.width):
        code |= np.int64(grouping.codes[row * grouping.width + byte]) << (8 * byte)
    return min(code, grouping.values)


@without_refcounts
def close_user(sums):
    """Add what the chains of the last user come to."""
    groups, steps = sums.own.shape
    for g in range(groups):
        for k in range(steps if sums.own[g, 0] else 0):
            sums.members[g, k] += sums.own[g, k] > 0
            for j in range(steps):
                sums.moments[g, k, j] += sums.own[g, k] * sums.own[g, j]
        for k in range(steps):
            sums.own[g, k] = 0


@internal
def with_room(sums, waits):
    """The sums, with room for so many waits more of each step."""
    needed = sums.sizes.max() + waits + 1
    if needed <= sums.waits.shape[1]:
        return sums
    steps = sums.waits.shape[0]
    longer = np.empty((steps, 2 * needed), np.int64)
    owners = np.empty((steps, 2 * needed if sums.owners.size else 0), np.int32)
    for k in range(steps):
        n = sums.sizes[k]
        longer[k, :n] = sums.waits[k, :n]
        if sums.owners.size:
            owners[k, :n] = sums.owners[k, :n]
    return Sums(
        sums.counts,
        sums.facts,
        longer,
        owners,
        sums.sizes,
        sums.moments,
        sums.members,
        sums.own,
        sums.last,
    )


# Writing down.


@internal
def new_block(chains, steps):
    """Room for so many chains."""
    return Block(
        np.zeros(chains, np.int64),
        np.zeros(chains, np.int64),
        np.zeros(chains, np.uint8),
        np.zeros(chains, np.int64),
        np.zeros((chains, steps + 1), np.int64),
        np.zeros((chains, steps), np.int64),
    )


@internal
def larger_block(block):
    """The block, with room for as many chains more."""
    n = block.user.size
    return Block(
        _longer(block.user, n, 2 * n),
        _longer(block.reach, n, 2 * n),
        _longer(block.marks, n, 2 * n),
        _longer(block.group, n, 2 * n),
        _taller(block.rows, n, 2 * n),
        _taller(block.times, n, 2 * n),
    )


@internal
def new_list(chains, beyond, steps):
    """Room for so many chains, so many of them beyond their entry."""
    return ChainList(
        np.empty(chains, np.int64),
        np.empty(chains, np.int64),
        np.empty(chains, np.uint8),
        np.empty(chains, np.int64),
        np.empty(chains, np.int64),
        np.empty((beyond, steps), np.int64),
        np.empty((beyond, steps), np.int64),
        np.zeros(2, np.int64),
    )


@internal
def write(kept, block, n):
    """The list, with the first n chains of a block behind its own."""
    size, beyond = kept.sizes
    if size + n > kept.user.size or beyond + n > kept.rows.shape[0]:
        kept = resized(kept, 2 * size + n, 2 * beyond + n)
    for j in range(n):
        if block.reach[j] == 0:
            continue
        kept.user[size], kept.reach[size] = block.user[j], block.reach[j]
        kept.marks[size], kept.group[size] = block.marks[j], block.group[j]
        kept.entry[size] = block.rows[j, 0]
        size += 1
        if block.reach[j] > 1:
            for k in range(kept.rows.shape[1]):
                done = k < block.reach[j]
                kept.rows[beyond, k] = block.rows[j, k] if done else -1
                kept.times[beyond, k] = block.times[j, k] if done else NOT_DONE
            beyond += 1
    kept.sizes[0], kept.sizes[1] = size, beyond
    return kept


@internal
def resized(kept, chains, beyond):
    """The list with exactly so much room."""
    n, m = min(kept.sizes[0], chains), min(kept.sizes[1], beyond)
    return ChainList(
        _longer(kept.user, n, chains),
        _longer(kept.reach, n, chains),
        _longer(kept.marks, n, chains),
        _longer(kept.group, n, chains),
        _longer(kept.entry, n, chains),
        _taller(kept.rows, m, beyond),
        _taller(kept.times, m, beyond),
        kept.sizes,
    )


@internal
def _longer(cells, n, size):
    longer = np.empty(size, cells.dtype)
    longer[:n] = cells[:n]
    return longer


@internal
def _taller(lines, n, size):
    taller = np.empty((size, lines.shape[1]), lines.dtype)
    taller[:n] = lines[:n]
    return taller
