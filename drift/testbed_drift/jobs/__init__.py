"""The drift job on a prediction log: one run, runs at an interval, several versions."""
