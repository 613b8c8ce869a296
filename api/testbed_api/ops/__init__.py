"""The process: started, replicated, found by Prometheus, ended."""
