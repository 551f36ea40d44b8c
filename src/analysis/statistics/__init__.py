"""How sure is a number? Estimators that know no log: numbers in, numbers out, each with its paper.

They refuse to give a value to what is not defined: undefined is NaN, never 0.

Read `rates` (one rate, two rates, many tests), `odds_ratios` (associations within strata),
`calibration` (what negative controls take off them), `pooling` (many rates at once), `survival`
(waits of people who are not followed to the end).
"""
