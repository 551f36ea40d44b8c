"""The funnel's pass with every option: the chains of each unit of a shard.

A unit is a user, or the rows of one user that share a value (a session, a cart). Of most users
one look at the rows tells the chains (`certain_units`), the others are searched
(`searched_units`). What is found is added up, block by block, and kept where that is wanted. The
funnel that needs no option has a pass of its own, `chains`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from analysis.funnels.search.blocks import UNGROUPED, add, close_user, new_sums, with_room
from analysis.funnels.search.kernels_certain_units import FULL, MOST_UNITS, UNSURE, certain_chains
from analysis.funnels.search.kernels_chain_block import CHOSEN as AMONG_ALL
from analysis.funnels.search.kernels_chain_block import (
    USERS,
    larger_block,
    new_block,
    new_list,
    resized,
    write,
)
from analysis.funnels.search.kernels_chain_state import (
    LACKING,
    NO_CHAIN,
    NO_LABEL,
    ROW_LINES,
    SCRATCH_LINES,
    inner,
    new_labels,
    reader,
    wider,
)
from analysis.funnels.search.kernels_searched_units import searched_chains
from analysis.funnels.search.kernels_unit_rows import (
    ENTRY_ALONE,
    gather,
    gather_entry,
    longest,
    sort_units,
)
from analysis.funnels.search.untied import PATH


class Wish(NamedTuple):
    """What is wanted of the chains: every attempt of a unit, not its best chain; the group's value
    from a touch (FIRST_TOUCH, LAST_TOUCH), or from a step (its number), or from the entry (both
    0); the list of the chains beside their sums. ``repeats``: can one user have several chains?
    """

    attempts: bool
    touch: int
    at_step: int
    keep: bool
    repeats: bool


@reader
def _grouped_at(sums, block, n, step):
    """Read the groups on a step: chains that never reach it are in none, and count nowhere."""
    for j in range(n):
        if block.reach[j] >= step and block.rows[j, step - 1] >= 0:
            block.group[j] = block.rows[j, step - 1]
        else:
            sums.facts[UNGROUPED] += (block.marks[j] & AMONG_ALL) != 0
            block.reach[j], block.marks[j] = 0, 0


@inner
def _flush(sums, kept, block, n, wish, grouping):
    """Add up the first n chains of the block, and keep them where that is wanted."""
    if wish.at_step:
        _grouped_at(sums, block, n, wish.at_step)
    sums = with_room(sums, n)
    add(sums, block, n, grouping)
    if wish.keep:
        kept = write(kept, block, n)
    return sums, kept


@inner
def _rows_of_user(cells, codes, ask, limits, wish, user, rows, units):
    """Write down the rows of a user that matter, unit by unit; how many there are."""
    start, stop = cells.offsets[user], cells.offsets[user + 1]
    alone = codes.promise[user] == ENTRY_ALONE
    if alone and not (cells.unit.size or wish.attempts or wish.touch):
        return gather_entry(cells, codes, start, stop, limits, rows)
    m = gather(cells, codes, start, stop, rows, units, ask.neighbors)
    if m and cells.unit.size:
        sort_units(rows, units, m)
    return m


@nb.njit(cache=True, nogil=True)
def unit_chains(cells, codes, ask, limits, choice, wish, grouping):
    """The chains of every unit of a shard: (sums, list), the list empty where it is not wanted.

    Parameters
    ----------
    cells, codes, ask, limits, choice, wish : see these types.
    grouping : see `chain_sums.Grouping`.
    """
    most = longest(cells.offsets)
    rows = np.zeros((ROW_LINES, most + 1), np.int64)
    units = np.zeros(most + 1, np.int64)
    labels = new_labels(64, ask.steps)
    levels = np.zeros((ask.steps + 1, PATH + ask.steps), np.int64)
    scratch = np.zeros((SCRATCH_LINES, ask.steps + 2), np.int64)
    sums = new_sums(grouping.values + 1, ask.steps, USERS, wish.repeats)
    kept = new_list(0, 0, ask.steps)
    block, n = new_block(2 * USERS, ask.steps), 0
    table = np.zeros((3, MOST_UNITS), np.int64)
    u = 0
    while u < cells.offsets.size - 1:
        n, u, why = certain_chains(cells, codes, ask, limits, choice, wish, table, block, n, u)
        if why == UNSURE:
            m = _rows_of_user(cells, codes, ask, limits, wish, u, rows, units)
            now = searched_chains(
                block,
                n,
                cells,
                codes,
                ask,
                rows,
                units,
                m,
                labels,
                u,
                limits,
                choice,
                wish,
                levels,
                scratch,
            )
            # Where room is lacking, the user is asked again.
            if scratch[LACKING, NO_LABEL]:
                labels = wider(labels)
            elif not scratch[LACKING, NO_CHAIN]:
                n, u = now, u + 1
        if why == FULL or scratch[LACKING, NO_CHAIN]:
            block = larger_block(block)
        scratch[LACKING] = 0
        if n >= USERS:
            sums, kept = _flush(sums, kept, block, n, wish, grouping)
            n = 0
    sums, kept = _flush(sums, kept, block, n, wish, grouping)
    close_user(sums)
    return sums, resized(kept, kept.sizes[0], kept.sizes[1])
