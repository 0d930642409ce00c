"""Measurements: what a pass that changes nothing asks for, and what it costs."""
