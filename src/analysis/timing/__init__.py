"""How long does it take?"""

from analysis.timing.result import conversion_curve, time_to_convert
from analysis.timing.timing_result import CurveResult, TimeToConvertResult

__all__ = ["CurveResult", "TimeToConvertResult", "conversion_curve", "time_to_convert"]
