"""Who is looked at at a landmark: those who have not converted by then and are followed to the end.

Whoever has converted before is not in it, and how many these are is said.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from analysis.core.schema import USER, human_duration
from analysis.core.wording import count, share
from analysis.correlation.aipw import MIN_PEOPLE, People
from analysis.correlation.exposure_firsts import entry_rows
from analysis.correlation.micro_cells import small
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard

ACTIVITY: Final = "activity"


def mature_users(log: EventLog, horizon_us: int, start: str | None) -> set[str]:
    """Users whose whole horizon the log covers."""
    last = log.covers_until_us - horizon_us

    def users(shard: Shard) -> list[str]:
        first = entry_rows(shard, log=log, start=start)
        early = np.flatnonzero(first >= 0)
        early = early[shard.time[first[early]] <= last]
        return shard.users.take(early).to_pylist()

    return {name for part in engine.over(log.shards, users) for name in part}


def at_landmark(rows: pd.DataFrame, micro: str, adjust: list[str]) -> People:
    """Everybody at risk at the landmark, and whether they converted later.

    Parameters
    ----------
    rows : as `person_periods` gives them; the first period is up to the landmark.
    """
    later = rows[rows["period"] >= 1]
    converted = later.groupby(USER, sort=False)["converted"].any()
    here = later[later["period"] == 1]
    columns = [np.ones(len(here))]
    if ACTIVITY in adjust:
        activity = np.log1p(here[ACTIVITY].to_numpy(float))
        columns += [activity, activity**2]
    for name in adjust:
        if name != ACTIVITY:
            levels = here[name].astype(str)
            counts = levels.value_counts()
            # The most frequent value is what the others are compared with.
            columns += [
                (levels == level).to_numpy(float)
                for level in counts.index[1:]
                if counts[level] >= MIN_PEOPLE
            ]
    exposed = here[micro].to_numpy(bool)
    outcome = converted.reindex(here[USER]).to_numpy(bool)
    return People(exposed, outcome, np.column_stack(columns))


def said_of_early(came: pd.Series, landmark_us: int, min_cell: int) -> list[str]:
    """How many conversions a landmark throws away; `came` is the cell of each."""
    early = int((came == 0).sum())
    if len(came) < max(min_cell, 1):
        return []
    gone = share(early, len(came), early / len(came))
    if small([early, len(came) - early], min_cell).any():
        gone = f"Fewer than {min_cell}, or all but so few, of {count(len(came))}"
    return [
        f"{gone} of the conversions come before the landmark, within "
        f"{human_duration(landmark_us)} of entry: they are left out."
    ]
