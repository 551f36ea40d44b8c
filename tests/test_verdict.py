"""The rule of the verdict, clause by clause, and its order."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.correlation.verdict import VERDICTS, Facts, VerdictLimits, verdict_of

NAN = math.nan
LIMITS = VerdictLimits()
FACTS = Facts(
    role="secondary",
    preceded=20,
    first_period=90,
    converters=900,
    people=20_000,
    expected=150.0,
    adjusted=(2.0, 1.7, 2.4),
    se=0.09,
    calibrated=(1.5, 1.25, 1.8),
    variance=0.008,
    lasting=0.0,
    q_value=0.004,
    controls=6,
    after=240,
    counted=850,
)


def said(**changes: object) -> str:
    return verdict_of(FACTS._replace(**changes), LIMITS).verdict


def needed(**changes: object) -> float:
    return verdict_of(FACTS._replace(**changes), LIMITS).needed_users


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "leads"),
        ({"q_value": 0.11}, "not_enough_data"),
        ({"q_value": 0.10}, "leads"),
        ({"calibrated": (1.5, 1.1, 1.8)}, "not_enough_data"),
        ({"calibrated": (1.5, 1.101, 1.8)}, "leads"),
        ({"calibrated": (0.7, 0.55, 0.899)}, "inverse"),
        ({"calibrated": (0.7, 0.55, 0.899), "q_value": 0.2}, "goes_along"),
        ({"calibrated": (0.7, 0.55, 0.95)}, "goes_along"),
        ({"calibrated": (0.7, 0.55, 0.95), "adjusted": (0.9, 0.8, 1.1)}, "not_enough_data"),
        ({"calibrated": (1.0, 0.81, 1.24)}, "vanity"),
        # Associated beyond the controls, and still too little to matter.
        ({"calibrated": (1.15, 1.07, 1.24)}, "vanity"),
        ({"calibrated": (1.0, 0.80, 1.24)}, "goes_along"),
        ({"calibrated": (1.0, 0.81, 1.25)}, "goes_along"),
        ({"calibrated": (1.0, 0.7, 1.4), "adjusted": (1.2, 0.99, 1.5)}, "not_enough_data"),
        ({"calibrated": (NAN,) * 3, "controls": 2}, "goes_along"),
        ({"calibrated": (NAN,) * 3, "adjusted": (1.2, 0.99, 1.5)}, "not_enough_data"),
        ({"calibrated": (NAN,) * 3, "adjusted": (0.5, 0.4, 0.6)}, "not_enough_data"),
        ({"adjusted": (2.0, 1.0, 3.99)}, "leads"),
        ({"adjusted": (2.0, 1.0, 4.0)}, "not_enough_data"),
        ({"adjusted": (NAN,) * 3, "se": NAN}, "not_enough_data"),
        ({"first_period": 450}, "leads"),
        ({"first_period": 451}, "not_enough_data"),
        ({"converters": 0, "first_period": 0, "preceded": 0}, "not_enough_data"),
        ({"preceded": 720}, "structural"),
        ({"preceded": 719}, "leads"),
        ({"role": "milestone"}, "structural"),
        # What requires the event is said before what is missing.
        ({"role": "milestone", "converters": 0}, "structural"),
        ({"preceded": 800, "first_period": 800}, "structural"),
    ],
)
def test_the_first_clause_that_matches_wins(changes, verdict):
    assert said(**changes) == verdict


ratios = st.tuples(st.floats(0.05, 20), st.floats(1.01, 6)).map(
    lambda t: (t[0], t[0] / t[1], t[0] * t[1])
)


@given(ratios, ratios, st.floats(0, 1), st.integers(0, 900), st.integers(0, 900))
def test_every_verdict_has_a_reason_and_none_speaks_of_causes(adjusted, calibrated, q, few, first):
    found = verdict_of(
        FACTS._replace(
            adjusted=adjusted, calibrated=calibrated, q_value=q, preceded=few, first_period=first
        ),
        LIMITS,
    )
    assert found.verdict in VERDICTS
    assert found.reason.endswith(".")
    assert "\n" not in found.reason
    assert not re.search(r"driv|caus|harm|effect|lift|impact", found.reason, re.IGNORECASE)
    if found.verdict in ("leads", "inverse"):
        assert calibrated[1] > 1 or calibrated[2] < 1


def test_how_many_users_would_do():
    """An interval of a factor of 16 is twice as wide as one of 4, and takes four times as many."""
    se = math.log(16) / 2 / 1.959964
    wide = {"adjusted": (1.0, 0.25, 4.0), "se": se}
    assert needed(**wide) == pytest.approx(80_000, rel=0.02)
    assert "Needs about 80,000 users." in verdict_of(FACTS._replace(**wide), LIMITS).reason
    # Two exposed conversions expected: four times as many people make it eight.
    assert needed(adjusted=(NAN,) * 3, se=NAN, expected=2.0) == 80_000
    assert math.isnan(needed(adjusted=(NAN,) * 3, se=NAN, expected=0.0))
    assert math.isnan(needed(first_period=800))
    assert math.isnan(needed())


def test_what_is_left_open_names_users_or_controls():
    wide = {"calibrated": (1.2, 0.8, 1.8), "adjusted": (0.9, 0.7, 1.2), "variance": 0.0428}
    # Half as wide as log 1.25 / 1.96 squared: 0.01296.
    assert needed(**wide) == pytest.approx(20_000 * 0.0428 / 0.01296, rel=0.05)
    stuck = verdict_of(FACTS._replace(**wide, lasting=0.02), LIMITS)
    assert math.isnan(stuck.needed_users)
    assert "Name more controls" in stuck.reason
    part = 20_000 * (0.0428 - 0.01) / (0.01296 - 0.01)
    assert needed(**wide, lasting=0.01) == pytest.approx(part, rel=0.05)


def test_thresholds_are_arguments():
    strict = VerdictLimits(leads_above=1.3)
    assert verdict_of(FACTS, strict).verdict == "not_enough_data"
    assert verdict_of(FACTS, VerdictLimits(max_q=0.001)).verdict == "not_enough_data"
    assert "above 1.20" in verdict_of(FACTS, VerdictLimits(leads_above=1.2)).reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_q": 10},
        {"max_q": 0},
        {"leads_above": "1.1"},
        {"structural_share": 80},
        {"vanity_low": 1.2},
        {"leads_above": 0.9, "inverse_below": 1.1},
        {"widest_factor": 1.0},
        {"min_controls": 1},
        {"min_controls": True},
    ],
)
def test_thresholds_out_of_range(wrong):
    with pytest.raises(UsageError, match=r"^limits: .*Allowed: ") as caught:
        VerdictLimits(**wrong)
    assert "\n" not in str(caught.value)
