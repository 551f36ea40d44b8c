"""Panels over one library function each, and a table for people.

A panel computes nothing. Its controls hold keyword arguments, a change calls the one function
with them, and what comes back is shown: the sentence, the caveats, the figure. So whatever is
seen in a panel can be had without it, by the arguments that the panel tells, and can be scheduled
as a report with the same arguments.
"""

from analysis.widgets.correlation import CorrelationPanel, correlation_panel
from analysis.widgets.funnels import FunnelPanel, funnel_panel
from analysis.widgets.groups import (
    clusters_panel,
    content_panel,
    engagement_panel,
    levels_panel,
    rfm_panel,
)
from analysis.widgets.journeys import (
    distance_panel,
    form_panel,
    order_panel,
    paths_panel,
    steps_panel,
    transitions_panel,
)
from analysis.widgets.panel import QuestionPanel, SaveTo
from analysis.widgets.segments import (
    AudiencePanel,
    SegmentsPanel,
    audience_panel,
    overlaps_panel,
    segments_panel,
)
from analysis.widgets.tables import (
    difference_sentence,
    readable,
    readable_verdicts,
    reasons,
    trend_sentence,
    verdicts_by_group,
)
from analysis.widgets.timing import timing_panel

__all__ = [
    "AudiencePanel",
    "CorrelationPanel",
    "FunnelPanel",
    "QuestionPanel",
    "SaveTo",
    "SegmentsPanel",
    "audience_panel",
    "clusters_panel",
    "content_panel",
    "correlation_panel",
    "difference_sentence",
    "distance_panel",
    "engagement_panel",
    "form_panel",
    "funnel_panel",
    "levels_panel",
    "order_panel",
    "overlaps_panel",
    "paths_panel",
    "readable",
    "readable_verdicts",
    "reasons",
    "rfm_panel",
    "segments_panel",
    "steps_panel",
    "timing_panel",
    "transitions_panel",
    "trend_sentence",
    "verdicts_by_group",
]
