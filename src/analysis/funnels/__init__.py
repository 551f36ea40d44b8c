"""Where are people lost? Steps in order, a window, and how many of those who enter get how far.

It refuses to print a rate without its count and interval, to count an entry in a rate before its
whole window is covered, and to call a loss, or a difference between groups, an effect.

A funnel from question to answer, in the order to read it:

- `spec`: the steps, exclusions and options, all checked
- `chains`: the search for the chain of each unit, shard by shard (`search` has its compiled loops)
- `counts`: the sums of these chains, and the table
- `data`: what a funnel has found; every view reads it
- `result`: `funnel`, its sentence, its caveats and its views

Views of a funnel that has been asked; they read `data` only:

- `compare`: two groups or two funnels, step by step
- `losses`: who stopped, what they did next, and what they would be worth
- `over_time`: waits, the curve over time, the trend by period of entry, and what is not final yet

Questions of their own; `periods` and `between_steps` ask `funnel`:

- `periods`: what changed against the week before?
- `suggestion`: which funnel fits this log?
- `between_steps`: which step hides between two steps, and what do people do besides?

`figures` and `figures_steps` draw the tables; `kernels` has the compiled loops beside the search.
"""

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
