"""Panels over one library function each, and a table for people.

A panel computes nothing. Its controls hold keyword arguments, a change calls the one function
with them, and what comes back is shown: the sentence, the caveats, the figure. So whatever is
seen in a panel can be had without it, by the arguments that the panel tells, and can be scheduled
as a report with the same arguments.
"""

from analysis.widgets.contents import content_panel
from analysis.widgets.correlation import CorrelationPanel, correlation_panel
from analysis.widgets.forms import form_panel
from analysis.widgets.funnels import FunnelPanel, funnel_panel
from analysis.widgets.groups import clusters_panel, engagement_panel, levels_panel, rfm_panel
from analysis.widgets.journeys import (
    distance_panel,
    order_panel,
    paths_panel,
    steps_panel,
    transitions_panel,
)
from analysis.widgets.panel import QuestionPanel
from analysis.widgets.people import AudiencePanel, audience_panel, overlaps_panel
from analysis.widgets.saving import SaveTo
from analysis.widgets.segments import SegmentsPanel, segments_panel
from analysis.widgets.tables import readable_verdicts, reasons, verdicts_by_group
from analysis.widgets.timing import timing_panel
from analysis.widgets.words import difference_sentence, readable, trend_sentence

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
