"""The service over HTTP: connections, requests, routes, answers."""
