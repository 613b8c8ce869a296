"""Alerting rules as data: what their expressions compare, their mutants, and a replay of both.

Pure: which expressions must be asked for is said here, asking is :mod:`testbed.facts.margins`'s.
"""
