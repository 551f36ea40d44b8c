"""Moved: `from analysis.quality import gate`. This name goes with the next version."""

import warnings

from analysis.quality import gate

__all__ = ["gate"]
warnings.warn(
    "analysis.gate has moved: from analysis.quality import gate", DeprecationWarning, stacklevel=2
)
