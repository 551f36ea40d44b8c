"""Tidy table in, plotly figure out; one palette, one template, no data of its own.

Every figure says its numbers a second time in words (``layout.meta["alt"]``), for those who
cannot see it. Text from the data is escaped, because plotly reads a small HTML of its own. Values
are plain lists of rounded numbers, so that the same table gives the same bytes on every machine.
A percent never stands without the count it is a share of.
"""

from analysis.figures.audience import audience_rates
from analysis.figures.changes import step_changes
from analysis.figures.content import pooled_rates
from analysis.figures.curves import conversion_curves
from analysis.figures.differences import share_differences
from analysis.figures.doses import dose_curves
from analysis.figures.flow_maps import order_map, position_map, transition_map
from analysis.figures.flows import transition_flows
from analysis.figures.form import form_bars
from analysis.figures.funnel import funnel_bars
from analysis.figures.funnel_compare import rate_differences
from analysis.figures.funnel_next import drop_off_bars
from analysis.figures.funnel_times import time_curves
from analysis.figures.funnel_value import value_lost_bars
from analysis.figures.horizons import horizon_forest
from analysis.figures.journeys import distance_bars, order_bars, path_bars
from analysis.figures.lags import lag_bars
from analysis.figures.micro_ratios import ratio_forest
from analysis.figures.overlap import overlap_bars
from analysis.figures.quality import audit_rows, hours_of_day, value_classes
from analysis.figures.quality_days import daily_volume, missing_cells, silences
from analysis.figures.reach import reach_scatter
from analysis.figures.segments import cluster_bars, score_bars
from analysis.figures.shares import micro_bars
from analysis.figures.stability import stability_forest
from analysis.figures.theme import PALETTE, safe, template
from analysis.figures.trend import rate_trend
from analysis.figures.upset import upset
from analysis.figures.waits import session_bars, wait_ranges

__all__ = [
    "PALETTE",
    "audience_rates",
    "audit_rows",
    "cluster_bars",
    "conversion_curves",
    "daily_volume",
    "distance_bars",
    "dose_curves",
    "drop_off_bars",
    "form_bars",
    "funnel_bars",
    "horizon_forest",
    "hours_of_day",
    "lag_bars",
    "micro_bars",
    "missing_cells",
    "order_bars",
    "order_map",
    "overlap_bars",
    "path_bars",
    "pooled_rates",
    "position_map",
    "rate_differences",
    "rate_trend",
    "ratio_forest",
    "reach_scatter",
    "safe",
    "score_bars",
    "session_bars",
    "share_differences",
    "silences",
    "stability_forest",
    "step_changes",
    "template",
    "time_curves",
    "transition_flows",
    "transition_map",
    "upset",
    "value_classes",
    "value_lost_bars",
    "wait_ranges",
]
