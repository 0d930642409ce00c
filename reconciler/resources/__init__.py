"""One file per thing that a project has in an external system (design §6)."""
