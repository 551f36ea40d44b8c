"""Who did what when? The log of events, in memory and on disk.

It knows no question and no catalog, draws nothing, and never changes a log that is there but as a
whole: a reader sees the log as it was or as it is.

Read `log.py` (what a log is and what can be asked of it), `shard.py` (its rows as arrays),
`build.py` (from a table to shards), `store.py` and `folder.py` (on disk). Then, as needed:
`filters.py` (conditions, masks, consent), `groups.py` (groups of rows, totals), `sessions.py`,
`units.py` (accounts and devices in the place of people), `maintenance.py` (quarantine, check,
forget), `parallel.py` and `spill.py` (threads, and more rows than memory), `kernels.py`.
"""

from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import sessionize

__all__ = ["EventLog", "sessionize", "totals"]
