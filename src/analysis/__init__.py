"""The micro-conversion workbook's analysis functions.

Where do we lose people, which groups behave differently, and which of the small actions people
take on the way really go with the one that pays?

=============  ==================================================================================
words          `schema` (columns, durations, errors), `results`, `stats`, `figures`
data           `eventlog` (the log in shards), `passes` (compiled loops), `sources` (reading
               files), `catalog` (roles of events), `simulate` (a shop with a known truth)
answers        `funnels`, `periods` (a week against the week before), `timing` (how long it takes)
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
from analysis.funnels import Exclusion, FunnelResult, Step, funnel
from analysis.periods import compare_periods
from analysis.person_periods import person_periods
from analysis.results import Result
from analysis.schema import DataError, UsageError, WorkbookError
from analysis.simulate import simulate
from analysis.timing import conversion_curve, time_to_convert

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
    "conversion_curve",
    "funnel",
    "person_periods",
    "sessionize",
    "simulate",
    "time_to_convert",
    "units",
]
