"""`reconcile serve`: the schedule, the HTTP API and the MCP server in one process, over the same git."""
