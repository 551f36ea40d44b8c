"""What would a log look like in which we know what makes people buy?

The simulated shop imitates no real one: a rate found in it says nothing about yours. Read `shop`
(the parameters: what is true), `log` (`simulate`, from the parameters to a log), `kernels` (what
visitors do, as compiled loops).
"""

from analysis.simulation.log import simulate

__all__ = ["simulate"]
