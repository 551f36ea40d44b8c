"""The chain search: of all chains of a unit, which one counts?

It answers for one shard, in integers, and knows no names, groups or rates. Nothing is sampled or
approximated: every unit gets the chain that a list of all its chains would give. ARCHITECTURE.md,
"The chain search", has the proofs and a picture of each search.

- ``state``: the arrays that all searches share, and the names of their places
- ``blocks``: what chains add up to
- ``plain``: funnels without options
- ``units``: funnels with options; it asks ``greedy`` first, then ``untied``, then ``exact``
- ``greedy``: one pass over a unit's rows, where that is enough
- ``untied``: one chain per step, where steps do not compete for a row
- ``exact``: a Pareto search over states, and any order as a matching; right for every unit
"""
