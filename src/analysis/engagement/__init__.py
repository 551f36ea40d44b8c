"""Who is engaged, and what goes with it?"""

from analysis.engagement.result import engagement_levels, engagement_table

__all__ = ["engagement_levels", "engagement_table"]
