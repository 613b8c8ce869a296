"""Seeded Locust traffic with recorded ground truth."""
