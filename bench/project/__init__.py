"""What passes over projects, and the service over them, cost."""
