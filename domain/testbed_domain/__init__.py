"""What all parts speak of: use cases, data, feature schemas, training, prediction log."""
