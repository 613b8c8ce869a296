"""Rows of the log and how they become windows: kinds of columns, cutting, segments."""
