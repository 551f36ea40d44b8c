"""A figure as a panel draws it: one plotly bundle in the output of a notebook.

A panel sets it as the whole output of an `ipywidgets.Output`. That redraws without a flicker and
fills the width; a `FigureWidget` does neither.
"""

from __future__ import annotations

import json
from typing import Any, Final

PLOTLY: Final = "application/vnd.plotly.v1+json"


def bundle(figure: Any) -> dict[str, Any]:
    """A plotly figure as an output of a notebook that fills the width.

    Examples
    --------
    >>> import plotly.graph_objects as go
    >>> sorted(bundle(go.Figure())["data"][PLOTLY])
    ['config', 'data', 'layout']
    """
    drawn = json.loads(figure.to_json())
    drawn["config"] = {"responsive": True, "displaylogo": False}
    return {"output_type": "display_data", "data": {PLOTLY: drawn}, "metadata": {}}
