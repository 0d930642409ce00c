"""Onboards GitHub repositories to mesh-six, one file each."""
