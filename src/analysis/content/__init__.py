"""Which contents and channels do people come from who convert?"""

from analysis.content.result import channel_strength, content_conversion

__all__ = ["channel_strength", "content_conversion"]
