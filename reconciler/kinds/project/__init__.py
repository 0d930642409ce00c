"""The kind `project`: a repository onboarded to mesh-six."""
