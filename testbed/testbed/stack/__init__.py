"""The process stack: tools, parts, supervisor and their configuration."""
