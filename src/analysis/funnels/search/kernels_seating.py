"""Giving the steps of one instant rows of their own.

Events of one instant may serve steps in whichever order helps, but one event never serves two
steps: rows and steps are matched, along augmenting paths (Kuhn 1955, *Naval Research Logistics
Quarterly* 2:83). A row that has a step keeps one while others are seated, so rows that must be
used go first.
"""

from __future__ import annotations

from analysis.funnels.search.kernels_chain_state import (
    CAME_FROM,
    MUST,
    OWNER,
    QUEUE,
    STEPS,
    TAKEN,
    USED,
    bit,
    has,
    reader,
    size,
)


@reader
def nobody_seated(scratch, steps):
    """Empty every seat."""
    for k in range(steps + 1):
        scratch[OWNER, k] = -1


@reader
def augment(rows, line, row, among, steps, scratch):
    """Seat one more row at a step of `among`, moving others if need be; is there a way?

    `line` of `rows` holds the steps that each row may serve.
    """
    tried = 0
    head, tail = 0, 0
    at_step, current = 0, row
    while True:
        options = rows[line, current] & among & ~tried
        if options != 0:
            for k in range(1, steps + 1):
                if not has(options, k):
                    continue
                tried |= bit(k)
                scratch[CAME_FROM, k] = at_step
                if scratch[OWNER, k] < 0:
                    while scratch[CAME_FROM, k] > 0:
                        scratch[OWNER, k] = scratch[OWNER, scratch[CAME_FROM, k]]
                        k = scratch[CAME_FROM, k]
                    scratch[OWNER, k] = row
                    return True
                scratch[QUEUE, tail] = k
                tail += 1
        if head == tail:
            return False
        at_step = scratch[QUEUE, head]
        current = scratch[OWNER, at_step]
        head += 1


@reader
def can_seat(rows, first, stop, among, steps, scratch):
    """Can every step of `among` have a row of its own in [first, stop), every MUST row seated?

    USED and TAKEN rows are out of the question; a MUST row that is taken is seated already.
    """
    nobody_seated(scratch, steps)
    seated = 0
    for r in range(first, stop):
        if rows[MUST, r] and not rows[TAKEN, r]:
            if rows[USED, r] or not augment(rows, STEPS, r, among, steps, scratch):
                return False
            seated += 1
    wanted = size(among)
    for r in range(first, stop):
        if seated == wanted:
            break
        if not (rows[MUST, r] or rows[USED, r] or rows[TAKEN, r]):
            seated += augment(rows, STEPS, r, among, steps, scratch)
    return seated == wanted
