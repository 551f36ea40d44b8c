"""Real data that the tests run on: two samples are part of the project, others may not be.

The license of a sample decides. Those in `tests/data/` may be passed on with their attribution
(`tests/data/README.md`); the others lie in the folder that `WORKBOOK_SAMPLES` names, else in
`shared/data` beside the project, and the tests that need them are skipped where they are not.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INCLUDED = ROOT / "tests" / "data"
_elsewhere = os.environ.get("WORKBOOK_SAMPLES", "")
ELSEWHERE = Path(_elsewhere) if _elsewhere else ROOT.parent / "shared" / "data"

OTTO = INCLUDED / "otto_sample_20sessions.jsonl"
ONLINE_RETAIL = INCLUDED / "uci_online_retail_2010-12.csv.gz"
MERCHANDISE_STORE = ELSEWHERE / "ga360_merchandise_store_hits_2016-08_2017-03.csv.gz"

GA4_EVENTS = ELSEWHERE / "ga4_events_150.jsonl"


def needs(sample: Path) -> pytest.MarkDecorator:
    """Skip a test, with the reason, where a sample is not there."""
    return pytest.mark.skipif(
        not sample.exists(),
        reason=f"{sample.name} may not be passed on with the project: "
        "name a folder that has it in WORKBOOK_SAMPLES",
    )


needs_merchandise_store = needs(MERCHANDISE_STORE)
