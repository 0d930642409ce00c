"""Git repositories and the text in them; the only importers of pygit2, ruamel.yaml and jinja2."""
