"""Where the cells of time since entry begin and end.

Short cells first: much is bought within the hour, and what happens in one cell cannot be seen to
have come before.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from analysis.core.schema import US_PER_DAY, US_PER_MINUTE, UsageError, duration_us, human_duration

AUTO: Final = "auto"


_AUTO_MINUTES: Final = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 240, 480)


_MOST_CELLS: Final = 5_000


def period_edges(period: Any = AUTO, horizon: Any = "30d") -> np.ndarray:
    """Where do the cells of time since entry begin and end?

    Parameters
    ----------
    period : the length of a cell, or ``"auto"``: short cells first, because much is bought within
        the hour (0, 1, 2, 3, 5, 7, 10, 15, 20, 30 minutes, 1, 2, 4, 8 hours), then days. A
        list of durations: the times at which further cells begin.
    horizon : where the last cell ends.

    Returns
    -------
    int64 array of microseconds; cell p is [edges[p], edges[p + 1]).

    Raises
    ------
    UsageError
        If one is no duration, or there would be more than 5,000 cells.

    Examples
    --------
    >>> (period_edges("auto", "3d")[-4:] // 3_600_000_000).tolist()
    [8, 24, 48, 72]
    >>> (period_edges("1h", "150min") // 60_000_000).tolist()
    [0, 60, 120, 150]
    >>> (period_edges(["1h"], "150min") // 60_000_000).tolist()
    [0, 60, 150]
    """
    end = duration_us(horizon, "exposure: horizon")
    if isinstance(period, str) and period == AUTO:
        days = np.arange(US_PER_DAY, max(end, US_PER_DAY), US_PER_DAY)
        starts = np.concatenate([np.array(_AUTO_MINUTES) * US_PER_MINUTE, days])
    elif isinstance(period, (list, tuple)):
        starts = np.unique([0, *(duration_us(one, "exposure: period") for one in period)])
    else:
        step = duration_us(period, "exposure: period")
        if end // step > _MOST_CELLS:
            raise UsageError(
                f"exposure: period={period!r} makes {-(-end // step):,} cells of the horizon "
                f"{human_duration(end)}. Allowed: up to {_MOST_CELLS:,}. Take a longer period."
            )
        starts = np.arange(0, end, step)
    edges = np.append(starts[starts < end], end).astype(np.int64)
    if len(edges) > _MOST_CELLS + 1:
        raise UsageError(
            f"exposure: horizon={horizon!r} makes {len(edges) - 1:,} cells. "
            f"Allowed: up to {_MOST_CELLS:,}. Take a shorter horizon or a longer period."
        )
    return edges
