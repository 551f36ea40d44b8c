"""How long does it take?"""

from analysis.timing.result import (
    CurveResult,
    TimeToConvertResult,
    conversion_curve,
    time_to_convert,
)

__all__ = ["CurveResult", "TimeToConvertResult", "conversion_curve", "time_to_convert"]
