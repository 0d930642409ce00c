"""The stages of a pass; they do not import one another, and name no kind."""
