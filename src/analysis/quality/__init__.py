"""Can this log be believed, and may a report be made of it?"""

from analysis.quality.result import AuditResult, audit, gate
from analysis.quality.scan import Limits

__all__ = ["AuditResult", "Limits", "audit", "gate"]
