"""Facts of a run, read once at its end and stored: one module for each side of the evidence.

A module defines its facts as a model that ``series.json`` holds, and ``read_*``, which takes
:class:`testbed.facts.sources.Sources`. A fact is compact (counts, differences, a few examples), so
that a verdict can be made again from the files alone. What evaluates them is in ``testbed.checks``.
"""
