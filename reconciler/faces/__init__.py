"""How people and programs use it: command line, HTTP and MCP, and who is asking. Names no kind."""
