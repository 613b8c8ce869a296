"""Evidently's reports, from scores that are already there."""
