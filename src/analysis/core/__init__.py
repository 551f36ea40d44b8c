"""What do all packages share? Columns, errors, checked arguments, answers, words and periods.

This package refuses to know a log: it imports nothing of ours, and asks for a small protocol where
it needs one.

Read `schema` (columns, units, errors, durations, instants), `checks` (is an argument one that a
question can take?), `result` (what an answer is, and what it hides), `wording` (how a number is
written), `periods` (weeks, months and their neighbors, and when they are complete).
"""
