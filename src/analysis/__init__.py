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

from analysis.catalog import Catalog
from analysis.content.result import channel_strength, content_conversion
from analysis.core.result import Result
from analysis.core.schema import DataError, UsageError, WorkbookError
from analysis.correlation.counts import person_periods
from analysis.correlation.dose_response import dose_response
from analysis.correlation.doubly_robust import doubly_robust
from analysis.correlation.horizons import compare_horizons
from analysis.correlation.lead_lag import lead_lag
from analysis.correlation.result import micro_to_macro
from analysis.correlation.stability import stability
from analysis.correlation.verdict import VerdictLimits
from analysis.engagement.result import engagement_levels, engagement_table
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import sessionize
from analysis.eventlog.units import Units, units
from analysis.forms.result import form_fields
from analysis.funnels.between_steps import hidden_steps
from analysis.funnels.periods import compare_periods
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import Exclusion, Step
from analysis.funnels.suggestion import suggest
from analysis.journeys.distance import distance_to_macro
from analysis.journeys.flows import step_matrix, transitions
from analysis.journeys.order import event_order
from analysis.journeys.routes import paths
from analysis.quality.result import AuditResult, audit
from analysis.quality.scan import Limits
from analysis.segments.audiences import audience
from analysis.segments.clusters import behavioral_clusters
from analysis.segments.comparison import compare_segments
from analysis.segments.result import Segment, overlaps, segment
from analysis.segments.rfm import rfm
from analysis.simulation.log import simulate
from analysis.timing.result import conversion_curve, time_to_convert

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
