"""The MCP server: the same operations as the HTTP API, for agents."""
