"""What a project shows of its own: the routes and tools of mesh-six's onboarding service, by their names."""
