"""What resources of several kinds have in common. Knows no kind."""
