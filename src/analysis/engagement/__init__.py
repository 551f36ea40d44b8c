"""Who is engaged, and which small actions do the engaged do more often?

What this package refuses to do: call a person engaged for the very action that it then asks about,
or call a trend an effect of the action.

In the order to read them: `scores` (a score from 0 to 100 and its levels), `table` (each action at
each level, and the trends), `result` (`engagement_levels`, `engagement_table` and their words),
`figures` (what is drawn of them).
"""

from analysis.engagement.result import engagement_levels, engagement_table

__all__ = ["engagement_levels", "engagement_table"]
