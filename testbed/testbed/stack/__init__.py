"""The process stack: tools, components, supervisor and their configuration."""
