"""What RETRAIN starts: training again, and another champion where that is better."""
