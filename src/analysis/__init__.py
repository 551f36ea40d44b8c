"""The micro-conversion workbook's analysis functions.

Where do we lose people, which groups behave differently, and which of the small actions people
take on the way really go with the one that pays?

=============  ==================================================================================
words          `schema` (columns, durations, errors), `results`, `stats`, `figures`
data           `eventlog` (the log in shards), `passes` (compiled loops), `sources` (reading
               files), `catalog` (roles of events), `simulate` (a shop with a known truth)
answers        `funnels`, `periods` (a week against the week before), `gate` (may it be used?)
views          `widgets` (panels), `reports` (definitions, rendering), `cli` (``workbook``)
=============  ==================================================================================

Imports go down this list, never up. A name is loaded when it is first used, so that a command
that needs little starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.catalog import Catalog as Catalog
    from analysis.eventlog.log import EventLog as EventLog
    from analysis.funnels import Exclusion as Exclusion
    from analysis.funnels import FunnelResult as FunnelResult
    from analysis.funnels import Step as Step
    from analysis.funnels import funnel as funnel
    from analysis.periods import compare_periods as compare_periods
    from analysis.results import Result as Result
    from analysis.schema import DataError as DataError
    from analysis.schema import UsageError as UsageError
    from analysis.schema import WorkbookError as WorkbookError
    from analysis.simulate import simulate as simulate

_HOME = {
    "Catalog": "catalog",
    "DataError": "schema",
    "EventLog": "eventlog.log",
    "Exclusion": "funnels",
    "FunnelResult": "funnels",
    "Result": "results",
    "Step": "funnels",
    "UsageError": "schema",
    "WorkbookError": "schema",
    "compare_periods": "periods",
    "funnel": "funnels",
    "simulate": "simulate",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(f"analysis.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
