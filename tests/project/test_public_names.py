"""The names that people import are a promise: a change of a list is a change of the version."""

from __future__ import annotations

import importlib
import sys

import pytest

import analysis

PUBLIC = {
    "analysis": """
        AuditResult Catalog DataError EventLog Exclusion FunnelResult Limits Result Segment Step
        Units UsageError VerdictLimits WorkbookError audience audit behavioral_clusters
        channel_strength compare_horizons compare_periods compare_segments content_conversion
        conversion_curve distance_to_macro dose_response doubly_robust engagement_levels
        engagement_table event_order form_fields funnel hidden_steps lead_lag micro_to_macro
        overlaps paths person_periods rfm segment sessionize simulate stability step_matrix
        suggest time_to_convert transitions units
    """,
    "analysis.widgets": """
        AudiencePanel CorrelationPanel FunnelPanel QuestionPanel SaveTo SegmentsPanel
        audience_panel clusters_panel content_panel correlation_panel difference_sentence
        distance_panel engagement_panel form_panel funnel_panel levels_panel order_panel
        overlaps_panel paths_panel readable readable_verdicts reasons rfm_panel segments_panel
        steps_panel timing_panel transitions_panel trend_sentence verdicts_by_group
    """,
    "analysis.segments": """
        Segment abandoned as_rule as_table catalog_segments did first frequency is_in last picked
        recency segment sequence tenure value
    """,
    "analysis.journeys": """
        DistanceResult OrderResult PathsResult StepMatrixResult TransitionsResult
        distance_to_macro event_order paths step_matrix transitions
    """,
    "analysis.reports": "emit",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_lists_are_as_they_were(module: str) -> None:
    face = importlib.import_module(module)
    assert sorted(face.__all__) == PUBLIC[module].split()
    for name in face.__all__:
        assert getattr(face, name) is not None


def test_every_public_name_is_found_and_listed() -> None:
    assert set(analysis.__all__) <= set(dir(analysis))
    with pytest.raises(AttributeError, match="has no attribute 'funel'"):
        _ = analysis.funel
    assert analysis.funnels.funnel is analysis.funnel


def test_names_of_the_version_before_are_there_for_one_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "analysis.gate", raising=False)
    with pytest.warns(DeprecationWarning, match="from analysis.quality import gate"):
        moved = importlib.import_module("analysis.gate")
    assert moved.gate is importlib.import_module("analysis.quality").gate
