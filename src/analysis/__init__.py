"""The micro-conversion workbook's analysis functions.

Where do we lose people, which groups behave differently, and which of the small actions people
take on the way really go with the one that pays?

=============  ==================================================================================
words          `schema` (columns, durations, errors), `results`, `stats`, `figures`
data           `eventlog` (the log in shards), `passes` (compiled loops), `sources` (reading
               files), `catalog` (roles of events), `simulate` (a shop with a known truth)
answers        `funnels`, `periods` (a week against the week before), `segments` (rules about
               people), `segment_comparison`, `segment_overlaps`, `audiences`, `rfm`, `clusters`,
               `engagement` (levels, and what goes with them)
views          `widgets` (panels), `reports` (definitions, rendering), `cli` (``workbook``)
=============  ==================================================================================

Imports go down this list, never up.
"""

from analysis.audiences import audience
from analysis.catalog import Catalog
from analysis.clusters import behavioral_clusters
from analysis.engagement import engagement_levels, engagement_table
from analysis.eventlog.log import EventLog
from analysis.eventlog.quality import AuditResult, audit
from analysis.eventlog.quality_words import Limits
from analysis.eventlog.sessions import sessionize
from analysis.eventlog.units import Units, units
from analysis.funnels import Exclusion, FunnelResult, Step, funnel
from analysis.periods import compare_periods
from analysis.results import Result
from analysis.rfm import rfm
from analysis.schema import DataError, UsageError, WorkbookError
from analysis.segment_comparison import compare_segments
from analysis.segment_overlaps import overlaps
from analysis.segments import Segment, segment
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
    "Segment",
    "Step",
    "Units",
    "UsageError",
    "WorkbookError",
    "audience",
    "audit",
    "behavioral_clusters",
    "compare_periods",
    "compare_segments",
    "engagement_levels",
    "engagement_table",
    "funnel",
    "overlaps",
    "rfm",
    "segment",
    "sessionize",
    "simulate",
    "units",
]
