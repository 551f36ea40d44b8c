"""What figures share: a tidy table in, a plotly figure out."""

from analysis.plotting.curves import time_curves
from analysis.plotting.intervals import rate_differences
from analysis.plotting.trend import rate_trend

__all__ = ["rate_differences", "rate_trend", "time_curves"]
