"""Where are people lost?"""

from analysis.funnels.between_steps import hidden_steps, micro_shares
from analysis.funnels.compare import suppressed
from analysis.funnels.figures import drop_off_bars, funnel_bars, value_lost_bars
from analysis.funnels.losses import drop_offs
from analysis.funnels.periods import PeriodResult, compare_periods
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import Exclusion, Step
from analysis.funnels.suggestion import suggest

__all__ = [
    "Exclusion",
    "FunnelResult",
    "PeriodResult",
    "Step",
    "compare_periods",
    "drop_off_bars",
    "drop_offs",
    "funnel",
    "funnel_bars",
    "hidden_steps",
    "micro_shares",
    "suggest",
    "suppressed",
    "value_lost_bars",
]
