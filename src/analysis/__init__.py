"""The micro-conversion workbook's analysis functions.

Where do we lose people, which groups behave differently, and which of the small actions people
take on the way really go with the one that pays?

=============  ==================================================================================
words          `schema` (columns, durations, errors), `results`, `stats`, `figures`
data           `eventlog` (the log in shards), `passes` (compiled loops), `sources` (reading
               files), `catalog` (roles of events), `simulate` (a shop with a known truth)
answers        `funnels`, `periods` (a week against the week before)
views          `widgets` (panels), `reports` (definitions, rendering), `cli` (``workbook``)
=============  ==================================================================================

Imports go down this list, never up.
"""

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.eventlog.quality import AuditResult, audit
from analysis.eventlog.quality_words import Limits
from analysis.eventlog.sessions import sessionize
from analysis.eventlog.units import Units, units
from analysis.funnel_hidden import hidden_steps
from analysis.funnel_suggest import suggest
from analysis.funnels import Exclusion, FunnelResult, Step, funnel
from analysis.periods import compare_periods
from analysis.results import Result
from analysis.schema import DataError, UsageError, WorkbookError
from analysis.simulate import simulate

__all__ = [
    "AuditResult",
    "Catalog",
    "DataError",
    "EventLog",
    "Exclusion",
    "FunnelResult",
    "Limits",
    "Result",
    "Step",
    "Units",
    "UsageError",
    "WorkbookError",
    "audit",
    "compare_periods",
    "funnel",
    "hidden_steps",
    "sessionize",
    "simulate",
    "suggest",
    "units",
]
