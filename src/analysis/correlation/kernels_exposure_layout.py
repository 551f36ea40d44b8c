"""Where the counts of exposure lie in one array, and what is known of one person while counting."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from analysis.correlation.kernels_exposure import ACTIVITY_BINS, LEVELS

TIMES, ORDER, ROW, DOSE, NEAR, LINES = range(6)
"""Lines of what one person has done. By kind: how often (`TIMES`), and whether shortly before the
macro conversion (`NEAR`). By the order of first times: the event (`ORDER`), its row (`ROW`), and
the dose of it that the tables have (`DOSE`)."""


UNITS, MATURE, CONVERTERS, COUNTED, FIRST_CELL = range(5)
"""Places of `Tables.totals`."""


class Layout(NamedTuple):
    """What is asked, and where in one array of counts each table begins.

    `asked` is K; `width` cells + 1; `strata` all of them, with bins of activity where `binned`.
    Tables in one array, because references to many would be counted at every use.
    """

    asked: int
    width: int
    groups: int
    strata: int
    binned: bool
    totals: int
    did: int
    changes: int
    macros: int
    done_changes: int
    done_macros: int
    active: int
    trials: int
    shortly: int


class Tables(NamedTuple):
    """The tables in an array of counts, int32. An event is the last axis of all that have one,
    because what one person has done is written together.

    totals (5,); did (2, K): units that did it, without and with a macro conversion.
    changes (groups, strata, cells + 1) and done_changes (…, 4, K): of the people at risk from one
    cell to the next, all, and by dose and event; macros and done_macros: alike, those who convert
    in the cell. Dose 0 and the last cell mean nothing.
    active (cells + 1, bins, bins, 2): people in trials, without and with a macro conversion
    later; trials (…, 2, K): of these, who do the event in the cell, and who did it before. The
    last cell means nothing.
    shortly (K,): converters with the event shortly before, see `before_macros`.
    """

    totals: np.ndarray
    did: np.ndarray
    changes: np.ndarray
    macros: np.ndarray
    done_changes: np.ndarray
    done_macros: np.ndarray
    active: np.ndarray
    trials: np.ndarray
    shortly: np.ndarray


def no_counts(*, asked, cells, groups, strata, binned):
    """The layout of the tables, an array of counts, all 0, and the tables in it."""
    width = cells + 1
    people = (groups, strata, width)
    done = (*people, LEVELS, asked)
    active = (width, ACTIVITY_BINS, ACTIVITY_BINS, 2)
    shapes = ((5,), (2, asked), people, people, done, done, active, (*active, 2, asked), (asked,))
    sizes = [math.prod(shape) for shape in shapes]
    starts = [0, *itertools.accumulate(sizes)]
    counts = np.zeros(starts[-1], np.int32)
    layout = Layout(asked, width, groups, strata, binned, *starts[:-1])
    parts = zip(itertools.pairwise(starts), shapes, strict=True)
    return layout, counts, Tables(*(counts[a:b].reshape(shape) for (a, b), shape in parts))
