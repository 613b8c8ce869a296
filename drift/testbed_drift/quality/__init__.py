"""How well the model does, with labels and before they come, and what is wrong with the data."""
