"""Tidy table in, plotly figure out; one palette, one template, no data of its own.

Every figure says its numbers a second time in words (``layout.meta["alt"]``), for those who
cannot see it. Text from the data is escaped, because plotly reads a small HTML of its own. Values
are plain lists of rounded numbers, so that the same table gives the same bytes on every machine.
A percent never stands without the count it is a share of.
"""

from analysis.figures.audience import audience_rates
from analysis.figures.changes import step_changes
from analysis.figures.differences import share_differences
from analysis.figures.funnel import funnel_bars
from analysis.figures.quality import audit_rows, hours_of_day, value_classes
from analysis.figures.quality_days import daily_volume, missing_cells, silences
from analysis.figures.segments import cluster_bars, score_bars
from analysis.figures.shares import micro_bars
from analysis.figures.theme import PALETTE, safe, template
from analysis.figures.trend import rate_trend
from analysis.figures.upset import upset

__all__ = [
    "PALETTE",
    "audience_rates",
    "audit_rows",
    "cluster_bars",
    "daily_volume",
    "funnel_bars",
    "hours_of_day",
    "micro_bars",
    "missing_cells",
    "rate_trend",
    "safe",
    "score_bars",
    "share_differences",
    "silences",
    "step_changes",
    "template",
    "upset",
    "value_classes",
]
