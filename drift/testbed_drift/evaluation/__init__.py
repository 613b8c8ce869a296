"""From windows to a result: detection, assessment, decision, and their JSON forms."""
