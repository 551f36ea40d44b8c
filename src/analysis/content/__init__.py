"""Which contents and channels do people come from who convert?

What this package refuses to do: rank by a rate that chance made, or say that a page made anybody
convert.

In the order to read them: `result` (the question, the counts, the table and its words), `figures`
(what is drawn of it). The compiled loop is `segments.kernels.conversions_by_value`, the pooling
`statistics.pooling`.
"""

from analysis.content.result import channel_strength, content_conversion

__all__ = ["channel_strength", "content_conversion"]
