"""How does an answer change when an argument is turned by hand? A panel over each question.

A panel is a set of controls, each of which holds an argument of one library function. A change
calls that function with all of them, and the panel shows what comes back: the sentence, the
caveats, the figure. "Save as report" schedules the question with the same arguments. Beside the
panels there are tables and sentences for people, which notebooks use too.

What this package refuses to do: compute anything, so that ``panel.kwargs()`` gives the same answer
without the panel; show text from data as HTML without escaping it; save arguments that have no
answer; and replace a saved report unless told to.

In the order to read them: `panel` (the engine: controls to arguments, to one answer, to a saved
report), `controls` (what panels are made of, and what they offer), `tables` (answers as HTML,
sentences and tables for people); then a file per question: `timing`, `journeys`, `groups` and
`segments` (lists of controls), `funnels` with `step_editor` (its steps and exclusions by hand),
and `correlation`.
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
