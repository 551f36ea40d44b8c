"""What do figures share? A tidy table goes in, a plotly figure comes out.

No figure shows a percent without its count, and none lets markup from the data through. Every
figure has its numbers in words too, for those who cannot see it.

Read `theme` (colors, escaping, rows under headings), `intervals` (points with intervals around 0
or 1), `curves` (shares by time), `trend` (a rate over periods).
"""

from analysis.plotting.curves import time_curves
from analysis.plotting.intervals import rate_differences
from analysis.plotting.trend import rate_trend

__all__ = ["rate_differences", "rate_trend", "time_curves"]
