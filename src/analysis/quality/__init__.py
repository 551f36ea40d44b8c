"""Can this log be believed, and may a report be made of it?

It refuses to repair: it changes no row and names no person. A check without anything to go by says
"not applicable" and why; it never passes. Passing means that nothing looks wrong, not that
everything is right.

Read `result.py` (`audit`, `gate`), `scan.py` (limits, findings, the one scan of every shard), then
the checks: `row_checks.py` (rows, missing cells, orders) and `time_checks.py` (names and volume
over time; `level_shifts.py` finds lasting changes). `figures.py` draws what they saw, `kernels.py`
counts.
"""

from analysis.quality.result import AuditResult, audit, gate
from analysis.quality.scan import Limits

__all__ = ["AuditResult", "Limits", "audit", "gate"]
