"""Who did what when: the log, in memory and on disk; it knows no question."""

from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import sessionize

__all__ = ["EventLog", "sessionize", "totals"]
