"""Which micro conversions go with the macro conversion, how strongly, and how sure is that?

People who did a micro conversion are compared with people who had not, in the same period since
they entered and as active until then; what the same method finds for controls, which cannot matter,
is taken off. This package refuses to call any of it an effect: it finds where an experiment is
worth its while, and no verdict says that more of it would bring more conversions.

Read the files in this order:

1. `plan`: what is asked of whom, all of it checked;
2. `counts`: from the log to integers, shard by shard (`kernels` has the compiled loops);
3. `table`: from the integers to a row per event, and the small cells hidden;
4. `verdict`: the word that may be said of a row, by a fixed rule;
5. `result`: `micro_to_macro`, its result, its sentence, its caveats.

Five questions follow, a file each, all of them about what `micro_to_macro` found:

- `dose_response`: does a second and a third time go with more?
- `stability`: does it hold every week, on every device?
- `lead_lag`: does its rate move first?
- `doubly_robust`: how many more conversions is it, by another method?
- `horizons`: soon, late, and in money?

`figures` draws `micro_to_macro` and the dose response, `figures_checks` the other four.

Four of the five questions are functions with the name of their file, so they are exported by
`analysis` and not here, where they would hide the files.
"""

from analysis.correlation.counts import ExposureCounts, exposure_counts, person_periods
from analysis.correlation.horizons import HorizonsResult, compare_horizons
from analysis.correlation.plan import ExposureOptions
from analysis.correlation.result import MicroToMacroResult, micro_to_macro
from analysis.correlation.verdict import VerdictLimits

__all__ = [
    "ExposureCounts",
    "ExposureOptions",
    "HorizonsResult",
    "MicroToMacroResult",
    "VerdictLimits",
    "compare_horizons",
    "exposure_counts",
    "micro_to_macro",
    "person_periods",
]
