"""Which micro conversions go with the macro conversion?"""

from analysis.correlation.result import MicroToMacroResult, micro_to_macro
from analysis.correlation.verdict import VerdictLimits

__all__ = ["MicroToMacroResult", "VerdictLimits", "micro_to_macro"]
