"""Drift statistics, one module each: their scores, their calibration and their look."""
