"""Were the people of a view picked by what happens in it? Then what picked them is no finding.

A view of a segment's people remembers the instant its rule was asked at. Whoever looks at rows
from before that instant looks at what the rule has seen: buyers have bought, whatever they are
like. That is no error, it may be just what is wanted, but it must be said.
"""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from analysis.core.schema import UsageError, instant_us, timestamp

UNKNOWN = 2**62
"""The instant of a mask that says none."""


class Picked(Protocol):
    """What is asked of a log here."""

    @property
    def picked_at_us(self) -> int | None:
        """When it was known whom the view shows; None for everybody, `UNKNOWN` for a bare mask."""

    @property
    def start(self) -> Any:
        """The first instant shown."""


def picked_after(before: int | None, mask: Any) -> int:
    """When it was known whom a mask leaves of people who had been picked `before`.

    A bare mask says no instant; people picked twice are known when the last one was asked.

    Examples
    --------
    >>> picked_after(None, [True, False]) == UNKNOWN
    True
    """
    found = getattr(mask, "at_us", None)
    found = getattr(mask, "attrs", {}).get("at_us") if found is None else found
    instant = UNKNOWN if found is None else int(found)
    return instant if before is None else max(before, instant)


def hindsight(log: Picked, since: int | None = None) -> tuple[str, ...]:
    """What to say where a question looks at rows from before its people were picked.

    Parameters
    ----------
    since : the first instant that the question looks at, in microseconds; default: the first row.
    """
    picked = log.picked_at_us
    if picked is None:
        return ()
    if picked == UNKNOWN:
        return (
            "The people shown were picked by a mask that says no instant: whatever picked them "
            "differs by construction. picked(log, mask, at=...) says when it was known.",
        )
    shown = log.start
    if shown is pd.NaT or max(instant_us(shown), -UNKNOWN if since is None else since) >= picked:
        return ()
    return (
        f"The people shown were picked by what they did before {timestamp(picked):%Y-%m-%d %H:%M} "
        "UTC, and this looks at that time too: whatever picked them differs by construction. Look "
        "from then on, or pick them at an earlier instant.",
    )


def must_know(log: Picked, instant: int, what: str) -> None:
    """Refuse a question as of an instant at which nobody knew yet whom the view shows.

    Raises
    ------
    UsageError
        If the people were picked later: the answer would look into its future.
    """
    picked = log.picked_at_us
    if picked is not None and picked != UNKNOWN and picked > instant:
        raise UsageError(
            f"{what} is as of {timestamp(instant)}, and the log shows people picked as of "
            f"{timestamp(picked)}: the answer would look into its future. Pick them at "
            f"{timestamp(instant)} or earlier, or ask as of a later instant."
        )
