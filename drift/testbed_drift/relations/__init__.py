"""What no single column shows: correlations, classifiers, contributions of the model."""
