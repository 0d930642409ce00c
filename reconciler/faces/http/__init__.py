"""`reconcile serve`: the schedule and the HTTP API in one process, over the same git."""
