"""Counts as `exposure_counts` gives them, written by hand or drawn: for what needs only counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.correlation.counts import ExposureCounts


def hand_counts(
    tables: Mapping[str, np.ndarray],
    *,
    controls: Sequence[str] = (),
    groups: Sequence[str] = ("all",),
    people: int = 20_000,
    first_cell: int = 0,
    preceded: Mapping[str, int] | None = None,
) -> ExposureCounts:
    """Counts with one period and a stratum per table; exposure is one level, "1".

    `tables` has per event an array (…, 2, 2) of [[exposed converted, exposed not], [others
    converted, others not]]: (strata, 2, 2), or (groups, strata, 2, 2).
    """
    names = [name for name in tables if name not in controls] + list(controls)
    stacked = np.stack([np.asarray(tables[name], np.int64) for name in names])
    if stacked.ndim == 4:
        stacked = stacked[:, None]
    k, g, s = stacked.shape[:3]
    macros, at_risk = np.zeros((k, 4, g, 1, s), np.int64), np.zeros((k, 4, g, 1, s), np.int64)
    for level, arm in ((1, 0), (0, 1)):
        macros[:, level, :, 0] = stacked[..., arm, 0]
        at_risk[:, level, :, 0] = stacked[..., arm, :].sum(-1)
    crude = stacked.sum((1, 2))
    converters = int(crude[:, :, 0].sum(1).max()) + first_cell
    return ExposureCounts(
        macro="buy",
        events=tuple(names),
        controls=tuple(controls),
        edges_us=np.array([0, 86_400_000_000], np.int64),
        groups=tuple(groups),
        strata=pd.DataFrame({"activity": [str(i) for i in range(s)]}),
        at_risk=at_risk,
        macros=macros,
        trial_users=np.zeros((k, 2, 1, 1, 1), np.int64),
        trial_macros=np.zeros((k, 2, 1, 1, 1), np.int64),
        # [did it][converted], from [[did and converted, did and not], …].
        peers=crude[:, ::-1, ::-1].copy(),
        users=crude[:, 0].sum(-1),
        structural=np.array([(preceded or {}).get(name, 0) for name in names]),
        waits_us=tuple(np.arange(n, dtype=np.int64) * 1_000_000 for n in crude[:, 0, 0]),
        units=people,
        mature=people,
        converters=converters,
        converters_counted=converters - first_cell,
        first_cell=first_cell,
    )


def catalog_of(
    micros: Sequence[str], controls: Sequence[str] = (), roles: Mapping[str, str] | None = None
) -> Catalog:
    """A catalog in which "buy" pays; micros are secondary unless `roles` says otherwise."""
    events = {"buy": {"role": "macro"}} | {name: {"role": "secondary"} for name in micros}
    events |= {name: {"role": "control"} for name in controls}
    events |= {name: {"role": role} for name, role in (roles or {}).items()}
    return Catalog.from_mapping({"name": "hand", "events": events})
