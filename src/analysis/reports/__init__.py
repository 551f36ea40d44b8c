"""Reports: a notebook, a period, one offline page. `emit` is what a notebook calls.

- ``definition``, ``parameters``: what is to be reported, checked before anything runs
- ``period``: days, weeks and months, and when they are complete
- ``execution``, ``render``: run the notebook, make the page and its numbers
- ``numbers``: how a notebook hands over its numbers; ``funnel_told``: those of any funnel
- ``publish``, ``index``, ``runs``: put the pages where people find them, whole or not at all
"""

# Notebooks of version 0.1 import these names; they go with the next version.
from analysis.reports import blocks as funnel_told  # noqa: F401
from analysis.reports import blocks as pieces  # noqa: F401
from analysis.reports.render import emit

__all__ = ["emit"]
