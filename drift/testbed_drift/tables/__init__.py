"""The drift job on anybody's tables: files, queries, stored references."""
