"""Tidy table in, plotly figure out; one palette, one template, no data of its own.

Every figure says its numbers a second time in words (``layout.meta["alt"]``), for those who
cannot see it. Text from the data is escaped, because plotly reads a small HTML of its own. Values
are plain lists of rounded numbers, so that the same table gives the same bytes on every machine.
A percent never stands without the count it is a share of.
"""

from analysis.figures.changes import step_changes
from analysis.figures.funnel import funnel_bars
from analysis.figures.funnel_compare import rate_differences
from analysis.figures.funnel_next import drop_off_bars
from analysis.figures.funnel_times import time_curves
from analysis.figures.funnel_value import value_lost_bars
from analysis.figures.quality import audit_rows, hours_of_day, value_classes
from analysis.figures.quality_days import daily_volume, missing_cells, silences
from analysis.figures.shares import micro_bars
from analysis.figures.theme import PALETTE, safe, template
from analysis.figures.trend import rate_trend

__all__ = [
    "PALETTE",
    "audit_rows",
    "daily_volume",
    "drop_off_bars",
    "funnel_bars",
    "hours_of_day",
    "micro_bars",
    "missing_cells",
    "rate_differences",
    "rate_trend",
    "safe",
    "silences",
    "step_changes",
    "template",
    "time_curves",
    "value_classes",
    "value_lost_bars",
]
