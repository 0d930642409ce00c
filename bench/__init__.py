"""Measurements: what a quiet pass asks for, and what it costs (design §9)."""
