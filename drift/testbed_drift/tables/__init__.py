"""The drift job on anybody's tables: files, queries, kept references."""
