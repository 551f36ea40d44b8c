"""Survival as published: the leukemia trial that every textbook uses.

Weeks of remission of 21 patients on 6-mercaptopurine (Freireich et al. 1963, *Blood* 21:699); the
survival is that of Kleinbaum & Klein, *Survival Analysis*, chapter 2.
"""

from __future__ import annotations

WEEKS = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
RELAPSED = [True] * 9 + [False] * 12
PUBLISHED = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
AT_RISK = {6: 21, 7: 17, 10: 15, 13: 12, 16: 11, 22: 7, 23: 6}
