"""The workbook's side: the questions of the table, asked through its public functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import questions

from analysis import Catalog, EventLog, Exclusion, funnel
from analysis.correlation.counts import ExposureCounts, exposure_counts
from analysis.correlation.plan import ExposureOptions

NAME = "workbook"
CATALOG = Path(__file__).parents[2] / "data/catalogs/ecommerce.toml"

_FIRST, *_REST = questions.STEPS
HARDER: dict[str, tuple[list[Any], dict[str, Any]]] = {
    questions.HOLDING: (questions.STEPS, {"hold": [questions.HOLD]}),
    "funnel with an exclusion": (questions.STEPS, {"exclude": [Exclusion("remove_from_cart")]}),
    "funnel, exclusion drops attempts": (
        questions.STEPS,
        {"exclude": [Exclusion("remove_from_cart")], "on_exclude": "drop_attempt"},
    ),
    "funnel with a repeated step": ([_FIRST, _FIRST, *_REST], {}),
    "funnel in strict order": (questions.STEPS, {"order": "strict"}),
    "funnel in any order": (questions.STEPS, {"order": "any"}),
    "funnel of first entries": (questions.STEPS, {"entry": "first"}),
    "funnel of attempts": (questions.STEPS, {"count": "attempts"}),
    "funnel of sessions": (questions.STEPS, {"unit": "session"}),
    "funnel by device and channel": (questions.STEPS, {"by": ["device", "channel"]}),
    "funnel with an optional step": (
        [_FIRST, {"event": "view_cart", "optional": True}, *_REST],
        {},
    ),
    "funnel, a step within an hour": (
        [_FIRST, {"event": _REST[0], "within": "1h"}, *_REST[1:]],
        {},
    ),
}
"""What a funnel can be asked beside the plain question; its table, with intervals and medians."""


class Workbook:
    """A log on disk, mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = EventLog.open(folder)

    def open(self) -> int:
        """The number of shards; nothing is kept, so that the next call opens again."""
        return len(EventLog.open(self.folder).shards)

    def summary(self) -> questions.Counts:
        """Events by name; of a view made anew, because a log remembers what it has counted."""
        table = EventLog.open(self.folder).summary()
        return {name: [int(n)] for name, n in zip(table["event"], table["events"], strict=True)}

    def plain(self) -> questions.Counts:
        """Users by step, in all: the whole table with intervals and medians."""
        table = funnel(self.log, questions.STEPS, window=questions.WINDOW).table
        return {"": [int(n) for n in table["count"]]}

    def harder(self, task: str) -> questions.Counts:
        """Units by step, with one of the options."""
        steps, options = HARDER[task]
        table = funnel(self.log, steps, window=questions.WINDOW, **options).table
        return {"": [int(n) for n in table["count"]]}

    def panel(self) -> tuple[Callable[[], None], Callable[[], questions.Counts]]:
        """A move of the funnel's panel: what goes before it, and the move until it is drawn."""
        from analysis.widgets.funnels import funnel_panel

        panel = funnel_panel(self.log, steps=questions.STEPS, window=questions.WINDOW, by="device")

        def away() -> None:
            panel.window.value = "1d"

        def back() -> questions.Counts:
            panel.window.value = questions.WINDOW
            assert panel.result is not None
            return {"": [int(n) for n in panel.result.table["count"]]}

        return away, back

    def by(self, column: str) -> questions.Counts:
        """Users by step and group."""
        table = funnel(self.log, questions.STEPS, window=questions.WINDOW, by=column, top=99).table
        groups = table.groupby("group", sort=True)["count"]
        return {str(name): [int(n) for n in counts] for name, counts in groups}

    @property
    def micros(self) -> list[str]:
        """The micro conversions and controls of the catalog that the log has."""
        return list(self._exposure().events)

    def micro(self) -> questions.Counts:
        """Per micro conversion: did it, among those who converted and those who did not.

        That is the least of what is counted: by dose, period since entry and activity too.
        """
        counts = self._exposure()
        done = zip(counts.events, counts.peers[:, 1, ::-1], strict=True)
        return {name: [int(n) for n in row] for name, row in done}

    def _exposure(self) -> ExposureCounts:
        catalog = Catalog.load(CATALOG)
        return exposure_counts(
            self.log, catalog, ExposureOptions(macro=questions.MACRO, horizon=questions.HORIZON)
        )

    def audit(self) -> Callable[[], int]:
        """The quality checks, where there are any: how many."""
        from analysis import audit

        return lambda: len(audit(EventLog.open(self.folder), Catalog.load(CATALOG)).table)

    def floor(self) -> int:
        """The sum of all times and codes: what reading the bytes once costs."""
        total = 0
        for shard in self.log.shards:
            total += int(np.sum(shard.time)) % 2**31 + int(np.sum(shard.event, dtype=np.int64))
        return total
