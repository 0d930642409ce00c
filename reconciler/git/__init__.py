"""Git repositories: fetched, read, edited by meaning, checked and pushed. Knows no kind."""
