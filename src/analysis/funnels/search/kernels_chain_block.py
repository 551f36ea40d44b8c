"""Chains of a block of users: what passes find, and what becomes of it.

A pass finds the chains of some hundred users, and before it goes on they are added up, written
down, or both. So what most questions need, sums, is made without a list of everybody's chains:
the room for a block stays in the processor's cache and is used again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.funnels.search.kernels_chain_state import inner

MATURE = np.uint8(1)


CHOSEN = np.uint8(2)


TIED = np.uint8(4)


EXCLUDED = np.uint8(8)


NOT_DONE = np.iinfo(np.int64).min


USERS = 1024
"""How many users a block has."""


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


@inner
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


@inner
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


@inner
def _longer(cells, n, size):
    longer = np.empty(size, cells.dtype)
    longer[:n] = cells[:n]
    return longer


@inner
def _taller(lines, n, size):
    taller = np.empty((size, lines.shape[1]), lines.dtype)
    taller[:n] = lines[:n]
    return taller


@inner
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


@inner
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


@inner
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
