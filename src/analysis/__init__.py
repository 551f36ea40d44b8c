"""The micro-conversion workbook's analysis functions.

Where do we lose people, which groups behave differently, and which of the small actions people
take on the way really go with the one that pays?

=============  ===================================================================================
the log        `eventlog` (who did what when), `sources` (from other tools' exports to a log),
               `simulation` (a shop whose truth is known), `catalog` (what events mean)
believe it?    `quality`
questions      `funnels` (where are people lost?), `correlation` (which micro conversions go with
               the macro conversion?), `timing` (how long does it take?), `journeys` (what do
               people do after what?), `segments` (who are they?), `content` (which contents and
               channels do people come from who convert?), `engagement` (who is engaged, and what
               goes with it?), `forms` (where do people stop in a form?)
foundations    `core` (words and rules), `statistics` (estimators that know no log), `plotting`
               (what figures share)
for people     `reports` (a notebook, a period, one page), `widgets` (panels), `cli` (the command
               ``workbook``)
=============  ===================================================================================

ARCHITECTURE.md says how they fit together. A name is imported when it is first used, so that
``import analysis`` waits for neither pandas nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analysis.core.caching import let_kernels_compile

if TYPE_CHECKING:
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

_HOMES = {
    "analysis.catalog": ("Catalog",),
    "analysis.content.result": (
        "channel_strength",
        "content_conversion",
    ),
    "analysis.core.result": ("Result",),
    "analysis.core.schema": (
        "DataError",
        "UsageError",
        "WorkbookError",
    ),
    "analysis.correlation.counts": ("person_periods",),
    "analysis.correlation.dose_response": ("dose_response",),
    "analysis.correlation.doubly_robust": ("doubly_robust",),
    "analysis.correlation.horizons": ("compare_horizons",),
    "analysis.correlation.lead_lag": ("lead_lag",),
    "analysis.correlation.result": ("micro_to_macro",),
    "analysis.correlation.stability": ("stability",),
    "analysis.correlation.verdict": ("VerdictLimits",),
    "analysis.engagement.result": (
        "engagement_levels",
        "engagement_table",
    ),
    "analysis.eventlog.log": ("EventLog",),
    "analysis.eventlog.sessions": ("sessionize",),
    "analysis.eventlog.units": (
        "Units",
        "units",
    ),
    "analysis.forms.result": ("form_fields",),
    "analysis.funnels.between_steps": ("hidden_steps",),
    "analysis.funnels.periods": ("compare_periods",),
    "analysis.funnels.result": (
        "FunnelResult",
        "funnel",
    ),
    "analysis.funnels.spec": (
        "Exclusion",
        "Step",
    ),
    "analysis.funnels.suggestion": ("suggest",),
    "analysis.journeys.distance": ("distance_to_macro",),
    "analysis.journeys.flows": (
        "step_matrix",
        "transitions",
    ),
    "analysis.journeys.order": ("event_order",),
    "analysis.journeys.routes": ("paths",),
    "analysis.quality.result": (
        "AuditResult",
        "audit",
    ),
    "analysis.quality.scan": ("Limits",),
    "analysis.segments.audiences": ("audience",),
    "analysis.segments.clusters": ("behavioral_clusters",),
    "analysis.segments.comparison": ("compare_segments",),
    "analysis.segments.result": (
        "Segment",
        "overlaps",
        "segment",
    ),
    "analysis.segments.rfm": ("rfm",),
    "analysis.simulation.log": ("simulate",),
    "analysis.timing.result": (
        "conversion_curve",
        "time_to_convert",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_PACKAGES = frozenset({"cli", *(module.split(".")[1] for module in _HOMES)}) | {
    "plotting", "reports", "sources", "statistics", "widgets",
}  # fmt: skip

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


let_kernels_compile()


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"analysis.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
