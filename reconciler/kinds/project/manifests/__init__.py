"""The Kubernetes manifests and the dev container file of a project's environment."""
