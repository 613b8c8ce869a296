"""Clients of Prometheus and Alertmanager."""
