"""Reports: what happened in a day, week or month? A notebook is run for it and becomes one page.

A report whose quality gate says no never takes the place of the last good one, and a report whose
numbers are not final says so at its top. Its page loads nothing, sends nothing and shows no code.

`emit` is what a notebook calls to hand over its numbers. To read:

- ``runs``: which reports are made, by name or because they are due
- ``definition``: what is to be reported, checked before anything runs
- ``execution``: the notebook, run from its first cell to its last
- ``render``: its numbers, and a manifest of what they were made from
- ``page``: the notebook as HTML that can do no harm, filled in by ``templates``
- ``publish``: put in place whole or not at all, with one page over all reports
- ``blocks``: what notebooks call to show an answer, key numbers, the data check and caveats
"""

from typing import TYPE_CHECKING, Any

from analysis.reports.render import emit

__all__ = ["emit"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Names of version 0.1, until the next version."""
        if name not in ("pieces", "funnel_told"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import warnings

        from analysis.reports import blocks

        message = f"analysis.reports.{name} is called analysis.reports.blocks"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return blocks
