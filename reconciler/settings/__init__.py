"""The configuration, and how a pass comes by its clients. Knows no system by name."""
