"""A shop whose truth is known."""

from analysis.simulation.log import simulate

__all__ = ["simulate"]
