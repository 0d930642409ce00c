"""Sealing and key pairs: the only importers of age and of SSH keys. Knows no file, no system and no kind."""
