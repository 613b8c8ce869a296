"""How far a column moved, and the thresholds that keep a budget of false positives."""
