"""The prediction log: written in groups, spooled while its database fails, pruned."""
