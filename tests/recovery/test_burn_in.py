"""A log that begins among old customers: what share of newcomers converts?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.correlation.result import micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.timing.result import conversion_curve, time_to_convert

DAY = pd.Timestamp("2026-01-01")


def shop(seed: int) -> pd.DataFrame:
    """Newcomers, of whom 29.2 % buy within 14 days; old customers come back and seldom buy."""
    rng = np.random.default_rng(seed)
    rows = []
    for kind, first, chance in (
        ("new", rng.uniform(0, 120, 3_000), 0.292),
        ("old", rng.uniform(0, 10, 4_000), 0.03),
    ):
        buys = rng.random(len(first)) < chance
        wait = rng.uniform(0, 14, len(first))
        for i, at in enumerate(first):
            again = at + np.cumsum(rng.exponential(12, 6))
            rows += [(f"{kind}{i}", time, "visit") for time in (at, *again)]
            if buys[i]:
                rows.append((f"{kind}{i}", at + wait[i], "buy"))
    frame = pd.DataFrame(rows, columns=["user", "at", "event"])
    frame = frame[frame["at"] < 120]
    return frame.assign(time=DAY + pd.to_timedelta(frame["at"], "D"))[["user", "time", "event"]]


@pytest.mark.slow
def test_old_customers_are_no_newcomers() -> None:
    log = EventLog.from_frame(shop(1), covers_until="2026-05-01")
    all_of_them = conversion_curve(log, None, "buy", horizon="14d", since="2026-01-01")
    assert all_of_them.final.rate[0] < 0.16
    assert not any("left out" in note for note in all_of_them.warnings)
    for start in (None, "visit"):
        found = conversion_curve(log, start, "buy", horizon="14d")
        assert found.final.low[0] < 0.292 < found.final.high[0]
        assert found.final.rate[0] == pytest.approx(0.292, abs=0.025)
        assert found.warnings[0].startswith("The log begins among people who had been there before")
    assert time_to_convert(log, "buy", horizon="14d").overall.n == found.overall.n
    shops = Catalog.from_mapping(
        {"name": "shop", "events": {"buy": {"role": "macro"}, "visit": {"role": "secondary"}}}
    )
    scan = micro_to_macro(log, shops, horizon="14d")
    assert scan.counts.units == found.overall.n
    assert scan.warnings[0].startswith("The log begins among people who had been there before")
    assert micro_to_macro(log, shops, horizon="14d", since="2026-01-01").counts.units == 7_000
