"""The micro-conversion workbook's analysis functions.

Where do we lose people, which groups behave differently, and which of the small actions people
take on the way really go with the one that pays?

=============  ==================================================================================
words          `schema` (columns, durations, errors), `results`, `stats`, `figures`
data           `eventlog` (the log in shards), `passes` (compiled loops), `sources` (reading
               files), `catalog` (roles of events), `simulate` (a shop with a known truth)
answers        `funnels`, `periods` (a week against the week before), `timing` (how long it takes),
               `correlation` (which micro conversions go with the macro one), and what to ask of one
               of them: `dose_response`, `stability`, `lead_lag`, `doubly_robust`, `horizons`;
               `segments` (rules about people), `segment_comparison`, `segment_overlaps`,
               `audiences`, `rfm`, `clusters`, `content` (which pages and channels lead on),
               `engagement` (levels, and what goes with them),
               `journeys` (what comes after what), `forms` (where people stop in a form)
views          `widgets` (panels), `reports` (definitions, rendering), `cli` (``workbook``)
=============  ==================================================================================

Imports go down this list, never up.
"""

from analysis.audiences import audience
from analysis.catalog import Catalog
from analysis.clusters import behavioral_clusters
from analysis.content import channel_strength, content_conversion
from analysis.correlation import VerdictLimits, micro_to_macro
from analysis.dose_response import dose_response
from analysis.doubly_robust import doubly_robust
from analysis.engagement import engagement_levels, engagement_table
from analysis.eventlog.log import EventLog
from analysis.eventlog.quality import AuditResult, audit
from analysis.eventlog.quality_words import Limits
from analysis.eventlog.sessions import sessionize
from analysis.eventlog.units import Units, units
from analysis.forms import form_fields
from analysis.funnel_hidden import hidden_steps
from analysis.funnel_suggest import suggest
from analysis.funnels import Exclusion, FunnelResult, Step, funnel
from analysis.horizons import compare_horizons
from analysis.journeys import distance_to_macro, event_order, paths, step_matrix, transitions
from analysis.lead_lag import lead_lag
from analysis.periods import compare_periods
from analysis.person_periods import person_periods
from analysis.results import Result
from analysis.rfm import rfm
from analysis.schema import DataError, UsageError, WorkbookError
from analysis.segment_comparison import compare_segments
from analysis.segment_overlaps import overlaps
from analysis.segments import Segment, segment
from analysis.simulate import simulate
from analysis.stability import stability
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
    "Segment",
    "Step",
    "Units",
    "UsageError",
    "VerdictLimits",
    "WorkbookError",
    "audience",
    "audit",
    "behavioral_clusters",
    "channel_strength",
    "compare_horizons",
    "compare_periods",
    "compare_segments",
    "content_conversion",
    "conversion_curve",
    "distance_to_macro",
    "dose_response",
    "doubly_robust",
    "engagement_levels",
    "engagement_table",
    "event_order",
    "form_fields",
    "funnel",
    "hidden_steps",
    "lead_lag",
    "micro_to_macro",
    "overlaps",
    "paths",
    "person_periods",
    "rfm",
    "segment",
    "sessionize",
    "simulate",
    "stability",
    "step_matrix",
    "suggest",
    "time_to_convert",
    "transitions",
    "units",
]
