"""Where are people lost?"""

from analysis.funnels.between_steps import hidden_steps
from analysis.funnels.figures import funnel_bars
from analysis.funnels.figures_funnel_next import drop_off_bars
from analysis.funnels.figures_funnel_value import value_lost_bars
from analysis.funnels.funnel_result import FunnelResult
from analysis.funnels.funnel_steps import Exclusion, Step
from analysis.funnels.losses import drop_offs
from analysis.funnels.period_changes import suppressed
from analysis.funnels.result import funnel
from analysis.funnels.suggestion import suggest

__all__ = [
    "Exclusion",
    "FunnelResult",
    "Step",
    "drop_off_bars",
    "drop_offs",
    "funnel",
    "funnel_bars",
    "hidden_steps",
    "suggest",
    "suppressed",
    "value_lost_bars",
]
