"""What a project has in each system, one module a resource."""
