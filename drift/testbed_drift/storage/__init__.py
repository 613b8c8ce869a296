"""What outlives a run: reports, memory, history in Evidently's workspace, MLflow."""
