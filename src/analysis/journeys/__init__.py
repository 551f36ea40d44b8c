"""What do people do after what? Transitions, positions, paths, orders, and distances.

Five questions about the same sequences of events: the rows of a session, or those of a user. This
package refuses to say why anybody went where: an order in time is not a cause, and a way that many
take is not a good way.

Read the files in this order:

1. `sequences`: which rows make a sequence, and under which names (`kernels` has the compiled
   loops);
2. `flows`: `transitions`, what comes right after each event, how often and how soon; and
   `step_matrix`, where people are after one step, two steps, ten, and back from an event;
3. `routes`: `paths`, the most common ways from an event or to one, and how often they end well;
4. `order`: `event_order`, which of two events comes first, and how often they go together;
5. `distance`: `distance_to_macro`, how far each micro conversion is from the macro;
6. `figures`: what is drawn of all five.
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
