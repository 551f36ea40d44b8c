"""Estimators that know no log: numbers in, numbers out, each with its paper."""
