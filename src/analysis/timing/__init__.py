"""How long does it take to convert, and how many have by which time?

What this package refuses to do: count people who came yesterday as a no, or extend a curve beyond
the time for which anybody was followed.

In the order to read them: `waits` (whom to follow, from when, and how far), `tables` (the curve,
its quantiles, sessions and weeks of entry), `result` (`conversion_curve`, `time_to_convert`),
`sentences` (how they are said), `figures` (what is drawn of them). `kernels` has the compiled loop;
the estimators are in `statistics.survival`.
"""

from analysis.timing.result import (
    CurveResult,
    TimeToConvertResult,
    conversion_curve,
    time_to_convert,
)

__all__ = ["CurveResult", "TimeToConvertResult", "conversion_curve", "time_to_convert"]
