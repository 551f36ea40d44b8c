"""Which rows repeat another one, judged by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.sources.duplicates import Duplicates

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.integers(0, 2)), max_size=12
)


def key_of(number):
    # Two keys that share one of their two hashes are still two keys.
    return np.array([[number // 2, number % 2]], np.uint64)


@given(ROWS)
def test_the_row_with_a_value_then_the_earliest_then_the_first_stays(tmp_path_factory, rows):
    duplicates = Duplicates(tmp_path_factory.mktemp("keys") / "keys")
    places = [0, 0, 0]
    judged = []
    for key, time, valued, part in rows:
        duplicates.add(
            key_of(key),
            time=np.array([time]),
            valued=np.array([valued]),
            part=np.array([part]),
            place=np.array([places[part]]),
        )
        judged.append((key, not valued, time, len(judged), part, places[part]))
        places[part] += 1
    duplicates.close()
    frame = pd.DataFrame(judged, columns=["key", "bare", "time", "arrival", "part", "place"])
    ranked = frame.sort_values(["bare", "time", "arrival"])
    gone = ranked[ranked.duplicated("key")]
    found = duplicates.settled(3)[0]
    for part in range(3):
        assert found[part].tolist() == sorted(gone.loc[gone.part == part, "place"])


def test_batches_of_many_rows(tmp_path):
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 500, 5_000)
    duplicates = Duplicates(tmp_path / "keys")
    for part in np.split(np.arange(5_000), 5):
        duplicates.add(
            np.column_stack([keys[part], keys[part]]).astype(np.uint64),
            time=np.zeros(1_000, np.int64),
            valued=np.zeros(1_000, np.bool_),
            part=np.zeros(1_000, np.int64),
            place=part,
        )
    duplicates.close()
    (gone,), _ = duplicates.settled(1)
    assert sorted(set(range(5_000)) - set(gone)) == sorted(np.unique(keys, return_index=True)[1])
