"""What a file in `projects/` may ask for."""
