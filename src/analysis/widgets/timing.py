"""How long does it take to convert? A panel over `conversion_curve`.

Its controls are the start, the macro conversion, the horizon, the breakdown and the entry range.
The panel refuses to open without a macro conversion; what else the function refuses, the panel
says in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, duration_us
from analysis.eventlog.log import EventLog
from analysis.timing.result import conversion_curve
from analysis.widgets.controls import (
    FIRST_EVENT,
    EntryRange,
    breakdown_choices,
    dropdown,
    event_choices,
    event_labels,
    window_choices,
)
from analysis.widgets.panel import QuestionPanel, SaveTo, draft_of


def timing_panel(  # noqa: PLR0913
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    start: str | None = None,
    macro: str | None = None,
    horizon: str = "30d",
    by: str | None = None,
    entered: tuple[Any, Any] | None = None,
    min_cell: int = 1,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """How does the conversion curve change with another start, macro, horizon or breakdown?

    Parameters
    ----------
    log : the events.
    catalog : what events are called; its macro is where the panel starts.
    start, macro, horizon, by, entered, min_cell : as of `conversion_curve`; where the panel
        starts. The entry range is whole days of one time zone.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If there is neither a catalog nor a macro, `horizon` is not a duration, or the entry range
        is not of whole days. The panel says in words what else `conversion_curve` refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 11:00"])}))
    >>> timing_panel(log, start="cart", macro="purchase", horizon="1h")
    timing_panel(start='cart', macro='purchase', horizon='1h', by=None, entered=None, min_cell=1)
    """
    if macro is None:
        if catalog is None:
            raise UsageError("timing_panel: no macro. Give macro='...', or a catalog.")
        macro = catalog.macro
    duration_us(horizon, "timing_panel: horizon")
    labels = event_labels(log, catalog)
    starts = [name for name in dict.fromkeys([*log.event_names, start]) if name]
    macros = list(dict.fromkeys([*log.event_names, macro]))
    horizons, chosen = window_choices(horizon)
    controls = {
        "start": dropdown("From", [FIRST_EVENT, *event_choices(starts, labels)], start or ""),
        "macro": dropdown("To", event_choices(macros, labels), macro),
        "horizon": dropdown("Horizon", horizons, chosen),
        "by": dropdown("Break down by", breakdown_choices(log, by), by or ""),
        "entered": EntryRange(entered),
    }

    def title(asked: Mapping[str, Any]) -> str:
        begin, end = asked["start"], asked["macro"]
        begun = labels.get(begin, begin) if begin else "the first event"
        return f"How long from {begun} to {labels.get(end, end)}"

    ask, fixed = partial(conversion_curve, log), {"min_cell": min_cell}
    return QuestionPanel("timing_panel", ask, controls, fixed, draft=draft_of(title), save=save)
