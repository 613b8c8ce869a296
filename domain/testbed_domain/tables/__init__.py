"""One reader of tables, for training, load and drift: bytes to columns, columns to values."""
