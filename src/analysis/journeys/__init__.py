"""What do people do after what? Transitions, positions, paths, orders, and distances.

Five looks at the same lines of events, each a module of its own:

- `transitions`: what comes right after each event, how often and how soon,
- `step_matrix`: where people are after one step, two steps, ten; and back from an event,
- `paths`: the most common ways from an event or to one, and how often they end well,
- `event_order`: which of two events comes first, and how often they go together,
- `distance_to_macro`: how far each micro conversion is from the macro.

None of them says why anybody went where: an order in time is not a cause.
"""

from analysis.journeys.distance import DistanceResult, distance_to_macro
from analysis.journeys.flows import StepMatrixResult, TransitionsResult, step_matrix, transitions
from analysis.journeys.order import OrderResult, event_order
from analysis.journeys.routes import PathsResult, paths

__all__ = [
    "DistanceResult",
    "OrderResult",
    "PathsResult",
    "StepMatrixResult",
    "TransitionsResult",
    "distance_to_macro",
    "event_order",
    "paths",
    "step_matrix",
    "transitions",
]
