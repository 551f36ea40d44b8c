"""Can only those do it who are near the conversion already? Then that is why it goes along.

Nobody removes from a cart who has not filled one. Who did so is compared with people of whom most
have no cart, and no control shares that: the largest ratio of a scan may say only that a cart goes
before a purchase. So of whatever stands out it is asked which milestone came before it, and the
answer is said beside the verdict, with the comparison that would tell: from that milestone on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from analysis.catalog import Catalog
from analysis.core.wording import share
from analysis.correlation.exposure_firsts import NEVER, entry_rows, first_times
from analysis.correlation.plan import ExposurePlan
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard

_NEARLY_ALL: Final = 0.95


_FEW: Final = 0.5


class OnTheWay(NamedTuple):
    """A milestone that nearly all who did an event had reached, and most other people had not.

    ``k`` of the ``n`` who did the event had reached it by then; of ``users``, ``reached`` did.
    """

    milestone: str
    label: str
    k: int
    n: int
    reached: int
    users: int

    def words(self) -> str:
        """What it says of the event's ratio, and what to ask instead."""
        rate = self.reached / self.users
        return (
            f"Nearly all who did it had got to “{self.label}” before, and "
            f"{share(self.reached, self.users, rate)} of all users do: that alone may be why. "
            f"Compare those who got there: start={self.milestone!r}."
        )


def on_the_way(
    log: EventLog, catalog: Catalog, plan: ExposurePlan, events: Sequence[str]
) -> dict[str, OnTheWay]:
    """Which of these events are done by hardly anybody who has not reached some milestone?

    Parameters
    ----------
    plan : whom and how long to look at; what comes after the macro conversion is not.
    events : names of events of the log.

    Returns
    -------
    By event the milestone that fewest users reach, of those that at least 95 percent of the ones
    who did the event had reached before their first time, or with it, and less than half of all
    users reach. Events without one are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis.correlation.plan import exposure_plan
    >>> rows = [("ann", 1, "visit"), ("ann", 2, "cart"), ("ann", 3, "remove"), ("bob", 1, "visit"),
    ...         ("cem", 1, "visit")]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame["time"], unit="h")))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {"buy": {"role": "macro"},
    ...     "cart": {"role": "milestone"}, "remove": {"role": "adverse"}}})
    >>> found = on_the_way(log, shop, exposure_plan(log, shop), ["remove"])
    >>> found["remove"].milestone, found["remove"].reached, found["remove"].users
    ('cart', 1, 3)
    """
    steps = [name for name in catalog.milestones if name in log.event_names and name != plan.start]
    if not steps or not events:
        return {}
    names = list(dict.fromkeys([*events, *steps]))
    parts = engine.over(log.shards, partial(_before, log=log, plan=plan, names=names))
    first = np.concatenate(parts, axis=1)
    did = first < NEVER
    found = {}
    for event in events:
        own = did[names.index(event)]
        by_then = first[:, own] <= first[names.index(event), own]
        near = []
        for step in steps:
            k, reached = int(by_then[names.index(step)].sum()), int(did[names.index(step)].sum())
            if step != event and k >= _NEARLY_ALL * own.sum() and reached < _FEW * first.shape[1]:
                label = catalog.label(step)
                near.append(OnTheWay(step, label, k, int(own.sum()), reached, first.shape[1]))
        if near and own.any():
            found[event] = min(near, key=lambda one: one.reached)
    return found


def _before(shard: Shard, *, log: EventLog, plan: ExposurePlan, names: list[str]) -> np.ndarray:
    """`first_times` of the units of a shard that enter."""
    first = entry_rows(shard, log=log, start=plan.start)
    bought = plan.macro_rows(log, shard, first)
    times = first_times(shard, log=log, plan=plan, names=names, rows=(first, bought))
    return times[:, first >= 0]
